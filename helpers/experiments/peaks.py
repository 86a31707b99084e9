"""Which term of an induction head's scores puts the peak where it is.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Path expansion of
attention scores QK circuit".
"""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from helpers.instruments.heads import induction_targets
from helpers.instruments.paths import score_expansion, score_terms
from helpers.model import Head


@torch.no_grad()
def peak_shares(
    model, tokens: Int[Tensor, "batch pos"], head: Head, expand: Callable = score_expansion
) -> dict:
    """The share that each term of a head's scores has in their peak; the shares add up to 1.

    The peak is the mean score at the induction targets less that at the other keys of the same
    rows. `expand` gives the terms: four (`paths.score_expansion`), or one for each pair of who
    wrote what the query reads and who wrote what the key reads (`paths.score_terms`). ValueError
    when no token occurs twice.
    """
    targets = induction_targets(tokens)
    rows = targets.any(-1, keepdim=True)
    if not rows.any():
        raise ValueError("no token occurs twice, so there is no peak; give repeated tokens (probe)")
    others = rows.expand_as(targets).tril() & ~targets
    terms = expand(model, tokens, *head)
    heights = {name: (of[targets].mean() - of[others].mean()).item() for name, of in terms.items()}
    return {name: height / sum(heights.values()) for name, height in heights.items()}


@torch.no_grad()
def through_present(model, tokens: Int[Tensor, "batch pos"], head: Head) -> tuple[float, float]:
    """How much the first layer's best present-token head attends to its own token, and the share of
    a second-layer head's peak in which the query passes through it and the key through any head of
    the first layer. The first 20 rows, which have few other keys, are left out."""
    _, cache = model.run_with_cache(tokens)
    at_itself = cache["pattern", 0].diagonal(0, 2, 3)[..., 20:].mean((0, 2))
    present = f"0.{at_itself.argmax()}"
    shares = peak_shares(model, tokens, head, score_terms)
    through = sum(shares[present, f"0.{key}"] for key in range(model.cfg.n_heads))
    return at_itself.max().item(), through
