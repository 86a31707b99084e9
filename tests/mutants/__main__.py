"""Seed every fault in a copy of what is checked out, one at a time, and show the test that sees it.

    python -m tests.mutants                   all: those by hand, and those that a tool draws
    python -m tests.mutants optimizers seed   those with one of these words in their name or file

Exit status 1 when a fault is seen by no test, 2 when the tests are red without any.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests import browser
from tests.course import repository_files
from tests.mutants import ROOT, Mutant
from tests.mutants.by_hand import by_hand
from tests.mutants.drawn import drawn

FAILED = re.compile(r"^(?:FAILED|ERROR) tests/(\S+?)(?:\[|\s|$)", re.MULTILINE)
ROW = "{:<66} {:<50} {:>7}  {}"


class Outcome(NamedTuple):
    """`test`: the first that failed, or None. `words`: in that case, what happened instead."""

    mutant: Mutant
    test: str | None
    words: str
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser("python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults with one of these in name or file")
    parser.add_argument("--jobs", type=int, default=2, help="copies at a time (default 2)")
    parser.add_argument("--by-hand", action="store_true", help="without those that a tool draws")
    parser.add_argument("--at-once", action="store_true", help="trust that all is green without")
    given = parser.parse_args(arguments)
    mutants = by_hand() if given.by_hand else by_hand() + drawn()
    if given.words:
        mutants = [
            one for one in mutants if any(word in one.name + one.file for word in given.words)
        ]
    if not browser.find():
        print("No Chromium found: faults that are seen in a browser are left out.")
        mutants = [one for one in mutants if not any("/browser/" in test for test in one.tests)]
    if not mutants:
        parser.error(f"no fault has one of {given.words} in its name or file")
    for mutant in mutants:
        mutant.check()
    began = time.monotonic()
    with TemporaryDirectory(prefix="mutants-") as folder:
        copies = [copied(Path(folder) / str(number)) for number in range(given.jobs)]
        nurseries = [*map(Nursery, copies)]
        if not given.at_once and not green(mutants, nurseries[0], given.jobs):
            return 2
        outcomes = shown(mutants, nurseries)
    survivors = [outcome for outcome in outcomes if outcome.test is None]
    minutes = (time.monotonic() - began) / 60
    print(f"\n{len(mutants)} faults, {len(survivors)} of them unseen, in {minutes:.0f} minutes")
    for mutant, _, words, _ in survivors:
        print(
            f"UNSEEN: {mutant.name} ({mutant.file}): {words}\n- {mutant.text}\n+ {mutant.becomes}"
        )
    return 1 if survivors else 0


def copied(into: Path) -> Path:
    """What git tracks, and would track, as it stands now."""
    for path in repository_files():
        place = into / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return into


class Nursery:
    """A copy of the course, and the process in it that runs its tests."""

    def __init__(self, copy: Path):
        self.copy = copy
        ours = {name: os.environ[name] for name in os.environ.keys() - {"CI", "COURSE_DATA"}}
        # without bytecode, which might outlive a fault
        ours |= dict(PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.nursery"],
            cwd=copy,
            env=ours,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """pytest's exit status, and what it printed."""
        print(json.dumps(arguments), file=self.process.stdin, flush=True)
        return tuple(json.loads(self.process.stdout.readline()))


def green(mutants: Sequence[Mutant], nursery: Nursery, jobs: int) -> bool:
    """Whether all their tests pass without a fault, or one that fails would show nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    print("First all their tests without any fault ...", flush=True)
    status, printed = nursery.run("-n", str(jobs), "--dist", "loadscope", *tests)
    print("... which pass.\n" if status == 0 else f"{printed}\n... which do not pass.", flush=True)
    return status == 0


def shown(mutants: Sequence[Mutant], nurseries: Sequence[Nursery]) -> list[Outcome]:
    """What became of each, and a row for it as it comes. One at a time in each of the copies."""
    free: SimpleQueue[Nursery] = SimpleQueue()
    for nursery in nurseries:
        free.put(nursery)

    def in_a_copy(mutant: Mutant) -> Outcome:
        nursery = free.get()
        try:
            return seen(mutant, nursery)
        finally:
            free.put(nursery)

    outcomes = []
    print(ROW.format("fault", "file", "seconds", "the test that saw it"))
    with ThreadPoolExecutor(len(nurseries)) as pool:
        for future in as_completed([pool.submit(in_a_copy, mutant) for mutant in mutants]):
            outcome = future.result()
            outcomes.append(outcome)
            seen_by = outcome.test or "UNSEEN"
            row = outcome.mutant.name, outcome.mutant.file, f"{outcome.seconds:.0f}", seen_by
            print(ROW.format(*row), flush=True)
    return outcomes


def seen(mutant: Mutant, nursery: Nursery) -> Outcome:
    """Its tests with the fault in the copy, which is then as it was."""
    place, start = nursery.copy / mutant.file, time.monotonic()
    whole = place.read_text(encoding="utf-8")
    place.write_text(mutant.seeded(whole), encoding="utf-8")
    try:
        status, printed = nursery.run("-x", "-rfE", "-n", "0", *mutant.tests)
    finally:
        place.write_text(whole, encoding="utf-8")
    failed, seconds = FAILED.search(printed), time.monotonic() - start
    if status in (1, 2) and failed:  # 2: a file of tests is red as soon as it is read
        return Outcome(mutant, failed[1], "", seconds)
    words = "all tests pass" if status == 0 else f"none ran to its end:\n{printed[-2000:]}"
    return Outcome(mutant, None, words, seconds)


if __name__ == "__main__":
    sys.exit(main())
