"""How layers that never touch talk: everything that writes to the residual stream, everything that
reads it, and the matrix between each pair.

With rows, as here, the virtual weights of a pair are writer @ reader, the transpose of the paper's
W_I^2 W_O^1. Writers are the embedding, the positions and every head; readers are Q, K and V of
every head, and the unembedding. Weights are taken as they stand: fold a normalization into them
first (`basis.fold_norm`).

A link's score is the composition score of `composition`, with W_E or W_pos where a head's OV would
stand and W_U where its QK would; two heads have the same score in both. Its null turns the reader
at random and keeps its singular values, and one p-value accounts for all the links of the model at
once.

What a link says is easiest to read between tokens. With the virtual weights in the middle,

    before @ virtual_weights @ after

takes a token (or position) to a score or a logit: `before` is what feeds a writing head, W_E @ W_V,
and `after` is what the reader's numbers meet: the other side of its QK, or W_O @ W_U.

Bandwidth is told by shares: of what one writes, how much falls into the directions that the other
reads. Unrelated directions are not perpendicular: in d_model dimensions, r of them catch the share
r / d_model of anything, on average.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Virtual Weights and
the Residual Stream as a Communication Channel" and "Two-Layer Attention-Only Transformers"; the
joint p-value and the shares are the course's own.
"""

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.instruments.composition import (
    p_values,
    pair_ceiling,
    pair_score,
    read_factor,
    sides,
    turned_readers,
    written_factor,
)
from helpers.instruments.weights import all_heads, of_head
from helpers.model import Head, check_head

Writer = str | Head
Reader = str | tuple[int, int, str]


# ---- who writes and who reads


def writers(model) -> list[Writer]:
    """The embedding, the positions, and every head (layer, head), in the order in which they
    write."""
    return ["embed", "pos", *all_heads(model)]


def readers(model) -> list[Reader]:
    """Q, K and V of every head, then the unembedding."""
    return [*((*head, kind) for head in all_heads(model) for kind in "QKV"), "unembed"]


def pairs(model) -> Iterator[tuple[Writer, Reader]]:
    """Every writer with every reader that hears it."""
    everyone = product(writers(model), readers(model))
    return ((writer, reader) for writer, reader in everyone if not why_deaf(model, writer, reader))


# ---- the matrix between a writer and a reader


@torch.no_grad()
def virtual_weights(
    model, writer: Writer, reader: Reader
) -> Float[Tensor, "writer_inputs reader_outputs"]:
    """The matrix by which two layers that never touch talk: what one writes to the stream, times
    what the other reads.

    Writers: "embed" (W_E, from d_vocab tokens), "pos" (W_pos, from n_ctx positions), or a head
    (layer, head) (its W_O, from d_head values). Readers: (layer, head, "Q"), "K" or "V" (the head's
    W_Q, W_K, W_V, to d_head numbers), or "unembed" (W_U, to d_vocab logits). The rank is at most
    the smallest of d_model and the two sizes.

    ValueError for a writer or reader that does not exist, and for a reader that never hears this
    writer.
    """
    if deaf := why_deaf(model, writer, reader):
        raise ValueError(deaf)
    return writer_weights(model, writer)[0] @ reader_weights(model, reader)[0]


def why_deaf(model, writer: Writer, reader: Reader) -> str | None:
    """Why this reader never hears this writer, in words; None if it does. ValueError for one that
    does not exist."""
    if reader_weights(model, reader)[1] <= writer_weights(model, writer)[1]:
        return (
            f"{reader} reads the stream before {writer} writes to it; choose a reader in a "
            "later layer"
        )
    if (
        writer == "pos"
        and getattr(model.cfg, "positions", None) == "shortformer"
        and reader[-1] not in "QK"
    ):
        return f"{reader} never sees the positions of a shortformer model; only queries and keys do"
    return None


def writer_weights(model, writer: Writer) -> tuple[Tensor, int]:
    """The matrix a writer writes by, and its layer: -1 before them all. ValueError for one that
    does not exist."""
    if writer in ("embed", "pos"):
        return (model.W_E if writer == "embed" else model.W_pos), -1
    if isinstance(writer, str) or len(writer) != 2:
        raise ValueError(
            f"no writer is called {writer!r}; choose 'embed', 'pos' or a pair (layer, head)"
        )
    check_head(model, *writer)
    return of_head(model, *writer).O, writer[0]


