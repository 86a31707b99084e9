"""What a training step costs: against TransformerLens, and over the whole text run."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from unittest import mock

import torch
import torch.nn.functional as F

from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import copied_segment
from helpers.training import runs
from helpers.training.loop import TrainingConfig
from helpers.training.recipes import Recipe
from tests.benchmarks import Row, Settings, by_turns, ratios, spread, threads
from tests.benchmarks.machine import anatomy

SHAPES = {  # name: (model, sequences in a batch, threads)
    "default shape": (ModelConfig(n_ctx=48), 24, 1),
    "d_model 256": (ModelConfig(d_model=256, n_heads=8, d_head=32, n_ctx=128), 16, 1),
    "d_model 256, 2 threads": (ModelConfig(d_model=256, n_heads=8, d_head=32, n_ctx=128), 16, 2),
}


def train_step(
    model: torch.nn.Module, tokens: torch.Tensor, targets: torch.Tensor
) -> Callable[[], None]:
    """Forward, backward and AdamW (torch's fused one), for either kind of model, on a batch drawn
    beforehand."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        loss = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def step(settings: Settings) -> Iterator[Row]:
    """Rows: our tokens per second over TransformerLens', shape by shape."""
    for name, (cfg, batch, number) in SHAPES.items():
        with threads(number):
            yield compare(name, cfg, batch, settings)


def compare(name: str, cfg: ModelConfig, batch: int, settings: Settings) -> Row:
    """The model of TransformerLens has no normalization either; its biases and its positions in the
    stream stay."""
    from helpers import lens

    drawn = copied_segment(
        batch, cfg.n_ctx, cfg.d_vocab, torch.Generator().manual_seed(0), segment=16
    )
    ours, theirs = (
        train_step(model, *drawn[:2]) for model in (AttentionOnlyTransformer(cfg), lens.native(cfg))
    )
    ours()  # the first has more to do
    parts = anatomy(ours)
    rounds = by_turns([ours, theirs, parts.products], settings.rounds)
    seconds, _, products = map(statistics.median, zip(*rounds, strict=True))
    times, rate = ratios(rounds, 1, 0), batch * cfg.n_ctx / seconds
    limit = (
        f"{statistics.median(ratios(rounds, 1, 2)):.3g}: ours at the speed of its products, "
        f"{1e3 * products:.1f} ms; the rest of {parts.calls} calls takes "
        f"{1e3 * (seconds - products):.1f} ms"
    )
    return Row(
        f"training step, {name}: tokens/s over TransformerLens native",
        "2",
        f"{spread(times)}; ours {rate:,.0f} tokens/s, {1e3 * seconds:.1f} ms",
        statistics.median(times) >= 2,
        limit,
        tuple(times),
    )


def text(settings: Settings) -> Iterator[Row]:
    """Row: computed time to the head's birth on text: steps in the stored run times the step
    measured here, and reading."""
    measure = (
        "text run: reading, then training to prefix matching > 0.5 (computed: steps of the "
        "stored run x step time here)"
    )
    run = runs.load(runs.DATA / "runs" / "text")
    born = next(
        (entry["step"] for entry in run.history if max(map(max, entry["prefix_matching"])) > 0.5),
        None,
    )
    if born is None:
        yield Row(measure, "10 min", "the stored run has no such head", False)
        return
    with (
        threads(1),
        tempfile.TemporaryDirectory() as empty,
        mock.patch.dict(os.environ, INDUCTION_COURSE_CACHE=empty),
    ):
        start = time.perf_counter()
        trainer = Recipe(run.model, run.task, TrainingConfig(**run.training)).trainer()
        reading = time.perf_counter() - start
        trainer.step()
        products = anatomy(trainer.step).products
        rounds = by_turns([trainer.step, products], settings.rounds)
    steps, floors = zip(*rounds, strict=True)
    each, floor = statistics.median(steps), statistics.median(floors)
    minutes = tuple((reading + born * step) / 60 for step in steps)
    middle = statistics.median(minutes)
    parts = f"{reading:.0f} s of reading, {born} steps of {1e3 * each:.0f} ms"
    limit = f"{born * floor / 60:.1f} min: the products of as many steps ({floor / each:.0%})"
    said = f"{spread(minutes, 'min')}; {parts}"
    yield Row(measure, "10 min", said, middle <= 10, limit, minutes)
