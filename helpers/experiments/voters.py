"""Who has heard which voter: the paths through two heads, and what each has learned.

In `sequences.additive_chain` each of the last tokens votes on the next one by a table of its own.
Two heads in sequence have four paths to the logits, the direct one, each head alone and both
together; side by side they have three. A path hears the voter at the distance where it looks, and
what it adds to the logits, [token, token], may be that voter's table. Seeds differ in which head
looks where, so paths are told by their distance and never by a head's number.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.instruments.circuits import OV, virtual_head_ov, virtual_head_pattern
from helpers.instruments.weights import all_heads
from helpers.sequences import Batch, additive_log_probs, cross_entropy, vote_tables

STEADY = 0.9  # of the attention, in every row on average
FURTHEST = 8  # steps back that are looked at


class Path(NamedTuple):
    """One way from a token to the logits. `back`: how many steps it looks back, None if it looks at
    no one place. `adds`: what it adds to each logit, for each token found there."""

    name: str
    back: int | None
    adds: Float[Tensor, "token logit"]


@torch.no_grad()
def paths_through(model, tokens: Int[Tensor, "batch pos"]) -> list[Path]:
    """The paths of a model of two heads, the nearest first and those that look nowhere last.
    ValueError for another number of heads."""
    heads = all_heads(model)
    if len(heads) != 2:
        raise ValueError(f"the model has {len(heads)} heads; the voters' models have two")
    _, cache = model.run_with_cache(tokens, lambda name: name.endswith("hook_pattern"))
    found = [Path("direct", 0, model.W_E @ model.W_U)]
    for name, (layer, head) in zip(("first head", "second head"), heads, strict=True):
        back = distance(cache["pattern", layer][:, head])
        found.append(Path(name, back, model.W_E @ OV(model, layer, head) @ model.W_U))
    if model.cfg.n_layers == 2:
        back = distance(virtual_head_pattern(model, tokens, *heads))
        through = model.W_E @ virtual_head_ov(model, *heads) @ model.W_U
        found.append(Path("virtual head", back, through))
    return sorted(found, key=lambda path: FURTHEST if path.back is None else path.back)


def distance(pattern: Float[Tensor, "batch query key"]) -> int | None:
    """How many steps back a pattern looks, of 0 to 7: where nearly all its attention lies, in the
    rows that have so many tokens before them. None if that is nowhere."""
    for back in range(FURTHEST):
        if pattern.diagonal(-back, 1, 2)[:, FURTHEST:].mean() > STEADY:
            return back
    return None


def hears_all(paths: list[Path], voters: int = 4) -> bool:
    """Whether every voter, from 0 steps back on, stands where a path looks."""
    return {path.back for path in paths} >= set(range(voters))


def fits(paths: list[Path], voters: int = 4) -> Float[Tensor, "path voter"]:
    """The correlation of what each path adds with each voter's table. BOS neither votes nor gets
    votes."""
    added = [path.adds[1:, 1:].flatten() for path in paths]
    tables = vote_tables(len(paths[0].adds), voters)[:, 1:, 1:].flatten(1)
    return torch.corrcoef(torch.stack([*added, *tables]))[: len(paths), len(paths) :]


@torch.no_grad()
def loss_over_law(model, votes: Batch) -> float:
    """The model's loss less that of who knows the law, in nats, where all voters are there."""
    law = additive_log_probs(votes.tokens, model.cfg.d_vocab)
    lost, least = (
        cross_entropy(logits, votes.targets, votes.determined).item()
        for logits in (model(votes.tokens), law)
    )
    return lost - least
