"""Bandwidth: what share of a writer's output a reader takes, where one can count it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import handmade
from helpers.instruments import basis
from helpers.instruments.virtual_weights import share_read, unrelated_shares
from helpers.model import AttentionOnlyTransformer, ModelConfig

SHAPE = dict(n_layers=2, n_heads=3, d_model=20, d_head=6, n_ctx=8, d_vocab=11)
KEY = (1, 0, "K")


def random_model(seed: int = 0, **shape) -> AttentionOnlyTransformer:
    return AttentionOnlyTransformer(ModelConfig(**SHAPE | shape, seed=seed)).requires_grad_(False)


def test_shares_that_one_can_count():
    """A head that writes 3 along one axis and 4 along another, and readers of one, both, none."""
    model = random_model()
    model.W_V[0, 0] = torch.eye(20, 6)
    model.W_O[0, 0] = torch.diag(torch.tensor([3.0, 4, 0, 0, 0, 0])) @ torch.eye(6, 20)
    for axes, read in ([0], 9 / 25), ([1], 16 / 25), ([0, 1], 1), ([5, 6, 7], 0):
        model.W_K[1, 0] = 0
        for column, axis in enumerate(axes):
            model.W_K[1, 0, axis, column] = 0.5  # how loud a direction is read does not count
        share = share_read(model, (0, 0), KEY)
        assert share == pytest.approx((read, len(axes) / 20), abs=1e-6)


def test_the_share_is_that_of_what_a_head_really_writes():
    """Of many inputs that are alike in every direction, the squared length before and after."""
    model, generator = random_model(), torch.Generator().manual_seed(0)
    written = torch.randn(40000, 20, generator=generator) @ model.W_V[0, 1] @ model.W_O[0, 1]
    within = written @ torch.linalg.qr(model.W_V[1, 2]).Q
    expected = (within.square().sum() / written.square().sum()).item()
    assert share_read(model, (0, 1), (1, 2, "V")).read == pytest.approx(expected, rel=0.02)


def test_the_embedding_counts_each_token_and_the_unembedding_reads_its_directions():
    model = random_model(d_vocab=30)
    directions = torch.linalg.qr(model.W_K[1, 0]).Q
    expected = (model.W_E @ directions).square().sum() / model.W_E.square().sum()
    assert share_read(model, "embed", KEY).read == pytest.approx(expected.item(), rel=1e-5)
    assert share_read(model, (1, 0), "unembed") == pytest.approx((1, 1))


@settings(max_examples=15)
@given(st.integers(0, 99))
def test_neither_rotations_nor_gauges_change_a_share(seed):
    model, generator = random_model(seed).double(), torch.Generator().manual_seed(seed)
    gauge = torch.randn(6, 6, generator=generator) + 3 * torch.eye(6)
    expected = share_read(model, (0, 2), KEY)
    for other in (
        basis.rotate(model, basis.random_rotation(20, generator)),
        basis.change_head_gauge(model, 1, 0, qk=gauge),
        basis.change_head_gauge(model, 0, 2, vo=gauge),
    ):
        assert share_read(other, (0, 2), KEY) == pytest.approx(expected, abs=1e-8)


def test_a_planted_composer_takes_all_and_the_others_what_chance_gives():
    planted = handmade.planted_composer(
        random_model(d_model=64), "K", (0, 2), (1, 1), torch.Generator().manual_seed(0)
    )
    assert share_read(planted, (0, 2), (1, 1, "K")).read == pytest.approx(1)
    assert max(share_read(planted, (0, 2), (1, 1, side)).read for side in "QV") < 0.3


def test_unrelated_readers_take_their_rank_over_d_on_average():
    model = random_model()
    drawn = unrelated_shares(model, (0, 1), KEY, 2000, torch.Generator().manual_seed(0))
    assert drawn.shape == (2000,) and 0 < drawn.min() and drawn.max() < 1
    assert drawn.mean().item() == pytest.approx(6 / 20, rel=0.02)
    assert drawn.std() > 0.02


def test_writers_and_readers_that_do_not_exist_are_named():
    with pytest.raises(ValueError, match="no head 3 in layer 0"):
        share_read(random_model(), (0, 3), KEY)
    with pytest.raises(ValueError, match="no reader is called 'logits'"):
        share_read(random_model(), "embed", "logits")
    with pytest.raises(ValueError, match="no reader is called 'logits'"):
        unrelated_shares(random_model(), "embed", "logits", 3, torch.Generator())
