"""Trigger bigrams: what does a model store first, when its data hold something known beforehand and
something that each sequence says anew?

The weights of a matrix that has learned are a sum of outer products, one for each pair that it
associates: an associative memory. To probe it, put each pair's one side in and ask whether its
other side comes out on top. Four memories are probed here, each in a model of two layers with one
head each:

    bigrams      direct path: a token -> its most probable successor in the known chain
    copy         OV of the second head: a token -> itself
    look back    QK of the first head, positions alone: a row -> the key one step back
    match        QK of the second head: a token -> itself, as the first head moved it

The paper's model keeps the known chain in a feed-forward layer, which we do not have; its
embeddings are frozen and ours are trained; it takes triggers by how common they are, and we take
any.

Source: Bietti et al. 2023, Birth of a Transformer: A Memory Viewpoint, sections 3 and 4.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import kl_div

from helpers.experiments.small import watched
from helpers.instruments import circuits, heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Task, cross_entropy, transition_matrix
from helpers.sequences.batch import seen_before
from helpers.training.loop import TrainingConfig

MODEL = ModelConfig(n_heads=1, d_head=32, n_ctx=48, d_vocab=24)
TASK = Task("trigger_bigrams", dict(n_ctx=48, d_vocab=24, triggers=6))
# By what the loss counts: all rows, as in a text, or those whose answer can be known, as in most of
# the paper's experiments.
TRAININGS = {
    "all": TrainingConfig(steps=240, batch=32, rows="all"),
    "determined": TrainingConfig(steps=160, batch=32),
}
GUESSING = math.log(24 - 1 - 6)  # nats: a successor is any token that is no trigger
STORED = 0.3  # less than this share of right arg-maxes is no memory
MEMORIES = ("bigrams", "copy", "look back", "match")


# ---- the probes


@torch.no_grad()
def memories(model: AttentionOnlyTransformer) -> Float[Tensor, " memory"]:
    """How much of each of MEMORIES stands in the weights: the share of arg-maxes that are right.
    BOS, which never comes again, is left out. ValueError for a model of one layer."""
    tokens, unembed, pos = model.W_E[1:], model.W_U[:, 1:], model.W_pos
    successors = transition_matrix(model.cfg.d_vocab)[1:, 1:].argmax(-1)
    moved = tokens @ circuits.OV(model, 0, 0)
    future = torch.ones(len(pos), len(pos)).triu(1).bool()
    looks = (pos @ circuits.QK(model, 0, 0) @ pos.T).masked_fill(future, -torch.inf)
    found = (
        _share_right(tokens @ unembed, successors),
        _share_right(tokens @ circuits.OV(model, 1, 0) @ unembed),
        _share_right(looks[1:]),  # row 1 to key 0, row 2 to key 1, ...
        _share_right(tokens @ circuits.QK(model, 1, 0) @ moved.T),
    )
    return torch.stack(found)


def _share_right(
    scores: Float[Tensor, "row key"], right: Tensor | None = None
) -> Float[Tensor, ""]:
    """How often the highest score of a row is the right one: by default that of its own number."""
    right = torch.arange(len(scores)) if right is None else right
    return (scores.argmax(-1) == right).float().mean()


# ---- over a training


class Story(NamedTuple):
    """Trainings from several seeds. At each of `steps` what the model loses to one that knows all
    (nats): `chain` on rows that hold a token seen before and no trigger, `triggers` on rows that
    hold a trigger seen before; and its `memories`, nan in one layer."""

    steps: list[int]
    chain: Float[Tensor, "seed snapshot"]
    triggers: Float[Tensor, "seed snapshot"]
    memories: Float[Tensor, "seed snapshot memory"]

    def half_way(self) -> Float[Tensor, "seed memory"]:
        """The first step at which a memory holds more than half of what it holds at the end; nan
        for one that then holds less than STORED."""
        end = self.memories[:, -1]
        shares = (self.memories / end[:, None]).transpose(1, 2)
        return heads.first_above(self.steps, shares, 0.5).masked_fill(end < STORED, torch.nan)


def watch(
    seeds: Sequence[int], n_layers: int = 2, rows: str = "all", steps: Sequence[int] | None = None
) -> Story:
    """Train a model from each seed to the last of the steps (by default every fifth), and measure
    it at each of them, on sequences that are the same for all. `rows`: a key of TRAININGS."""
    config, training = replace(MODEL, n_layers=n_layers), TRAININGS[rows]
    steps = range(0, training.steps + 1, 5) if steps is None else steps
    return Story(list(steps), **watched(config, TASK, training, _measure(), steps, seeds))


def _measure() -> Callable[[AttentionOnlyTransformer], dict[str, Any]]:
    tokens, targets, triggers = TASK(64, Generator().manual_seed(10_000))
    ordinary = seen_before(tokens) & ~triggers
    law = transition_matrix(MODEL.d_vocab)[tokens[ordinary]]

    @torch.no_grad()
    def measured(model: AttentionOnlyTransformer) -> dict[str, Any]:
        logits = model(tokens)
        two = model.cfg.n_layers > 1
        return dict(
            chain=kl_div(logits[ordinary].log_softmax(-1), law, reduction="batchmean").item(),
            triggers=cross_entropy(logits, targets, triggers).item(),
            memories=memories(model).tolist() if two else [math.nan] * len(MEMORIES),
        )

    return measured
