"""Seed every fault in a copy of what is checked out, one at a time, and show the test that sees it.

    python -m tests.mutants                   all: those by hand and those that a tool draws
    python -m tests.mutants optimizers seed   those with one of these words in their name or file

Exit status 1 when a fault is seen by no test; 2 when the tests are red without any.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tests.course import ROOT, repository_files
from tests.mutants import Mutant
from tests.mutants.by_hand import BY_HAND

PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.mutants.hurried")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?)(?:\[|\s|$)", re.MULTILINE)
LONGEST = 900  # seconds, for a run that a fault keeps from ending


def copy_of_the_course(into: Path) -> Path:
    """What git tracks, and would track, with the changes that are not committed."""
    for path in repository_files():
        place = into / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return into


@contextmanager
def environment(copy: Path) -> Iterator[dict[str, str]]:
    """That of one run: it imports the copy, leaves no bytecode, which might outlive a fault, and
    has a cache and a temporary folder that go with it."""
    with TemporaryDirectory(dir=copy.parent, ignore_cleanup_errors=True) as fresh:
        mine = dict(PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1")
        without = os.environ.keys() - {"COURSE_DATA", "CI"}
        kept = {name: os.environ[name] for name in without}
        yield kept | mine | dict(TMPDIR=fresh, INDUCTION_COURSE_CACHE=str(Path(fresh) / "cache"))


def run(copy: Path, *arguments: str, limit: float | None = None) -> tuple[int, str]:
    """pytest's exit status and what it printed. No process of it is left."""
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
        except subprocess.TimeoutExpired:
            return -1, f"no end after {limit} s"
        finally:
            if process.poll() is None or arguments:
                stop(process)
    return process.returncode, printed


def stop(process: subprocess.Popen) -> None:
    """End it with all that it started, such as a browser."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def seen_by(mutant: Mutant, copy: Path) -> str | None:
    """The first test that fails with this fault; None where none does."""
    place = copy / mutant.file
    place.write_text(mutant.seeded(), encoding="utf-8")
    try:
        status, printed = run(copy, "-x", "-rfE", "-n", "0", *mutant.tests.split(), limit=LONGEST)
    finally:
        place.write_text(mutant.source, encoding="utf-8")
    failed = FAILED.search(printed)
    if status == 0:
        return None
    if status != 1 or failed is None:  # it failed no test, but kept them from running
        raise RuntimeError(f"{mutant.name}: pytest ended with status {status}\n{printed[-3000:]}")
    return failed[1]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults with one of these in name or file")
    parser.add_argument("--jobs", type=int, default=2, help="copies at a time (default 2)")
    parser.add_argument("--by-hand", action="store_true", help="without those that a tool draws")
    parser.add_argument("--at-once", action="store_true", help="trust that they are green without")
    given = parser.parse_args(arguments)
    mutants = list(BY_HAND)
    if not given.by_hand:
        from tests.mutants.drawn import drawn

        mutants += drawn()
    asked = [
        mutant
        for mutant in mutants
        if not given.words or any(word in mutant.name + mutant.file for word in given.words)
    ]
    for mutant in asked:
        mutant.seeded()
    began = time.monotonic()
    with TemporaryDirectory(prefix="mutants-") as folder:
        copies = [
            copy_of_the_course(Path(folder) / str(number) / "course")
            for number in range(given.jobs)
        ]
        if not given.at_once:
            print(f"The tests of {len(asked)} faults, without any fault ...", flush=True)
            tests = sorted({test for mutant in asked for test in mutant.tests.split()})
            status, printed = run(copies[0], "-n", str(given.jobs), "--dist", "loadscope", *tests)
            if status:
                print(printed, "\nThese tests are red without any fault.")
                return 2
            print(f"... are green, after {time.monotonic() - began:.0f} s.\n", flush=True)
        survivors = show(asked, copies)
    minutes = (time.monotonic() - began) / 60
    print(f"\n{len(asked)} faults, {len(asked) - len(survivors)} seen, in {minutes:.0f} minutes")
    for mutant in survivors:
        print(f"SURVIVED: {mutant.name} ({mutant.file}): {mutant.text!r} -> {mutant.becomes!r}")
    return 1 if survivors else 0


def show(mutants: list[Mutant], copies: list[Path]) -> list[Mutant]:
    """A row a fault as it comes; gives those that no test saw."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def judged(mutant: Mutant) -> tuple[Mutant, str | None, float]:
        copy, start = free.get(), time.monotonic()
        try:
            return mutant, seen_by(mutant, copy), time.monotonic() - start
        finally:
            free.put(copy)

    survivors = []
    print(f"{'fault':<60} {'file':<50} {'seconds':>7}  the test that saw it")
    with ThreadPoolExecutor(len(copies)) as pool:
        futures = [pool.submit(judged, mutant) for mutant in mutants]
        try:
            for future in as_completed(futures):
                mutant, test, seconds = future.result()
                survivors += [] if test else [mutant]
                where = (test or "NONE, IT SURVIVED").removeprefix("tests/")
                print(f"{mutant.name:<60} {mutant.file:<50} {seconds:>7.0f}  {where}", flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return survivors


if __name__ == "__main__":
    sys.exit(main())
