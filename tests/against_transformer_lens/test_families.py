"""Real architectures, small and with random weights: what `heads` and `circuits` say of a bridge is
what the family's own attentions and weights say."""

import logging
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformer_lens.model_bridge import TransformerBridge
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
)

from helpers.explorables.attention import make_scene
from helpers.instruments import (
    basis,
    circuits,
    composition,
    heads,
    interventions,
    paths,
    virtual_weights,
    weights,
)
from helpers.instruments.patterns import copying, prefix_matching, previous_token
from helpers.training import runs
from tests.against_transformer_lens.planted import write_tokenizer

VOCABULARY, LAYERS, HEADS, WIDTH, CONTEXT, BOS = 97, 2, 4, 32, 64, 1
SIZES = dict(
    vocab_size=VOCABULARY,
    hidden_size=WIDTH,
    intermediate_size=16,
    num_hidden_layers=LAYERS,
    num_attention_heads=HEADS,
    max_position_embeddings=CONTEXT,
    pad_token_id=0,
    bos_token_id=BOS,
    eos_token_id=2,
)
GPT = dict(n_embd=WIDTH, n_head=HEADS, n_layer=LAYERS, n_positions=CONTEXT)
GROUPED = dict(num_key_value_heads=2)
# Every kind of the field: keys shared in groups, RoPE, learned and sloping positions, LayerNorm and
# RMS, gains stored as 1 + w, norms behind the attention, parallel blocks, capped logits.
FAMILIES = {
    "bloom": dict(n_head=HEADS, n_layer=LAYERS),
    "cohere": GROUPED,
    "falcon": {},
    "gemma": GROUPED | dict(head_dim=8),
    "gemma2": GROUPED | dict(head_dim=8, query_pre_attn_scalar=8),
    "gpt2": GPT,
    "gpt_neox": {},
    "gptj": GPT | dict(rotary_dim=4),
    "granite": GROUPED,
    "llama": GROUPED,
    "mistral": GROUPED,
    "olmo2": GROUPED,
    "opt": dict(ffn_dim=16, word_embed_proj_dim=WIDTH),
    "phi": {},
    "qwen2": GROUPED,
    "qwen3": GROUPED | dict(head_dim=8),
    "starcoder2": GROUPED,
}
# Of these not every layer sees all, or attends, or none does, or an encoder is read.
OTHERS = {
    "gemma3_text": GROUPED | dict(head_dim=8, sliding_window=16, query_pre_attn_scalar=8),
    "gpt_neo": dict(num_layers=LAYERS, num_heads=HEADS, window_size=16)
    | dict(attention_types=[[["global", "local"], 1]]),
    "lfm2": GROUPED | dict(layer_types=["conv", "full_attention"]),
    "mamba": {},
    "t5": dict(d_model=WIDTH, d_kv=8, d_ff=16, num_layers=2, num_heads=HEADS)
    | dict(decoder_start_token_id=0),
}
ONE_PLUS = {"gemma", "gemma2"}  # whose norms multiply by 1 + w
TOKENS = heads.probe(VOCABULARY, CONTEXT, sequences=3, bos=BOS, special=range(4))
every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a bridge finds the tokenizer."""
    place = tmp_path_factory.mktemp("family")
    write_tokenizer(place, VOCABULARY)
    return place


@pytest.fixture(scope="module")
def bridge_of(folder):
    """`bridge_of("llama")`: the family with random weights and random gains, as a bridge. Its
    `own_attentions` on TOKENS are from before that: inside a bridge some report others."""

    @cache
    def make(family: str, copy: int = 0) -> TransformerBridge:
        config = AutoConfig.for_model(family, **(SIZES | (FAMILIES | OTHERS)[family]))
        torch.manual_seed(0)
        kind = AutoModelForSeq2SeqLM if family == "t5" else AutoModelForCausalLM
        model = kind.from_config(config, attn_implementation="eager").eval()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                noise = torch.randn(weight.shape)
                weight.add_(0.3 * noise) if weight.ndim == 1 else weight.copy_(0.3 * noise)
                assert weight.isfinite().all(), name
        config.architectures = [type(model).__name__]
        config.save_pretrained(folder)
        with torch.no_grad():
            attends = family in FAMILIES
            own = model(TOKENS, output_attentions=True).attentions if attends else ()
        logging.getLogger("transformer_lens").setLevel(logging.ERROR)
        bridge = TransformerBridge.boot_transformers(str(folder), hf_model=model)
        bridge.own_attentions = own
        return bridge

    return make


@pytest.fixture
def bridge(bridge_of, family):
    return bridge_of(family)


def own_gain(family: str, norm) -> torch.Tensor:
    return 1 + norm.weight if family in ONE_PLUS else norm.weight


# ---- scores


@every_family
def test_the_scores_are_those_of_the_models_own_attentions(bridge, family):
    scores = heads.score(bridge, TOKENS)
    for layer, pattern in enumerate(bridge.own_attentions):
        by_hand = prefix_matching(pattern, TOKENS), previous_token(pattern)
        for found, right in zip((scores.prefix_matching, scores.previous_token), by_hand, strict=1):
            torch.testing.assert_close(found[layer], right, atol=1e-6, rtol=0)


@every_family
def test_copying_is_what_the_weights_do_to_the_logits_behind_the_norms(bridge, family):
    """Head by head through the family's own projection, by its own gains."""
    scores, patterns = heads.score(bridge, TOKENS), bridge.own_attentions
    _, seen = bridge.run_with_cache(TOKENS)
    last = bridge.ln_final.original_component
    centres = isinstance(last, torch.nn.LayerNorm) or family == "cohere"
    W_U = bridge.unembed.original_component.weight.T * own_gain(family, last)[:, None]
    W_U = W_U - W_U.mean(0) if centres else W_U
    for layer, pattern in enumerate(patterns):
        attention = bridge.blocks[layer].attn
        z = seen[f"blocks.{layer}.attn.hook_z"]
        z = z.unflatten(-1, (HEADS, -1)) if z.ndim == 3 else z
        alone = torch.eye(HEADS * z.shape[-1]).unflatten(1, (HEADS, -1))
        flat = attention.o.original_component(alone.flatten(1)[None])
        empty = attention.o.original_component(torch.zeros(1, 1, alone.shape[0]))
        W_O = (flat - empty)[0].unflatten(0, (HEADS, -1))  # without its bias
        if "ln1_post" in bridge.blocks[layer]._modules:
            W_O = W_O * own_gain(family, bridge.blocks[layer].ln1_post.original_component)
        right = copying(pattern, z, W_O, W_U, TOKENS)
        torch.testing.assert_close(scores.copying[layer], right, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["gemma", "gemma2", "llama", "gpt2"])
