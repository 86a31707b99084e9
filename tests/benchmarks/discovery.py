"""Scoring all heads of a big model: against caching every activation and asking TransformerLens'
head detector, and, of a real one, against a plain forward pass.

No scorer that runs the model can be faster than `attending`: the forward pass up to the last layer
that attends, and nothing else.

`python -m tests.benchmarks.discovery WAY SEQUENCES` prints the megabytes that one way adds to the
memory of a fresh process.
"""

import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import psutil
import torch

from helpers import real_model
from helpers.instruments import heads, weights
from helpers.instruments.probes import special_ids
from helpers.model import ModelConfig
from tests.benchmarks import Row, Settings, by_turns, ratios, spread, threads
from tests.course import ROOT

GPT2_SMALL = dict(n_layers=12, n_heads=12, d_model=768, d_head=64, n_ctx=1024, d_vocab=50257)
SMALL = dict(n_layers=2, n_heads=2, d_model=32, d_head=16, n_ctx=128, d_vocab=500)
PATTERNS = ("induction_head", "previous_token_head")
TIME, MEMORY, OVER_A_PASS = 0.6, 1 / 3, 1.2  # the targets


def build(small: bool):
    """A bridge of GPT-2 small's shape, MLPs included, with random weights."""
    from helpers import lens

    shape = SMALL if small else GPT2_SMALL
    extra = dict(
        attn_only=False, d_mlp=4 * shape["d_model"], act_fn="gelu_new", normalization_type="LN"
    )
    return lens.native(ModelConfig(**shape), **extra)


def ours(model, tokens) -> None:
    heads.score(model, tokens)


@torch.no_grad()
def all_at_once(model, tokens) -> None:
    """One forward pass over all sequences, as ours, with everything cached; then the detector,
    sequence by sequence."""
    cache = model.run_with_cache(tokens)[1]
    for number, sequence in enumerate(tokens):
        detect(model, sequence, cache.apply_slice_to_batch_dim(number))


@torch.no_grad()
def one_by_one(model, tokens) -> None:
    """The detector's own way: each sequence is run and cached by itself, which needs less memory
    and more time."""
    for sequence in tokens:
        detect(model, sequence, model.run_with_cache(sequence[None], remove_batch_dim=True)[1])


class Reached(Exception):
    """The forward pass has come to the last layer that attends."""


@torch.no_grad()
def attending(model, tokens) -> None:
    """The forward pass up to the values that the last layer's heads bring: the least that a scorer
    of all heads has to run."""

    def stop(z, hook):
        raise Reached

    last = weights.attending_layers(model)[-1]
    try:
        model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{last}.attn.hook_z", stop)])
    except Reached:
        pass


@torch.no_grad()
def plain(model, tokens) -> None:
    """A forward pass, and nothing else."""
    model(tokens)


def detect(model, sequence, cache) -> dict:
    """The detector's scores, by the name of its pattern. It wants text; here the tokens are handed
    through."""
    from transformer_lens.head_detector import detect_head

    passes_tokens_on = SimpleNamespace(cfg=model.cfg, to_tokens=lambda tokens: tokens[None])
    return {
        pattern: detect_head(passes_tokens_on, sequence, pattern, cache=cache)
        for pattern in PATTERNS
    }


WAYS: dict[str, Callable] = {
    way.__name__: way for way in (ours, all_at_once, one_by_one, attending, plain)
}


def discover(settings: Settings) -> Iterator[Row]:
    """Rows: our time and our peak memory over those of the two ways to use the detector."""
    ways = ("ours", "all_at_once", "one_by_one", "attending")
    with threads(1):
        model = build(settings.small)
        rounds = timed(
            model, heads.probe(model.cfg.d_vocab, model.cfg.n_ctx, settings.probes), ways, settings
        )
    memory = [added_memory(way, settings) for way in ways]
    shape = (
        f"all heads of a {'tiny' if settings.small else 'GPT-2-small-shaped'} bridge, "
        f"{settings.probes} sequences"
    )
    for number, cached in enumerate(("all sequences at once", "one sequence after the other"), 1):
        against = f"{shape}, over caching everything of {cached} and calling detect_head"
        yield time_row(f"time: {against}", TIME, rounds, number)
        mine, theirs, least = (memory[at] for at in (0, number, -1))
        yield Row(
            f"peak memory: {against}",
            f"{MEMORY:.2f}",
            f"{mine / theirs:.2f} ({mine:.0f} MB to {theirs:.0f} MB)",
            mine / theirs <= MEMORY,
            f"{least / theirs:.2f}: the forward pass alone, up to the last head",
        )


def real(settings: Settings) -> Iterator[Row]:
    """Row: our time for all heads of the real model over a plain pass of the same tokens."""
    measure = f"time: all heads of the 135M model, {settings.probes} sequences, over a plain pass"
    if not real_model.is_installed():
        yield Row(measure, str(OVER_A_PASS), "no real model here: make wild adds it", None)
        return
    from helpers import lens

    with threads(1):
        model = lens.language_model()
        cfg, special = model.cfg, special_ids(model)
        tokens = heads.probe(cfg.d_vocab, cfg.n_ctx, settings.probes, **special)
        rounds = timed(model, tokens, ("ours", "plain", "attending"), settings)
    yield time_row(measure, OVER_A_PASS, rounds, 1)


def timed(model, tokens, ways: tuple[str, ...], settings: Settings) -> list[tuple[float, ...]]:
    """The seconds of these ways by turns."""
    return by_turns([partial(WAYS[way], model, tokens) for way in ways], settings.pairs)


def time_row(measure: str, target: float, rounds: list[tuple[float, ...]], number: int) -> Row:
    """Ours stands first in a round, `attending` last."""
    shares, least = ratios(rounds, 0, number), statistics.median(ratios(rounds, -1, number))
    mine, theirs, floor = (statistics.median(turn[at] for turn in rounds) for at in (0, number, -1))
    return Row(
        measure,
        f"{target:.2f}",
        f"{spread(shares)}; {mine:.1f} s to {theirs:.1f} s",
        statistics.median(shares) <= target,
        f"{least:.2f}: the forward pass alone, up to the last head, {floor:.1f} s",
        tuple(shares),
    )


def added_memory(way: str, settings: Settings) -> float:
    """By how many megabytes a fresh process grows at the most while it scores, once the model
    stands."""
    given = [way, str(settings.probes), *["small"] * settings.small]
    command = [sys.executable, "-m", "tests.benchmarks.discovery", *given]
    return float(
        subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    )


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """A list that holds, after the block, the megabytes by which this process had grown when it was
    largest in it."""
    process, done, grown = psutil.Process(), threading.Event(), [0.0]
    start = process.memory_info().rss

    def look() -> None:
        while not done.wait(0.002):
            grown[0] = max(grown[0], (process.memory_info().rss - start) / 1e6)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield grown
    finally:
        done.set()
        watcher.join()


def main() -> None:
    way, sequences, *small = sys.argv[1:]
    torch.set_num_threads(1)
    model = build(bool(small))
    tokens = heads.probe(model.cfg.d_vocab, model.cfg.n_ctx, int(sequences))
    WAYS[way](model, tokens[:1, :24])  # what is imported and set up once is not this way's memory
    with peak_memory() as grown:
        WAYS[way](model, tokens)
    print(grown[0])


if __name__ == "__main__":
    main()
