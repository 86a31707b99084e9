"""What a training step costs: against TransformerLens, against bare matrix products, and over the
whole text run."""

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
from tests.benchmarks import Row, Settings, by_turns, median_ratio, threads

SHAPES = {  # name: (model, sequences in a batch, threads)
    "default shape": (ModelConfig(n_ctx=48), 24, 1),
    "d_model 256": (ModelConfig(d_model=256, n_heads=8, d_head=32, n_ctx=128), 16, 1),
    "d_model 256, 2 threads": (ModelConfig(d_model=256, n_heads=8, d_head=32, n_ctx=128), 16, 2),
}
WIDE = "d_model 256"


def step_flops(cfg: ModelConfig, batch: int) -> int:
    """Multiplications and additions in the matrix products of one training step.

    Forward, per token: queries, keys, values and output, 4 products of 2 d_model n_heads d_head in
    each layer; scores and weighted values, 2 products of 2 n_heads d_head for each key that a
    causal row may see, (n_ctx + 1) / 2 on average; logits, 2 d_model d_vocab. Backward: twice that,
    for the gradients of both factors. Nothing else is counted: no softmax, no look-up, no
    optimiser, and no product that an implementation does twice or on masked keys.
    """
    width = cfg.n_heads * cfg.d_head
    layer = 4 * 2 * cfg.d_model * width + 2 * 2 * width * (cfg.n_ctx + 1) / 2
    return round(3 * batch * cfg.n_ctx * (cfg.n_layers * layer + 2 * cfg.d_model * cfg.d_vocab))


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


def products(cfg: ModelConfig, batch: int) -> Callable[[], None]:
    """As many multiplications and additions as in a training step, all of them in the product that
    dominates it: the stream of all tokens [batch * n_ctx, d_model] with a [d_model, n_heads *
    d_head] matrix."""
    stream, matrix = (
        torch.randn(batch * cfg.n_ctx, cfg.d_model),
        torch.randn(cfg.d_model, cfg.n_heads * cfg.d_head),
    )
    rows = round(step_flops(cfg, batch) / (2 * matrix.numel()))
    parts = [stream] * (rows // len(stream)) + [stream[: rows % len(stream)]]
    out = torch.empty(len(stream), matrix.shape[1])  # made once: nothing is timed but the products

    def multiply() -> None:
        for part in parts:
            torch.mm(part, matrix, out=out[: len(part)])

    return multiply


def step(settings: Settings) -> Iterator[Row]:
    """Rows: our tokens per second over TransformerLens', and our share of the speed of matrix
    products."""
    for name, (cfg, batch, number) in SHAPES.items():
        with threads(number):
            yield from compare(name, cfg, batch, settings)


def compare(name: str, cfg: ModelConfig, batch: int, settings: Settings) -> Iterator[Row]:
    """The rows of one shape. The model of TransformerLens has no normalization either; its biases
    and its positions in the stream stay."""
    from helpers import lens

    drawn = copied_segment(
        batch, cfg.n_ctx, cfg.d_vocab, torch.Generator().manual_seed(0), segment=16
    )
    ours, theirs = (
        train_step(model, *drawn[:2]) for model in (AttentionOnlyTransformer(cfg), lens.native(cfg))
    )
    multiply = products(cfg, batch)
    rounds = by_turns([ours, theirs, multiply], settings.rounds)
    seconds, ratio = statistics.median(turn[0] for turn in rounds), median_ratio(rounds, 1, 0)
    rate = f"{batch * cfg.n_ctx / seconds:,.0f} tokens/s, {1e3 * seconds:.1f} ms"
    yield Row(
        f"training step, {name}: tokens/s over TransformerLens native",
        "2",
        f"{ratio:.2f} (ours: {rate})",
        ratio >= 2,
    )
    if name.startswith(WIDE):
        share = median_ratio(rounds, 2, 0)
        product = step_flops(cfg, batch) / statistics.median(turn[2] for turn in rounds) / 1e9
        yield Row(
            f"training step, {name}: share of the speed of matrix products",
            "60%",
            f"{share:.0%} (of {product:.0f} GFLOP/s)",
            share >= 0.6,
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
        each = statistics.median(turn[0] for turn in by_turns([trainer.step], settings.rounds))
    minutes = (reading + born * each) / 60
    parts = f"{reading:.0f} s of reading, {born} steps of {1e3 * each:.0f} ms"
    yield Row(measure, "10 min", f"{minutes:.1f} min ({parts})", minutes <= 10)
