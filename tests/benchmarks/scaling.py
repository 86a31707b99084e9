"""How a training step and `discover` grow with the model: `python -m tests.benchmarks.scaling`
measures both against heads, layers, context and width, and writes the numbers, the picture and the
words of README.

Seconds are the processor's, medians over rounds in which all sizes take turns. Memory is that of
the tensors that are alive at once beyond what was there before: it is counted, not sampled, so it
is the same on every machine.
"""

import json
import statistics
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helpers import plotting
from helpers.course import build
from helpers.files import write_atomically
from helpers.instruments import heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.plotting.core import png
from helpers.plotting.scaling import Costs, exponent
from helpers.training.recipes import RECIPES
from helpers.training.runs import DATA
from tests.benchmarks import by_turns, figure, threads

SIZES = {
    "heads": (2, 4, 8, 16, 32),
    "layers": (1, 2, 4, 8, 16),
    "context": (32, 64, 128, 256, 512),
    "width": (32, 64, 128, 256, 512),
}
SMALLEST = ModelConfig()  # and from here one size at a time grows
ROUNDS = 5
NUMBERS, PICTURE = DATA / "scaling.json", DATA / "scaling.png"
BEGIN, END = "<!-- scaling:begin -->", "<!-- scaling:end -->"


def shape(name: str, size: int) -> ModelConfig:
    """The course's default shape with one size of its own; a head is a quarter of the width."""
    grown = dict(
        heads=dict(n_heads=size),
        layers=dict(n_layers=size),
        context=dict(n_ctx=size),
        width=dict(d_model=size, d_head=size // 4),
    )
    return replace(SMALLEST, **grown[name])


def training_step(cfg: ModelConfig) -> Callable[[], object]:
    """A step as the default run takes them: its data, its batch, its optimisers."""
    default = RECIPES["two_layers"]
    options = dict(n_ctx=cfg.n_ctx, d_vocab=cfg.d_vocab)
    return replace(default, model=cfg, task=default.task | dict(options=options)).trainer().step


def discovery(cfg: ModelConfig) -> Callable[[], object]:
    """All heads scored, and each ablated, on 10 sequences of at most 101 tokens."""
    return partial(heads.discover, AttentionOnlyTransformer(cfg), ablate=True)


WORK = {"a training step": training_step, "discover": discovery}


class Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that are made under it: `most` were alive at once."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.known = weakref.WeakSet()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = {id(one.untyped_storage()) for one in tree_leaves((args, kwargs)) if is_tensor(one)}
        result = function(*args, **kwargs or {})
        for storage in (one.untyped_storage() for one in tree_leaves(result) if is_tensor(one)):
            if storage not in self.known and id(storage) not in given:
                self.known.add(storage)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self.let_go, storage.nbytes())
        return result

    def let_go(self, size: int) -> None:
        self.now -= size


def is_tensor(one: object) -> bool:
    return isinstance(one, torch.Tensor)


def memory(function: Callable[[], object]) -> int:
    """The bytes of all tensors that are alive at once while it runs, beyond those before. Once
    before, for what is made once."""
    function()
    with Alive() as alive:
        function()
    return alive.most


def measure(rounds: int = ROUNDS) -> dict[str, dict[str, dict[str, list[float]]]]:
    """By the work and what grows: seconds and bytes at each size."""
    found = {}
    with threads(1):
        for work, make in WORK.items():
            found[work] = {}
            for name, sizes in SIZES.items():
                functions = [make(shape(name, size)) for size in sizes]
                seconds = zip(*by_turns(functions, rounds, time.process_time), strict=True)
                found[work][name] = dict(
                    sizes=list(sizes),
                    seconds=[float(f"{statistics.median(one):.3g}") for one in seconds],
                    bytes=[memory(function) for function in functions],
                )
    return found


class Cost(NamedTuple):
    """What is told of each work: by its name in the numbers, in units of so much."""

    key: str
    unit: str
    of_one: float


COSTS = (Cost("seconds", "ms", 1e-3), Cost("bytes", "MB", 1e6))


def panels(found: Mapping) -> dict[str, Costs]:
    """By work and cost: for each size that grows its values, and what each cost."""
    return {
        f"{work} ({cost.unit})": {
            name: (of["sizes"], [value / cost.of_one for value in of[cost.key]])
            for name, of in grown.items()
        }
        for cost in COSTS
        for work, grown in found.items()
    }


def words(found: Mapping) -> str:
    """README's part: the picture with its sentence, and a row a size."""
    told = panels(found)
    lines = [
        f"![{plotting.growth(told)[1]}]({PICTURE.relative_to(build.ROOT).as_posix()})",
        "",
        f"| what grows | {' | '.join(f'{title}, exponent' for title in told)} |",
        "|---" * (1 + len(told)) + "|",
    ]
    for name in SIZES:
        sizes, _ = told[next(iter(told))][name]
        cells = [f"{name}, {sizes[0]} to {sizes[-1]}"]
        for costs in told.values():
            values = costs[name][1]
            ends = f"{figure(values[0])} to {figure(values[-1])}"
            cells.append(f"{ends}, {exponent(sizes, values)}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_words(readme: str, found: Mapping) -> str:
    """The text of README with these words between their marks."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{words(found)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    found = measure()
    write_atomically(NUMBERS, json.dumps(found, indent=1).encode())
    write_atomically(PICTURE, png(plotting.growth(panels(found))[0]))
    readme = build.README.read_text(encoding="utf-8")
    write_atomically(build.README, with_words(readme, found).encode())
    print(words(found))


if __name__ == "__main__":
    main()