def test_a_gain_is_measured_however_it_is_stored(bridge, family):
    norm = bridge.ln_final
    gain, centres = weights.scaling(norm, WIDTH)
    torch.testing.assert_close(
        gain, own_gain(family, norm.original_component), rtol=1e-4, atol=1e-4
    )
    assert centres == (family == "gpt2")


@pytest.mark.parametrize("width", [2, 3, 4, 7, 768])
@pytest.mark.parametrize("made", [torch.nn.LayerNorm, torch.nn.RMSNorm])
def test_a_gain_is_measured_at_any_width_with_or_without_a_mean(made, width):
    norm = made(width)
    torch.nn.init.normal_(norm.weight)
    gain, centres = weights.scaling(norm, width)
    torch.testing.assert_close(gain, norm.weight.detach(), rtol=1e-4, atol=1e-4)
    assert centres == (made is torch.nn.LayerNorm)


@pytest.mark.parametrize("family", ["gemma", "gpt2", "llama"])
def test_folding_a_norm_into_the_weights_moves_no_score(bridge_of, family):
    before = heads.score(bridge_of(family), TOKENS)
    folded = bridge_of(family, copy=1)  # what follows changes a bridge
    folded.enable_compatibility_mode(fold_value_biases=False)  # which would move what z holds
    for found, right in zip(heads.score(folded, TOKENS), before, strict=True):
        torch.testing.assert_close(found, right, atol=1e-4, rtol=0)


# ---- keys in groups


