"""What notebook 07 reads out of the stored trainings of `privileged`: the runs of one setting,
their kurtosis at equal loss, and what the coordinates that stick out are worth to the model.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.experiments.privileged import KEPT, POINTS, model_of
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import Batch, cross_entropy
from helpers.training.sweeps import Sweep

EMBEDDING, LAST = 0, len(POINTS) - 1  # where the stream begins and where it ends


def records(
    sweep: Sweep, kind: Literal["twins", "grow", "rounding"], **setting: Any
) -> list[dict[str, Any]]:
    """The records of one kind with this setting, such as optimizer="AdamW", lr=0.01: a record a
    seed, in the order in which they are stored. ValueError when there is none."""
    same_kind = [record for record in sweep.results if record["kind"] == kind]
    found = [record for record in same_kind if setting.items() <= record.items()]
    if not found:
        there = {", ".join(f"{key}={record.get(key)}" for key in setting) for record in same_kind}
        raise ValueError(
            f"no record of {kind} has {setting}; there are: {'; '.join(sorted(there)) or 'none'}"
        )
    return found


def kurtosis(
    trainings: Sequence[dict[str, Any]],
    coordinates: Literal["used", "turned", "stored"] = "used",
    point: int = LAST,
) -> list[float]:
    """The kurtosis of the stream at the end of each training. `coordinates` as in
    `privileged.grow`."""
    return [training["history"][-1][coordinates][point] for training in trainings]


def at_loss(trainings: Sequence[dict[str, Any]], loss: float) -> list[float]:
    """The kurtosis of the last stream at the first snapshot of each training whose held-out loss is
    at most this (nats). A training that never gets there is left out."""
    first = [
        next((entry for entry in training["history"] if entry["loss"] <= loss), None)
        for training in trainings
    ]
    return [entry["used"][LAST] for entry in first if entry]


def kept_models(sweep: Sweep) -> dict[str, dict[int, AttentionOnlyTransformer]]:
    """The trained models whose weights were kept, by optimiser and seed."""
    return {
        optimizer: {
            record["seed"]: model_of(sweep, optimizer, lr, record["seed"])
            for record in records(sweep, "grow", optimizer=optimizer, lr=lr, stored="as used")
        }
        for optimizer, lr in KEPT
    }


def apart(gap: float) -> str:
    """Whether twins whose losses differ by up to `gap` (nats) are the same model still."""
    if gap < 1e-5:
        return "together, to less than 1e-5 nats"
    return "apart, by more than 1e-3 nats" if gap > 1e-3 else "in between"


# ---- coordinates that stick out


def loud(x: Float[Tensor, "*batch d_model"], share: float = 0.5) -> list[int]:
    """The fewest coordinates that carry this share of the squared length, the loudest first."""
    squares = x.square().flatten(0, -2).mean(0).sort(descending=True)
    carried = squares.values.cumsum(0) / squares.values.sum()
    return squares.indices[: int((carried < share).sum()) + 1].tolist()


@torch.no_grad()
def loss_without(
    model: AttentionOnlyTransformer,
    batch: Batch,
    coordinates: Collection[int],
    instead: Literal["zero", "mean"] = "zero",
) -> float:
    """Mean loss per token (nats) with these coordinates of the last stream at zero, or at their
    mean over all tokens, wherever the unembedding reads them."""
    where = list(coordinates)

    def silence(x, hook):
        x = x.clone()
        x[..., where] = x[..., where].mean((0, 1)) if instead == "mean" else 0.0
        return x

    return cross_entropy(
        model.run_with_hooks(batch.tokens, [(POINTS[LAST], silence)]), batch.targets
    ).item()


def random_others(
    coordinates: Collection[int], d_model: int, draws: int, generator: torch.Generator
) -> list[list[int]]:
    """As many coordinates as these, drawn from all the others, over and over."""
    others = torch.tensor([i for i in range(d_model) if i not in coordinates])
    return [
        others[torch.randperm(len(others), generator=generator)[: len(coordinates)]].tolist()
        for _ in range(draws)
    ]


# ---- over models


def rank_correlation(first: Collection[float], second: Collection[float]) -> float:
    """Spearman's: the correlation of the ranks, for values without ties."""
    ranks = torch.tensor([first, second]).argsort().argsort().double()
    return torch.corrcoef(ranks)[0, 1].item()
