"""How often must something repeat, for a head to form that uses it? The default run, in which only
some sequences of each batch repeat a block; the others hold no token twice.

Whether a head forms depends on what the loss counts besides. `counted` "repeats": only rows whose
answer can be known, as in the default run. "everywhere": the same rows of every sequence, as in a
text, where nobody says which rows to learn from; in a sequence without repeats their answers are
noise.

`data/sweeps/rarity` holds five seeds of each:

    python -m helpers.experiments.rarity

Source: the question is that of Chan et al. 2022, Data Distributional Properties Drive Emergent
In-Context Learning in Transformers, who ask it of labels and not of blocks.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Generator

from helpers.model import AttentionOnlyTransformer
from helpers.sequences import Batch, repeated_block
from helpers.sequences.batch import permutations
from helpers.training import runs, sweeps
from helpers.training.command import as_typed, positive, where_to_run
from helpers.training.loop import Trainer
from helpers.training.recipes import RECIPES
from helpers.training.seeds import seeds

FOLDER = runs.DATA / "sweeps" / "rarity"
DEFAULT = RECIPES["two_layers"]
BATCH = DEFAULT.training.batch
REPEATING = (0, 3, 6, 9, 12, 24)  # sequences of the batch
SEEDS = 5

Counted = Literal["repeats", "everywhere"]


def seldom(repeating: int, counted: Counted, batch: int, generator: Generator) -> Batch:
    """A batch of the default run, in which only the first so many sequences repeat. The others are
    distinct tokens, as many and drawn alike; "everywhere" marks the same rows in them that a repeat
    would have had.

    ValueError for more repeating sequences than there are.
    """
    n_ctx, d_vocab = DEFAULT.model.n_ctx, DEFAULT.model.d_vocab
    if not 0 <= repeating <= batch:
        raise ValueError(f"{repeating} of {batch} sequences cannot repeat; try 0 to {batch}")
    tokens, targets, determined = repeated_block(batch, n_ctx, d_vocab, generator)
    fresh = permutations(batch, d_vocab, generator)[repeating:, :n_ctx]
    targets[repeating:] = fresh
    tokens[repeating:, 1:] = fresh[:, :-1]
    if counted == "repeats":
        determined[repeating:] = False
    return Batch(tokens, targets, determined)


def run(repeating: int, counted: Counted, seed: int, steps: int | None = None) -> dict[str, Any]:
    """Train one seed, and measure it on blocks of lengths that it never reads: the best head's
    prefix matching, and the loss on rows that repeat (nats)."""
    recipe = DEFAULT.seeded(seed)

    def task(batch: int, generator: Generator) -> Batch:
        return seldom(repeating, counted, batch, generator)

    trainer = Trainer(AttentionOnlyTransformer(recipe.model), task, recipe.training)
    while trainer.step_number < (steps or recipe.training.steps):
        trainer.step()
    found = recipe.measure()(trainer.model)
    best = max(score for layer in found["prefix_matching"] for score in layer)
    measured = dict(prefix_matching=round(best, 3), repeat_loss=round(found["repeat_loss"], 3))
    return dict(repeating=repeating, counted=counted, seed=seed) | measured


def settings(n_seeds: int = SEEDS) -> list[dict[str, Any]]:
    """What is trained. Where no sequence repeats and only repeats count, there is no loss."""
    return [
        dict(repeating=repeating, counted=counted, seed=seed)
        for seed in seeds(n_seeds)
        for counted in ("repeats", "everywhere")
        for repeating in REPEATING[counted == "repeats" :]
    ]


def load(folder: Path = FOLDER) -> dict[str, dict[int, list[float]]]:
    """The best prefix matching of every seed, by what the loss counts and how many sequences of a
    batch repeat."""
    found: dict[str, dict[int, list[float]]] = {}
    for record in sweeps.load(folder).results:
        at = found.setdefault(record["counted"], {}).setdefault(record["repeating"], [])
        at.append(record["prefix_matching"])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: trains all that `data/sweeps/rarity` holds."""
    parser = argparse.ArgumentParser(
        "python -m helpers.experiments.rarity", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument(
        "--seeds", type=positive, default=SEEDS, help=f"of each setting (default {SEEDS})"
    )
    parser.add_argument("--steps", type=positive, help="to try it out (default: the recipe's own)")
    where_to_run(parser)
    given = parser.parse_args(arguments)
    command = as_typed("helpers.experiments.rarity", arguments)
    asked = [setting | dict(steps=given.steps) for setting in settings(given.seeds)]
    sweeps.sweep_into(given.out, run, asked, command, given.jobs, given.scheduler, "rarity")


if __name__ == "__main__":
    # by its full name, so that the processes of --jobs find it too
    from helpers.experiments.rarity import main

    main()
