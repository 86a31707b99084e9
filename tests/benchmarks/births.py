"""How soon the default run's induction head is born, against TransformerLens on the same data, and
how reliably."""

import statistics
import subprocess
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
from tests.benchmarks import Clock, Row, Settings, threads
from tests.course import ROOT

BORN, SHARP = 0.5, 0.9
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
    """Rows: born, sharp, born in a fresh process, and TransformerLens' time over ours."""
    with threads(1):
        for make in (course, transformer_lens):
            # imports and first steps are slow; the row on fresh processes has ours
            make(seeded(0))[1]()
        mine, ratios, theirs = [], [], []
        for seed in range(settings.births):
            recipe = seeded(seed)
            mine.append(
                watch(course, recipe, (BORN, SHARP), settings.budget or recipe.training.steps)[0]
            )
            if seed < settings.rivals and BORN in mine[-1]:
                limit = settings.patience * mine[-1][BORN].seconds
                passed, end = watch(transformer_lens, recipe, (BORN,), sys.maxsize, limit)
                theirs.append(passed.get(BORN))
                ratios.append(passed.get(BORN, end).seconds / mine[-1][BORN].seconds)
    for name, level, target in (("birth", BORN, 1), ("sharp", SHARP, 5)):
        measure = (
            f"{name}: prefix matching > {level} on unseen periods, training time without measuring"
        )
        moments = [run.get(level, NEVER) for run in mine]
        yield moment_row(f"{measure}, median of {settings.births} seeds", target, moments)
    measure = (
        "birth in a fresh process, whose first optimiser loads torch's compiler (imports "
        "excluded), median of"
    )
    yield moment_row(
        f"{measure} {settings.fresh}", 1, [first_birth(settings) for _ in range(settings.fresh)]
    )
    yield rival_row(ratios, theirs, settings)


def moment_row(measure: str, target: int, moments: list[Moment]) -> Row:
    """The median of each number. NEVER counts as later than all others."""
    moment = Moment(*map(statistics.median, zip(*moments, strict=True)))
    if moment.seconds == inf:
        return Row(
            measure,
            f"{target} s",
            f"not within the budget on half or more of {len(moments)} runs",
            False,
        )
    text = f"{moment.seconds:.2f} s, {moment.step:.0f} steps (processor: {moment.processor:.2f} s)"
    return Row(measure, f"{target} s", text, moment.seconds <= target)


def first_birth(settings: Settings) -> Moment:
    """The birth of seed 0 as the first thing that a process does after its imports."""
    program = f"from tests.benchmarks import births; births.print_first({settings.budget})"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return Moment(*map(float, run.stdout.split()))


def print_first(budget: int | None = None) -> None:
    """Seconds, seconds of the processor, and steps to the birth in this process."""
    torch.set_num_threads(1)
    recipe = seeded(0)
    print(*watch(course, recipe, (BORN,), budget or recipe.training.steps)[0].get(BORN, NEVER))


def rival_row(ratios: list[float], theirs: list[Moment | None], settings: Settings) -> Row:
    measure = (
        "birth: time of TransformerLens native (its defaults, AdamW 1e-3, same data and "
        "shape) over ours"
    )
    if not ratios:
        return Row(measure, "10", "no birth of ours to compare with", None)
    born = [moment for moment in theirs if moment]
    ratio = statistics.median_low(ratios)
    at_least = ">= " if ratio >= settings.patience else ""
    end = (
        f"born on {len(born)} of {len(theirs)} seeds before it got {settings.patience:g} times "
        "our time"
    )
    steps = f", after {statistics.median(moment.step for moment in born):.0f} steps" if born else ""
    return Row(
        measure, "10", f"{at_least}{min(ratio, settings.patience):.1f} ({end}{steps})", ratio >= 10
    )


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
    )
