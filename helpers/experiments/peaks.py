"""Which term of an induction head's scores puts the peak where it is.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Path expansion of
attention scores QK circuit".
"""

import torch
from jaxtyping import Int
from torch import Tensor

from helpers.instruments.heads import induction_targets
from helpers.instruments.paths import score_expansion
from helpers.model import Head


@torch.no_grad()
def peak_shares(model, tokens: Int[Tensor, "batch pos"], head: Head) -> dict[str, float]:
    """The share that each of the four terms of a head's scores (`paths.score_expansion`) has in
    their peak; the shares add up to 1.

    The peak is the mean score at the induction targets less that at the other keys of the same
    rows. ValueError when no token occurs twice.
    """
    targets = induction_targets(tokens)
    rows = targets.any(-1, keepdim=True)
    if not rows.any():
        raise ValueError("no token occurs twice, so there is no peak; give repeated tokens (probe)")
    others = rows.expand_as(targets).tril() & ~targets
    terms = score_expansion(model, tokens, *head)
    heights = {name: (of[targets].mean() - of[others].mean()).item() for name, of in terms.items()}
    return {name: height / sum(heights.values()) for name, height in heights.items()}
