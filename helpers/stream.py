"""Everything that writes to the residual stream, everything that reads it, and how strongly each pair is linked.

The diagram of the course draws this: the embedding and the positions, the two circuits of every head, the unembedding.
A link's score is the composition score of `helpers.composition`, with W_E or W_pos where a head's OV would stand and
W_U where its QK would; two heads have the same score in both. Its null turns the reader at random and keeps its
singular values, and one p-value accounts for all the links of the model at once.

What a link says is easiest to read between tokens. With the virtual weights in the middle,

    before @ virtual_weights @ after

takes a token (or position) to a score or a logit: `before` is what feeds a writing head, W_E @ W_V, and `after` is what
the reader's numbers meet: the other side of its QK, or W_O @ W_U.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Virtual Weights and the Residual Stream
as a Communication Channel" and "Two-Layer Attention-Only Transformers"; the joint p-value is the course's own.
"""

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from helpers import circuits
from helpers.composition import p_values, sides, turned_readers

Writer = str | tuple[int, int]
Reader = str | tuple[int, int, str]


class Link(NamedTuple):
    """What one reader takes up of what one writer puts down. `null`: the scores left when the reader is turned at
    random. `p`: how often chance alone would lift any link of the model as far above its own null."""

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


def writers(model) -> list[Writer]:
    """The embedding, the positions, and every head (layer, head), in the order in which they write."""
    return ["embed", "pos", *_heads(model)]


def readers(model) -> list[Reader]:
    """Q, K and V of every head, then the unembedding."""
    return [*((*head, kind) for head in _heads(model) for kind in "QKV"), "unembed"]


def pairs(model) -> Iterator[tuple[Writer, Reader]]:
    """Every writer with every reader that hears it."""
    everyone = product(writers(model), readers(model))
    return ((writer, reader) for writer, reader in everyone if not circuits.why_deaf(model, writer, reader))


@torch.no_grad()
def links(model, draws: int = 499, seed: int = 0) -> list[Link]:
    """Every pair of `pairs`, but those where one side is all zero. ValueError for fewer than two layers.

    The weights are taken as they stand: fold a normalization into them first (`basis.fold_norm`)."""
    if model.cfg.n_layers < 2:
        raise ValueError(f"a model of {model.cfg.n_layers} layers has no two heads to link; take one of 2 or more")
    generator = torch.Generator().manual_seed(seed)
    written = {writer: _written(model, writer) for writer in writers(model)}
    written = {writer: W / W.norm() for writer, W in written.items() if W.norm() > 0}
    turned, found = {}, []
    for reader in readers(model):
        read = _read(model, reader)
        if read.norm() > 0:
            strengths = torch.linalg.svdvals(read) / read.norm()
            null = turned_readers(strengths, model.cfg.d_model, draws, generator)
            turned[reader] = read / read.norm(), null, strengths
    for writer, reader in pairs(model):
        if writer in written and reader in turned:
            W, (read, null, strengths) = written[writer], turned[reader]
            ceiling = _aligned(torch.linalg.svdvals(W), strengths)
            found.append(Link(writer, reader, (W @ read).norm().item(), (W @ null).norm(dim=(1, 2)), ceiling, math.nan))
    scores, nulls = torch.tensor([[link.score for link in found]]), torch.stack([link.null for link in found], 1)
    p = p_values(scores.double(), nulls[:, None])[0].tolist()
    return [link._replace(p=p_value) for link, p_value in zip(found, p, strict=True)]


@torch.no_grad()
def virtual_strengths(model) -> Float[Tensor, "writer reader"]:
    """The norm of every pair's virtual weights over the norms of the two matrices, from 0 to 1; `writers` and `readers` name
    the rows and columns, and pairs that cannot talk are nan. If the two have nothing to do with each other it is
    1 / sqrt(d_model), give or take."""
    rows, columns = writers(model), readers(model)
    strengths = torch.full((len(rows), len(columns)), torch.nan)
    for writer, reader in pairs(model):
        alone = circuits.writer_weights(model, writer)[0].norm() * circuits.reader_weights(model, reader)[0].norm()
        talk = circuits.virtual_weights(model, writer, reader).norm()
        strengths[rows.index(writer), columns.index(reader)] = talk / alone
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

    For Q and K the entries are attention scores, already over sqrt(d_head); for V and the unembedding they are logits.
    Positions stand where a writer is the positions; where they live in the stream, also where they give the larger
    matrix. ValueError as in `circuits.virtual_weights`."""
    weights = circuits.virtual_weights(model, writer, reader)
    both = ["token", "position"]
    standard = getattr(model.cfg, "positions", "standard") == "standard"
    fed = [dict(embed="token", pos="position")[writer]] if isinstance(writer, str) else both if standard else ["token"]
    met = ["token"] if reader[-1] not in "QK" else both if standard else ["position" if writer == "pos" else "token"]
    chains = [
        Chain(_before(model, writer, rows), weights, _after(model, reader, columns), rows, columns)
        for rows, columns in product(fed, met)
    ]
    return max(chains, key=lambda made: made.product.norm())


# ---- the pieces


def _before(model, writer: Writer, fed: str) -> Tensor:
    source = model.W_E if fed == "token" else model.W_pos
    return torch.eye(len(source)).to(source) if isinstance(writer, str) else source @ model.W_V[writer]


def _after(model, reader: Reader, met: str) -> Tensor:
    if reader == "unembed":
        return torch.eye(model.W_U.shape[1]).to(model.W_U)
    *head, kind = reader
    if kind == "V":
        return model.W_O[tuple(head)] @ model.W_U
    other = (model.W_K if kind == "Q" else model.W_Q)[tuple(head)]
    return ((model.W_E if met == "token" else model.W_pos) @ other).T / math.sqrt(other.shape[1])


def _heads(model) -> list[tuple[int, int]]:
    return list(product(range(model.cfg.n_layers), range(model.cfg.n_heads)))


def _written(model, writer: Writer) -> Float[Tensor, "rank d_model"]:
    """W_E, W_pos or OV, but for an orthogonal factor at its left end, which no norm sees."""
    if isinstance(writer, str):
        return torch.linalg.qr((model.W_E if writer == "embed" else model.W_pos).double()).R
    return torch.linalg.qr(model.W_V[writer].double()).R @ model.W_O[writer].double()


def _read(model, reader: Reader) -> Float[Tensor, "d_model rank"]:
    """QK, QK.T, OV or W_U, but for an orthogonal factor at its right end."""
    if reader == "unembed":
        return torch.linalg.qr(model.W_U.double().T).R.T
    *head, kind = reader
    side, other = (factor[tuple(head)].double() for factor in sides(model, kind))
    return side @ torch.linalg.qr(other).R.T


def _aligned(written: Tensor, read: Tensor) -> float:
    """The largest score that turning the reader could give: the strongest direction written meets the strongest read."""
    both = min(len(written), len(read))
    return (written[:both] * read[:both]).norm().item()
