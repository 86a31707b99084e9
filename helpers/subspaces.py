"""Bandwidth: which directions of the stream a layer writes to, and which another reads from.

A head of d_head dimensions writes into a subspace of that size (the rows of W_O span it) and reads from three (the
columns of W_Q, W_K and W_V). How two of them lie to one another is told by their principal angles: the first is the
smallest angle between any direction of one and any of the other, the next the smallest among what is perpendicular to
that pair, and so on. A cosine of 1 is a shared direction, 0 is one that the other does not see.

Unrelated subspaces are not perpendicular. In d_model dimensions a random one of rank a catches the share a / d_model of
anything, and two whose ranks exceed d_model together must share a direction exactly.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Virtual Weights and the Residual Stream
as a Communication Channel"; principal angles: Bjorck and Golub 1973.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.circuits import Head, reader_weights, writer_weights


@torch.no_grad()
def written(model, writer: str | Head) -> Float[Tensor, "d_model rank"]:
    """Orthonormal directions that span what a writer can write. Writers are named as for `circuits.virtual_weights`."""
    return _span(writer_weights(model, writer)[0].mT)


@torch.no_grad()
def read(model, reader: str | tuple[int, int, str]) -> Float[Tensor, "d_model rank"]:
    """Orthonormal directions that span what a reader can tell apart. Readers as for `circuits.virtual_weights`."""
    return _span(reader_weights(model, reader)[0])


def principal_cosines(
    one: Float[Tensor, "*draws d_model rank_1"], other: Float[Tensor, "*draws d_model rank_2"]
) -> Float[Tensor, "*draws smaller_rank"]:
    """Cosines of the principal angles between two subspaces, each given by orthonormal columns, largest first."""
    return torch.linalg.svdvals(one.mT @ other).clamp_max(1)


def random_cosines(
    d_model: int, rank_1: int, rank_2: int, draws: int, generator: Generator
) -> Float[Tensor, "draws smaller_rank"]:
    """Principal cosines of unrelated subspaces of these sizes. ValueError for a rank that does not fit d_model."""
    if not 0 < min(rank_1, rank_2) <= max(rank_1, rank_2) <= d_model:
        raise ValueError(f"subspaces of rank {rank_1} and {rank_2} in {d_model} dimensions; give ranks from 1 to {d_model}")
    first = _span(torch.randn(draws, d_model, rank_1, generator=generator))
    other = _span(torch.randn(draws, d_model, rank_2, generator=generator))
    return principal_cosines(first, other)


def _span(columns: Float[Tensor, "*draws d_model count"]) -> Float[Tensor, "*draws d_model rank"]:
    """An orthonormal basis of the columns; of a single matrix without the directions in which it is zero."""
    U, S, _ = torch.linalg.svd(columns.double(), full_matrices=False)
    return U if S.ndim > 1 else U[:, S > 1e-6 * S.max()]
