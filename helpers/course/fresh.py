"""Do the claims hold on seeds that nobody has looked at? `make fresh SEEDS="1 2 3"` asks.

For each set of seeds everything that the course trains is trained anew, in build/fresh, and every
notebook is executed on it. COURSE_SEEDS gives the seeds (set 3 has 3000, 3001, ...), COURSE_DATA
the folder of runs; nothing that is shipped is touched. A table of all claims ends it. What has been
trained is kept, so a second call only executes.

    python -m helpers.course.fresh 1 2 3        --text trains on text too, minutes a run
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.claims import Claim
from helpers.course import build

FOLDER = build.ROOT / "build" / "fresh"
SHIPPED = build.ROOT / "data"
TRAININGS = {
    "runs/two_layers": "helpers.training two_layers --weights 64",
    "runs/one_layer": "helpers.training one_layer --weights 2",
    "runs/chain": "helpers.training chain --snapshots 8 --weights 1",
    "runs/chain_one_layer": "helpers.training chain_one_layer --snapshots 8 --weights 1",
    "sweeps/two_layers": "helpers.training.replicas two_layers",
    "sweeps/chain": "helpers.training.replicas chain",
    "sweeps/chain_one_layer": "helpers.training.replicas chain_one_layer",
    "births.npz": "helpers.experiments.births --share 4",
    "sweeps/privileged_basis": "helpers.experiments.privileged",
}
TEXT = {
    "runs/text": "helpers.training text --weights 7",
    "runs/text_one_layer": "helpers.training text_one_layer --weights 2",
    "sweeps/text": "helpers.training.replicas text",
    "sweeps/text_one_layer": "helpers.training.replicas text_one_layer",
}


def environment(number: int, data: Path) -> dict[str, str]:
    """This process' environment, in which the course draws from set `number` of the seeds."""
    fixed = build.KERNEL_ENVIRONMENT | {"COURSE_SEEDS": str(number), "COURSE_DATA": str(data)}
    return {**os.environ, **fixed}


def train(number: int, data: Path, text: bool) -> None:
    """Train what the folder does not hold yet. Without `text`, the runs on text are the shipped."""
    data.mkdir(parents=True, exist_ok=True)
    shutil.copy(SHIPPED / "tokenizer.json", data)
    for place, command in (TRAININGS | TEXT).items():
        if (data / place).exists():
            continue
        if place in TEXT and not text:
            shutil.copytree(SHIPPED / place, data / place)
            continue
        module, *options = command.split()
        unfinished = data / f"{place}.unfinished"
        seed = ["--seed", str(1000 * number)] if module == "helpers.training" else []
        out = unfinished.parent if module == "helpers.training.replicas" else unfinished
        ...


def verdicts(number: int, data: Path) -> dict[str, Claim]:
    """Execute every notebook on this data and collect its claims by their ids. A cell that fails
    does not stop the notebook."""
    ...
