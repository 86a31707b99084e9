"""The numbers that the course promises, measured on this machine: `python -m tests.benchmarks` (or
`make bench`).

Each row of the table has its target and says whether it was met. Two speeds are compared by turns,
round after round, so that a busy moment hits both alike; the ratio is the median over the rounds.
Seconds on a clock grow on a busy machine, so the seconds that the processor worked stand beside
them.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch


class Row(NamedTuple):
    """One line of the table. `met` is None where there is no target, or nothing was measured."""

    measure: str
    target: str
    measured: str
    met: bool | None

    def __str__(self) -> str:
        verdict = {True: "yes", False: "no", None: "-"}[self.met]
        return f"| {self.measure} | {self.target} | {self.measured} | {verdict} |"


HEADER = "| measure | target | measured here | met |\n|---|---|---|---|"


@dataclass(frozen=True)
class Settings:
    """How much to measure. The defaults take about six minutes on two idle cores."""

    births: int = 8  # seeds of the default run
    rivals: int = 5  # of these, how many TransformerLens trains on too
    patience: float = 12.0  # how many times our own seconds it gets
    seeds: int = 16
    budget: int | None = None  # steps of a run; None: the recipe's own
    rounds: int = 25  # of a comparison of training steps
    # sequences that all heads of the GPT-2-small shape are scored on: as many as heads.probe draws
    probes: int = 10
    discovery_rounds: int = 3
    small: bool = False  # a tiny shape in place of GPT-2 small
    segment_tokens: float = 9e6  # after which the copied segment is given up
    fresh: int = 3  # processes started to time an import or a first run


QUICK = Settings(
    births=3, rivals=1, seeds=4, rounds=9, probes=2, discovery_rounds=1, segment_tokens=1e6
)


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


def by_turns(functions: Sequence[Callable[[], object]], rounds: int) -> list[tuple[float, ...]]:
    """The seconds of each function, one tuple a round, after a round that is not counted."""

    def seconds(function: Callable[[], object]) -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return [tuple(map(seconds, functions)) for _ in range(rounds + 1)][1:]


def median_ratio(rounds: Sequence[tuple[float, ...]], above: int, below: int) -> float:
    """The median over the rounds of one function's seconds over another's."""
    return statistics.median(seconds[above] / seconds[below] for seconds in rounds)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many threads for torch, inside this block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
