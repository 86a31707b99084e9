"""How much a later head reads of what an earlier head writes, and how much would be chance.

The score of a pair is the Frobenius norm of a product of two matrices over the product of their
norms. With head 1 in an earlier layer than head 2:

                    Q              K              V
    paper, columns  QK2.T @ OV1    QK2 @ OV1      OV2 @ OV1    QK = W_Q^T W_K,   OV = W_O W_V
    here, rows      OV1 @ QK2      OV1 @ QK2.T    OV1 @ OV2    QK = W_Q @ W_K.T, OV = W_V @ W_O

How large is large? A rotation at random makes the mean square exactly 1 / d_model, whatever the
matrices. The spread depends on the singular values, so the null keeps those. And 1 is out of reach:
heads of rank r with equal singular values that fit perfectly score 1 / sqrt(r).

The weights are taken as they stand: fold a normalization into them first (`basis.fold_norm`).

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Two-Layer
Attention-Only Transformers", and the correction published with it. The null is the course's own.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.instruments.weights import of_all_layers

Kind = Literal["Q", "K", "V"]


def writing_heads(model) -> list[tuple[int, int]]:
    """The heads (layer, head) that some later head can read: what the rows of all scores stand
    for."""
    return [
        (layer, head)
        for layer in range(model.cfg.n_layers - 1)
        for head in range(model.cfg.n_heads)
    ]


def reading_heads(model) -> list[tuple[int, int]]:
    """The heads (layer, head) that can read some earlier head: what the columns of all scores stand
    for."""
    return [(layer + 1, head) for layer, head in writing_heads(model)]


@torch.no_grad()
def composition_scores(model, kind: Kind) -> Float[Tensor, "writer reader"]:
    """The composition score of every writer and reader, from 0 to 1. With three layers or more,
    pairs whose reader is not in a later layer are nan. ValueError for another kind than Q, K, V and
    for models of fewer than two layers."""
    return _scores(_writing(model), _reading(model, kind)) + _no_pairs(model)


@torch.no_grad()
def composition_null(
    model, kind: Kind, draws: int, generator: Generator
) -> Float[Tensor, "draws writer reader"]:
    """The scores that are left when every reading head is turned at random: nan and errors as in
    `composition_scores`.

    Each reader keeps its singular values and gets a random subspace to read from; the writers stay
    as they are. The root mean square is 1 / sqrt(d_model).
    """
    writing, null = _writing(model), []
    for strengths in torch.linalg.svdvals(_reading(model, kind)):  # of one reader, [rank]
        turned = turned_readers(strengths, model.cfg.d_model, draws, generator)
        null.append(_scores(writing, turned))
    return torch.stack(null).permute(2, 1, 0) + _no_pairs(model)


def turned_readers(
    strengths: Float[Tensor, " rank"], d_model: int, draws: int, generator: Generator
) -> Float[Tensor, "draws d_model rank"]:
    """Readers with these singular values, each reading from a random subspace of the stream."""
    gaussian = torch.randn(draws, d_model, len(strengths), generator=generator)
    return torch.linalg.qr(gaussian.double()).Q.to(strengths) * strengths


def p_values(
    scores: Float[Tensor, "writer reader"], null: Float[Tensor, "draws writer reader"]
) -> Float[Tensor, "writer reader"]:
    """How often the largest score of all the pairs is, by chance, as far above its mean as this one
    is above its own.

    The number of pairs is accounted for: each draw of the null counts by its largest pair, in
    standard deviations of that pair, so that a model without composition shows a pair below p with
    probability p (the max-statistic of Westfall and Young 1993). The smallest value possible is 1 /
    (draws + 1). For three kinds at once multiply by 3.
    """
    # the model is one more draw if there is nothing in it
    everything = torch.cat([scores[None], null])
    # rounding: a reader of the whole stream scores the same when turned
    spread = everything.std(0).clamp_min(1e-6)
    z = (everything - everything.mean(0)) / spread
    largest = z.nan_to_num(-torch.inf).flatten(1).amax(1)
    p = (largest[:, None, None] >= z[0]).double().mean(0)
    return p.masked_fill(z[0].isnan(), torch.nan)


def composition_ceiling(rank: int) -> float:
    """The score of two heads of this rank that fit perfectly, with all singular values equal: 1 /
    sqrt(rank)."""
    return 1 / math.sqrt(rank)


@torch.no_grad()
def spectrum_ceiling(model, kind: Kind) -> Float[Tensor, "writer reader"]:
    """The largest score that a rotation of the reader could give each pair: the strongest direction
    written meets the strongest read, and so on down. Uneven singular values lift it above 1 /
    sqrt(d_head)."""
    written = torch.linalg.svdvals(_writing(model))
    read = torch.linalg.svdvals(_reading(model, kind))
    return pair_ceiling(written[:, None], read[None]) + _no_pairs(model)


@torch.no_grad()
def published_bug_scores(model, kind: Kind) -> Float[Tensor, "writer reader"]:
    """What the paper's diagram showed before its correction, here over the right norms.

    The code moved a factor of the product round to the other end, as one may under a trace and not
    under a Frobenius norm: for K, |W_K^h2 W_O^h1 W_V^h1 W_Q^h2.T| (columns). It asks whether the
    query also reads what the writer reads, and it depends on the coordinates inside the reading
    head, which mean nothing (`basis.change_head_gauge`).
    """
    norms = _norms(_writing(model))[:, None] * _norms(_reading(model, kind))
    side, other = _sides(model, kind)
    W = of_all_layers(model)
    writers = zip(_heads(W.V[:-1]), _heads(W.O[:-1]), strict=True)
    moved = torch.stack([_norms((other.mT @ W_V) @ (W_O @ side)) for W_V, W_O in writers])
    return moved / norms + _no_pairs(model)


# ---- of any pair


def pair_score(
    written: Float[Tensor, "*#pairs rows d_model"], read: Float[Tensor, "*#pairs d_model columns"]
) -> Float[Tensor, "*_"]:
    """The Frobenius norm of written @ read over the product of their norms, from 0 to 1."""
    return _norms(written @ read) / (_norms(written) * _norms(read))


def pair_ceiling(
    written: Float[Tensor, "*#pairs rank"], read: Float[Tensor, "*#pairs rank_2"]
) -> Float[Tensor, "*_"]:
    """The score of matrices with these singular values, largest first, when the strongest
    directions meet."""
    both = min(written.shape[-1], read.shape[-1])
    aligned = (written[..., :both] * read[..., :both]).norm(dim=-1)
    return aligned / (written.norm(dim=-1) * read.norm(dim=-1))


# ---- low-rank: a product keeps its Frobenius norm when an orthogonal factor at its end is dropped


def written_factor(
    W_V: Float[Tensor, "*heads d_model d_head"], W_O: Float[Tensor, "*heads d_head d_model"]
) -> Float[Tensor, "*heads rank d_model"]:
    """OV but for the orthogonal factor of W_V at its left end."""
    return torch.linalg.qr(W_V.double()).R @ W_O.double()


def read_factor(
    side: Float[Tensor, "*heads d_model d_head"], other: Float[Tensor, "*heads d_model d_head"]
) -> Float[Tensor, "*heads d_model rank"]:
    """side @ other.mT but for the orthogonal factor at its right end."""
    return side.double() @ torch.linalg.qr(other.double()).R.mT


def _writing(model) -> Float[Tensor, "writer rank d_model"]:
    """OV of every writer but for the orthogonal factor of W_V at its left end."""
    if model.cfg.n_layers < 2:
        raise ValueError(
            f"a model of {model.cfg.n_layers} layers has no two heads to compose; take one of 2 or "
            "more"
        )
    W = of_all_layers(model)
    return written_factor(W.V[:-1], W.O[:-1]).flatten(0, 1)


def _reading(model, kind: Kind) -> Float[Tensor, "reader d_model rank"]:
    """What stands to the right of OV1 (QK, QK.T or OV of every reader), but for the orthogonal
    factor at its end."""
    return read_factor(*(factor[1:] for factor in sides(model, kind))).flatten(0, 1)


def _sides(
    model, kind: Kind
) -> tuple[Float[Tensor, "reader d_model d_head"], Float[Tensor, "reader d_model d_head"]]:
    side, other = sides(model, kind)
    return _heads(side[1:]), _heads(other[1:])


def sides(
    model, kind: Kind
) -> tuple[Float[Tensor, "layer head d_model d_head"], Float[Tensor, "layer head d_model d_head"]]:
    """The two factors of every head's QK (for Q), QK.T (K) or OV (V): side @ other.mT; `side` is
    the one that meets the writer. ValueError for another kind."""
    W = of_all_layers(model)
    factors = dict(Q=(W.Q, W.K), K=(W.K, W.Q), V=(W.V, W.O.mT))
    if kind not in factors:
        raise ValueError(f"kind is {kind!r}; choose 'Q', 'K' or 'V'")
    return factors[kind]


def _heads(
    weights: Float[Tensor, "layer head rows columns"],
) -> Float[Tensor, "heads rows columns"]:
    return weights.double().flatten(0, 1)


def _scores(
    writing: Float[Tensor, "writer rank d_model"], reading: Float[Tensor, "reader d_model rank_2"]
) -> Float[Tensor, "writer reader"]:
    # in a loop: all pairs at once are large
    return torch.stack([pair_score(written, reading) for written in writing])


_norms = torch.linalg.matrix_norm  # Frobenius, of each matrix


def _no_pairs(model) -> Float[Tensor, "writer reader"]:
    """nan where the reader is not in a later layer than the writer, 0 elsewhere."""
    at = [
        torch.tensor([layer for layer, _ in heads])
        for heads in (writing_heads(model), reading_heads(model))
    ]
    later = at[1] > at[0][:, None]
    return (
        torch.zeros(later.shape, dtype=torch.float64)
        .masked_fill(~later, torch.nan)
        .to(model.W_U.device)
    )
