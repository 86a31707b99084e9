"""No test compares a clock, sleeps, or sets a limit of its own: on a busy machine it would fail.
How long a test waits stands in tests/patience.py alone; how fast things are is `make bench`'s to
say."""

import re
from itertools import count
from types import SimpleNamespace

import pytest

from tests import patience
from tests.course import ROOT

# What reads a clock, what lets time pass and hopes, and what sets a limit in numbers.
CLOCK = re.compile(
    r"\b(perf_counter|monotonic|process_time|thread_time|default_timer)(_ns)?\("
    r"|\btime\.time(_ns)?\(|\bdatetime\.\w*now\(|\bDate\.now\(|\bperformance\.now\("
    r"|\btimeStamp\b|\belapsed\b"
)
SLEEP = re.compile(r"\btime\.sleep\(|\basyncio\.sleep\((?!0\))|wait_for_timeout\(|\bsetTimeout\(")
LIMIT = re.compile(r"\btimeout(_s)?\s*=\s*[\d.]|\btimeout\(\d")
EXCEPTED = ("tests/patience.py", "tests/test_patience.py", "tests/benchmarks/", "tests/mutants/")


def hurries(source: str) -> list[str]:
    """The lines of a test that a busy machine can make wrong."""
    rules = (CLOCK, SLEEP, LIMIT)
    return [line for line in source.splitlines() if any(rule.search(line) for rule in rules)]


def test_no_test_is_in_a_hurry():
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "tests").rglob("*.js"), ROOT / "conftest.py"]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in files}
    found = {name: hurries(text) for name, text in texts.items() if not name.startswith(EXCEPTED)}
    assert len(texts) > 50 and {name: lines for name, lines in found.items() if lines} == {}


def test_no_limit_stands_among_pytests_options():
    assert hurries((ROOT / "pyproject.toml").read_text("utf-8")) == []
    assert "timeout=" not in (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "assert time.perf_counter() - start < 3",
        "if time.monotonic() > end: raise",
        "took = performance.now() - event.timeStamp",
        "page.wait_for_timeout(300)",
        "time.sleep(0.05)",
        "await asyncio.sleep(0.1)",
        "page.wait_for_function(ready, timeout=60_000)",
        "@pytest.mark.timeout(300)",
        "timeout = 300",
    ],
)
def test_a_hurry_is_seen(line):
    assert hurries(f"x = 1\n    {line}\n") == [f"    {line}"]


@pytest.mark.parametrize(
    "line",
    [
        "clock = SimpleNamespace(perf_counter=lambda: next(ticks))",
        "await asyncio.sleep(0)",
        "urlopen(url, timeout=PATIENCE)",
        "bare.pass_time(700)",
    ],
)
def test_a_clock_of_the_tests_own_is_no_hurry(line):
    assert hurries(line) == []


def test_patience_is_lost_in_the_end(monkeypatch):
    """By a clock on which every look takes a minute."""
    minutes = count()
    clock = SimpleNamespace(monotonic=lambda: 60 * next(minutes), sleep=lambda seconds: None)
    monkeypatch.setattr(patience, "time", clock)
    looks = count(1)
    assert patience.until(lambda: next(looks) == 3)
    with pytest.raises(AssertionError, match="it never came, in 180 s"):
        patience.until(lambda: False)


def test_every_test_and_every_cell_is_given_time(pytestconfig):
    assert pytestconfig.option.timeout >= patience.PATIENCE
    assert pytestconfig.option.nbval_cell_timeout == patience.TEST > 3 * patience.PATIENCE
    assert pytestconfig.option.nbval_kernel_startup_timeout == patience.PATIENCE
