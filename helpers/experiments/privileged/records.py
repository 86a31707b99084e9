"""What is shipped: which runs, their records, and the command that makes them again."""

import argparse
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from helpers.experiments.privileged.setting import Optimizer, model_with
from helpers.experiments.privileged.trainings import grow, rounding, twins
from helpers.model import AttentionOnlyTransformer
from helpers.training import runs, sweeps
from helpers.training.command import as_typed, positive, where_to_run
from helpers.training.seeds import seeds

FOLDER = runs.DATA / "sweeps" / "privileged_basis"
TWINS = [
    *sweeps.each_seed(5, optimizer="SGD", lr=0.1),
    *sweeps.each_seed(5, optimizer="AdamW", lr=0.003),
    *sweeps.each_seed(3, optimizer="AdamW", lr=0.003, turn="order"),
    *sweeps.each_seed(3, optimizer="Muon", lr=0.003),
    *sweeps.each_seed(3, optimizer="Muon everywhere", lr=0.003),
]
# Whose weights are kept: a rate each at which the four come to about the same loss.
KEPT = (("AdamW", 0.01), ("SGD", 0.3), ("Muon", 0.01), ("Muon everywhere", 0.01))
GROWN = [
    *(
        setting
        for optimizer, lr in KEPT
        for setting in sweeps.each_seed(3, optimizer=optimizer, lr=lr)
    ),
    *(
        setting
        for how in ("shared", "independent")
        for setting in sweeps.each_seed(3, optimizer="AdamW", lr=0.01, stored=how)
    ),
    *(
        setting
        for lr in (0.001, 0.003, 0.02)
        for setting in sweeps.each_seed(3, optimizer="AdamW", lr=lr)
    ),
    *(setting for lr in (0.03, 0.1) for setting in sweeps.each_seed(3, optimizer="SGD", lr=lr)),
    *sweeps.each_seed(3, optimizer="Muon", lr=0.003),
]
# Seeds that no threshold was chosen on: the notebook's claims about rounding were written down
# before these runs.
ROUNDED = [
    dict(optimizer=optimizer, lr=lr, seed=seed)
    for optimizer, lr, count in (("AdamW", 0.01, 8), ("SGD", 0.3, 8), ("AdamW", 0.003, 4))
    for seed in seeds(10 + count)[10:]
]


def experiment(
    kind: Literal["twins", "grow", "rounding"], **setting: Any
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """One run as it is shipped: its record, rounded, and the weights to keep, if any."""
    if kind == "twins":
        found = twins(**setting)
        found["losses"] = [round(value, 3) for value in found["losses"]]
        found["gaps"] = [float(f"{value:.1e}") for value in found["gaps"]]
        return dict(kind=kind, **found), {}
    if kind == "rounding":
        return dict(kind=kind, **rounding(**setting)), {}
    record, weights = grow(**setting)
    return dict(kind=kind, **record), weights if _kept(record) else {}


def shipped() -> sweeps.Sweep:
    """All records, and the weights of the runs in KEPT."""
    return sweeps.load(FOLDER)


def model_of(
    sweep: sweeps.Sweep, optimizer: Optimizer, lr: float, seed: int = 0
) -> AttentionOnlyTransformer:
    """The model that a kept run ended with. ValueError for a run whose weights were not kept."""
    prefix = f"{_name(optimizer, lr, seed)}/"
    weights = {
        name.removeprefix(prefix): tensor.float()
        for name, tensor in sweep.tensors.items()
        if name.startswith(prefix)
    }
    if not weights:
        raise ValueError(
            f"no weights of {prefix[:-1]} were kept; there are: "
            f"{sorted({name.split('/')[0] for name in sweep.tensors})}"
        )
    return model_with(weights, seed)


def _name(optimizer: Optimizer, lr: float, seed: int) -> str:
    return f"{optimizer} {lr:g} seed {seed}"


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m helpers.experiments.privileged",
        description="Run the experiments of notebook 07 again.",
    )
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="folder for the records (default: the shipped one)"
    )
    where_to_run(parser)
    parser.add_argument(
        "--steps",
        type=positive,
        help="of every run, to try it out (default: 300 for twins, 1400 to grow)",
    )
    given = parser.parse_args(arguments)
    settings = [
        dict(kind=kind, **setting)
        for kind, many in (("twins", TWINS), ("grow", GROWN), ("rounding", ROUNDED))
        for setting in many
    ]
    settings = [setting | ({"steps": given.steps} if given.steps else {}) for setting in settings]
    command = as_typed("helpers.experiments.privileged", arguments)
    sweeps.sweep_into(
        given.out,
        experiment,
        settings,
        command,
        given.jobs,
        given.scheduler,
        "runs",
        name=lambda record: _name(record["optimizer"], record["lr"], record["seed"]),
    )


def _kept(record: dict[str, Any]) -> bool:
    """Whether the weights of such a run are kept."""
    return (record["optimizer"], record["lr"]) in KEPT and record.get("stored") == "as used"