def reader_weights(model, reader: Reader) -> tuple[Tensor, int]:
    """The matrix a reader reads by, and its layer: n_layers after them all. ValueError for one that
    does not exist."""
    if reader == "unembed":
        return model.W_U, model.cfg.n_layers
    if isinstance(reader, str) or len(reader) != 3 or reader[2] not in ("Q", "K", "V"):
        raise ValueError(
            f"no reader is called {reader!r}; choose 'unembed' or (layer, head, 'Q'), 'K' or 'V'"
        )
    layer, head, side = reader
    return getattr(of_head(model, layer, head), side), layer


# ---- how strongly each pair is linked


class Link(NamedTuple):
    """What one reader takes up of what one writer puts down. `null`: the scores left when the
    reader is turned at random. `p`: how often chance alone would lift any link of the model as far
    above its own null."""

    writer: Writer
    reader: Reader
    score: float
    null: Float[Tensor, " draws"]
    ceiling: float
    p: float

    @property
    def z(self) -> float:
        """Standard deviations above the null's mean."""
        return (self.score - self.null.mean().item()) / max(self.null.std().item(), 1e-6)


@torch.no_grad()
def links(model, draws: int = 499, seed: int = 0) -> list[Link]:
    """Every pair of `pairs`, but those where one side is all zero. ValueError for fewer than two
    layers.

    The weights are taken as they stand: fold a normalization into them first
    (`basis.fold_norm`).
    """
    if model.cfg.n_layers < 2:
        raise ValueError(
            f"a model of {model.cfg.n_layers} layers has no two heads to link; take one of 2 or "
            "more"
        )
    generator = torch.Generator().manual_seed(seed)
    written = {writer: _written_factor(model, writer) for writer in writers(model)}
    read = {reader: _read_factor(model, reader) for reader in readers(model)}
    strengths = {end: torch.linalg.svdvals(W) for end, W in (written | read).items() if W.any()}
    turned = {
        reader: turned_readers(strengths[reader], model.cfg.d_model, draws, generator)
        for reader in read
        if reader in strengths
    }
    ends = [pair for pair in pairs(model) if strengths.keys() >= set(pair)]
    scores = torch.stack([pair_score(written[w], read[r]) for w, r in ends])
    null = torch.stack([pair_score(written[w], turned[r]) for w, r in ends])  # [pair, draws]
    ceilings = [pair_ceiling(strengths[w], strengths[r]).item() for w, r in ends]
    p = p_values(scores[None], null.T[:, None])[0]
    found = zip(ends, scores.tolist(), null, ceilings, p.tolist(), strict=True)
    return [Link(*pair, *numbers) for pair, *numbers in found]


@torch.no_grad()
def virtual_strengths(model) -> Float[Tensor, "writer reader"]:
    """The norm of every pair's virtual weights over the norms of the two matrices, from 0 to 1;
    `writers` and `readers` name the rows and columns, and pairs that cannot talk are nan. If the
    two have nothing to do with each other it is 1 / sqrt(d_model), give or take."""
    rows, columns = writers(model), readers(model)
    strengths = torch.full((len(rows), len(columns)), torch.nan)
    for writer, reader in pairs(model):
        at = rows.index(writer), columns.index(reader)
        strengths[at] = pair_score(
            writer_weights(model, writer)[0], reader_weights(model, reader)[0]
        )
    return strengths


class Chain(NamedTuple):
    """before @ weights @ after, with what its rows and columns stand for: "token" or "position"."""

    before: Float[Tensor, "rows writer_inputs"]
    weights: Float[Tensor, "writer_inputs reader_outputs"]
    after: Float[Tensor, "reader_outputs columns"]
    rows: str
    columns: str

    @property
    def product(self) -> Float[Tensor, "rows columns"]:
        return self.before @ self.weights @ self.after


