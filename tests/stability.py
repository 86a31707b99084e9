"""Does every notebook run every time? `python -m tests.stability` (or `make stability`): all
notebooks, over and over, each from a fresh kernel, on 1, 2 and 4 threads and beside a busy process.

More threads add in another order, so outputs have other digits; that a claim holds does not hang on
them. A run fails when a cell does. Exit status 1 if any has failed.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from helpers import real_model
from helpers.course import build
from tests.course import NOTEBOOKS
from tests.patience import TEST

THREADS = "torch.set_num_threads(1)"  # as the first cell of every notebook has it


class Setting(NamedTuple):
    """What a notebook runs on, and beside how many processes that never rest."""

    threads: int
    busy: int = 0

    def __str__(self) -> str:
        words = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return words + f", beside {self.busy} busy" * bool(self.busy)


SETTINGS = (Setting(1), Setting(2), Setting(4), Setting(1, busy=1))


@contextmanager
def busy(number: int) -> Iterator[None]:
    """So many processes that never rest, inside this block."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run(path: Path, setting: Setting) -> float:
    """The seconds of all its cells. Raises nbclient's errors where one fails."""
    notebook = build.read(path)
    for cell in notebook.cells:
        cell.source = cell.source.replace(THREADS, f"torch.set_num_threads({setting.threads})")
    environment = build.kernel_environment() | {"OMP_NUM_THREADS": str(setting.threads)}
    return sum(build.run(notebook, path.parent, environment).values())


def runs(path: Path, setting: Setting, times: int) -> tuple[list[float], list[str]]:
    """The seconds of each run that passed, and why each other failed, in a line."""
    passed, failed = [], []
    for _ in range(times):
        try:
            passed.append(run(path, setting))
        except CellExecutionError as error:
            failed.append(f"{error.ename}: {error.evalue}")
        except (CellTimeoutError, DeadKernelError) as error:
            failed.append(type(error).__name__)
    return passed, failed


def main(arguments: list[str] | None = None) -> int:
    """The table, a line as it comes. Returns 1 if a run has failed."""
    parser = argparse.ArgumentParser("python -m tests.stability", description=__doc__.split(":")[0])
    parser.add_argument("notebook", nargs="*", type=Path, help="default: all")
    parser.add_argument("--times", type=int, default=20, help="how often each (default 20)")
    given = parser.parse_args(arguments)
    build.CELL_TIMEOUT = TEST  # nothing is cut short because the machine is busy
    failures = []
    print("| notebook | on | passed | median, longest |\n|---|---|---|---|", flush=True)
    for path in given.notebook or NOTEBOOKS:
        if not real_model.is_installed() and build.needing_the_real_model(build.read(path)):
            print(f"| {path.stem} | not run: the real model comes with `make wild` | - | - |")
            continue
        for setting in SETTINGS:
            with busy(setting.busy):
                passed, failed = runs(path, setting, given.times)
            took = f"{statistics.median(passed):.0f} s, {max(passed):.0f} s" if passed else "-"
            share = f"{len(passed)} of {given.times}"
            print(f"| {path.stem} | {setting} | {share} | {took} |", flush=True)
            failures += [f"{path.stem}, {setting}: {why}" for why in failed]
    print("\n".join(["", f"failures: {len(failures)}", *failures]))
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
