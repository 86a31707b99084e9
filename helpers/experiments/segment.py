"""How many tokens does it take, until a head copies what stands twice among noise? Of 128 random
tokens 24 in a row come a second time, and the loss counts every row, so that four rows of five ask
for what nobody can know.

One run that gets there, and runs that differ from it in one thing: what the loss counts, what the
keys know, how wide the model is and how it learns. Two more differ in what a head can earn that
attends evenly. Each ends when half of the rows that can be known are answered rightly, or after
9 million tokens.

`data/sweeps/segment` holds five seeds of each:

    python -m helpers.experiments.segment

Source: the task, and the same count for another training of a model of these sizes (89 million
tokens), are carloslfu's induction-heads-from-scratch.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.experiments.periods import accuracy
from helpers.instruments import circuits, heads
from helpers.model import ModelConfig
from helpers.sequences import Task
from helpers.training import runs, sweeps
from helpers.training.command import as_typed, positive, where_to_run
from helpers.training.loop import TrainingConfig
from helpers.training.recipes import Recipe
from helpers.training.seeds import seeds

FOLDER = runs.DATA / "sweeps" / "segment"
SEEDS = 5
MOST = 9_000_000  # tokens
LOOK_EVERY = 2**17  # tokens

BASE = Recipe(
    ModelConfig(d_model=128, d_head=32, n_ctx=128, normalization="RMS"),
    dict(name="copied_segment", options=dict(n_ctx=128, d_vocab=64, segment=24, distinct=False)),
    TrainingConfig(steps=MOST // 4096, batch=32, lr=0.001, muon_lr=0.005, rows="all"),
)
KNOWN_ROWS = replace(BASE, training=replace(BASE.training, rows="determined"))


def nowhere_else(recipe: Recipe, kinds: int = 63) -> Recipe:
    """The same, where the copied tokens stand nowhere else, and there are so many kinds of
    tokens."""
    options = recipe.task["options"] | dict(distinct=True, d_vocab=kinds + 1)  # and BOS
    return replace(
        recipe,
        model=replace(recipe.model, d_vocab=kinds + 1),
        task=recipe.task | dict(options=options),
    )


ONE_THING = {
    "as it is": BASE,
    "the loss counts only rows that can be known": KNOWN_ROWS,
    "keys know the token before": replace(BASE, model=replace(BASE.model, smeared_keys=True)),
    "one layer": replace(BASE, model=replace(BASE.model, n_layers=1)),
    "no norm": replace(BASE, model=replace(BASE.model, normalization=None)),
    "half as wide": replace(BASE, model=replace(BASE.model, d_model=64, d_head=16)),
    "AdamW alone": replace(BASE, training=replace(BASE.training, optimizer="AdamW")),
    "copied tokens stand nowhere else": nowhere_else(BASE),
    "rates three times as high": replace(
        BASE, training=replace(BASE.training, lr=0.003, muon_lr=0.015)
    ),
}
CONDITIONS = ONE_THING | {
    "nowhere else, only known rows count": nowhere_else(KNOWN_ROWS),
    "nowhere else, only known rows count, 127 kinds": nowhere_else(KNOWN_ROWS, 127),
}


def even_shares(recipe: Recipe) -> float:
    """How many times its even share the next token has of those up to its row, on average over the
    rows that the loss counts. A head that looks anywhere gains by saying again what it sees where
    this is above 1, and by the opposite where it is below."""
    tokens, targets, determined = Task(**recipe.task)(2000, Generator().manual_seed(1_000_001))
    again = (targets[:, :, None] == tokens[:, None, :]).tril()
    share = again.sum(-1) / torch.arange(1, tokens.shape[1] + 1)
    counted = determined if recipe.training.rows == "determined" else determined | True
    return share[counted].mean().item() * (recipe.model.d_vocab - 1)


def run(condition: str, seed: int, most: int = MOST) -> dict[str, Any]:
    """Train one seed of a condition on at most so many tokens. Looks at it, LOOK_EVERY tokens
    apart, give the accuracy on sequences that are the same for all, and the best head's prefix
    matching and previous-token score on repeated random tokens. `tokens`: how many were read when
    half of the rows were answered rightly; None if that never was so."""
    recipe = CONDITIONS[condition].seeded(seed)
    a_step = recipe.training.batch * recipe.model.n_ctx
    recipe = replace(recipe, training=replace(recipe.training, steps=most // a_step))
    test = Task(**recipe.task)(128, Generator().manual_seed(1_000_000))
    trainer, probe, looks = recipe.trainer(), recipe.probe(), []
    answered = 0.0
    while answered < 0.5 and trainer.step_number < recipe.training.steps:
        trainer.step()
        if trainer.step_number * a_step % LOOK_EVERY == 0:
            answered = accuracy(trainer.model, test)
            matching, back, _ = heads.score(trainer.model, probe)
            looks.append(
                [round(x, 3) for x in (answered, matching.max().item(), back.max().item())]
            )
    tokens = trainer.step_number * a_step if answered >= 0.5 else None
    return dict(condition=condition, seed=seed, tokens=tokens, looks=looks)


def first_steps(condition: str, steps: Sequence[int]) -> dict[int, float]:
    """The mean copying statistic of all heads at each of these steps of a training."""
    trainer, found = CONDITIONS[condition].seeded(seeds(1)[0]).trainer(), {}
    for step in steps:
        while trainer.step_number < step:
            trainer.step()
        found[step] = circuits.copying_statistics(trainer.model).mean().item()
    return found


def settings(n_seeds: int = SEEDS) -> list[dict[str, Any]]:
    """What is trained."""
    return [
        dict(condition=condition, seed=seed) for seed in seeds(n_seeds) for condition in CONDITIONS
    ]


class Ended(NamedTuple):
    """How the trainings of a condition ended: the tokens read until half of the rows were answered
    (million; inf where that never was so), and the share that was answered at the last look (nan
    where none was taken, within fewer than LOOK_EVERY tokens)."""

    million: Float[Tensor, " seed"]
    answered: Float[Tensor, " seed"]


def load(folder: Path = FOLDER) -> dict[str, Ended]:
    """How every training ended, by condition."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in sweeps.load(folder).results:
        found.setdefault(record["condition"], []).append(record)
    return {
        condition: Ended(
            torch.tensor([(one["tokens"] or math.inf) / 1e6 for one in trainings]),
            torch.tensor([one["looks"][-1][0] if one["looks"] else math.nan for one in trainings]),
        )
        for condition, trainings in found.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: trains all that `data/sweeps/segment` holds."""
    parser = argparse.ArgumentParser(
        "python -m helpers.experiments.segment", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument(
        "--seeds", type=positive, default=SEEDS, help=f"of each condition (default {SEEDS})"
    )
    parser.add_argument(
        "--most", type=positive, default=MOST, help=f"tokens a training (default {MOST:,})"
    )
    where_to_run(parser)
    given = parser.parse_args(arguments)
    command = as_typed("helpers.experiments.segment", arguments)
    asked = [setting | dict(most=given.most) for setting in settings(given.seeds)]
    sweeps.sweep_into(given.out, run, asked, command, given.jobs, given.scheduler, "segment")


if __name__ == "__main__":
    # by its full name, so that the processes of --jobs find it too
    from helpers.experiments.segment import main

    main()
