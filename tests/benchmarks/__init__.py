"""The numbers that the course promises, measured on this machine: `python -m tests.benchmarks` (or
`make bench`).

Each row of the table has its target, what was measured, whether that meets it, and what this
machine would allow at best: the same work's matrix products alone, a page with nothing on it, a
process that only imports torch. So a row that misses its target says how far it could get.

What is compared is measured by turns, pair after pair, so that a busy moment hits both alike; the
ratio is the median over the pairs, with its quartiles. Seconds on a clock grow on a busy machine,
so the seconds that the processor worked stand beside them.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch


class Row(NamedTuple):
    """One line of the table. `met` is None where there is no target, or nothing was measured;
    `limit` says what the machine would allow; `samples` are the numbers behind `measured`."""

    measure: str
    target: str
    measured: str
    met: bool | None
    limit: str = "-"
    samples: tuple[float, ...] = ()

    def __str__(self) -> str:
        verdict = {True: "yes", False: "no", None: "-"}[self.met]
        return f"| {self.measure} | {self.target} | {self.measured} | {verdict} | {self.limit} |"


HEADER = (
    "| measure | target | measured here | met | what this machine would allow |\n"
    "|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Settings:
    """How much to measure. The defaults take about twenty minutes on two idle cores, and the suite
    most of an hour more."""

    births: int = 8  # seeds of the default run, each ours and TransformerLens'
    patience: float = 30.0  # how many times our own seconds TransformerLens gets
    seeds: int = 64
    budget: int | None = None  # steps of a run; None: the recipe's own
    rounds: int = 25  # of a comparison of training steps
    # sequences that all heads of a big model are scored on: as many as heads.probe draws
    probes: int = 10
    pairs: int = 7  # of what takes seconds: scoring a big model, or a first run
    suite: bool = True  # whether the tests are timed too
    small: bool = False  # a tiny shape in place of GPT-2 small
    segment_tokens: float = 9e6  # after which the copied segment is given up


QUICK = Settings(births=3, seeds=4, rounds=9, probes=2, pairs=3, suite=False, segment_tokens=1e6)


class Clock:
    """Seconds on the wall and of processor time, summed over the blocks that are run under it."""

    def __init__(self):
        self.wall = self.processor = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - wall
        self.processor += time.process_time() - processor


def by_turns(
    functions: Sequence[Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[tuple[float, ...]]:
    """The seconds of each function, one tuple a round, after a round that is not counted."""

    def seconds(function: Callable[[], object]) -> float:
        start = clock()
        function()
        return clock() - start

    return [tuple(map(seconds, functions)) for _ in range(rounds + 1)][1:]


def ratios(rounds: Sequence[tuple[float, ...]], above: int, below: int) -> list[float]:
    """One function's seconds over another's, round by round."""
    return [seconds[above] / seconds[below] for seconds in rounds]


def spread(values: Sequence[float], unit: str = "") -> str:
    """The median, with the values that a quarter of them lie below and above, and how many."""
    unit, ordered = f" {unit}" if unit else "", sorted(values)
    quarter = len(ordered) // 4
    low, high = ordered[quarter], ordered[-1 - quarter]
    median = figure(statistics.median(ordered))
    return f"{median}{unit} ({figure(low)} to {figure(high)}, of {len(ordered)})"


def figure(value: float) -> str:
    """Three digits, and no powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many threads for torch, inside this block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
