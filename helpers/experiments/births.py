"""Many seeds of the default run, and of runs that differ from it in one thing: when does the head
come, and from what?

`data/births.npz` holds, for each condition and seed, the scores of every head over training, in
hundredths. No weights: `births` and a test read the scores, and any seed can be trained again from
its number in a few seconds.

    python -m helpers.experiments.births
"""

import argparse
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from helpers.files import write_atomically
from helpers.instruments import circuits, heads, interventions
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import Task
from helpers.training import runs, sweeps
from helpers.training.command import positive, where_to_run
from helpers.training.loop import Trainer, train
from helpers.training.recipes import RECIPES

FILE = runs.DATA / "births.npz"
SCHEDULE = [
    *range(0, 40, 4),
    *range(40, 100, 2),
    *range(100, 160, 4),
    *range(160, 240, 10),
    *range(240, 401, 40),
]


@dataclass(frozen=True)
class Condition:
    """The default run with one thing changed, and the number of seeds that are stored.

    `clamped_back`: one head of layer 0 attends exactly so far back, from the first step on.
    """

    n_seeds: int
    clamped_back: int | None = None
    n_layers: int = 2
    smeared_keys: bool = False


CONDITIONS = {
    "default": Condition(64),
    "clamped": Condition(16, clamped_back=1),
    "clamped wrong": Condition(16, clamped_back=2),
    "one layer": Condition(8, n_layers=1),
    "one layer, smeared keys": Condition(8, n_layers=1, smeared_keys=True),
    "two layers, smeared keys": Condition(8, smeared_keys=True),
}


class History(NamedTuple):
    """Trainings of several seeds: the steps, and at each the mean loss since the one before (nats)
    and the scores.

    The first three scores are behaviour (`heads.score`). The next two are read off the weights of
    each head of the last layer: matching, the positivity of the matching eigenvalues, and copying,
    that of its OV circuit. `gate`: what each head of layer 0 keeps of a smeared key, else 1.
    """

    steps: list[int]
    loss: Float[Tensor, "seed snapshot"]
    prefix_matching: Float[Tensor, "seed snapshot layer head"]
    previous_token: Float[Tensor, "seed snapshot layer head"]
    copying: Float[Tensor, "seed snapshot layer head"]
    matching_weights: Float[Tensor, "seed snapshot head"]
    copying_weights: Float[Tensor, "seed snapshot head"]
    gate: Float[Tensor, "seed snapshot head"]

    def best(self, name: str) -> Float[Tensor, "seed snapshot"]:
        """The best head's score of this name."""
        return getattr(self, name).flatten(2).amax(2)

    def first(self, name: str, threshold: float = 0.5) -> Float[Tensor, " seed"]:
        """The first step at which some head's score passes the threshold; nan for seeds in which
        none ever does."""
        return heads.first_above(self.steps, self.best(name), threshold)

    def first_heads(self) -> list[int]:
        """The head of the last layer that was the first to match prefixes, for every seed in which
        one did: the best of those that pass 1/2 at the same snapshot."""
        scores = self.prefix_matching[:, :, -1]
        born = heads.first_above(self.steps, scores.amax(2)).tolist()
        return [
            seed[self.steps.index(step)].argmax().item()
            for seed, step in zip(scores, born, strict=True)
            if not math.isnan(step)
        ]


def trainer(condition: str, seed: int) -> Trainer:
    """A trainer at step 0. KeyError for a condition that is not in CONDITIONS."""
    change, recipe = CONDITIONS[condition], RECIPES["two_layers"]
    config = replace(
        recipe.model, seed=seed, n_layers=change.n_layers, smeared_keys=change.smeared_keys
    )
    hooks = (
        [] if change.clamped_back is None else interventions.clamp([(0, 0)], change.clamped_back)
    )
    model = interventions.Hooked(config, hooks) if hooks else AttentionOnlyTransformer(config)
    return Trainer(model, Task(**recipe.task), replace(recipe.training, seed=seed))


def run(condition: str, seed: int, schedule: Sequence[int] = SCHEDULE) -> History:
    """Train one seed to the last step of the schedule, and measure it at each on periods that it
    never reads."""
    made, behaviour, found = trainer(condition, seed), RECIPES["two_layers"].measure(), []
    for at in train(made, lambda model: behaviour(model) | _read_off(model), schedule):
        # before the first step: guessing
        loss = math.log(made.model.cfg.d_vocab - 1) if at.loss is None else at.loss
        found.append([loss, *(at.scores[name] for name in History._fields[2:])])
    return History(list(schedule), *(torch.tensor([values]) for values in zip(*found, strict=True)))


def load(condition: str = "default") -> History:
    """The stored seeds of a condition, number 0 first. ValueError for a condition that is not
    stored."""
    with np.load(FILE, allow_pickle=False) as stored:
        if condition not in CONDITIONS:
            raise ValueError(
                f"no condition is called {condition!r}; stored are {', '.join(CONDITIONS)}"
            )
        scores = [
            torch.from_numpy(stored[f"{condition}/{name}"] / 100).float()
            for name in History._fields[1:]
        ]
        return History(stored[f"{condition}/steps"].tolist(), *scores)


def save(trainings: dict[str, list[History]], path: Path = FILE) -> None:
    """Write the histories of every condition, a seed each, in hundredths, and what made them
    (`about`, JSON)."""
    arrays = {}
    for condition, histories in trainings.items():
        arrays[f"{condition}/steps"] = np.array(histories[0].steps, dtype=np.int16)
        for name in History._fields[1:]:
            together = torch.cat([getattr(history, name) for history in histories])
            arrays[f"{condition}/{name}"] = (100 * together).round().numpy().astype(np.int16)
    arrays["about"] = np.array(
        json.dumps(dict(command="python -m helpers.experiments.births", versions=runs.versions()))
    )
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_atomically(path, content.getvalue())


def _read_off(model: AttentionOnlyTransformer) -> dict[str, list[float]]:
    cfg, last = model.cfg, model.cfg.n_layers - 1
    matching = [0.0] * cfg.n_heads
    if last:
        previous = heads.score(model, heads.probe(cfg.d_vocab, cfg.n_ctx)).previous_token
        matching = circuits.matching_statistics(model, last, previous).tolist()
    return dict(
        matching_weights=matching,
        copying_weights=circuits.copying_statistics(model)[-1].tolist(),
        gate=model.smear[0].sigmoid().tolist() if cfg.smeared_keys else [1.0] * cfg.n_heads,
    )


def main(arguments: list[str] | None = None) -> None:
    """The command line: trains everything that `data/births.npz` holds."""
    parser = argparse.ArgumentParser(
        "python -m helpers.experiments.births", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, default=FILE)
    where_to_run(parser)
    parser.add_argument(
        "--share", type=positive, default=1, help="train one seed in so many (default 1: all)"
    )
    given = parser.parse_args(arguments)
    trainings = {}
    for condition, change in CONDITIONS.items():
        n_seeds = max(2, change.n_seeds // given.share)
        settings = sweeps.each_seed(n_seeds, condition=condition)
        trainings[condition] = list(
            sweeps.sweep(run, settings, given.jobs, given.scheduler, progress=condition)
        )
        save(trainings, given.out)
        runs.update_manifest(given.out)


if __name__ == "__main__":
    # by its full name, so that other processes find what they are to run
    from helpers.experiments.births import main

    main()
