"""What this machine can do at best: the limits beside which the course's speeds are read.

A step cannot be faster than its matrix products. They are not computed from counts but found: one
step is run while every call of torch is noted, and the products among them are run again, alone.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.benchmarks import Row, Settings, by_turns, spread, threads
from tests.course import ROOT

SQUARE = 1024  # of the products that show the best speed there is
SHAPES = {  # of the product that dominates a step: tokens, d_model, n_heads * d_head
    "of the default step": (24 * 48, 64, 64),
    "of a step at d_model 256": (16 * 128, 256, 256),
    "of GPT-2 small's MLP, ten sequences of the probe": (10 * 101, 768, 3072),
    "as fast as they get": (SQUARE, SQUARE, SQUARE),
}
COPIED = 16_000_000  # numbers in single precision: more than any cache holds
CALLS = 1000


class Anatomy(NamedTuple):
    """What a function asks of torch: its matrix products and fused attention, to run again, and how
    many calls it makes in all, views included."""

    products: Callable[[], None]
    calls: int


class Noted(TorchDispatchMode):
    """Notes every call of torch that is made under it, backward passes included."""

    def __init__(self):
        super().__init__()
        self.calls: list[tuple] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls.append((function, args, kwargs or {}))
        return function(*args, **kwargs or {})


def is_product(function: torch._ops.OpOverload) -> bool:
    name = function.overloadpacket.__name__
    return name in ("mm", "bmm", "addmm", "baddbmm") or "scaled_dot_product" in name


def anatomy(function: Callable[[], object]) -> Anatomy:
    """Run the function once, and take it apart."""
    with Noted() as noted:
        function()
    calls = [call for call in noted.calls if is_product(call[0])]

    @torch.no_grad()
    def products() -> None:
        for function, args, kwargs in calls:
            function(*args, **kwargs)

    return Anatomy(products, len(noted.calls))


def product(rows: int, inner: int, columns: int) -> Callable[[], None]:
    """One product, into a place that is made once."""
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    out = torch.empty(rows, columns)
    return lambda: torch.mm(left, right, out=out)


def small_calls() -> None:
    """Many calls of torch on a single number."""
    number = torch.zeros(1)
    for _ in range(CALLS):
        number.add_(1)


def machine(settings: Settings) -> Iterator[Row]:
    """Rows: products, copies, one call of torch, and the start of a process that has torch. They
    are limits, so they have no targets."""
    source = torch.randn(COPIED)  # read, then written
    target = torch.empty_like(source)
    functions = [product(*shape) for shape in SHAPES.values()]
    with threads(1):
        *products, copies, calls = zip(
            *by_turns([*functions, lambda: target.copy_(source), small_calls], settings.rounds),
            strict=True,
        )
    for (name, (rows, inner, columns)), seconds in zip(SHAPES.items(), products, strict=True):
        speeds = [2 * rows * inner * columns / taken / 1e9 for taken in seconds]
        measure = f"machine: matrix products {name}, {rows} x {inner} x {columns}, one thread"
        yield limit(measure, speeds, "GFLOP/s")
    moved = [2 * 4 * COPIED / taken / 1e9 for taken in copies]
    yield limit("machine: memory copied, read and written, one thread", moved, "GB/s")
    each = [1e6 * taken / CALLS for taken in calls]
    yield limit("machine: one call of torch from Python, on a single number", each, "us")
    starts = [start for (start,) in by_turns([import_torch], settings.pairs)]
    yield limit("machine: a process starts and imports torch", starts, "s")


def limit(measure: str, values: list[float], unit: str) -> Row:
    return Row(measure, "none: a limit", spread(values, unit), None, samples=tuple(values))


def import_torch() -> None:
    """A process starts, imports torch, and ends."""
    subprocess.run([sys.executable, "-c", "import torch"], check=True, cwd=ROOT)
