"""What paths of each length are worth, read off the losses of `paths.term_importance`.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Term importance
analysis".
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def saved(losses: Float[Tensor, " orders"], choices: int) -> list[float]:
    """What the direct path saves over guessing among so many, and each further order over the one
    before, in nats."""
    before = torch.cat([losses.new_tensor([math.log(choices)]), losses[:-1]])
    return (before - losses).tolist()


def virtual_over_single(losses: Float[Tensor, " orders"]) -> float:
    """What paths through two heads save, over what paths through one save."""
    direct, single, both = losses.tolist()
    return (single - both) / (direct - single)
