"""Bandwidth: principal angles are those one can see, and unrelated subspaces overlap as much as
they must."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import handmade
from helpers.instruments import basis, virtual_weights
from helpers.instruments.virtual_weights import (
    principal_cosines,
    random_cosines,
    read_directions,
    written_directions,
)
from helpers.model import AttentionOnlyTransformer, ModelConfig

SHAPE = dict(n_layers=2, n_heads=3, d_model=20, d_head=6, n_ctx=8, d_vocab=11)


def random_model(seed: int = 0, **shape) -> AttentionOnlyTransformer:
    return AttentionOnlyTransformer(ModelConfig(**SHAPE | shape, seed=seed)).requires_grad_(False)


def axes(*which: int, d: int = 6) -> torch.Tensor:
    return torch.eye(d).double()[:, list(which)]


def overlap(one: torch.Tensor, other: torch.Tensor) -> float:
    """The share of a direction in the smaller subspace that the larger one catches."""
    return principal_cosines(one, other).square().mean().item()


def test_angles_that_one_can_see():
    assert principal_cosines(axes(0, 1), axes(0, 1)).tolist() == pytest.approx([1, 1])
    assert principal_cosines(axes(0, 1), axes(2, 3)).tolist() == pytest.approx([0, 0])
    assert principal_cosines(axes(0, 1, 2), axes(2, 3)).tolist() == pytest.approx([1, 0])
    slanted = axes(0, 1) @ torch.tensor([[0.6], [0.8]]).double()
    assert principal_cosines(slanted, axes(1, 2)).tolist() == pytest.approx([0.8])
    assert overlap(slanted, axes(1, 2)) == pytest.approx(0.64)


def test_a_head_writes_the_rows_of_W_O_and_reads_the_columns():
    model = random_model()
    spoken = written_directions(model, (0, 1))
    assert spoken.shape == (20, 6)
    W_O = model.W_O[0, 1].double()
    assert torch.allclose(W_O @ spoken @ spoken.T, W_O, atol=1e-6)  # nothing of it lies outside
    for side in "QKV":
        heard = read_directions(model, (1, 2, side))
        W = getattr(model, f"W_{side}")[1, 2].double()
        assert heard.shape == (20, 6) and torch.allclose(heard @ heard.T @ W, W, atol=1e-6)
    assert written_directions(model, "embed").shape == (20, 11) and read_directions(
        model, "unembed"
    ).shape == (20, 11)


def test_directions_that_are_never_used_do_not_count():
    model = random_model()
    model.W_O[0, 1, 2:] = 0
    assert written_directions(model, (0, 1)).shape == (20, 2)


@settings(max_examples=15)
@given(st.integers(0, 99))
def test_neither_rotations_nor_gauges_change_an_angle(seed):
    model, generator = random_model(seed).double(), torch.Generator().manual_seed(seed)
    gauge = torch.randn(6, 6, generator=generator) + 3 * torch.eye(6)
    turned = basis.rotate(model, basis.random_rotation(20, generator))
    gauged = basis.change_head_gauge(model, 1, 0, qk=gauge)
    expected = principal_cosines(
        written_directions(model, (0, 2)), read_directions(model, (1, 0, "K"))
    )
    for other in (turned, gauged):
        assert torch.allclose(
            principal_cosines(
                written_directions(other, (0, 2)), read_directions(other, (1, 0, "K"))
            ),
            expected,
            atol=1e-8,
        )


def test_a_planted_composer_shares_all_and_the_others_what_chance_gives():
    planted = handmade.planted_composer(
        random_model(d_model=64), "K", (0, 2), (1, 1), torch.Generator().manual_seed(0)
    )
    spoken = written_directions(planted, (0, 2))
    assert overlap(spoken, read_directions(planted, (1, 1, "K"))) == pytest.approx(1)
    assert max(overlap(spoken, read_directions(planted, (1, 1, side))) for side in "QV") < 0.3


@pytest.mark.parametrize(("d", "one", "other"), [(64, 16, 16), (64, 8, 24), (10, 7, 7)])
def test_unrelated_subspaces_share_the_larger_rank_over_d(d, one, other):
    null = random_cosines(d, one, other, 300, torch.Generator().manual_seed(0))
    assert null.shape == (300, min(one, other)) and (null.diff(dim=1) <= 1e-9).all()
    assert null.square().mean().item() == pytest.approx(max(one, other) / d, rel=0.03)


def test_what_does_not_fit_must_be_shared():
    null = random_cosines(10, 7, 7, 50, torch.Generator().manual_seed(0))
    assert (null[:, :4] > 1 - 1e-6).all() and (null[:, 4:] < 1 - 1e-6).all()  # 7 + 7 - 10


@pytest.mark.parametrize("ranks", [(0, 3), (3, 11)])
def test_ranks_that_do_not_fit_are_refused(ranks):
    with pytest.raises(ValueError, match="in 10 dimensions; give ranks from 1 to 10"):
        random_cosines(10, *ranks, 2, torch.Generator())


def test_writers_and_readers_that_do_not_exist_are_named():
    with pytest.raises(ValueError, match="no head 3 in layer 0"):
        written_directions(random_model(), (0, 3))
    with pytest.raises(ValueError, match="no reader is called 'logits'"):
        virtual_weights.read_directions(random_model(), "logits")
