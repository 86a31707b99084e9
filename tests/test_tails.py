"""What notebook 07 reads out of the stored trainings is what stands there."""

import math

import pytest
import torch

from helpers.experiments import privileged, tails
from helpers.sequences import cross_entropy
from helpers.training.sweeps import Sweep


def training(*entries, **setting):
    """A record whose snapshots have these (loss, kurtosis of the last stream)."""
    history = [
        dict(loss=loss, used=[2.9, 5.0, used], turned=[2.7, 2.8, 3.0], stored=[3.1, 4.0, used + 1])
        for loss, used in entries
    ]
    return dict(kind="grow", history=history, **setting)


def test_records_are_those_of_the_setting():
    fast, slow = training((2.0, 9.0), lr=0.01, seed=0), training((2.0, 3.0), lr=0.003, seed=0)
    sweep = Sweep("", {}, [fast, dict(kind="twins", lr=0.01), slow], {})
    assert tails.records(sweep, "grow") == [fast, slow]
    assert tails.records(sweep, "grow", lr=0.01, seed=0) == [fast]
    with pytest.raises(
        ValueError, match=r"no record of grow has \{'lr': 1\}; there are: lr=0.003; lr=0.01"
    ):
        tails.records(sweep, "grow", lr=1)
    with pytest.raises(ValueError, match=r"no record of rounding has \{\}; there are: none"):
        tails.records(sweep, "rounding")


def test_kurtosis_is_that_of_the_last_snapshot():
    runs = [training((2.5, 3.0), (2.0, 9.0)), training((2.4, 3.0), (2.1, 12.0))]
    assert tails.kurtosis(runs) == [9, 12]
    assert tails.kurtosis(runs, "turned") == [3, 3]
    assert tails.kurtosis(runs, "stored", point=1) == [4, 4]
    assert tails.kurtosis(runs, point=tails.EMBEDDING) == [2.9, 2.9]


def test_at_equal_loss_the_first_snapshot_counts_and_who_never_gets_there_does_not():
    runs = [
        training((2.5, 3.0), (2.25, 4.0), (2.1, 9.0)),
        training((2.5, 3.0), (2.3, 30.0)),
        training((2.2, 5.0), (2.4, 7.0)),
    ]
    assert tails.at_loss(runs, 2.25) == [4, 5]


@pytest.mark.parametrize(
    ("gap", "said"), [(7e-7, "together"), (1e-4, "in between"), (0.02, "apart")]
)
def test_twins_are_together_or_apart(gap, said):
    assert tails.apart(gap).startswith(said)


# ---- coordinates that stick out

SHIPPED = privileged.shipped()


def test_every_kept_model_is_there_by_its_seed():
    kept = tails.kept_models(SHIPPED)
    assert {name: list(models) for name, models in kept.items()} == {
        name: [
            one["seed"]
            for one in tails.records(SHIPPED, "grow", optimizer=name, lr=lr, stored="as used")
        ]
        for name, lr in privileged.KEPT
    }
    for name, lr in privileged.KEPT:
        for seed, model in kept[name].items():
            assert torch.equal(model.W_U, privileged.model_of(SHIPPED, name, lr, seed).W_U)


def test_loud_coordinates_are_the_fewest_that_carry_half():
    x = torch.ones(2, 3, 8)
    x[..., 5], x[..., 2] = -4, 3  # of 16 + 9 + 6
    assert tails.loud(x) == [5]
    assert tails.loud(x, share=0.6) == [5, 2]
    assert tails.loud(torch.tensor([[3.0, 0, 0], [0, 0, 4.0]]), share=0.7) == [2, 0]


@torch.no_grad()
def test_silenced_coordinates_say_nothing_to_the_unembedding():
    batch = privileged.held_out(8)
    model = next(iter(tails.kept_models(SHIPPED)["SGD"].values()))
    plain = cross_entropy(model(batch.tokens), batch.targets).item()
    assert tails.loss_without(model, batch, []) == pytest.approx(plain, abs=1e-5)
    assert tails.loss_without(model, batch, range(64)) == pytest.approx(math.log(64), abs=1e-4)
    _, cache = model.run_with_cache(batch.tokens)
    x = cache["resid_post", 1]
    for instead, value in (("zero", 0.0), ("mean", x[..., [7, 9]].mean((0, 1)))):
        changed = x.clone()
        changed[..., [7, 9]] = value
        normed = changed / changed.square().mean(-1, keepdim=True).sqrt()
        expected = cross_entropy(normed @ model.W_U, batch.targets).item()
        assert tails.loss_without(model, batch, [7, 9], instead) == pytest.approx(
            expected, abs=1e-5
        )
        assert abs(expected - plain) > 1e-3


def test_random_others_are_as_many_and_none_of_these():
    draws = tails.random_others([3, 1], 6, draws=40, generator=torch.Generator().manual_seed(0))
    assert len(draws) == 40 and all(len(set(few)) == 2 for few in draws)
    assert {place for few in draws for place in few} == {0, 2, 4, 5}


def test_rank_correlation_sees_the_order_alone():
    assert tails.rank_correlation([1, 2, 9], [0.1, 0.2, 0.3]) == pytest.approx(1)
    assert tails.rank_correlation([1, 2, 9], [5, 4, -1]) == pytest.approx(-1)
    assert tails.rank_correlation([3, 1, 2, 4], [2, 4, 1, 3]) == pytest.approx(-0.2)
