"""Three anonymous models, an induction head, a trap and noise, are told apart by `heads.discover`
alone, in 100 of 100 draws."""

from dataclasses import replace

import pytest
import torch

from helpers import sequences
from helpers.experiments import periods
from helpers.instruments import heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import runs
from helpers.training.recipes import RECIPES

DRAWS = 100
PERIOD = 16


def kind(model, seed: int) -> str:
    """Probes of many periods first; then one with the single period that a trap may have been made
    for."""
    if heads.discover(model, ablate=False, seed=seed).induction_heads:
        return "induction"
    one_period = sequences.fixed_period(
        10, 48, 64, torch.Generator().manual_seed(seed), period=PERIOD
    ).tokens
    return (
        "trap"
        if heads.discover(model, tokens=one_period, ablate=False).induction_heads
        else "random"
    )


def trap(n_layers: int, seed: int) -> AttentionOnlyTransformer:
    trainer = periods.trained_on_one(seed, PERIOD, n_layers)
    assert sum(trainer.losses[-10:]) < 1  # it solves its own data
    return trainer.model


def induction(seed: int) -> AttentionOnlyTransformer:
    recipe = RECIPES["two_layers"]
    recipe = replace(
        recipe, model=replace(recipe.model, seed=seed), training=replace(recipe.training, seed=seed)
    )
    trainer = recipe.trainer()
    for _ in range(150):
        trainer.step()
    return trainer.model


@pytest.fixture(scope="module")
def models() -> dict[str, list]:
    return {
        "induction": [runs.load(runs.DATA / "runs" / "two_layers").model_at(), induction(1)],
        "trap": [trap(1, 0), trap(1, 1), trap(2, 0)],
        "random": [
            AttentionOnlyTransformer(ModelConfig(n_layers=1 + seed % 2, n_ctx=48, seed=seed))
            for seed in range(20)
        ],
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["induction", "trap", "random"])
def test_each_is_named_in_every_draw(models, name):
    made = models[name]
    assert [kind(made[seed % len(made)], seed) for seed in range(DRAWS)] == [name] * DRAWS


@pytest.mark.slow
def test_a_probe_of_one_period_alone_would_take_the_trap_for_an_induction_head(models):
    """Which is why `discover` draws many."""
    one_period = sequences.fixed_period(
        10, 48, 64, torch.Generator().manual_seed(0), period=PERIOD
    ).tokens
    for model in models["trap"]:
        assert heads.discover(model, tokens=one_period, ablate=False).induction_heads
