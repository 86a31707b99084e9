"""How long everything takes to pass: the suite as `make test` runs it, on the machine as it is and
beside busy processes."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

import joblib

from tests.benchmarks import Row, Settings
from tests.course import ROOT
from tests.stability import busy

MINUTES, BUSY = 6, 8


def suite(settings: Settings) -> Iterator[Row]:
    """Rows: minutes of `make test` once all is installed, and the same beside busy processes."""
    for beside, target in ((0, f"{MINUTES} minutes, green"), (BUSY, "green")):
        measure = "make test" + (
            f", beside {beside} busy processes" if beside else ", after install"
        )
        if not settings.suite:
            yield Row(measure, target, "no run of it: --quick leaves it out", None)
            continue
        with busy(beside) if beside else nullcontext():
            minutes, work, failed = passed()
        said = f"{minutes:.1f} minutes, {failed or 'green'}"
        limit = (
            f"{work / joblib.cpu_count():.1f} minutes: its tests' own, shared evenly by all cores"
        )
        met = not failed and (beside > 0 or minutes <= MINUTES)
        yield Row(measure, target, said, met, limit, (minutes,))


def passed() -> tuple[float, float, str]:
    """Minutes of the suite as the Makefile starts it, minutes of all its tests together, and what
    failed of how many."""
    words = re.search(r"-m (pytest .*) \$\(ARGS\)", (ROOT / "Makefile").read_text("utf-8"))[1]
    with tempfile.TemporaryDirectory() as folder:
        report, start = Path(folder, "report.xml"), time.perf_counter()
        command = [sys.executable, "-m", *words.split(), f"--junitxml={report}"]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True)
        minutes = (time.perf_counter() - start) / 60
        tests = [*ElementTree.parse(report).iter("testcase")]
    work = sum(float(test.attrib["time"]) for test in tests) / 60
    failed = sum(any(part.tag in ("failure", "error") for part in test) for test in tests)
    return minutes, work, f"{failed} of {len(tests)} fail" if failed or ended.returncode else ""
