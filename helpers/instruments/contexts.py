"""What a context is worth: the loss by position, and by whether the text itself had the answer.

A row's token may have stood before, and what followed its latest earlier copy may come next again:
then a copy is possible, and right. Induction heads can help there and nowhere else.

Source: Olsson et al. 2022, In-context Learning and Induction Heads, "In-context learning score".
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from helpers.corpus.copying import copied, latest_copies, spans
from helpers.instruments.heads import zero_heads
from helpers.instruments.weights import in_single
from helpers.model import Head


class Copies(NamedTuple):
    """Of each row whose next token is known: is the latest copy right, or only an earlier one, or
    none of them, or is there nothing to copy from? Exactly one of the four."""

    right: Bool[Tensor, "batch row"]
    earlier: Bool[Tensor, "batch row"]
    wrong: Bool[Tensor, "batch row"]
    none: Bool[Tensor, "batch row"]


def copies(tokens: Int[Tensor, "batch pos"]) -> Copies:
    """What followed each row's token where it stood before, beside what follows it now. Token 0 of
    each sequence is BOS and a copy of nothing."""
    possible, right = copied(tokens[:, :-1], tokens[:, 1:])
    some = latest_copies(spans(tokens, 2))[:, 1:] >= 0  # the pair of both stands earlier
    return Copies(right, some & ~right, possible & ~some, ~possible)


@torch.no_grad()
def log_probabilities(
    model, tokens: Int[Tensor, "batch pos"], fwd_hooks: Sequence = ()
) -> Float[Tensor, "batch row d_vocab"]:
    """What every row whose next token is known expects there (nats)."""
    logits = model.run_with_hooks(tokens.to(model.W_U.device), fwd_hooks=list(fwd_hooks))
    return in_single(logits)[:, :-1].log_softmax(-1)


def losses(
    model, tokens: Int[Tensor, "batch pos"], fwd_hooks: Sequence = ()
) -> Float[Tensor, "batch row"]:
    """The loss (nats) of every row whose next token is known."""
    expected = log_probabilities(model, tokens, fwd_hooks)
    return -expected.gather(-1, tokens[:, 1:, None].to(expected.device))[..., 0]


def savings(
    model, tokens: Int[Tensor, "batch pos"], without: Sequence[Head]
) -> Float[Tensor, "batch row"]:
    """The loss (nats) that these heads save, row by row: the loss without them, their outputs set
    to zero and all that follows recomputed, less the loss with them."""
    return losses(model, tokens, zero_heads(model, without)) - losses(model, tokens)


def by_copies(
    losses: Float[Tensor, "batch row"], tokens: Int[Tensor, "batch pos"]
) -> dict[str, float]:
    """The mean loss of each kind of row; nan for a kind that does not occur."""
    kinds = copies(tokens)._asdict()
    return {name: losses[rows.to(losses.device)].mean().item() for name, rows in kinds.items()}


def worth(losses: Float[Tensor, "batch row"], early: range, late: range) -> Float[Tensor, " batch"]:
    """The in-context learning score of each sequence: the mean loss at late rows less that at early
    ones, negative where context helps. ValueError for rows that are not there."""
    rows = losses.shape[1]
    for name, asked in (("early", early), ("late", late)):
        if not len(asked) or asked.start < 0 or asked.stop > rows:
            raise ValueError(
                f"{name} rows {asked.start} to {asked.stop}; these losses have rows 0 to {rows}"
            )
    return losses[:, list(late)].mean(1) - losses[:, list(early)].mean(1)
