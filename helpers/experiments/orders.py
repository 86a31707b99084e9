"""What paths of each length are worth, read off the losses of `paths.term_importance`.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Term importance
analysis".
"""

import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.instruments.paths import term_importance


def saved(losses: Float[Tensor, " orders"], choices: int) -> list[float]:
    """What the direct path saves over guessing among so many, and each further order over the one
    before, in nats."""
    before = torch.cat([losses.new_tensor([math.log(choices)]), losses[:-1]])
    return (before - losses).tolist()


@torch.no_grad()
def virtual_over_single(models: Iterable, data: Sequence[Tensor]) -> list[float]:
    """Of each model of two layers, what paths through two heads save, over what paths through one
    save. `data`: what `term_importance` takes beside the model."""
    losses = [term_importance(model, *data).tolist() for model in models]
    return [(single - both) / (direct - single) for direct, single, both in losses]
