"""What paths of each length are worth, read off the losses of `paths.term_importance`.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Term importance
analysis".
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.instruments.paths import term_importance


def saved(losses: Float[Tensor, " orders"], choices: int) -> list[float]:
    """What the direct path saves over guessing among so many, and each further order over the one
    before, in nats."""
    before = torch.cat([losses.new_tensor([math.log(choices)]), losses[:-1]])
    return (before - losses).tolist()


def virtual_over_single(losses: Float[Tensor, " orders"]) -> float:
    """What paths through two heads save, over what paths through one save."""
    direct, single, both = losses.tolist()
    return (single - both) / (direct - single)


class ByLayer(NamedTuple):
    """What the heads of each layer save over the direct path, alone, and what of it both save: the
    sum of the two less what they save together. In nats."""

    first: float
    second: float
    twice: float


def by_layer(model, data: Sequence[Tensor], losses: Float[Tensor, " orders"]) -> ByLayer:
    """Order 1 of a model of two layers, split by layers. `data`: what `term_importance` takes
    beside the model, `losses`: what it gives for all heads."""
    layers = [[(layer, head) for head in range(model.cfg.n_heads)] for layer in (0, 1)]
    alone = [term_importance(model, *data, heads=heads)[1] for heads in layers]
    first, second, both = ((losses[0] - loss).item() for loss in (*alone, losses[1]))
    return ByLayer(first, second, first + second - both)
