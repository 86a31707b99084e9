"""How soon the default run's induction head is born, against TransformerLens on the same data, and
how reliably."""

import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from typing import NamedTuple

import joblib
import torch
import torch.nn.functional as F

from helpers.instruments import heads
from helpers.sequences import repeated_block, split_periods
from helpers.training.recipes import RECIPES, Recipe
from tests.benchmarks import Clock, Row, Settings, by_turns, ratios, spread, threads
from tests.benchmarks.machine import anatomy

BORN, SHARP = 0.5, 0.9
TARGETS = {BORN: 1, SHARP: 2}  # seconds
TIMES = 20  # as long as ours, for TransformerLens
EVERY = 5  # steps between two measurements


class Moment(NamedTuple):
    """When something had happened: seconds of training, of processor time in it, and steps."""

    seconds: float
    processor: float
    step: float


NEVER = Moment(inf, inf, inf)


def seeded(seed: int) -> Recipe:
    """The default recipe with another seed for weights and data."""
    recipe = RECIPES["two_layers"]
    return replace(
        recipe, model=replace(recipe.model, seed=seed), training=replace(recipe.training, seed=seed)
    )


def best_head(model, recipe: Recipe) -> float:
    """The highest prefix matching of any head, of either kind of model, on periods that training
    never shows."""
    n_ctx, d_vocab = recipe.model.n_ctx, recipe.model.d_vocab
    unseen, generator = split_periods(n_ctx)[1], torch.Generator().manual_seed(0)
    tokens = repeated_block(16, n_ctx, d_vocab, generator, periods=unseen).tokens
    return heads.score(model, tokens).prefix_matching.max().item()


def watch(
    make: Callable, recipe: Recipe, levels: tuple[float, ...], steps: int, patience: float = inf
) -> tuple[dict[float, Moment], Moment]:
    """When the best head's prefix matching first passed each level, and where training ended.

    `make(recipe)` gives a model and a function that trains it by one step. The clock runs while
    these two work, not while the model is measured, which happens every 5 steps.
    """
    clock, passed, number = Clock(), {}, 0
    with clock.running():
        model, step = make(recipe)
    while number < steps and len(passed) < len(levels) and clock.wall < patience:
        with clock.running():
            step()
        number += 1
        if number % EVERY == 0:
            best = best_head(model, recipe)
            now = Moment(clock.wall, clock.processor, number)
            passed |= {level: now for level in levels if best > level and level not in passed}
    return passed, Moment(clock.wall, clock.processor, number)


def course(recipe: Recipe) -> tuple:
    """The course's own model and training."""
    trainer = recipe.trainer()
    return trainer.model, trainer.step


def transformer_lens(recipe: Recipe) -> tuple:
    """The same shape and the same batches with what TransformerLens takes by default, and torch's
    AdamW."""
    from helpers import lens

    source = recipe.trainer()  # for its batches only
    bridge = lens.native(recipe.model, normalization_type="LN")
    optimizer = torch.optim.AdamW(bridge.parameters(), lr=1e-3)

    def step() -> None:
        tokens, targets, determined = source.task(source.config.batch, source.generator)
        loss = F.cross_entropy(bridge(tokens)[determined], targets[determined])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return bridge, step


def birth(settings: Settings) -> Iterator[Row]:
    """Rows: born, sharp, and TransformerLens' time over ours, seed by seed."""
    pairs = []
    with threads(1):
        for make in (course, transformer_lens):  # imports and first steps are slow
            make(seeded(0))[1]()
        share = statistics.median(products_share(settings.rounds))
        for seed in range(settings.births):
            recipe = seeded(seed)
            steps = settings.budget or recipe.training.steps
            ours, _ = watch(course, recipe, (BORN, SHARP), steps)
            limit = settings.patience * ours.get(BORN, Moment(1, 1, 0)).seconds
            theirs, end = watch(transformer_lens, recipe, (BORN,), sys.maxsize, limit)
            pairs.append((ours, theirs, end))
    for level, target in TARGETS.items():
        yield moment_row(level, target, [ours.get(level, NEVER) for ours, *_ in pairs], share)
    yield rival_row(pairs, share)


def products_share(rounds: int) -> list[float]:
    """The share of a step of the default run that its matrix products take, run alone."""
    step = course(seeded(0))[1]
    step()  # the first is slow
    return ratios(by_turns([step, anatomy(step).products], rounds), 1, 0)


def moment_row(level: float, target: int, moments: list[Moment], share: float) -> Row:
    """The median of each number. NEVER counts as later than all others."""
    measure = (
        f"birth: prefix matching > {level} on unseen periods, training time without measuring, "
        f"{len(moments)} seeds"
    )
    seconds = tuple(moment.seconds for moment in moments)
    moment = Moment(*map(statistics.median, zip(*moments, strict=True)))
    if moment.seconds == inf:
        return Row(measure, f"{target} s", "not within the budget on half or more", False)
    text = f"{spread(seconds, 's')}; {moment.step:.0f} steps, processor {moment.processor:.2f} s"
    limit = f"{share * moment.seconds:.2f} s: the products of as many steps ({share:.0%} of them)"
    return Row(measure, f"{target} s", text, moment.seconds <= target, limit, seconds)


def rival_row(pairs: list[tuple[dict, dict, Moment]], share: float) -> Row:
    """Over the seeds on which ours is born. A rival that is not has at least the time it got."""
    measure = (
        "birth: time of TransformerLens native (its defaults, AdamW 1e-3, same data and shape) "
        "over ours"
    )
    both = [(ours[BORN], theirs, end) for ours, theirs, end in pairs if BORN in ours]
    if not both:
        return Row(measure, str(TIMES), "no birth of ours to compare with", None)
    times = tuple(theirs.get(BORN, end).seconds / ours.seconds for ours, theirs, end in both)
    born = [(ours, theirs[BORN]) for ours, theirs, _ in both if BORN in theirs]
    said = [spread(times), f"born on {len(born)} of {len(both)} seeds"]
    limit = f"{statistics.median(times) / share:.3g}: if a step of ours were its products alone"
    if born:
        steps = statistics.median(theirs.step / ours.step for ours, theirs in born)
        each = statistics.median(
            theirs.seconds / theirs.step / (ours.seconds / ours.step) for ours, theirs in born
        )
        said += [f"{steps:.3g} times as many steps, each {each:.3g} times as long"]
    met = statistics.median(times) >= TIMES
    return Row(measure, str(TIMES), "; ".join(said), met, limit, times)


def stands(seed: int, budget: int | None = None) -> bool:
    """Whether a head has prefix matching above 1/2 on unseen periods at the end of the budget."""
    torch.set_num_threads(1)
    recipe = seeded(seed)
    trainer = recipe.trainer()
    for _ in range(budget or recipe.training.steps):
        trainer.step()
    return best_head(trainer.model, recipe) > BORN


def seeds(settings: Settings) -> Iterator[Row]:
    """Row: in how many seeds the head stands when the default budget is spent."""
    jobs = (joblib.delayed(stands)(seed, settings.budget) for seed in range(settings.seeds))
    formed = sum(joblib.Parallel(n_jobs=min(joblib.cpu_count(), settings.seeds))(jobs))
    steps = settings.budget or seeded(0).training.steps
    yield Row(
        f"seeds whose head stands after the default budget of {steps} steps",
        "all (64 of 64)",
        f"{formed} of {settings.seeds}",
        formed == settings.seeds,
        "all",
    )
