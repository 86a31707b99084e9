"""Patients of the clinic: the default run with one thing changed, over several seeds.

CHANGES are what the clinic was built on. HELD_OUT are what it was tested on: the same changes from
seeds that it never saw, other degrees of the same causes, what the clinic says to do about them
(from FOLLOWED seeds each), and troubles that it does not know.

`data/sweeps/clinic` holds the charts of all of them:

    python -m helpers.experiments.patients
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from helpers.experiments.clinic import CAUSES, FORMED, UNKNOWN, Chart, diagnose, examine, seen
from helpers.instruments import heads
from helpers.training import runs, sweeps
from helpers.training.command import positive, where_to_run
from helpers.training.loop import Diverged, train
from helpers.training.recipes import RECIPES, Recipe
from helpers.training.seeds import seeds

FOLDER = runs.DATA / "sweeps" / "clinic"
DEFAULT = RECIPES["two_layers"]
SCHEDULE = [*range(0, 100, 10), *range(100, 200, 20), *range(200, 401, 40)]
FOLLOWED = 4  # seeds of each training that does what the clinic advises


# ---- one thing changed


@dataclass(frozen=True)
class Change:
    """What differs from the default run: settings of the model, of the training, of the data; and
    what a right diagnosis is as long as no head forms."""

    cause: str = UNKNOWN
    model: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    task: str = "repeated_block"

    def recipe(self, seed: int) -> Recipe:
        """The default recipe with this change, from this seed."""
        changed = Recipe(
            replace(DEFAULT.model, **self.model),
            dict(name=self.task, options=DEFAULT.task["options"] | self.options),
            replace(DEFAULT.training, **self.training),
        )
        return changed.seeded(seed)


CHANGES = {
    "nothing changed": Change(FORMED),
    "AdamW at 0.001": Change("too slow", training=dict(optimizer="AdamW", lr=0.001)),
    "SGD": Change("too slow", training=dict(optimizer="SGD")),
    "LayerNorm": Change("normalization", model=dict(normalization="LN")),
    "a loss on all rows": Change("loss on all rows", training=dict(rows="all")),
    "one period": Change("one period", options=dict(period=16), task="fixed_period"),
    "blocks of 2 to 4 tokens": Change("blocks too short", options=dict(periods=[2, 3, 4])),
    "one layer": Change("one layer", model=dict(n_layers=1)),
}
# The same again from other seeds, and what was never looked at: each of these with its own seeds.
HELD_OUT = CHANGES | {
    "AdamW at 0.0007": Change("too slow", training=dict(optimizer="AdamW", lr=0.0007)),
    "AdamW at 0.0005": Change("too slow", training=dict(optimizer="AdamW", lr=0.0005)),
    "SGD at 0.03": Change("too slow", training=dict(optimizer="SGD", lr=0.03)),
    "RMS normalization": Change("normalization", model=dict(normalization="RMS")),
    "all rows, half the batch": Change("loss on all rows", training=dict(rows="all", batch=12)),
    "one period of 12": Change("one period", options=dict(period=12), task="fixed_period"),
    "one period of 20": Change("one period", options=dict(period=20), task="fixed_period"),
    "blocks of 3 to 5 tokens": Change("blocks too short", options=dict(periods=[3, 4, 5])),
    "one layer of 8 heads": Change("one layer", model=dict(n_layers=1, n_heads=8, d_head=8)),
    "one layer of 2 heads": Change("one layer", model=dict(n_layers=1, n_heads=2, d_head=32)),
    "AdamW at 0.01": Change(FORMED, training=dict(optimizer="AdamW", lr=0.01)),
    "SGD at 1": Change(FORMED, training=dict(optimizer="SGD", lr=1.0)),
    "LayerNorm, a third of the rates": Change(
        FORMED, model=dict(normalization="LN"), training=dict(lr=0.003, muon_lr=0.01)
    ),
    "blocks of 2 to 8 tokens": Change(FORMED, options=dict(periods=[*range(2, 9)])),
    "rates of 0.3": Change(training=dict(lr=0.3, muon_lr=0.3)),
    "50 steps": Change(training=dict(steps=50)),
    "heads of one dimension": Change(model=dict(d_head=1)),
    "one sequence a batch": Change(training=dict(batch=1)),
    "weights eight times as large": Change(model=dict(init_weights=4.0)),
    "weight decay of 3": Change(training=dict(weight_decay=3.0)),
    "weight decay of 1": Change(training=dict(weight_decay=1.0)),
    "a Markov chain": Change(task="bigram_chain"),
}


# ---- a training of each


class Patient(NamedTuple):
    """One training: which change, from which seed, whether the clinic was built on it, and its
    chart."""

    change: str
    seed: int
    held_out: bool
    chart: Chart

    @property
    def truth(self) -> str:
        """What a right diagnosis is. A head formed if one stands at the end, whatever was
        changed."""
        if self.chart.prefix_matching[-1] > heads.THRESHOLD:
            return FORMED
        cause = HELD_OUT[self.change].cause
        return UNKNOWN if cause == FORMED else cause


def run(change: str, seed: int, held_out: bool = False) -> Patient:
    """Train one seed to its end, or to where its loss is no number, and examine it."""
    recipe = HELD_OUT[change].recipe(seed)
    trainer, history = recipe.trainer(), []
    steps = recipe.training.steps
    try:
        for at in train(trainer, DEFAULT.measure(), [step for step in SCHEDULE if step <= steps]):
            history.append(dict(step=at.step, **at.scores))
    except Diverged:
        pass
    return Patient(change, seed, held_out, examine(trainer.losses, history, trainer.model))


def settings(n_seeds: int) -> list[dict[str, Any]]:
    """What is trained: so many seeds of each change to build on; and from other seeds those that
    are held out, the advice from several."""
    built_on = [dict(change=change, seed=seed) for change in CHANGES for seed in seeds(n_seeds)]
    advised = {change for cause in CAUSES.values() for change in cause.tried}
    held_out = [
        dict(change=change, seed=200 + seed, held_out=True)
        for change in HELD_OUT
        for seed in seeds(FOLLOWED if change in advised else 1)
    ]
    return built_on + held_out


def save(patients: Sequence[Patient], folder: Path = FOLDER) -> None:
    """Write the charts, losses in hundredths."""
    results = [
        patient._asdict() | dict(chart=_rounded(patient.chart._asdict())) for patient in patients
    ]
    sweeps.save(folder, "python -m helpers.experiments.patients", results)


def load(held_out: bool, folder: Path = FOLDER) -> list[Patient]:
    """The stored patients: those that the clinic was built on, or those held out."""
    return [
        Patient(**(result | dict(chart=Chart(**result["chart"]))))
        for result in sweeps.load(folder).results
        if result["held_out"] == held_out
    ]


# ---- what came of them


def advice(patients: Sequence[Patient]) -> list[dict[str, str]]:
    """A row for each cause that the clinic knows: what one sees, why, what to try, and in how many
    of these patients that did so a head formed."""
    rows = []
    for cause, known in CAUSES.items():
        tried = [patient.truth == FORMED for patient in patients if patient.change in known.tried]
        if cause != FORMED:
            rows.append(
                {
                    "no head, because of": cause,
                    "what one sees": seen(cause),
                    "why": known.why,
                    "what to try": known.remedy,
                    "a head formed in": f"{sum(tried)} of {len(tried)}",
                }
            )
    return rows


def namings(patients: Sequence[Patient]) -> dict[str, list[tuple[str, str]]]:
    """For each change the truth and the diagnosis of each of its patients, changes of one cause
    together."""
    answers = [*CAUSES, UNKNOWN]
    found: dict[str, list[tuple[str, str]]] = {}
    for patient in sorted(patients, key=lambda one: answers.index(one.truth)):
        pair = patient.truth, diagnose(patient.chart).cause
        found.setdefault(patient.change, []).append(pair)
    return found


def nearest_loss(patient: Patient, known: Sequence[Patient]) -> str:
    """A diagnosis from the last loss alone: the truth of the known patient whose loss ended
    nearest."""
    last = patient.chart.last_loss
    return min(known, key=lambda other: abs(other.chart.last_loss - last)).truth


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 3) if isinstance(value, float) else value


def main(arguments: list[str] | None = None) -> None:
    """The command line: trains all that `data/sweeps/clinic` holds."""
    parser = argparse.ArgumentParser(
        "python -m helpers.experiments.patients", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument(
        "--seeds", type=positive, default=2, help="of each change to build on (default 2)"
    )
    where_to_run(parser)
    given = parser.parse_args(arguments)
    made = sweeps.sweep(
        run, settings(given.seeds), given.jobs, given.scheduler, progress="patients"
    )
    save(list(made), given.out)
    runs.update_manifest(given.out)


if __name__ == "__main__":
    # by its full name, so that other processes find what they are to run
    from helpers.experiments.patients import main

    main()
