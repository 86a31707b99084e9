"""How much of the induction heads' worth is left when the heads become what the story says they
are; and, as controls, stories that are wrong on purpose.

`interventions.loss_recovered` measures any other replacement that can be written as hooks.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from helpers.experiments.casts import Cast
from helpers.instruments.interventions import (
    Hooks,
    ablation,
    clamp,
    copy_exactly,
    loss_recovered,
    match_exactly,
    mean_heads,
)
from helpers.model import Head
from helpers.sequences import cross_entropy

WRONG = ("two back", "the copy itself")


def told(cast: Cast, tokens: Int[Tensor, "batch pos"]) -> dict[str, Hooks]:
    """The story's three parts, all of it, and the two of WRONG, as hooks for these tokens."""
    shift = clamp(cast.previous)
    match = match_exactly(cast.induction, tokens)
    copy = copy_exactly(cast.model, cast.induction, tokens)
    return {
        "exact shift": shift,
        "exact match": match,
        "exact copy": copy,
        "all three": shift + match + copy,
        "two back": clamp(cast.previous, 2),
        "the copy itself": match_exactly(cast.induction, tokens, after=0),
    }


def recovered(casts: Sequence[Cast], tokens: Int[Tensor, "batch pos"]) -> dict[str, list[float]]:
    """For each of `told`, the share of the induction heads' worth on these tokens that is left
    under it, in every model: 1 is the model as it is, 0 the model in which they write nothing but
    their mean."""
    shares = [
        loss_recovered(cast.model, tokens, told(cast, tokens), without=cast.induction)
        for cast in casts
    ]
    return {story: [of_one[story] for of_one in shares] for story in shares[0]}


def nats_lost(
    casts: Sequence[Cast],
    tokens: Int[Tensor, "batch pos"],
    groups: Callable[[Cast], Sequence[Sequence[Head]]],
    keep_patterns: bool = False,
) -> list[float]:
    """The rise of the repeat loss (nats) without each of these groups of heads, in every model."""
    return [
        ablation(cast.model, tokens, group, keep_patterns=keep_patterns)
        for cast in casts
        for group in groups(cast)
    ]


@torch.no_grad()
def nats_lost_per_head(
    model,
    tokens: Int[Tensor, "batch pos"],
    without: Sequence[Head],
    rows: Bool[Tensor, "batch pos"],
) -> float:
    """By how many nats the loss at these rows rises when these heads write nothing but their mean
    over the tokens, over the number of heads. The last position of a sequence asks for nothing.
    ValueError for no heads and when no row is marked."""
    if not without:
        raise ValueError("there is no head to take out; give at least one pair (layer, head)")

    def loss(hooks: Hooks) -> float:
        logits = model.run_with_hooks(tokens, hooks)[:, :-1]
        return cross_entropy(logits, tokens[:, 1:], rows[:, :-1]).item()

    return (loss(mean_heads(model, tokens, without)) - loss([])) / len(without)
