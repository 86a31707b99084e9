"""Print the table: `python -m tests.benchmarks [--quick] [--seeds N] [name ...]`. Nothing here
fails on a missed target."""

import argparse
import os
from dataclasses import replace

import joblib
import torch

from tests.benchmarks import HEADER, QUICK, Settings
from tests.benchmarks.births import birth, seeds
from tests.benchmarks.discovery import discover
from tests.benchmarks.explorable import explorable
from tests.benchmarks.pages import pages
from tests.benchmarks.segment import segment
from tests.benchmarks.sizes import sizes
from tests.benchmarks.speed import step, text
from tests.benchmarks.tab import tab
from tests.benchmarks.views import views

GROUPS = {
    group.__name__: group
    for group in (sizes, birth, tab, explorable, views, pages, seeds, step, text, discover, segment)
}


def load() -> str:
    """How busy the machine is, where the system tells."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


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
        "--quick", action="store_true", help="fewer seeds, rounds and tokens: noisier"
    )
    parser.add_argument(
        "--seeds", type=int, help="how many seeds must form the head (default 16, quick 4)"
    )
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in GROUPS]:
        parser.error(f"nothing is called {', '.join(unknown)}; choose of {', '.join(GROUPS)}")
    settings = QUICK if given.quick else Settings()
    settings = replace(settings, seeds=given.seeds or settings.seeds)
    before = load()
    print(HEADER, flush=True)
    for name in given.names or GROUPS:
        for row in GROUPS[name](settings):
            print(row, flush=True)
    print(
        f"\ntorch {torch.__version__}, {joblib.cpu_count()} cores; load average {before} before, "
        f"{load()} after."
    )


if __name__ == "__main__":
    main()
