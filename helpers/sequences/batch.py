"""What a batch is: token ids, the answers to them, and the rows on which the task settles the
answer; the loss over such rows, and how ids are drawn."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

BOS = 0
TokenIds = Sequence | np.ndarray | Tensor  # of whole numbers


class Batch(NamedTuple):
    """Sequences, the next token at each of their rows, and the rows that the task's rule
    determines."""

    tokens: Int[Tensor, "batch n_ctx"]
    targets: Int[Tensor, "batch n_ctx"]
    determined: Bool[Tensor, "batch n_ctx"]


def token_ids(values: TokenIds, name: str = "tokens") -> Int[Tensor, "..."]:
    """As int64. ValueError for what is not whole numbers, with this name for it."""
    try:
        given = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:  # of words, or of rows unequal in length
        raise ValueError(
            f"{name} cannot be made into a tensor ({error}); expected whole numbers, in rows of "
            "one length"
        ) from error
    ids = given.long()
    if given.dtype == torch.bool or not torch.equal(ids.to(given.dtype), given):
        raise ValueError(
            f"{name} holds {given.dtype}, {given.flatten()[:3].tolist()}, ...; "
            "expected whole numbers, the ids of tokens"
        )
    return ids


def cross_entropy(
    logits: Float[Tensor, "*batch pos d_vocab"],
    targets: Int[Tensor, "*batch pos"],
    rows: Bool[Tensor, "*batch pos"] | None = None,
) -> Float[Tensor, ""]:
    """Mean loss in nats, -log p(target), over the marked rows: those that a task determines, or
    those whose token has occurred before. `rows` None: over all. ValueError when no row is
    marked."""
    if rows is None:
        logits, targets = logits.flatten(0, -2), targets.flatten()
    elif rows.any():
        logits, targets = logits[rows], targets[rows]
    else:
        raise ValueError(
            "`rows` marks no row, so there is no loss to take; mark some, or leave it out for all"
        )
    return F.cross_entropy(logits, targets.to(logits.device))


def after_bos(body: Tensor, determined: Tensor) -> Batch:
    """BOS in front of a body of n_ctx tokens: token i of the body is what row i asks for."""
    return Batch(F.pad(body, (1, 0), value=BOS)[:, :-1], body, determined)


# ---- draws


def permutations(batch: int, d_vocab: int, generator: Generator) -> Int[Tensor, "batch ids"]:
    """All ids but BOS, in a random order for every sequence."""
    return (
        torch.rand(batch, d_vocab - 1, generator=generator, device=generator.device).argsort(-1) + 1
    )


def choose(
    options: Sequence[int], batch: int, generator: Generator, count: int = 1
) -> Int[Tensor, "batch count"]:
    index = torch.randint(
        len(options), (batch, count), generator=generator, device=generator.device
    )
    return torch.tensor(options, device=generator.device)[index]


def seen_before(tokens: Int[Tensor, "batch n_ctx"]) -> Bool[Tensor, "batch n_ctx"]:
    return (tokens[:, :, None] == tokens[:, None, :]).tril(-1).any(-1)
