"""The course's model and its copy in TransformerLens agree, activation by activation, and answer
hooks alike."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from helpers.lens import from_transformer_lens, native, to_transformer_lens
from helpers.model import AttentionOnlyTransformer, ModelConfig

CLOSE = dict(atol=1e-5, rtol=0)
NORMS = (None, "LN", "RMS")
SHAPES = [
    dict(n_heads=1, d_model=8, d_head=8, n_ctx=6, d_vocab=5),
    dict(n_heads=3, d_model=16, d_head=5, n_ctx=12, d_vocab=11),
    dict(n_heads=4, d_model=12, d_head=3, n_ctx=9, d_vocab=30),
    dict(n_heads=2, d_model=7, d_head=9, n_ctx=10, d_vocab=13),
]
DEPTHS_AND_SHAPES = [
    (0, SHAPES[0]),
    (1, SHAPES[1]),
    (3, SHAPES[2]),
    *((2, shape) for shape in SHAPES),
]
CONFIGS = [
    ModelConfig(n_layers=n_layers, positions="standard", normalization=norm, **shape)
    for n_layers, shape in DEPTHS_AND_SHAPES
    for norm in NORMS
]
SMALL = ModelConfig(positions="standard", **SHAPES[1])

# TransformerLens normalizes the stream once, the course each head's copy of it: one axis more.
PER_HEAD = ("ln1.hook_scale", "ln1.hook_normalized")
# TransformerLens calls the pattern by this name as well.
MISNAMED = "attn.hook_attn_scores"


def name_of(config: ModelConfig) -> str:
    heads = f"{config.n_heads}x{config.d_head}"
    return f"{config.n_layers}-{config.normalization}-{heads}-{config.d_model}"


def model_of(config: ModelConfig) -> AttentionOnlyTransformer:
    """With no weight at a value, 0 or 1, behind which a mistake could hide."""
    model = AttentionOnlyTransformer(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return model


def some_tokens(config: ModelConfig) -> Tensor:
    return torch.randint(config.d_vocab, (3, config.n_ctx - 1))


@cache
def pair(norm: str | None) -> tuple[AttentionOnlyTransformer, TransformerBridge]:
    """A small model and its copy, built once for the tests that only read them."""
    model = model_of(replace(SMALL, normalization=norm))
    return model, to_transformer_lens(model)


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_every_shared_activation_agrees(config):
    model, tokens = model_of(config), some_tokens(config)
    bridge = to_transformer_lens(model)
    logits, ours = model.run_with_cache(tokens)
    their_logits, theirs = bridge.run_with_cache(tokens)
    assert_close(logits, their_logits, **CLOSE)
    assert_close(model(tokens), their_logits, **CLOSE)
    shared = set(ours) & set(theirs)
    inner = ("q", "k", "v", "attn_scores", "pattern", "z")
    expected = {"hook_embed", "hook_pos_embed"}
    for layer in range(config.n_layers):
        expected |= {f"blocks.{layer}.attn.hook_{name}" for name in inner}
        expected |= {
            f"blocks.{layer}.hook_{name}" for name in ("resid_pre", "attn_out", "resid_post")
        }
    if config.normalization:
        norms = [*(f"blocks.{layer}.ln1" for layer in range(config.n_layers)), "ln_final"]
        expected |= {f"{norm}.hook_{name}" for norm in norms for name in ("scale", "normalized")}
    assert shared == expected
    for name in shared:
        mine, other = ours[name], theirs[name]
        if name.endswith(PER_HEAD):
            other = other.unsqueeze(2).expand(-1, -1, config.n_heads, -1)
        if name.endswith(MISNAMED):
            mine = mine.softmax(-1)
        assert mine.shape == other.shape, name
        assert_close(mine, other, **CLOSE, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("norm", NORMS)
def test_the_weights_are_read_by_the_same_names(norm):
    model, bridge = pair(norm)
    for name in ("W_E", "W_pos", "W_U", "W_Q", "W_K", "W_V", "W_O"):
        assert torch.equal(getattr(bridge, name), getattr(model, name)), name
    for name in ("b_Q", "b_K", "b_V", "b_O", "b_U"):
        assert getattr(bridge, name).numel() and not getattr(bridge, name).any(), name


def write(name: str, value: Tensor) -> Tensor:
    """Another value for an activation, in the manner of its kind: patterns stay patterns."""
    if name.endswith("pattern"):
        return value.roll(1, 1)
    return 1.5 * value + torch.linspace(-1, 1, value[0].numel()).view_as(value[0])


WRITES = ["hook_embed", "hook_pos_embed"]
WRITES += [
    f"blocks.{layer}.attn.hook_{name}"
    for layer in (0, 1)
    for name in ("q", "k", "v", "pattern", "z")
]
WRITES += [
    f"blocks.{layer}.hook_{name}"
    for layer in (0, 1)
    for name in ("resid_pre", "attn_out", "resid_post")
]


@pytest.mark.parametrize(
    ("norm", "name"),
    [(norm, name) for norm in (None, "LN") for name in WRITES]
    + [("LN", "ln_final.hook_scale"), ("LN", "ln_final.hook_normalized")],
)
def test_a_write_does_the_same_in_both(norm, name):
    model, bridge = pair(norm)
    tokens = some_tokens(SMALL)
    hooks = [(name, lambda value, hook: write(hook.name, value))]
    ours = model.run_with_hooks(tokens, hooks)
    assert_close(ours, bridge.run_with_hooks(tokens, fwd_hooks=hooks), **CLOSE)
    assert (ours - model(tokens)).abs().max() > 1e-3


def test_the_bridge_ignores_written_scores_and_the_course_does_not():
    """Should this fail for the bridge, TransformerLens has mended it: say so in the course."""
    model, bridge = pair(None)
    tokens = some_tokens(SMALL)
    hooks = [("blocks.0.attn.hook_attn_scores", lambda value, hook: torch.zeros_like(value))]
    with pytest.warns(UserWarning, match="edit is discarded"):
        assert torch.equal(bridge.run_with_hooks(tokens, fwd_hooks=hooks), bridge(tokens))
    assert (model.run_with_hooks(tokens, hooks) - model(tokens)).abs().max() > 1e-3
    scores = bridge.run_with_cache(tokens)[1]["blocks.0.attn.hook_attn_scores"]
    assert_close(scores.sum(-1), torch.ones(scores.shape[:-1]))  # so these are no scores at all


def test_the_bridge_is_a_copy():
    model = model_of(SMALL)
    bridge, tokens = to_transformer_lens(model), some_tokens(SMALL)
    before = bridge(tokens)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert torch.equal(bridge(tokens), before)


def test_the_precision_is_kept():
    model, tokens = model_of(replace(SMALL, normalization="LN")).double(), some_tokens(SMALL)
    assert_close(model(tokens), to_transformer_lens(model)(tokens), atol=1e-12, rtol=0)


def test_nothing_is_drawn_from_the_caller_s_random_numbers():
    model, before = model_of(SMALL), torch.get_rng_state()
    to_transformer_lens(model)
    native(SMALL)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            dict(positions="shortformer"),
            "is 'shortformer'.* only add them to the stream.*positions=\"standard\"",
        ),
        (dict(smeared_keys=True), "smeared_keys is True.*no such keys.*smeared_keys=False"),
    ],
)
def test_what_cannot_be_expressed_is_named(change, says):
    with pytest.raises(ValueError, match=f"(?s){says}.*helpers.instruments.heads takes both"):
        to_transformer_lens(AttentionOnlyTransformer(replace(SMALL, **change)))


# ---- the model that benchmarks compare with


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_there_and_back_every_weight_is_as_it_was(config):
    model = model_of(config)
    back = from_transformer_lens(to_transformer_lens(model))
    assert replace(back.cfg, seed=0) == replace(config, seed=0)
    for name, weight in model.state_dict().items():
        assert_close(back.state_dict()[name], weight, atol=0, rtol=0)


def test_a_model_that_transformer_lens_drew_says_the_same_as_ours():
    bridge = native(replace(SMALL, normalization="LN"), seed=3)
    tokens = some_tokens(SMALL)
    assert_close(from_transformer_lens(bridge)(tokens), bridge(tokens), **CLOSE)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(attn_only=False, d_mlp=8, act_fn="gelu"), "has no MLPs, and this one has"),
        (dict(positional_embedding_type="rotary", rotary_dim=4, d_head=4), "no rotary positions"),
        (dict(attn_scale=3.0), "says something else with these weights"),
    ],
)
def test_what_the_courses_model_cannot_express_is_named(settings, says):
    with pytest.raises(ValueError, match=says):
        from_transformer_lens(native(SMALL, **settings))


def test_a_bias_is_named_by_its_name():
    bridge = to_transformer_lens(model_of(SMALL))
    with torch.no_grad():
        bridge.state_dict()["blocks.1.attn.v.bias"] += 1
    with pytest.raises(ValueError, match=r"no biases \(blocks.1.attn.v.bias\), and this one has"):
        from_transformer_lens(bridge)


def test_native_is_what_transformer_lens_draws_itself():
    config = replace(SMALL, normalization="LN", seed=3)
    by_hand = TransformerBridge.boot_native(
        TransformerBridgeConfig(
            n_layers=2,
            n_heads=3,
            d_model=16,
            d_head=5,
            n_ctx=12,
            d_vocab=11,
            attn_only=True,
            normalization_type="LN",
            seed=3,
        )
    )
    tokens = some_tokens(config)
    assert torch.equal(native(config)(tokens), by_hand(tokens))
    assert not torch.equal(native(replace(config, seed=4))(tokens), by_hand(tokens))


def test_native_takes_any_position_scheme_and_lets_settings_win():
    tokens = some_tokens(SMALL)
    plain = native(SMALL)(tokens)
    assert torch.equal(
        native(replace(SMALL, positions="shortformer", smeared_keys=True))(tokens), plain
    )
    assert not torch.equal(native(SMALL, seed=1)(tokens), plain)
    assert native(SMALL, normalization_type="LN").cfg.normalization_type == "LN"


def test_native_without_layers_says_why_not():
    with pytest.raises(
        ValueError, match="n_layers is 0.*take 1 or more, or fill .* with to_transformer_lens"
    ):
        native(replace(SMALL, n_layers=0))
