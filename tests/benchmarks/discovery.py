"""Scoring all heads of a big model, against caching every activation and asking TransformerLens'
head detector.

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

from helpers.instruments import heads
from helpers.model import ModelConfig
from tests.benchmarks import Row, Settings, by_turns, median_ratio, threads
from tests.course import ROOT

GPT2_SMALL = dict(n_layers=12, n_heads=12, d_model=768, d_head=64, n_ctx=1024, d_vocab=50257)
SMALL = dict(n_layers=2, n_heads=2, d_model=32, d_head=16, n_ctx=128, d_vocab=500)
PATTERNS = ("induction_head", "previous_token_head")


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


def detect(model, sequence, cache) -> dict:
    """The detector's scores, by the name of its pattern. It wants text; here the tokens are handed
    through."""
    from transformer_lens.head_detector import detect_head

    passes_tokens_on = SimpleNamespace(cfg=model.cfg, to_tokens=lambda tokens: tokens[None])
    return {
        pattern: detect_head(passes_tokens_on, sequence, pattern, cache=cache)
        for pattern in PATTERNS
    }


WAYS: dict[str, Callable] = {way.__name__: way for way in (ours, all_at_once, one_by_one)}


def discover(settings: Settings) -> Iterator[Row]:
    """Rows: our time and our peak memory over those of the two ways to use the detector."""
    rounds = timed(settings)
    memory = [added_memory(way, settings) for way in WAYS]
    shape = (
        f"all heads of a {'tiny' if settings.small else 'GPT-2-small-shaped'} bridge, "
        f"{settings.probes} sequences"
    )
    for number, cached in enumerate(("all sequences at once", "one sequence after the other"), 1):
        against = f"{shape}, over caching everything of {cached} and calling detect_head"
        share = median_ratio(rounds, 0, number)
        mine, theirs = (statistics.median(seconds[at] for seconds in rounds) for at in (0, number))
        yield Row(
            f"time: {against}",
            "0.50",
            f"{share:.2f} ({mine:.1f} s to {theirs:.1f} s)",
            share <= 0.5,
        )
        mine, theirs = memory[0], memory[number]
        measured = f"{mine / theirs:.2f} ({mine:.0f} MB to {theirs:.0f} MB)"
        yield Row(f"peak memory: {against}", "0.33", measured, mine / theirs <= 1 / 3)


def timed(settings: Settings) -> list[tuple[float, ...]]:
    """The seconds of all ways by turns, on one thread."""
    with threads(1):
        model = build(settings.small)
        tokens = probe(model.cfg, settings.probes)
        return by_turns(
            [partial(way, model, tokens) for way in WAYS.values()], settings.discovery_rounds
        )


def probe(cfg, sequences: int):
    """So many of the course's probe sequences."""
    return heads.probe(cfg.d_vocab, cfg.n_ctx, sequences)


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
    tokens = probe(model.cfg, int(sequences))
    WAYS[way](model, tokens[:1, :24])  # what is imported and set up once is not this way's memory
    with peak_memory() as grown:
        WAYS[way](model, tokens)
    print(grown[0])


if __name__ == "__main__":
    main()
