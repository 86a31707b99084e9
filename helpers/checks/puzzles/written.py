"""The models of all puzzles but those of 03 and 07, written by hand into blocks of the stream, with
heads beside them that only seem to do something; then all of it is turned.

A block for the present token and one for the position are one-hot, so that a head can score any
pair of tokens and any pair of positions: `scores` is a table of either.
"""

import math
from types import SimpleNamespace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.instruments import basis
from helpers.model import AttentionOnlyTransformer, Head, ModelConfig
from helpers.sequences import BOS

MATCH = 800.0  # the score of equal tokens: more than what any position can add
REST = 600.0  # of BOS: what a head does when nothing matches
NEVER = 500.0  # taken off, so that an equal token has less than BOS
LATER = 8.0  # by how much a place outdoes the one before it, or the other way round
LOGIT = 100.0  # of an answer

Blocks = SimpleNamespace


def blank(
    n_heads: int, d_vocab: int, n_ctx: int, n_layers: int = 2
) -> tuple[AttentionOnlyTransformer, Blocks]:
    """A model without weights but its embedding and unembedding, and where its blocks lie: `token`,
    `position`, `fetched`, `answer`, and two that no logit reads, `spare`
    and `aside`."""
    names = ("token", "position", "fetched", "answer", "spare", "aside")
    sizes = {name: n_ctx if name == "position" else d_vocab for name in names}
    ends = torch.tensor(list(sizes.values())).cumsum(0).tolist()
    at = Blocks(
        **{name: slice(end - sizes[name], end) for name, end in zip(sizes, ends, strict=True)}
    )
    model = AttentionOnlyTransformer(
        ModelConfig(
            n_layers=n_layers,
            n_heads=n_heads,
            d_model=ends[-1],
            d_head=d_vocab + n_ctx + 1,
            n_ctx=n_ctx,
            d_vocab=d_vocab,
        )
    )
    for weight in model.requires_grad_(False).parameters():
        weight.zero_()
    model.W_E[:, at.token] = torch.eye(d_vocab)
    model.W_pos[:, at.position] = torch.eye(n_ctx)
    model.W_U[at.answer] = LOGIT * torch.eye(d_vocab)
    return model, at


def look_by_position(
    model: AttentionOnlyTransformer, head: Head, at: Blocks, scores: Float[Tensor, "query key"]
) -> None:
    """Add a score for every pair of positions."""
    part = slice(model.cfg.d_vocab, model.cfg.d_vocab + model.cfg.n_ctx)
    model.W_Q[(*head, at.position, part)] = math.sqrt(model.cfg.d_head) * scores
    model.W_K[(*head, at.position, part)] = torch.eye(model.cfg.n_ctx)


def look_for_equal(
    model: AttentionOnlyTransformer,
    head: Head,
    at: Blocks,
    query: slice,
    key: slice,
    only: Float[Tensor, " d_vocab"] | None = None,
) -> None:
    """Add a score where the query's block says the same token as the key's, and a lower one for
    BOS. `only` marks the tokens that look at all."""
    part, root = slice(model.cfg.d_vocab), math.sqrt(model.cfg.d_head)
    marked = torch.ones(model.cfg.d_vocab) if only is None else only
    model.W_Q[(*head, query, part)] = root * MATCH * marked.diag()
    model.W_K[(*head, key, part)] = torch.eye(model.cfg.d_vocab)
    model.W_Q[(*head, at.token, -1)] = root * REST
    model.W_K[(*head, at.token)][BOS, -1] = 1
    model.W_K[(*head, at.token)][BOS, :-1] = 0  # BOS is a copy of nothing


def move(
    model: AttentionOnlyTransformer,
    head: Head,
    source: slice,
    target: slice,
    shift: int = 0,
    how_much: float = 1.0,
) -> None:
    """Copy one block of what the head attends to into another block, BOS left out; `shift`: as the
    token so many further on, after the last the first again."""
    size = source.stop - source.start
    table = torch.zeros(size, size)
    table[1:, 1:] = torch.eye(size - 1).roll(shift, 1)
    model.W_V[(*head, source, slice(size))] = how_much * table
    model.W_O[(*head, slice(size), target)] = torch.eye(size)


def back(n_ctx: int, steps: int) -> Float[Tensor, "query key"]:
    """Scores for looking so many positions back, and at BOS where there are not so many."""
    scores = torch.diag(torch.ones(n_ctx - steps), -steps)
    scores[:steps, BOS] = 1
    return 2 * MATCH * scores


def among_equals(
    n_ctx: int, step: float = LATER, never: tuple[int, ...] = ()
) -> Float[Tensor, "query key"]:
    """Scores that choose among places where the same token stands: each outdoes the one before it
    by `step`, which may be negative. `never` so many positions back."""
    places = torch.arange(n_ctx).float()
    scores = (step * (places if step > 0 else places - n_ctx)).repeat(n_ctx, 1)
    scores[:, BOS] = 0
    for steps in never:
        scores -= torch.diag(torch.full((n_ctx - steps,), NEVER), -steps)
    return scores


def idle(model: AttentionOnlyTransformer, head: Head, at: Blocks, generator: Generator) -> None:
    """A head that looks somewhere and writes what nobody reads."""
    for name, size in (("W_Q", 6.0), ("W_K", 6.0), ("W_V", 1.0)):
        weight = getattr(model, name)[head]
        weight[:] = size * torch.randn(weight.shape, generator=generator) / 10
    spare = torch.randn(model.cfg.d_head, model.cfg.d_vocab, generator=generator)
    model.W_O[(*head, slice(None), at.spare)] = spare / 10


def turned(model: AttentionOnlyTransformer, generator: Generator) -> AttentionOnlyTransformer:
    """The same model, its stream turned and every head in coordinates of its own."""
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            qk, vo = (basis.random_rotation(model.cfg.d_head, generator) for _ in "12")
            model = basis.change_head_gauge(model, layer, head, qk=qk, vo=vo)
    return basis.rotate(model, basis.random_rotation(model.cfg.d_model, generator))
