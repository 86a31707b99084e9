"""Heads that copy: which do, and heads to compare them with.

The comparison stands between the same trained embeddings. These stretch a few directions, and heads
that nobody trained scatter more between them than their shapes alone would make them.

Everything here is about the first layer. Source: Elhage et al. 2021, A Mathematical Framework for
Transformer Circuits, "Copying / Primitive In-Context Learning" and "Summarizing OV/QK matrices".
"""

from dataclasses import replace

import torch
from jaxtyping import Complex, Float
from torch import Generator, Tensor

from helpers.instruments import circuits
from helpers.model import AttentionOnlyTransformer

# ---- heads to compare with


def untrained_heads(
    model: AttentionOnlyTransformer, count: int, seed: int
) -> Complex[Tensor, "head d_head"]:
    """The copying eigenvalues of so many heads of the same shape as they are before any training,
    between the model's embeddings."""
    fresh = AttentionOnlyTransformer(replace(model.cfg, n_layers=1, n_heads=count, seed=seed))
    fresh.W_E, fresh.W_U = model.W_E, model.W_U
    return torch.stack([circuits.copying_eigenvalues(fresh, 0, head) for head in range(count)])


def line(eigenvalues: Complex[Tensor, "head d_head"]) -> float:
    """The copying statistic that 39 of 40 of these heads stay below."""
    return circuits.positivity(eigenvalues).quantile(0.975).item()


def line_by_shape(model) -> float:
    """The same of heads between embeddings that nobody trained either."""
    shapes = dict(d_vocab=model.cfg.d_vocab, d_model=model.cfg.d_model, d_head=model.cfg.d_head)
    drawn = circuits.copying_null(**shapes, draws=200, generator=Generator().manual_seed(0))
    return drawn.quantile(0.975).item()


def mixed_heads(model: AttentionOnlyTransformer) -> Float[Tensor, "shift head"]:
    """The copying statistic of heads made of two: W_V of each with W_O of each other."""
    mixed = AttentionOnlyTransformer(replace(model.cfg, n_layers=1)).requires_grad_(False)
    mixed.W_E, mixed.W_U, mixed.W_V = model.W_E, model.W_U, model.W_V
    found = []
    for shift in range(1, model.cfg.n_heads):
        mixed.W_O = torch.nn.Parameter(model.W_O.roll(shift, 1), requires_grad=False)
        found.append(circuits.copying_statistics(mixed)[0])
    return torch.stack(found)


# ---- the head to look at


def strongest_diagonal(model) -> int:
    """The head that raises the tokens it attends to most, by the mean of its OV circuit's
    diagonal."""
    diagonals = [
        circuits.full_ov(model, 0, head).diagonal().mean() for head in range(model.cfg.n_heads)
    ]
    return int(torch.stack(diagonals).argmax())
