"""What a real language model reads worse without its matching heads: every loss in windows of code,
with all heads, without the named ones, and without as many others.

A window is a stretch of one file of Python's standard library behind BOS, no two of one file, so
that windows are independent draws. Minutes a group, so the losses are stored.

    python -m helpers.experiments.reading
"""

import argparse
import io
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor
from tqdm import tqdm

from helpers.corpus.documents import read_documents
from helpers.files import write_atomically
from helpers.instruments import contexts, groups, heads, probes
from helpers.model import Head
from helpers.training import runs
from helpers.training.command import positive

FILE = runs.DATA / "reading.npz"
COMMON = range(1_000, 20_000)  # the probe's ids: neither the commonest tokens nor the rarest
WINDOWS, LENGTH, DRAWS = 48, 512, 3


class Readings(NamedTuple):
    """Losses in nats. `tokens` open with BOS; `others` has one entry for each random group."""

    tokens: Int[Tensor, "window pos"]
    group: list[Head]
    intact: Float[Tensor, "window row"]
    named: Float[Tensor, "window row"]
    others: Float[Tensor, "draw window row"]


def windows(
    model, count: int = WINDOWS, length: int = LENGTH, seed: int = 0
) -> Int[Tensor, "window pos"]:
    """Stretches of different files, drawn at random. ValueError when not so many are long
    enough."""
    generator = Generator().manual_seed(seed)
    documents, found = read_documents(), []
    bos = probes.special_ids(model)["bos"]
    for at in torch.randperm(len(documents), generator=generator).tolist():
        ids = model.tokenizer(documents[at].text, add_special_tokens=False)["input_ids"]
        if len(ids) < length:
            continue
        start = int(torch.randint(len(ids) - length + 2, (1,), generator=generator))
        found.append([bos, *ids[start : start + length - 1]])
        if len(found) == count:
            return torch.tensor(found)
    raise ValueError(
        f"{len(found)} files of the standard library have {length} tokens or more, and {count} "
        "were asked for; ask for fewer, or for shorter windows"
    )


def measure(
    model, tokens: Int[Tensor, "window pos"], group: list[Head], draws: int = DRAWS, seed: int = 0
) -> Readings:
    """Every loss of every window, heads set to zero and all behind them computed anew."""
    others = groups.random_groups(model, group, draws, Generator().manual_seed(seed))

    def without(some: list[Head]) -> Float[Tensor, "window row"]:
        hooks = heads.zero_heads(model, some)
        pairs = tqdm(tokens.split(2), f"without {len(some)} heads", leave=False)
        return torch.cat([contexts.losses(model, pair, hooks) for pair in pairs])

    return Readings(
        tokens,
        group,
        without([]),
        without(group),
        torch.stack([without(other) for other in others]),
    )


class Drawn(NamedTuple):
    """A number drawn from the windows, and where 95 of 100 redraws of them lie."""

    part: float
    low: float
    high: float


def interval(values: Float[Tensor, " window"]) -> Drawn:
    """The mean of all windows."""
    return share(values, -torch.ones_like(values))


def share(
    lost: Float[Tensor, " window"], gain: Float[Tensor, " window"], draws: int = 2000, seed: int = 0
) -> Drawn:
    """Which part of the mean gain of all windows is lost. `gain` as `contexts.worth` gives it,
    negative where a context helps."""
    again = torch.randint(len(gain), (draws, len(gain)), generator=Generator().manual_seed(seed))
    parts = lost[again].mean(1) / -gain[again].mean(1)
    low, high = parts.quantile(torch.tensor([0.025, 0.975])).tolist()
    return Drawn((lost.mean() / -gain.mean()).item(), low, high)


def load(path: Path = FILE) -> Readings:
    """What is stored."""
    with np.load(path, allow_pickle=False) as stored:
        losses = {
            name: torch.from_numpy(stored[name]).float() for name in ("intact", "named", "others")
        }
        group = [tuple(at) for at in stored["group"].tolist()]
        return Readings(torch.from_numpy(stored["tokens"]).long(), group, **losses)


def save(found: Readings, path: Path = FILE) -> None:
    """Losses in half precision, and what made them (`about`, JSON)."""
    arrays = {
        name: getattr(found, name).numpy().astype(np.float16)
        for name in ("intact", "named", "others")
    }
    about = dict(command="python -m helpers.experiments.reading", versions=runs.versions())
    content = io.BytesIO()
    np.savez_compressed(
        content,
        tokens=found.tokens.numpy().astype(np.uint16),
        group=np.array(found.group),
        about=np.array(json.dumps(about)),
        **arrays,
    )
    write_atomically(path, content.getvalue())


def main(arguments: list[str] | None = None) -> None:
    """The command line: reads everything that `data/reading.npz` holds."""
    parser = argparse.ArgumentParser(
        "python -m helpers.experiments.reading", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--windows", type=positive, default=WINDOWS)
    parser.add_argument("--draws", type=positive, default=DRAWS, help="random groups")
    given = parser.parse_args(arguments)
    from helpers import lens  # seconds

    model = lens.language_model("real")
    report = heads.discover(model, ids=COMMON, ablate=False)
    tokens = windows(model, given.windows)
    save(measure(model, tokens, groups.matching(report), given.draws), given.out)
    runs.update_manifest(given.out)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
