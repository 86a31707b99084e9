"""The best that a model which sees one token can do on a Markov chain, without a sample.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Zero-Layer
Transformers".
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from helpers.sequences import BOS

SILENCED = -50.0  # the logit of what never comes: low, and finite, so that no loss is infinite


def share_of_positions(P: Float[Tensor, "present next"], n_ctx: int) -> Float[Tensor, " token"]:
    """At which share of the positions each token stands, over all texts of `n_ctx` tokens that open
    with BOS and follow the chain P."""
    return torch.stack([torch.linalg.matrix_power(P, i)[BOS] for i in range(n_ctx)]).mean(0)


def truncated(P: Float[Tensor, "present next"], rank: int) -> Float[Tensor, "present next"]:
    """log P at this rank, by its strongest singular directions, up to a constant in each row.

    One dimension is kept to silence BOS, which never comes again. It is a construction: the best
    loss at this rank is at most that of this table. ValueError for a rank below 1.
    """
    if rank < 1:
        raise ValueError(f"rank {rank} leaves no dimension to silence BOS with; give 1 or more")
    logs = P[:, 1:].log()
    U, S, V = torch.linalg.svd(logs - logs.mean(-1, keepdim=True), full_matrices=False)
    strongest = slice(rank - 1)
    return pad((U[:, strongest] * S[strongest]) @ V[strongest], (1, 0), value=SILENCED)
