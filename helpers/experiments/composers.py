"""Which pairs of heads compose by more than chance, and what a model loses when they are cut apart.

A score says nothing alone: each stands here beside what is left of it when the readers are turned
at random, and beside the most that its pair could reach. That it is high means that two heads can
talk; whether they do is asked by cutting the edges.

Sources: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Two-Layer
Attention-Only Transformers"; the null is the course's own.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from helpers.handmade import planted_composer
from helpers.instruments.circuits import OV, QK
from helpers.instruments.composition import (
    Kind,
    composition_null,
    composition_scores,
    p_values,
    reading_heads,
    spectrum_ceiling,
    writing_heads,
)
from helpers.instruments.interventions import Edge
from helpers.model import Head

LEVEL = 0.05  # how often chance may lift any pair of a model above it


class Judged(NamedTuple):
    """The composition scores of one kind beside what they are judged by."""

    scores: Float[Tensor, "writer reader"]
    null: Float[Tensor, "draw writer reader"]
    p: Float[Tensor, "writer reader"]
    ceiling: Float[Tensor, "writer reader"]

    @property
    def above(self) -> Bool[Tensor, "writer reader"]:
        """The pairs above chance."""
        return self.p < LEVEL

    @property
    def over_mean(self) -> Float[Tensor, "writer reader"]:
        """How far each score lies above the mean of its null; below it is negative."""
        return self.scores - self.null.mean(0)


Boards = Mapping[Kind, Judged]


def judge(model, kind: Kind, draws: int = 499, seed: int = 0) -> Judged:
    """Every pair of a model by one kind. Errors as in `composition_scores`."""
    null = composition_null(model, kind, draws, Generator().manual_seed(seed))
    scores = composition_scores(model, kind)
    return Judged(scores, null, p_values(scores, null), spectrum_ceiling(model, kind))


def judge_all(model, draws: int = 499, seed: int = 0) -> Boards:
    """The same by all three kinds. These are three tests, so each p counts threefold."""
    boards = {kind: judge(model, kind, draws, seed) for kind in ("Q", "K", "V")}
    return {kind: board._replace(p=(3 * board.p).clamp_max(1)) for kind, board in boards.items()}


def edges(model, boards: Boards) -> tuple[list[Edge], list[Edge]]:
    """The edges from earlier to later heads that score above chance, and all others."""
    above, rest = [], []
    pairs = list(product(enumerate(writing_heads(model)), enumerate(reading_heads(model))))
    for kind, board in boards.items():
        for (row, writer), (column, reader) in pairs:
            if writer[0] < reader[0]:
                group = above if board.above[row, column] else rest
                group.append(Edge(writer, reader, kind.lower()))
    return above, rest


@torch.no_grad()
def score_in_wrong_order(model, kind: Kind, writer: Head, reader: Head) -> float:
    """What comes out for a pair when the later head's matrix stands before the earlier one's."""
    later = OV(model, *reader) if kind == "V" else QK(model, *reader)
    earlier = OV(model, *writer)
    return ((later @ earlier).norm() / (later.norm() * earlier.norm())).item()


def calibrated(models: Sequence) -> tuple[int, list[float]]:
    """Of models in which nothing is planted: in how many some pair is above chance by its keys, and
    how far off 1 / d_model the mean square of each null is (relative)."""
    boards = [judge(model, "K", draws=99) for model in models]
    off = [
        abs(board.null.square().mean().item() * model.cfg.d_model - 1)
        for model, board in zip(models, boards, strict=True)
    ]
    return sum(bool(board.above.any()) for board in boards), off


def times_found(models: Sequence, directions: int, seed: int = 999) -> int:
    """Plant a pair that shares so many directions, by the key, in each of these models of two
    layers: in how many is it above chance, and no other pair further.

    `seed`: of the planting; not one of a model's own, or the two would be made of one draw.
    """
    generator, found = Generator().manual_seed(seed), 0
    for model in models:
        writer, reader = ((layer, model.cfg.n_heads - 1) for layer in (0, 1))
        planted = planted_composer(model, "K", writer, reader, generator, directions)
        *others, own = judge(planted, "K", draws=99).p.flatten().tolist()
        found += own < LEVEL and own <= min(others)
    return found
