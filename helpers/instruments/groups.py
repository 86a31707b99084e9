"""What a group of heads is worth, beside groups of as many other heads of the same layers.

A model may miss any nine heads, so the loss without nine named ones says little by itself.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from helpers.instruments import heads
from helpers.model import Head


class Worth(NamedTuple):
    """By how many nats the repeat loss rises without a group, and without each random one."""

    named: float
    others: list[float]

    def interval(self, share: float = 0.9) -> tuple[float, float]:
        """Where this share of the random groups lies."""
        ends = torch.tensor([(1 - share) / 2, (1 + share) / 2])
        low, high = torch.tensor(self.others).quantile(ends).tolist()
        return low, high


def random_groups(
    model, group: Sequence[Head], draws: int, generator: Generator
) -> list[list[Head]]:
    """So many different groups of other heads, as many of each layer as the group has there; fewer
    where there are no more. ValueError where a layer has not enough others."""
    left, counts = {}, Counter(layer for layer, _ in group)
    for layer, count in counts.items():
        left[layer] = [head for head in range(model.cfg.n_heads) if (layer, head) not in group]
        if len(left[layer]) < count:
            raise ValueError(
                f"{count} heads of layer {layer} are in the group, and {len(left[layer])} others "
                "are left there; as many others cannot be drawn"
            )
    most = math.prod(math.comb(len(left[layer]), count) for layer, count in counts.items())
    found: dict[frozenset[Head], list[Head]] = {}
    while len(found) < min(draws, most):
        drawn = [
            (layer, left[layer][at])
            for layer, count in counts.items()
            for at in torch.randperm(len(left[layer]), generator=generator)[:count].tolist()
        ]
        found[frozenset(drawn)] = drawn
    return list(found.values())


def worth(
    model,
    tokens: Int[Tensor, "batch pos"],
    group: Sequence[Head],
    others: Iterable[Sequence[Head]],
) -> Worth:
    """What the repeat loss of these tokens says, heads set to zero and all behind them computed
    anew."""
    intact = heads.repeat_loss(model, tokens)

    def lost(some: Sequence[Head]) -> float:
        return heads.repeat_loss(model, tokens, heads.zero_heads(model, some)) - intact

    return Worth(lost(group), [lost(other) for other in others])


def matching(report: heads.HeadReport) -> list[Head]:
    """The heads that match prefixes, whether they copy directly or not."""
    return [row.at for row in report.rows if row.prefix_matching > heads.THRESHOLD]