@pytest.mark.parametrize("family", ["llama", "gemma2", "falcon", "gpt2"])
def test_a_query_head_meets_the_keys_and_values_of_its_own_group(bridge, family):
    attention = bridge.blocks[1].attn
    group = HEADS // len(attention.W_K)
    for head in range(HEADS):
        W_K, W_V = attention.W_K[head // group], attention.W_V[head // group]
        QK, OV = attention.W_Q[head] @ W_K.T, W_V @ attention.W_O[head]
        torch.testing.assert_close(circuits.QK(bridge, 1, head), QK)
        torch.testing.assert_close(circuits.OV(bridge, 1, head), OV)
        through = bridge.W_E @ OV @ bridge.W_U
        torch.testing.assert_close(circuits.full_ov(bridge, 1, head), through, rtol=1e-3, atol=1e-3)
        right = circuits.positivity(torch.linalg.eigvals(through.double()))
        assert circuits.copying_statistic(bridge, 1, head) == pytest.approx(right.item(), abs=1e-6)


def test_the_groups_of_a_pattern_are_those_of_the_weights(bridge_of):
    """The scores of a query head with its key head's keys are the model's own."""
    bridge = bridge_of("llama")
    _, seen = bridge.run_with_cache(TOKENS)
    x = bridge.blocks[1].ln1(seen["blocks.1.hook_in"])
    k = seen["blocks.1.attn.k.hook_out"]
    for head in range(HEADS):
        mine = x @ weights.of_head(bridge, 1, head).K
        own = k.unflatten(-1, (2, -1))[:, :, head // 2] if k.ndim == 3 else k[:, :, head // 2]
        torch.testing.assert_close(mine, own, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gemma2", "falcon"])
def test_the_attention_view_shows_a_query_head_the_values_of_its_own_group(bridge):
    """A pattern and lengths for each head that is shown, those of the weights."""
    shown = [(1, 3), (0, 1), (1, 1)]
    scene = make_scene(bridge, TOKENS[:1], heads=shown)
    pattern = np.frombuffer(scene["pattern"], "<u2").reshape(3, CONTEXT, CONTEXT) / 65535
    v_norm = np.frombuffer(scene["v_norm"], "<f4").reshape(3, CONTEXT)
    _, seen = bridge.run_with_cache(TOKENS[:1])
    for place, (layer, head) in enumerate(shown):
        own = bridge.own_attentions[layer][0, head].numpy()
        np.testing.assert_allclose(pattern[place], own, atol=2e-5, rtol=0)
        x = bridge.blocks[layer].ln1(seen[f"blocks.{layer}.hook_in"])[0]
        v = (x @ weights.of_head(bridge, layer, head).V).detach()
        np.testing.assert_allclose(v_norm[place], v.norm(dim=-1).numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side_by_side", [False, True])
def test_keys_and_values_come_to_every_query_head_of_their_group(side_by_side):
    """Ten heads of width 3, five to a key head."""
    cfg = SimpleNamespace(n_heads=10, d_head=3)
    x = torch.randn(2, 7, 2, 3)
    found = weights.by_query_head(x.flatten(2) if side_by_side else x, cfg)
    assert found.shape == (2, 7, 10, 3)
    for head in range(10):
        assert torch.equal(found[:, :, head], x[:, :, head // 5])


def test_in_a_hybrid_the_heads_are_those_of_the_layers_that_attend(bridge_of):
    bridge = bridge_of("lfm2")
    assert make_scene(bridge, TOKENS[:1])["heads"] == [(1, head) for head in range(HEADS)]
    with pytest.raises(ValueError, match=r"of these are none: \[\(0, 0\)\]"):
        make_scene(bridge, TOKENS[:1], heads=[(0, 0)])


@pytest.mark.parametrize("kind", ["Q", "K", "V"])
def test_composition_and_links_know_the_groups(bridge_of, kind):
    bridge = bridge_of("llama")
    scores = composition.composition_scores(bridge, kind)
    first, second = weights.of_layer(bridge, 0), weights.of_head(bridge, 1, 3)
    OV = first.V[2] @ first.O[2]
    QK = second.Q @ second.K.T
    read = dict(Q=QK, K=QK.T, V=second.V @ second.O)[kind]
    right = (OV @ read).norm() / (OV.norm() * read.norm())
    assert scores[2, 3].item() == pytest.approx(right.item(), abs=1e-5)
    W, _ = virtual_weights.reader_weights(bridge, (1, 3, kind))
    torch.testing.assert_close(W, getattr(second, kind))


# ---- what is not a text model of this kind, and other precisions


def test_a_model_in_which_no_layer_attends_is_refused_in_words(bridge_of):
    mamba = bridge_of("mamba")
    with pytest.raises(ValueError, match="none of the 2 layers of this model attends"):
        heads.discover(mamba, tokens=TOKENS)


def test_an_encoder_and_its_decoder_are_refused_in_words(bridge_of):
    with pytest.raises(ValueError, match="an encoder and a decoder.*decoder-only"):
        heads.discover(bridge_of("t5"), tokens=TOKENS)


def test_of_a_hybrid_the_layers_that_attend_are_scored(bridge_of):
    bridge = bridge_of("lfm2")
    report = heads.discover(bridge, tokens=TOKENS, ablate=True)
    assert [row.at for row in report.rows] == [(1, head) for head in range(HEADS)]
    assert all(isinstance(number, float) for row in report.rows for number in row[2:])
    scores = heads.score(bridge, TOKENS)
    assert all(score[0].isnan().all() and score[1].isfinite().all() for score in scores)


@pytest.mark.parametrize(
    ("family", "windows"), [("gemma3_text", {0: 16, 1: 16}), ("gpt_neo", {1: 16})]
)
def test_a_layer_that_sees_a_window_is_scored_by_what_it_can_see(bridge, windows):
    """Random heads lie at its own line of chance, which is another one."""
    report = heads.discover(bridge, tokens=TOKENS, ablate=False)
    assert report.windows == windows and "layers that see 16 tokens: " in str(report)
    near, all_of_it = report.chance_within[16], report.chance
    assert near["prefix_matching"] > 1.5 * all_of_it["prefix_matching"]
    found = [row.prefix_matching for row in report.rows if row.layer in windows]
    assert sum(found) / len(found) == pytest.approx(near["prefix_matching"], rel=0.4)


def test_scoring_leaves_the_model_as_it_was(bridge_of):
    """It stops behind the last head, and no hook stays."""
    bridge = bridge_of("llama")
    before = bridge(TOKENS)
    heads.score(bridge, TOKENS)
    assert torch.equal(bridge(TOKENS), before)
    assert not any(point.fwd_hooks for point in bridge.hook_dict.values())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_numbers(bridge_of, dtype):
    bridge = bridge_of("llama")
    exact = heads.score(bridge, TOKENS)
    try:
        rough = heads.score(bridge.to(dtype), TOKENS)
    finally:
        bridge.to(torch.float32)
    for found, right in zip(rough, exact, strict=True):
        assert (found - right).abs().max() < 0.05


def test_the_scale_of_the_unembedding_counts_for_nothing_in_half_precision():
    """On the shipped run copying was no number, and nothing was named."""
    model = runs.load(runs.DATA / "runs" / "two_layers").model_at()
    named = heads.discover(model, ablate=False).induction_heads
    with torch.no_grad():
        model.W_U *= 30
    assert heads.discover(model.half(), ablate=False).induction_heads == named
    assert len(named) == 4


# ---- what takes the course's model alone

EDGE = interventions.Edge((0, 0), (1, 0), "k")


@pytest.mark.parametrize(
    "asked",
    [
        lambda bridge: paths.path_expansion(bridge, TOKENS),
        lambda bridge: paths.score_terms(bridge, TOKENS, 1, 0),
        lambda bridge: paths.term_importance(bridge, TOKENS, TOKENS),
        lambda bridge: basis.rotate(bridge, torch.eye(WIDTH)),
        lambda bridge: basis.general_linear(bridge, torch.eye(WIDTH)),
        lambda bridge: basis.change_head_gauge(bridge, 0, 0),
        lambda bridge: basis.fold_norm(bridge),
        lambda bridge: interventions.patch_effect(bridge, TOKENS, [EDGE]),
    ],
)
def test_a_bridge_is_refused_in_words(bridge_of, asked, shapes_unchecked):
    says = "takes the course's own model.*got a TransformerBridge.*ablation take any"
    with pytest.raises(ValueError, match=says):
        asked(bridge_of("llama"))


def test_ablation_takes_any_model(bridge_of):
    bridge = bridge_of("llama")
    for to in ("zero", "mean"):
        rise = interventions.ablation(bridge, TOKENS, [(1, 0)], to=to)
        assert -5 < rise < 5  # and so a number


# ---- BOS and padding


def test_the_probe_opens_with_the_models_own_bos_and_keeps_special_ids_out_of_its_blocks(bridge_of):
    seen = []
    bridge = bridge_of("llama")
    hook = bridge.original_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs.get("input_ids", *args[:1])),
        with_kwargs=True,
    )
    heads.discover(bridge, ablate=False)
    hook.remove()
    tokens = seen[0]
    assert (tokens[:, 0] == BOS).all() and tokens[:, 1:].min() > 3


def test_padding_is_named_or_refused_and_changes_nothing():
    """On the shipped run 0.775 and 2.61 nats when pads count as repeats."""
    model = runs.load(runs.DATA / "runs" / "two_layers").model_at()
    tokens = heads.probe(64, 40)
    padded = F.pad(tokens, (0, 8))
    whole = heads.discover(model, tokens=tokens)
    with pytest.raises(ValueError, match=r"row 0 .* ends in 0 again and again.*pad=0"):
        heads.discover(model, tokens=padded)
    tokens[:, 0] = padded[:, 0] = 60  # some other BOS, for 0 is the pad here
    for row, right in zip(
        heads.discover(model, tokens=padded, pad=0).rows,
        heads.discover(model, tokens=tokens).rows,
        strict=True,
    ):
        assert row[2:] == pytest.approx(right[2:], abs=1e-5)
    assert whole.best("prefix_matching").prefix_matching > 0.99
