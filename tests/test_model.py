"""The model: two paths that agree, hooks that all bite, no look ahead, and what bad input is
told."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from helpers.hooks import ActivationCache, HookPoint
from helpers.model import AttentionOnlyTransformer, ModelConfig, sinusoids

CLOSE = dict(atol=1e-5, rtol=1e-5)
SMALL = ModelConfig(n_heads=3, d_model=12, d_head=4, n_ctx=8, d_vocab=10, init_weights=1.0)
VARIANTS = [
    replace(SMALL, positions=positions, normalization=norm, smeared_keys=smeared)
    for positions, norm, smeared in product(
        ("shortformer", "standard"), (None, "RMS", "LN"), (False, True)
    )
]

configs = st.builds(
    ModelConfig,
    n_layers=st.integers(0, 3),
    n_heads=st.integers(1, 4),
    d_model=st.integers(3, 9),
    d_head=st.integers(1, 5),
    n_ctx=st.integers(1, 9),
    d_vocab=st.integers(2, 12),
    positions=st.sampled_from(["shortformer", "standard"]),
    normalization=st.sampled_from([None, "RMS", "LN"]),
    smeared_keys=st.booleans(),
    init_weights=st.just(1.0),
    seed=st.integers(0, 1000),
)
anything = settings(max_examples=40)


def name_of(config: ModelConfig) -> str:
    return (
        f"{config.positions}-{config.normalization}-{'smeared' if config.smeared_keys else 'plain'}"
    )


def model_of(config: ModelConfig) -> AttentionOnlyTransformer:
    """With no weight at a value, 0 or 1, behind which a mistake could hide."""
    model = AttentionOnlyTransformer(config)
    generator = torch.Generator().manual_seed(config.seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    return model


def some_tokens(config: ModelConfig, batch: int = 3, pos: int | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(config.seed + 1)
    return torch.randint(config.d_vocab, (batch, pos or config.n_ctx), generator=generator)


def explicit(model: AttentionOnlyTransformer, tokens: Tensor) -> Tensor:
    return model.run_with_hooks(tokens)


def fast(model: AttentionOnlyTransformer, tokens: Tensor) -> Tensor:
    return model(tokens)


# ---- two paths, one model


@anything
@given(configs, st.integers(1, 9))
def test_the_fast_path_equals_the_explicit_path(config, pos):
    model, tokens = model_of(config), some_tokens(config, pos=min(pos, config.n_ctx))
    logits, _ = model.run_with_cache(tokens)
    assert logits.shape == (*tokens.shape, config.d_vocab)
    assert_close(model(tokens), logits, **CLOSE)
    assert_close(model(tokens), explicit(model, tokens), **CLOSE)


@anything
@given(configs)
def test_gradients_are_the_same_through_both_paths(config):
    """In double precision: some of these models make very steep ones."""
    model, tokens = model_of(config).double(), some_tokens(config)
    weights = dict(model.named_parameters())

    def gradients(run: Callable) -> tuple[Tensor, ...]:
        loss = run(model, tokens).log_softmax(-1)[..., 0].mean()
        return torch.autograd.grad(
            loss, list(weights.values()), allow_unused=True, materialize_grads=True
        )

    for name, one, other in zip(weights, gradients(fast), gradients(explicit), strict=True):
        assert_close(
            one, other, atol=1e-9, rtol=1e-7, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
@pytest.mark.parametrize("run", [fast, explicit])
def test_every_weight_gets_a_gradient(config, run):
    model, tokens = model_of(config), some_tokens(config)
    run(model, tokens).log_softmax(-1)[..., 0].mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.any(), name


@anything
@given(configs, st.data())
def test_no_row_sees_what_comes_after_it(config, data):
    model, tokens = model_of(config), some_tokens(config)
    row = data.draw(st.integers(0, config.n_ctx - 1))
    other = tokens.clone()
    other[:, row + 1 :] = (other[:, row + 1 :] + 1) % config.d_vocab
    for run in (fast, explicit):
        assert_close(run(model, tokens)[:, : row + 1], run(model, other)[:, : row + 1], **CLOSE)
        assert_close(run(model, tokens)[:, : row + 1], run(model, tokens[:, : row + 1]), **CLOSE)


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
def test_every_row_sees_the_first_token(config):
    model, tokens = model_of(config), some_tokens(config)
    other = tokens.clone()
    other[:, 0] = (other[:, 0] + 1) % config.d_vocab
    assert (model(tokens) - model(other)).abs().amax((0, 2)).min() > 1e-4


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
@pytest.mark.parametrize("run", [fast, explicit])
@pytest.mark.parametrize("shape", [(0, 4), (2, 0), (1, 1)])
def test_empty_batches_and_single_tokens_pass(config, run, shape):
    logits = run(model_of(config), torch.zeros(shape, dtype=torch.long))
    assert logits.shape == (*shape, config.d_vocab)


def test_the_smallest_model_works():
    config = ModelConfig(
        n_layers=1, n_heads=1, d_model=1, d_head=1, n_ctx=1, d_vocab=2, init_weights=1.0
    )
    model, tokens = AttentionOnlyTransformer(config), torch.tensor([[0], [1]])
    # it attends to itself
    expected = model.W_E[tokens] @ (1 + model.W_V[0, 0] @ model.W_O[0, 0]) @ model.W_U
    assert_close(model(tokens), expected)
    assert_close(explicit(model, tokens), expected)


# ---- the cache


@anything
@given(configs)
def test_the_cache_holds_every_name_once(config):
    model = model_of(config)
    _, cache = model.run_with_cache(some_tokens(config))
    assert sorted(cache) == sorted(model.hook_names())


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
def test_activations_have_the_shapes_of_transformer_lens(config):
    tokens = some_tokens(config, batch=2, pos=5)
    _, cache = model_of(config).run_with_cache(tokens)
    stream, per_head, square, copies = (2, 5, 12), (2, 5, 3, 4), (2, 3, 5, 5), (2, 5, 3, 12)
    expected = dict(
        q=per_head,
        k=per_head,
        v=per_head,
        z=per_head,
        attn_scores=square,
        pattern=square,
        result=copies,
    )
    expected |= dict(resid_pre=stream, attn_out=stream, resid_post=stream)
    expected |= dict(q_input=copies, k_input=copies, v_input=copies)
    for (name, shape), layer in product(expected.items(), range(2)):
        assert cache[name, layer].shape == shape, name
    assert cache["embed"].shape == cache["pos_embed"].shape == stream
    if config.normalization:
        assert (cache["scale", 0, "ln1"].shape, cache["normalized", 0, "ln1"].shape) == (
            (2, 5, 3, 1),
            copies,
        )
        assert (cache["ln_final.hook_scale"].shape, cache["ln_final.hook_normalized"].shape) == (
            (2, 5, 1),
            stream,
        )


@anything
@given(configs)
def test_patterns_are_causal_and_their_rows_sum_to_one(config):
    _, cache = model_of(config).run_with_cache(some_tokens(config))
    for layer in range(config.n_layers):
        pattern = cache["pattern", layer]
        assert_close(pattern.sum(-1), torch.ones(pattern.shape[:-1]))
        assert (pattern >= 0).all() and not pattern.triu(1).any()
        assert (
            cache["attn_scores", layer].triu(1).isinf() == torch.ones(pattern.shape).triu(1).bool()
        ).all()


def test_the_cache_is_read_by_short_names():
    _, cache = model_of(replace(SMALL, normalization="LN")).run_with_cache(some_tokens(SMALL))
    assert cache["pattern", 1] is cache["blocks.1.attn.hook_pattern"]
    assert cache["resid_pre", 1] is cache["blocks.1.hook_resid_pre"]
    assert cache["k_input", 0] is cache["blocks.0.hook_k_input"]
    assert cache["scale", 1, "ln1"] is cache["blocks.1.ln1.hook_scale"]
    assert cache["embed"] is cache["hook_embed"]


@pytest.mark.parametrize(
    "key", ["blocks.0.hook_mlp_out", ("mlp_out", 0), ("pattern", 2), ("scale", 0, "ln2"), "resid"]
)
def test_an_unknown_key_is_told_what_there_is(key):
    model = model_of(SMALL)
    _, cache = model.run_with_cache(some_tokens(SMALL))
    with pytest.raises(KeyError, match="is not in the cache, which holds: ") as caught:
        cache[key]
    assert all(name in str(caught.value) for name in model.hook_names())


@pytest.mark.parametrize(
    ("names_filter", "kept"),
    [
        ("blocks.1.attn.hook_z", ["blocks.1.attn.hook_z"]),
        (
            lambda name: name.endswith("pattern"),
            ["blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern"],
        ),
        (lambda name: False, []),
    ],
)
def test_the_cache_keeps_what_is_asked_for(names_filter, kept):
    model, tokens = model_of(SMALL), some_tokens(SMALL)
    logits, cache = model.run_with_cache(tokens, names_filter)
    assert list(cache) == kept
    assert torch.equal(logits, explicit(model, tokens))
    assert isinstance(cache, ActivationCache)


# ---- hooks


def writes_to(model: AttentionOnlyTransformer, name: str, tokens: Tensor) -> float:
    """The largest change of a logit when noise is added to one activation."""
    noisy = [(name, lambda value, hook: value + torch.randn_like(value))]
    return (model.run_with_hooks(tokens, noisy) - explicit(model, tokens)).abs().max().item()


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
def test_a_write_to_any_hook_takes_effect(config):
    model, tokens = model_of(config), some_tokens(config)
    without = [name for name in model.hook_names() if not writes_to(model, name, tokens) > 1e-3]
    assert without == []


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
def test_a_write_in_place_does_the_same_and_leaves_the_weights_alone(config):
    """Also where one tensor could stand for many: the copies of the stream, and the positions,
    which are a weight."""
    one_head = replace(config, n_heads=1)
    for model, batch in ((model_of(config), 3), (model_of(one_head), 1)):
        tokens, before = (
            some_tokens(config, batch),
            {k: v.clone() for k, v in model.state_dict().items()},
        )

        def returned(value, hook):
            value = value.clone()
            value[0, 0] *= 0.5
            return value

        def in_place(value, hook):
            value[0, 0] *= 0.5

        for name in model.hook_names():
            with torch.no_grad():
                written = model.run_with_hooks(tokens, [(name, in_place)])
                assert torch.equal(written, model.run_with_hooks(tokens, [(name, returned)])), name
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
@pytest.mark.parametrize("same", [lambda value: None, lambda value: value, torch.clone])
def test_hooks_that_change_nothing_change_nothing(config, same):
    model, tokens = model_of(config), some_tokens(config)
    hooks = [(name, lambda value, hook: same(value)) for name in model.hook_names()]
    assert torch.equal(model.run_with_hooks(tokens, hooks), explicit(model, tokens))


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
@pytest.mark.parametrize("side", "qkv")
def test_a_write_to_one_head_s_input_reaches_that_head_and_side_only(config, side):
    model, tokens = model_of(config), some_tokens(config)
    _, before = model.run_with_cache(tokens)
    after = ActivationCache()

    def cut(value, hook):
        value[:, :, 1] = torch.randn_like(value[:, :, 1])

    sides = {f"blocks.0.attn.hook_{name}" for name in "qkv"}
    hooks = [
        (f"blocks.0.hook_{side}_input", cut),
        (sides.__contains__, lambda v, hook: after.update({hook.name: v})),
    ]
    model.run_with_hooks(tokens, hooks)
    differ = {
        name: (after[name, 0] != before[name, 0]).any(-1).any(1).any(0).tolist() for name in "qkv"
    }
    assert differ == {name: [False, name == side, False] for name in "qkv"}


def run_with(
    model: AttentionOnlyTransformer, tokens: Tensor, name: str, value: Tensor
) -> ActivationCache:
    """The activations of layer 0 when one of them is replaced."""
    cache = ActivationCache()
    keep = (lambda name: True, lambda value, hook: cache.update({hook.name: value}))
    model.run_with_hooks(tokens, [(name, lambda *_: value), keep])
    return cache


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
def test_each_activation_is_made_from_the_one_before(config):
    model, tokens = model_of(config), some_tokens(config)
    _, clean = model.run_with_cache(tokens)
    attn = "blocks.0.attn.hook_"
    scores = torch.randn_like(clean["pattern", 0])
    assert_close(
        run_with(model, tokens, attn + "attn_scores", scores)["pattern", 0], scores.softmax(-1)
    )
    here = torch.eye(8).expand_as(scores).contiguous()
    assert_close(run_with(model, tokens, attn + "pattern", here)["z", 0], clean["v", 0])
    z = torch.randn_like(clean["z", 0])
    result = run_with(model, tokens, attn + "z", z)["result", 0]
    assert_close(result[:, :, 2], z[:, :, 2] @ model.W_O[0, 2], **CLOSE)
    result = torch.randn_like(clean["result", 0])
    written = run_with(model, tokens, attn + "result", result)
    assert_close(written["attn_out", 0], result.sum(2))
    assert_close(written["resid_post", 0], clean["resid_pre", 0] + result.sum(2))
    assert torch.equal(written["resid_pre", 1], written["resid_post", 0])


@pytest.mark.parametrize("norm", ["RMS", "LN"])
def test_a_written_scale_divides(norm):
    """As when a norm is frozen: at scale 1 the stream is read as it is, but for the mean, the gain
    and the bias."""
    model, tokens = model_of(replace(SMALL, normalization=norm)), some_tokens(SMALL)
    _, clean = model.run_with_cache(tokens)
    stream = clean["resid_post", 1]
    if norm == "LN":
        stream = stream - stream.mean(-1, keepdim=True)
    ones = torch.ones_like(clean["ln_final.hook_scale"])
    assert_close(
        run_with(model, tokens, "ln_final.hook_scale", ones)["ln_final.hook_normalized"], stream
    )
    assert_close(
        clean["ln_final.hook_scale"], stream.square().mean(-1, keepdim=True).sqrt(), **CLOSE
    )


def test_the_norm_of_a_layer_fires_for_queries_keys_and_values():
    model, fired = model_of(replace(SMALL, normalization="RMS", n_layers=1)), []
    model.run_with_hooks(
        some_tokens(SMALL), [(lambda name: True, lambda value, hook: fired.append(hook.name))]
    )
    read = [
        name.rpartition("hook_")[2] for name in fired if name.endswith(("_input", "ln1.hook_scale"))
    ]
    assert read == ["q_input", "scale", "k_input", "scale", "v_input", "scale"]


def test_hooks_act_in_turn_and_are_told_where_they_stand():
    model, tokens, seen = model_of(SMALL), some_tokens(SMALL), []
    name = "blocks.1.attn.hook_z"

    def double(value, hook):
        seen.append((hook, value))
        return value * 2

    model.run_with_hooks(tokens, [(name, double), (lambda fired: fired == name, double)])
    assert [hook for hook, _ in seen] == [HookPoint(name)] * 2
    assert_close(seen[1][1], 2 * seen[0][1])


@pytest.mark.parametrize(
    "name", ["hook_pattern", "blocks.2.attn.hook_pattern", "blocks.0.ln1.hook_scale", ""]
)
def test_an_unknown_hook_is_told_what_there_is(name):
    model = model_of(SMALL)
    with pytest.raises(
        ValueError, match=f"no hook is called '{name}'; this model has: hook_embed, "
    ) as caught:
        model.run_with_hooks(some_tokens(SMALL), [(name, lambda value, hook: value)])
    assert all(known in str(caught.value) for known in model.hook_names())
    with pytest.raises(ValueError, match="no hook is called 'pattern'"):
        model.run_with_cache(some_tokens(SMALL), "pattern")


# ---- what the parts do


@anything
@given(configs, st.sampled_from(["z", "v", "result", "attn_out"]))
def test_without_its_heads_the_model_is_embedding_and_unembedding(config, name):
    config = replace(config, normalization=None)
    model, tokens = model_of(config), some_tokens(config)
    silent = [
        (lambda fired: fired.endswith(f"hook_{name}"), lambda value, hook: torch.zeros_like(value))
    ]
    stream = model.W_E[tokens] + (model.W_pos if config.positions == "standard" else 0)
    assert_close(model.run_with_hooks(tokens, silent), stream @ model.W_U, **CLOSE)


@anything
@given(configs, st.integers(0, 11))
def test_shortformer_puts_no_position_into_the_stream_and_standard_does(config, token):
    """The same token everywhere: where no position enters, every value and so every row of the
    stream is the same."""
    model, tokens = model_of(replace(config, n_ctx=7)), torch.full((1, 7), token % config.d_vocab)
    logits, cache = model.run_with_cache(tokens)
    rows = [
        logits,
        model(tokens),
        *(cache["resid_post", layer] for layer in range(config.n_layers)),
    ]
    moves = [(row - row[:, :1]).abs().max() > 1e-4 for row in rows]
    assert moves == [config.positions == "standard"] * len(moves)


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
def test_queries_and_keys_know_the_position(config):
    _, cache = model_of(config).run_with_cache(torch.ones(1, 8, dtype=torch.long))
    for side in "qk":
        assert (cache[side, 0][:, 1:] - cache[side, 0][:, :1]).abs().amax((0, 2, 3)).min() > 1e-2


@pytest.mark.parametrize("norm", [None, "RMS", "LN"])
def test_shortformer_without_layers_ignores_its_positions(norm):
    config = replace(SMALL, n_layers=0, normalization=norm)
    tokens, order = some_tokens(config), torch.randperm(8)
    short, standard = model_of(config), model_of(replace(config, positions="standard"))
    for run in (fast, explicit):
        assert_close(run(short, tokens[:, order]), run(short, tokens)[:, order])
        assert (
            run(standard, tokens[:, order]) - run(standard, tokens)[:, order]
        ).abs().max() > 1e-2
    assert writes_to(short, "hook_pos_embed", tokens) == 0
    assert writes_to(standard, "hook_pos_embed", tokens) > 1e-3


@anything
@given(configs)
def test_smeared_keys_with_an_open_gate_are_plain_keys(config):
    smeared, plain = (
        AttentionOnlyTransformer(replace(config, smeared_keys=on)) for on in (True, False)
    )
    tokens = some_tokens(config)
    torch.nn.init.constant_(smeared.smear, math.inf)
    assert torch.equal(smeared(tokens), plain(tokens))
    assert torch.equal(explicit(smeared, tokens), explicit(plain, tokens))


@pytest.mark.parametrize(
    ("gate", "own"), [(-math.inf, 0.0), (0.0, 0.5), (1.0, 1 / (1 + math.exp(-1)))]
)
def test_a_smeared_key_is_a_blend_with_the_key_before(gate, own):
    smeared, plain = (
        AttentionOnlyTransformer(replace(SMALL, smeared_keys=on)) for on in (True, False)
    )
    tokens = some_tokens(SMALL)
    assert not smeared.smear.any()  # half and half to begin with
    with torch.no_grad():
        smeared.smear[0, 1] = gate
    k, plain_k = (model.run_with_cache(tokens)[1]["k", 0] for model in (smeared, plain))
    assert_close(k[:, 1:, 1], own * plain_k[:, 1:, 1] + (1 - own) * plain_k[:, :-1, 1])
    assert_close(k[:, 1:, 0], 0.5 * plain_k[:, 1:, 0] + 0.5 * plain_k[:, :-1, 0])
    assert torch.equal(k[:, 0], plain_k[:, 0])


# ---- weights


@anything
@given(configs)
def test_a_seed_is_a_model(config):
    before = torch.get_rng_state()
    one, same, other = (AttentionOnlyTransformer(replace(config, seed=seed)) for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(
        torch.equal(value, same.state_dict()[name]) for name, value in one.state_dict().items()
    )
    for name in ("W_E", "W_U"):
        assert not torch.equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("config", VARIANTS, ids=name_of)
def test_variants_of_a_seed_share_their_weights(config):
    """So that a control differs from its model in one thing only."""
    variant, plain = (
        AttentionOnlyTransformer(config).state_dict(),
        AttentionOnlyTransformer(SMALL).state_dict(),
    )
    assert all(torch.equal(variant[name], value) for name, value in plain.items())
    extra = {"norm_gain"} if config.normalization else set()
    extra |= {"norm_bias"} if config.normalization == "LN" else set()
    assert set(variant) - set(plain) == extra | ({"smear"} if config.smeared_keys else set())


def test_the_weights_have_the_promised_spread():
    config = ModelConfig(
        d_model=256,
        d_vocab=512,
        n_ctx=128,
        d_head=64,
        init_embed=0.3,
        init_pos=0.7,
        init_weights=0.9,
    )
    model = AttentionOnlyTransformer(config)
    assert_close(model.W_E.std().item(), 0.3, rtol=0.02, atol=0)
    assert_close(model.W_pos.square().mean().sqrt().item(), 0.7, rtol=0.02, atol=0)
    for W in (model.W_Q, model.W_K, model.W_V, model.W_O, model.W_U):
        x = torch.randn(2000, W.shape[-2])
        assert_close((x @ W).std().item(), 0.9, rtol=0.02, atol=0)
    shapes = [
        tuple(weight.shape) for weight in (model.W_E, model.W_pos, model.W_Q, model.W_O, model.W_U)
    ]
    assert shapes == [(512, 256), (128, 256), (2, 4, 256, 64), (2, 4, 64, 256), (256, 512)]


@given(st.integers(2, 40), st.integers(2, 17))
def test_the_wavelengths_run_from_2_to_twice_the_context(n_ctx, d_model):
    waves, position = sinusoids(n_ctx, d_model).double(), torch.arange(n_ctx).double()
    pairs = (d_model + 1) // 2
    for number in range(pairs):
        wavelength = 2 * n_ctx ** (number / max(pairs - 1, 1))
        assert_close(
            waves[:, 2 * number], (2 * math.pi * position / wavelength).sin(), atol=1e-4, rtol=0
        )
        if 2 * number + 1 < d_model:
            assert_close(
                waves[:, 2 * number + 1],
                (2 * math.pi * position / wavelength).cos(),
                atol=1e-4,
                rtol=0,
            )


@anything
@given(configs)
def test_a_state_dict_makes_the_round_trip(config):
    model, other = model_of(config), AttentionOnlyTransformer(replace(config, seed=config.seed + 1))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(some_tokens(config)), model(some_tokens(config)))


# ---- what bad input is told


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (dict(n_layers=-1), "n_layers is -1; a model needs at least 0"),
        (dict(n_heads=0), "n_heads is 0; a model needs at least 1"),
        (dict(d_model=0), "d_model is 0; a model needs at least 1"),
        (dict(d_head=0), "d_head is 0; a model needs at least 1"),
        (dict(n_ctx=0), "n_ctx is 0; a model needs at least 1"),
        (dict(d_vocab=1), "d_vocab is 1; a model needs at least 2"),
        (dict(positions="rotary"), "positions is 'rotary'; choose 'shortformer' or 'standard'"),
        (dict(normalization="layer"), "normalization is 'layer'; choose None, 'RMS' or 'LN'"),
    ],
)
def test_a_config_that_makes_no_model_says_so(shapes_unchecked, setting, says):
    with pytest.raises(ValueError, match=f"^{says}$"):
        ModelConfig(**setting)


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (
            [[0, 10]],
            r"token ids run from 0 to 10; the model knows 0 to 9 \(d_vocab 10\); draw them from "
            r"that range",
        ),
        (
            [[-1, 3]],
            r"token ids run from -1 to 3; the model knows 0 to 9 \(d_vocab 10\).*a larger d_vocab",
        ),
        (
            [[0] * 9],
            r"the sequences have 9 tokens and the model's context n_ctx is 8; cut them.*a larger "
            r"n_ctx",
        ),
        (
            [0, 1],
            r"tokens have shape \(2,\); expected \[batch, pos\] \(one sequence: tokens\[None\]\)",
        ),
        ([[[0, 1]]], r"tokens have shape \(1, 1, 2\); expected \[batch, pos\]"),
    ],
)
@pytest.mark.parametrize(
    "run", [fast, explicit, lambda model, tokens: model.run_with_cache(tokens)]
)
def test_tokens_that_do_not_fit_say_why(shapes_unchecked, tokens, says, run):
    with pytest.raises(ValueError, match=says):
        run(model_of(SMALL), torch.tensor(tokens))


def test_the_last_id_and_the_last_position_fit():
    logits = model_of(SMALL)(torch.full((1, 8), 9))
    assert logits.isfinite().all()
