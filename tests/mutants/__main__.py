"""Seed every fault in a copy of what is checked out, one at a time, and show the test that sees it.

    python -m tests.mutants                   all: those by hand, and those that a tool draws
    python -m tests.mutants optimizers seed   those with one of these words in their name or file

Exit status 1 when a fault is seen by no test, 2 when the tests are red without any.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.course import repository_files
from tests.mutants import ROOT, Mutant
from tests.mutants.by_hand import by_hand
from tests.mutants.drawn import drawn

PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.mutants.hurried")
FAILED = re.compile(r"^(?:FAILED|ERROR) tests/(\S+?)(?:\[|\s|$)", re.MULTILINE)
LONGEST = 900  # seconds, for a run that a fault keeps from ending
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
    for mutant in mutants:
        mutant.check()
    began = time.monotonic()
    with TemporaryDirectory(prefix="mutants-") as folder:
        copies = [copied(Path(folder) / str(number) / "course") for number in range(given.jobs)]
        if not given.at_once and not green(mutants, copies[0], given.jobs):
            return 2
        outcomes = shown(mutants, copies)
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


def green(mutants: Sequence[Mutant], copy: Path, jobs: int) -> bool:
    """Whether all their tests pass without a fault, or one that fails would show nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    print("First all their tests without any fault ...", flush=True)
    status, printed = run(copy, "-n", str(jobs), "--dist", "loadscope", *tests)
    print("... which pass.\n" if status == 0 else f"{printed}\n... which do not pass.", flush=True)
    return status == 0


def shown(mutants: Sequence[Mutant], copies: Sequence[Path]) -> list[Outcome]:
    """What became of each, and a row for it as it comes. One at a time in each of the copies."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def in_a_copy(mutant: Mutant) -> Outcome:
        copy = free.get()
        try:
            return seen(mutant, copy)
        finally:
            free.put(copy)

    outcomes = []
    print(ROW.format("fault", "file", "seconds", "the test that saw it"))
    with ThreadPoolExecutor(len(copies)) as pool:
        for future in as_completed([pool.submit(in_a_copy, mutant) for mutant in mutants]):
            outcome = future.result()
            outcomes.append(outcome)
            seen_by = outcome.test or "UNSEEN"
            row = outcome.mutant.name, outcome.mutant.file, f"{outcome.seconds:.0f}", seen_by
            print(ROW.format(*row), flush=True)
    return outcomes


def seen(mutant: Mutant, copy: Path) -> Outcome:
    """Its tests with the fault in the copy, which is then as it was."""
    place, start = copy / mutant.file, time.monotonic()
    whole = place.read_text(encoding="utf-8")
    place.write_text(mutant.seeded(whole), encoding="utf-8")
    try:
        status, printed = run(copy, "-x", "-rfE", "-n", "0", *mutant.tests, limit=LONGEST)
    finally:
        place.write_text(whole, encoding="utf-8")
    failed, seconds = FAILED.search(printed), time.monotonic() - start
    if status == 1 and failed:
        return Outcome(mutant, failed[1], "", seconds)
    words = "all tests pass" if status == 0 else f"none ran to its end:\n{printed[-2000:]}"
    return Outcome(mutant, None, words, seconds)


def run(copy: Path, *arguments: str, limit: float | None = None) -> tuple[int | None, str]:
    """pytest's exit status and what it printed; None where it did not end. Nothing that it started
    is left."""
    with environment(copy) as variables:
        process = subprocess.Popen(
            [sys.executable, *PYTEST, *arguments],
            cwd=copy,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=limit)
            return process.returncode, printed
        except subprocess.TimeoutExpired:
            return None, f"no end in {limit} s"
        finally:
            with suppress(ProcessLookupError):  # a browser may be left
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def environment(copy: Path) -> Iterator[dict[str, str]]:
    """That of one run: it imports the copy, leaves no bytecode, which might outlive a fault, and
    has a cache and a folder for what is temporary that go with it."""
    ours = {name: value for name, value in os.environ.items() if name not in ("CI", "COURSE_DATA")}
    ours |= dict(PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1")
    with TemporaryDirectory(dir=copy.parent, ignore_cleanup_errors=True) as fresh:
        yield ours | dict(TMPDIR=fresh, INDUCTION_COURSE_CACHE=str(Path(fresh) / "cache"))


if __name__ == "__main__":
    sys.exit(main())