@torch.no_grad()
def chain(model, writer: Writer, reader: Reader) -> Chain:
    """What the pair does between tokens or positions: rows for the writer, columns for the reader.

    For Q and K the entries are attention scores, already over sqrt(d_head); for V and the
    unembedding they are logits. Positions stand where a writer is the positions; where they live in
    the stream, also where they give the larger matrix. ValueError as in `virtual_weights`.
    """
    weights = virtual_weights(model, writer, reader)
    in_stream = getattr(model.cfg, "positions", "standard") == "standard"
    fed = met = ["token", "position"] if in_stream else ["token"]
    if isinstance(writer, str):
        fed = [dict(embed="token", pos="position")[writer]]
    if reader[-1] not in "QK":
        met = ["token"]
    elif writer == "pos" and not in_stream:
        met = ["position"]
    chains = [
        Chain(_before(model, writer, rows), weights, _after(model, reader, columns), rows, columns)
        for rows, columns in product(fed, met)
    ]
    return max(chains, key=lambda made: made.product.norm())


# ---- bandwidth


class Share(NamedTuple):
    """Of what a writer writes, the share that a reader reads, from 0 to 1, and what it would read
    if the two had nothing to do with each other."""

    read: float
    by_chance: float


@torch.no_grad()
def share_read(model, writer: Writer, reader: Reader) -> Share:
    """How much of a writer's output falls into the directions that a reader can tell apart.

    Output is measured by its squared norm: over all tokens for the embedding, over all positions
    for the positions, and for a head over inputs that are alike in every direction. ValueError for
    a writer or reader that does not exist.
    """
    directions = _read_directions(model, reader)
    read = _within(_written_factor(model, writer), directions).item()
    return Share(read, directions.shape[1] / model.cfg.d_model)


@torch.no_grad()
def unrelated_shares(
    model, writer: Writer, reader: Reader, draws: int, generator: Generator
) -> Float[Tensor, " draws"]:
    """The same share with the reader's directions drawn at random. ValueError as above."""
    count = _read_directions(model, reader).shape[1]
    drawn = torch.randn(draws, model.cfg.d_model, count, generator=generator).double()
    return _within(_written_factor(model, writer), torch.linalg.qr(drawn).Q)


# ---- the pieces


def _before(model, writer: Writer, fed: str) -> Tensor:
    source = model.W_E if fed == "token" else model.W_pos
    return (
        torch.eye(len(source)).to(source)
        if isinstance(writer, str)
        else source @ of_head(model, *writer).V
    )


def _after(model, reader: Reader, met: str) -> Tensor:
    if reader == "unembed":
        return torch.eye(model.W_U.shape[1]).to(model.W_U)
    *head, kind = reader
    if kind == "V":
        return of_head(model, *head).O @ model.W_U
    W = of_head(model, *head)
    other = W.K if kind == "Q" else W.Q
    return ((model.W_E if met == "token" else model.W_pos) @ other).T / math.sqrt(other.shape[1])


def _written_factor(model, writer: Writer) -> Float[Tensor, "rank d_model"]:
    """W_E, W_pos or OV, but for an orthogonal factor at its left end, which no norm sees."""
    weights, _ = writer_weights(model, writer)
    if isinstance(writer, str):
        return torch.linalg.qr(weights.double()).R
    return written_factor(of_head(model, *writer).V, weights)


def _read_factor(model, reader: Reader) -> Float[Tensor, "d_model rank"]:
    """QK, QK.T, OV or W_U, but for an orthogonal factor at its right end."""
    if reader == "unembed":
        return torch.linalg.qr(model.W_U.double().T).R.T
    *head, kind = reader
    return read_factor(*(factor[tuple(head)] for factor in sides(model, kind)))


def _read_directions(model, reader: Reader) -> Float[Tensor, "d_model rank"]:
    """Orthonormal directions that span what a reader can tell apart."""
    U, S, _ = torch.linalg.svd(reader_weights(model, reader)[0].double(), full_matrices=False)
    return U[:, S > 1e-6 * S.max()]


def _within(
    written: Float[Tensor, "rank d_model"], directions: Float[Tensor, "*draws d_model count"]
) -> Float[Tensor, "*draws"]:
    """The share of the squared norm of all rows that lies in these directions."""
    return (written @ directions).square().sum((-2, -1)) / written.square().sum()
