"""Print the table: `python -m tests.benchmarks [--quick] [--json] [--seeds N] [name ...]`. Nothing
here fails on a missed target."""

import argparse
import json
import math
import os
from collections.abc import Iterator
from dataclasses import replace

import joblib
import torch

from tests.benchmarks import HEADER, QUICK, Row, Settings
from tests.benchmarks.births import birth, seeds
from tests.benchmarks.discovery import discover, real
from tests.benchmarks.explorable import explorable
from tests.benchmarks.machine import machine
from tests.benchmarks.pages import pages
from tests.benchmarks.segment import segment
from tests.benchmarks.sizes import sizes
from tests.benchmarks.speed import step, text
from tests.benchmarks.suite import suite
from tests.benchmarks.tab import tab
from tests.benchmarks.views import views

GROUPS = {
    group.__name__: group
    for group in (
        machine,
        sizes,
        birth,
        tab,
        explorable,
        views,
        pages,
        seeds,
        step,
        text,
        discover,
        real,
        segment,
        suite,
    )
}


def load() -> str:
    """How busy the machine is, where the system tells."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def measured(names: list[str], settings: Settings) -> Iterator[Row]:
    for name in names:
        yield from GROUPS[name](settings)


def as_json(rows: list[Row], machine: str) -> str:
    """The same as the table, and the numbers behind it. JSON knows no infinity: null."""
    named = [row._asdict() for row in rows]
    for row in named:
        row["samples"] = [value if math.isfinite(value) else None for value in row["samples"]]
    return json.dumps(dict(machine=machine, rows=named), indent=1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m tests.benchmarks", description="Measure the course's numbers here."
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="name",
        help=f"what to measure, of {', '.join(GROUPS)} (default: all)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer seeds, rounds and tokens, no suite: noisier"
    )
    parser.add_argument("--json", action="store_true", help="the same for programs, at the end")
    parser.add_argument(
        "--seeds", type=int, help="how many seeds must form the head (default 64, quick 4)"
    )
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in GROUPS]:
        parser.error(f"nothing is called {', '.join(unknown)}; choose of {', '.join(GROUPS)}")
    settings = QUICK if given.quick else Settings()
    settings = replace(settings, seeds=given.seeds or settings.seeds)
    before, rows = load(), []
    if not given.json:
        print(HEADER, flush=True)
    for row in measured(given.names or [*GROUPS], settings):
        rows.append(row)
        if not given.json:
            print(row, flush=True)
    machine = (
        f"torch {torch.__version__}, {joblib.cpu_count()} cores; load average {before} before, "
        f"{load()} after."
    )
    print(as_json(rows, machine) if given.json else f"\n{machine}")


if __name__ == "__main__":
    main()
