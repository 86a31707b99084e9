"""The table of what each normalization allows, gauges, folding, and kurtosis: promised and broken
as promised."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from helpers.instruments import basis, circuits, heads
from helpers.instruments.basis import (
    change_head_gauge,
    fold_norm,
    general_linear,
    kurtosis,
    random_rotation,
    rotate,
)
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import runs

SAME, BROKEN = 1e-10, 1e-1  # of logits whose standard deviation is about 1


def lively(
    seed: int = 0, gain: bool = False, bias: bool = False, **config
) -> AttentionOnlyTransformer:
    """Random weights with uneven patterns, in float64; with a gain or a bias that is not trivial,
    if asked."""
    shape = dict(n_layers=2, n_heads=3, d_model=16, d_head=5, n_ctx=12, d_vocab=20)
    config = shape | dict(init_embed=1.0, init_weights=0.8) | config
    model = (
        AttentionOnlyTransformer(ModelConfig(seed=seed, **config)).double().requires_grad_(False)
    )
    generator = torch.Generator().manual_seed(seed)
    if gain:
        model.norm_gain.copy_(torch.rand(model.norm_gain.shape, generator=generator) * 2 + 0.2)
    if bias:
        model.norm_bias.copy_(torch.randn(model.norm_bias.shape, generator=generator))
    return model


def some_tokens(model: AttentionOnlyTransformer, batch: int = 8) -> Tensor:
    shape = (batch, model.cfg.n_ctx)
    return torch.randint(model.cfg.d_vocab, shape, generator=torch.Generator().manual_seed(0))


def change(one: AttentionOnlyTransformer, other: AttentionOnlyTransformer) -> float:
    """The largest change of a logit. Softmax sees none of a change that all logits of a row share,
    but these do not."""
    tokens = some_tokens(one)
    return (one(tokens) - other(tokens)).abs().max().item()


# ---- rotations


@pytest.mark.parametrize("d", [1, 2, 7, 64])
def test_a_random_rotation_is_orthogonal_to_the_last_digit(d):
    R = random_rotation(d, torch.Generator().manual_seed(0))
    assert R.dtype == torch.float64
    assert_close(R.T @ R, torch.eye(d).double(), atol=1e-14, rtol=0)


def test_all_rotations_and_reflections_are_equally_likely():
    """Entries of a Haar matrix have mean 0 and square 1 / d, on the diagonal too, where a bare QR
    is biased."""
    generator = torch.Generator().manual_seed(0)
    R = torch.stack([random_rotation(4, generator) for _ in range(2000)])
    assert (R.mean(0).abs() < 4 * (1 / 4 / 2000) ** 0.5).all()
    assert_close(R.square().mean(0), torch.full((4, 4), 0.25).double(), atol=0.03, rtol=0)
    assert 0.45 < (torch.linalg.det(R) > 0).double().mean() < 0.55
    fourth = R.pow(4).mean()  # 3 / (d (d + 2)): the entries are no Gaussians
    assert fourth.item() == pytest.approx(3 / 24, rel=0.05)


def test_the_rotation_comes_from_its_generator_alone():
    one, same, other = (
        random_rotation(5, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


@settings(max_examples=30)
@given(st.integers(2, 9), st.integers(0, 99))
def test_a_rotation_can_leave_one_vector_where_it_is(d, seed):
    generator = torch.Generator().manual_seed(seed)
    fixed = torch.randn(d, generator=generator)
    R = random_rotation(d, generator, fixed=fixed)
    assert_close(R.T @ R, torch.eye(d).double(), atol=1e-13, rtol=0)
    assert_close(fixed.double() @ R, fixed.double(), atol=1e-6, rtol=1e-6)
    assert_close(R @ fixed.double(), fixed.double(), atol=1e-6, rtol=1e-6)


def test_the_rest_of_such_a_rotation_is_free():
    generator = torch.Generator().manual_seed(0)
    R = torch.stack([random_rotation(4, generator, fixed=torch.ones(4)) for _ in range(2000)])
    assert_close(R.mean(0), torch.full((4, 4), 0.25).double(), atol=0.06, rtol=0)
    assert 0.45 < (torch.linalg.det(R) > 0).double().mean() < 0.55


@pytest.mark.parametrize("fixed", [torch.zeros(4), torch.ones(5)])
@pytest.mark.usefixtures("shapes_unchecked")
def test_a_vector_that_cannot_be_fixed_is_refused(fixed):
    with pytest.raises(ValueError, match="give a vector of size 4, not zero"):
        random_rotation(4, torch.Generator(), fixed=fixed)


# ---- the table


def permutation(d: int, generator: torch.Generator) -> Tensor:
    return torch.eye(d).double()[torch.randperm(d, generator=generator)]


def mapped(
    model: AttentionOnlyTransformer, how: str, generator: torch.Generator
) -> AttentionOnlyTransformer:
    d = model.cfg.d_model
    if how == "any invertible":
        return general_linear(
            model, torch.randn(d, d, generator=generator).double() + 2 * torch.eye(d)
        )
    if how == "permutation":
        return rotate(model, permutation(d, generator))
    return rotate(
        model, random_rotation(d, generator, fixed=torch.ones(d) if how == "keeps ones" else None)
    )


HOWS = ("rotation", "keeps ones", "permutation", "any invertible")
TABLE = {
    # normalization, gain, bias, folded: which of the four it allows
    (None, False, False, False): (True, True, True, True),
    ("RMS", False, False, False): (True, True, True, False),
    ("RMS", True, False, False): (False, False, False, False),
    ("RMS", True, False, True): (True, True, True, False),
    ("LN", False, False, False): (False, True, True, False),
    ("LN", False, True, False): (False, True, True, False),  # the bias turns along
    ("LN", True, True, False): (False, False, False, False),
    ("LN", True, False, True): (True, True, True, False),
}
CELLS = [
    (*row, how, allowed)
    for row, cells in TABLE.items()
    for how, allowed in zip(HOWS, cells, strict=True)
]


@settings(max_examples=6)
@given(
    seed=st.integers(0, 999),
    d_model=st.integers(10, 20),
    d_head=st.integers(3, 9),
    n_layers=st.integers(1, 3),
)
@pytest.mark.parametrize(("norm", "gain", "bias", "folded", "how", "allowed"), CELLS)
def test_the_table(norm, gain, bias, folded, how, allowed, seed, d_model, d_head, n_layers):
    positions = "standard" if folded or seed % 2 else "shortformer"
    shape = dict(
        d_model=d_model, d_head=d_head, n_layers=n_layers, positions=positions, normalization=norm
    )
    model = lively(seed, gain, bias, **shape)
    model = fold_norm(model) if folded else model
    difference = change(model, mapped(model, how, torch.Generator().manual_seed(seed)))
    assert difference < SAME if allowed else difference > BROKEN


@settings(max_examples=20)
@given(
    st.integers(0, 999),
    st.sampled_from([None, "RMS"]),
    st.sampled_from(["shortformer", "standard"]),
    st.booleans(),
)
def test_in_float32_the_change_is_that_of_the_last_digits(seed, norm, positions, smeared):
    model = lively(
        seed, positions=positions, normalization=norm, smeared_keys=smeared, d_model=64
    ).float()
    turned = rotate(model, random_rotation(64, torch.Generator().manual_seed(seed)))
    assert turned.W_E.dtype == torch.float32
    assert 0 < change(model, turned) < 1e-4


def test_a_trained_model_does_not_mind_either():
    model = runs.load(runs.DATA / "runs" / "two_layers").model_at()
    turned = rotate(model, random_rotation(64, torch.Generator().manual_seed(0)))
    logits = model(some_tokens(model))
    assert change(model, turned) < 1e-5 * logits.abs().max()
    assert change(model.double(), rotate(model, random_rotation(64, torch.Generator()))) < SAME
    assert (
        heads.discover(turned.float()).induction_heads
        == heads.discover(model.float()).induction_heads
        != []
    )


def test_a_rotated_stream_is_the_stream_rotated_and_heads_do_as_before():
    model = lively(normalization="RMS")
    R = random_rotation(16, torch.Generator().manual_seed(0))
    turned, tokens = rotate(model, R), some_tokens(model)
    (_, before), (_, after) = model.run_with_cache(tokens), turned.run_with_cache(tokens)
    for name in ("blocks.0.hook_resid_pre", "blocks.1.hook_attn_out", "blocks.1.hook_resid_post"):
        assert_close(after[name], before[name] @ R)
        assert (after[name] - before[name]).abs().max() > BROKEN
    for name in ("q", "k", "v", "z", "pattern"):
        assert_close(after[name, 1], before[name, 1])
    for head in range(3):
        at = circuits.copying_statistic(model, 1, head)
        assert circuits.copying_statistic(turned, 1, head) == pytest.approx(at, abs=1e-9)


@pytest.mark.parametrize("positions", ["shortformer", "standard"])
@pytest.mark.parametrize("left_out", ["W_E", "W_pos", "W_O", "W_Q", "W_K", "W_V", "W_U"])
def test_one_matrix_left_out_breaks_it(left_out, positions):
    model = lively(positions=positions)
    R = random_rotation(16, torch.Generator().manual_seed(0))
    names = {*basis.WRITERS, *basis.READERS} - {"norm_bias"}
    assert change(model, rotate(model, R, only=names)) < SAME
    assert change(model, rotate(model, R, only=names - {left_out})) > BROKEN


def test_weights_are_computed_in_float64_and_cast_once():
    model, R = lively().float(), random_rotation(16, torch.Generator().manual_seed(0))
    for turned in (rotate(model, R), general_linear(model, R)):
        for name in ("W_E", "W_pos", "W_O"):
            assert torch.equal(getattr(turned, name), (getattr(model, name).double() @ R).float())
        for name in ("W_Q", "W_K", "W_V", "W_U"):
            assert_close(
                getattr(turned, name),
                (R.T @ getattr(model, name).double()).float(),
                atol=1e-9,
                rtol=1e-7,
            )


def test_no_matrix_at_all_changes_nothing():
    model = lively()
    assert change(model, rotate(model, random_rotation(16, torch.Generator()), only=())) == 0


def test_gradient_descent_follows_the_rotation():
    """Twins on the same batches, one in turned coordinates, have the same losses (and Adam's have
    not)."""
    model = lively().requires_grad_(True)
    R = random_rotation(16, torch.Generator().manual_seed(0))
    tokens = some_tokens(model)
    for optimizer, follows in ((torch.optim.SGD, True), (torch.optim.Adam, False)):
        losses = []
        for twin in (rotate(model, torch.eye(16)), rotate(model, R)):
            step = optimizer(twin.parameters(), lr=0.05)
            for _ in range(5):
                loss = F.cross_entropy(twin(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
                step.zero_grad()
                loss.backward()
                step.step()
            losses.append(loss.item())
        assert (abs(losses[0] - losses[1]) < 1e-10) == follows


def test_the_model_itself_is_left_alone():
    model = lively(normalization="LN", gain=True, positions="standard")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    R = random_rotation(16, torch.Generator())
    gauged = change_head_gauge(model, 0, 0, qk=2 * torch.eye(5), vo=2 * torch.eye(5))
    for result in (
        rotate(model, R),
        rotate(model, R, only=()),
        general_linear(model, R),
        gauged,
        fold_norm(model),
    ):
        for weight in result.parameters():
            weight.zero_()
            assert not weight.requires_grad
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert rotate(model.requires_grad_(True), R).W_Q.requires_grad


@pytest.mark.parametrize(
    ("R", "says"),
    [
        (1.01 * torch.eye(16), r"R is no rotation: R.T @ R differs from the identity by 0.02"),
        (torch.zeros(16, 16), "by 1;"),
        (torch.full((16, 16), torch.nan), "by nan"),
        (torch.eye(15), r"shape \(15, 15\); the stream of this model takes \[16, 16\]"),
        (torch.eye(16)[:, :3], r"shape \(16, 3\)"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_what_is_no_rotation_is_refused(R, says):
    with pytest.raises(ValueError, match=says):
        rotate(lively(), R)


@pytest.mark.parametrize("missing", ["W_X", "norm_bias", "norm_gain"])
def test_a_matrix_that_does_not_exist_cannot_be_turned(missing):
    with pytest.raises(
        ValueError, match=f"{missing}: not among the matrices at the stream, W_E, W_pos, W_O, W_Q"
    ):
        rotate(lively(), torch.eye(16), only=["W_E", missing])


@pytest.mark.parametrize(
    ("G", "says"),
    [
        (torch.ones(16, 16), "G has no inverse to rely on"),
        (torch.zeros(16, 16), "G has no inverse to rely on"),
        (torch.full((16, 16), torch.nan), "G has no inverse to rely on"),
        (torch.eye(5), r"shape \(5, 5\)"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_a_map_without_inverse_is_refused(G, says):
    with pytest.raises(ValueError, match=says):
        general_linear(lively(), G)


# ---- gauges


@settings(max_examples=20)
@given(
    st.integers(0, 99),
    st.sampled_from([None, "RMS", "LN"]),
    st.sampled_from(["shortformer", "standard"]),
    st.booleans(),
)
def test_a_head_can_change_its_own_coordinates(seed, norm, positions, smeared):
    model = lively(seed, positions=positions, normalization=norm, smeared_keys=smeared)
    generator, tokens = torch.Generator().manual_seed(seed), some_tokens(model)
    A, B = (torch.randn(5, 5, generator=generator).double() + 2 * torch.eye(5) for _ in "AB")
    _, before = model.run_with_cache(tokens)
    for qk, vo, moved in ((A, None, "qk"), (None, B, "vz"), (A, B, "qkvz")):
        gauged = change_head_gauge(model, 1, 2, qk=qk, vo=vo)
        assert change(model, gauged) < SAME
        _, after = gauged.run_with_cache(tokens)
        for side in "qkvz":
            difference = (after[side, 1] - before[side, 1]).abs().amax((0, 1, 3))  # of each head
            assert (difference[2] > BROKEN) == (side in moved)
            assert difference[:2].max() < SAME
        assert_close(circuits.QK(gauged, 1, 2), circuits.QK(model, 1, 2), atol=SAME, rtol=0)
        assert_close(circuits.OV(gauged, 1, 2), circuits.OV(model, 1, 2), atol=SAME, rtol=0)


def test_the_gauge_is_the_one_of_the_docstring():
    model = lively()
    A, B = (torch.randn(5, 5).double() + 2 * torch.eye(5) for _ in "AB")
    gauged = change_head_gauge(model, 1, 2, qk=A, vo=B)
    assert_close(gauged.W_Q[1, 2], model.W_Q[1, 2] @ A)
    assert_close(gauged.W_V[1, 2], model.W_V[1, 2] @ B)


def test_a_gauge_on_one_side_only_breaks_the_head():
    model = lively()
    gauged = change_head_gauge(model, 1, 2, qk=2 * torch.eye(5), vo=2 * torch.eye(5))
    for name in ("W_Q", "W_K", "W_V", "W_O"):
        half = rotate(model, torch.eye(16))
        getattr(half, name).copy_(getattr(gauged, name))
        assert change(model, half) > BROKEN


@pytest.mark.parametrize("side", ["qk", "vo"])
@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (torch.ones(5, 5), "no inverse to rely on"),
        (torch.eye(4), r"shape \(4, 4\); expected \[5, 5\]"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_what_is_no_gauge_is_refused(side, matrix, says):
    with pytest.raises(ValueError, match=f"{side} has {says}"):
        change_head_gauge(lively(), 0, 0, **{side: matrix})


def test_a_head_that_does_not_exist_has_no_gauge():
    with pytest.raises(ValueError, match="no head 3 in layer 0"):
        change_head_gauge(lively(), 0, 3)


# ---- folding


@settings(max_examples=20)
@given(st.integers(0, 99), st.sampled_from([None, "RMS", "LN"]), st.integers(0, 3), st.booleans())
def test_folding_keeps_the_logits_and_leaves_only_the_division(seed, norm, n_layers, smeared):
    shape = dict(n_layers=n_layers, smeared_keys=smeared)
    model = lively(seed, bool(norm), positions="standard", normalization=norm, **shape)
    folded = fold_norm(model)
    assert change(model, folded) < SAME
    assert folded.cfg.normalization == (None if norm is None else "RMS")
    assert folded.W_E.dtype == torch.float64 and fold_norm(model.float()).W_E.dtype == torch.float32
    if norm:
        assert (folded.norm_gain == 1).all()
    if norm == "LN":
        _, cache = folded.double().run_with_cache(some_tokens(folded))
        stream = (
            cache[f"blocks.{n_layers - 1}.hook_resid_post"] if n_layers else cache["hook_embed"]
        )
        assert stream.mean(-1).abs().max() < 1e-6


@pytest.mark.parametrize("norm", ["RMS", "LN"])
@pytest.mark.parametrize("n_layers", [0, 1, 3])
def test_shortformer_positions_allow_one_gain_for_all_layers(norm, n_layers):
    model = lively(gain=True, normalization=norm, n_layers=n_layers)
    model.norm_gain[:-1] = model.norm_gain[0]
    folded = fold_norm(model)
    assert change(model, folded) < SAME
    assert change(folded, rotate(folded, random_rotation(16, torch.Generator()))) < SAME


def test_what_cannot_be_folded_is_refused():
    with pytest.raises(ValueError, match="the norm's bias is not zero"):
        fold_norm(lively(bias=True, normalization="LN", positions="standard"))
    with pytest.raises(ValueError, match="added behind the gain"):
        fold_norm(lively(gain=True, normalization="RMS"))
    without = lively(normalization="RMS")
    without.norm_gain[:, 3] = 0
    with pytest.raises(ValueError, match="none of it is zero"):
        fold_norm(without)


# ---- kurtosis


def test_kurtosis_by_hand():
    assert kurtosis(torch.tensor([[1.0, -1.0, 1.0, -1.0]])) == 1
    one_hot = torch.eye(9)
    assert kurtosis(one_hot) == pytest.approx((81 - 27 + 3) / 8)
    both = torch.stack([one_hot[0], torch.tensor([1.0, -1, 1, -1, 1, -1, 1, -1, 0])])
    # mean over tokens
    assert kurtosis(both) == pytest.approx((kurtosis(both[:1]) + kurtosis(both[1:])) / 2)


def test_kurtosis_looks_at_each_token_by_itself():
    x = torch.randn(5, 3, 16)
    louder = x * torch.rand(5, 3, 1) * 9 + torch.randn(5, 3, 1)
    assert kurtosis(louder) == pytest.approx(kurtosis(x), rel=1e-4)
    assert kurtosis(x) == pytest.approx(kurtosis(x.flatten(0, 1)))


@pytest.mark.parametrize(
    ("d", "published"), [(32, 2.82), (64, 2.91), (128, 2.95), (256, 2.98), (768, 2.99)]
)
def test_the_null_is_that_of_the_facts(d, published):
    assert basis.kurtosis_null(d) == pytest.approx(published, abs=0.006)


@pytest.mark.parametrize("d", [2, 4, 16, 64])
def test_the_null_is_what_vectors_that_point_anywhere_have(d):
    x = torch.randn(20000, d, generator=torch.Generator().manual_seed(0))
    spread = 0.02 if d > 4 else 0.01
    assert kurtosis(x) == pytest.approx(basis.kurtosis_null(d), abs=spread)
    assert abs(kurtosis(x) - 3) > 2 * spread  # the Gaussian's own value is another line


def test_a_rotation_takes_outliers_away():
    x = torch.randn(2000, 64)
    x[:, 5] *= 12
    R = random_rotation(64, torch.Generator().manual_seed(0)).float()
    assert kurtosis(x) > 10
    assert kurtosis(x @ R) < 4


@pytest.mark.parametrize("flat", [torch.zeros(8), torch.full((8,), 0.1)])
def test_activations_that_are_all_equal_are_refused(flat):
    with pytest.raises(ValueError, match="1 activations have all coordinates equal"):
        kurtosis(torch.stack([torch.randn(8), flat]))


# ---- rounding


@settings(max_examples=30)
@given(st.integers(2, 8), st.integers(1, 40), st.integers(0, 99))
def test_rounding_keeps_the_largest_and_errs_by_half_a_step(bits, d, seed):
    x = torch.randn(3, d, generator=torch.Generator().manual_seed(seed)).double()
    rounded = basis.quantise(x, bits)
    step = x.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    assert ((rounded - x).abs() <= step / 2 + 1e-12).all()
    assert_close(rounded.abs().amax(-1), x.abs().amax(-1))
    assert len((rounded[0] / step[0]).round().unique()) <= 2**bits - 1
    assert_close(basis.quantise(3 * x, bits), 3 * rounded)


def test_rounding_by_hand():
    assert_close(
        basis.quantise(torch.tensor([7.0, 3.4, -3.6, 0.4]), 4), torch.tensor([7.0, 3.0, -4.0, 0.0])
    )
    assert not basis.quantise(torch.zeros(5), 3).any()


def test_a_rotation_helps_rounding_where_one_coordinate_sticks_out():
    x = torch.randn(200, 64, generator=torch.Generator().manual_seed(0)).double()
    R = random_rotation(64, torch.Generator().manual_seed(0))

    def error(x):
        return (basis.quantise(x, 4) - x).square().mean()

    assert 0.9 < error(x @ R) / error(x) < 1.1
    x[:, 5] *= 12
    assert error(x @ R) < error(x) / 2


@pytest.mark.parametrize("bits", [1, 0, -3])
def test_too_few_bits_are_refused(bits):
    with pytest.raises(ValueError, match=f"bits is {bits};"):
        basis.quantise(torch.randn(4), bits)
