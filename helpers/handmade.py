"""Models whose weights are written by hand, to be measured by the same instruments as trained ones.

Their stream is a row of blocks, each for one thing: the present token (one-hot), the position, what
an earlier head brought. A head that looks for equal things reads one block as query and another as
key; a head that moves something reads one block and writes to another. There is nothing else in
them, and `basis.rotate` hides it all without changing a logit.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Induction heads",
and the exercises that came with the paper (induction by K-composition and by pointer arithmetic, a
virtual two-back head).
"""

import math
from types import SimpleNamespace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.model import AttentionOnlyTransformer, Head, ModelConfig, check_order
from helpers.sequences import BOS

# the score of a full match; half a match leaves e^-16 of the attention to those that do not match
SHARP = 32.0
LOGIT = 20.0  # of the answer; every other token has 0

Positions = Literal["shortformer", "standard"]


# ---- the models


def previous_token_head(
    d_vocab: int, n_ctx: int, positions: Positions = "shortformer"
) -> AttentionOnlyTransformer:
    """One layer of one head. It attends one position back, and the logits name the token found
    there."""
    blocks = dict(token=d_vocab, position=_waves(n_ctx).shape[1], previous=d_vocab)
    model, at = _blank(1, n_ctx, positions, blocks, answer="previous")
    _look_back(model, 0, at.position)
    _move(model, 0, at.token, at.previous)
    return model


def induction_head(
    d_vocab: int, n_ctx: int, positions: Positions = "shortformer"
) -> AttentionOnlyTransformer:
    """Induction by K-composition. 0.0 brings each position the token before it; 1.0 attends where
    that equals the present token, and predicts the token that stands there. It rests on BOS when
    there is no such place.

    Where a token has several earlier copies, their successors share the attention.
    """
    blocks = dict(
        token=d_vocab, position=_waves(n_ctx).shape[1], previous=d_vocab, prediction=d_vocab
    )
    model, at = _blank(2, n_ctx, positions, blocks, answer="prediction")
    _look_back(model, 0, at.position)
    _move(model, 0, at.token, at.previous)
    _look_for_equal(model, 1, at.token, at.previous)
    # half a match for every query: better than none
    model.W_K[1, 0, at.token][BOS, :d_vocab] = 1 / 2
    _move(model, 1, at.token, at.prediction, but=BOS)
    return model


def blank_induction(d_vocab: int, n_ctx: int) -> tuple[AttentionOnlyTransformer, SimpleNamespace]:
    """The induction head with most of its weights left at zero, for the reader to write, and where
    the stream's blocks lie: `token`, `position`, `previous`, `prediction`. There are W_E, W_pos,
    and W_Q and W_K of the first head, which attends one position back."""
    blocks = dict(
        token=d_vocab, position=_waves(n_ctx).shape[1], previous=d_vocab, prediction=d_vocab
    )
    model, at = _blank(2, n_ctx, "shortformer", blocks, answer="prediction")
    _look_back(model, 0, at.position)
    model.W_U.zero_()
    return model, at


def two_back_virtual_head(
    d_vocab: int, n_ctx: int, positions: Positions = "shortformer"
) -> AttentionOnlyTransformer:
    """Two previous-token heads, composed by their values. 1.0 moves what 0.0 brought to the
    position before, which is the token two back, and the logits name it. Neither head attends
    there; the virtual head 0.0 -> 1.0 does."""
    blocks = dict(
        token=d_vocab, position=_waves(n_ctx).shape[1], one_back=d_vocab, two_back=d_vocab
    )
    model, at = _blank(2, n_ctx, positions, blocks, answer="two_back")
    for layer in (0, 1):
        _look_back(model, layer, at.position)
    _move(model, 0, at.token, at.one_back)
    _move(model, 1, at.one_back, at.two_back)
    return model


def pointer_arithmetic(d_vocab: int, n_ctx: int) -> AttentionOnlyTransformer:
    """Induction by Q-composition, with positions in the stream. 0.0 looks for earlier copies of the
    present token and brings back their positions; 1.0 adds one and attends there. No head attends
    to the previous token.

    Positions are one-hot, and adding one is a cyclic shift. Both heads rest on BOS when there is no
    earlier copy.
    """
    blocks = dict(token=d_vocab, position=n_ctx, pointer=n_ctx, prediction=d_vocab)
    model, at = _blank(2, n_ctx, "standard", blocks, answer="prediction", d_head=d_vocab + n_ctx)
    model.W_pos[:, at.position] = torch.eye(n_ctx)

    # Of the whole score an earlier copy gets all, BOS 3/4, and the present token, equal but at no
    # distance, 1/2.
    _look_for_equal(model, 0, at.token, at.token, sharp=4 * SHARP)
    model.W_K[0, 0, at.token][BOS, :d_vocab] = 3 / 4
    model.W_Q[0, 0, at.position, d_vocab:] = -1 / 2 * _scale(model, 4 * SHARP) * torch.eye(n_ctx)
    model.W_K[0, 0, at.position, d_vocab:] = torch.eye(n_ctx)
    _move(model, 0, at.position, at.pointer, but=0)

    # Of m copies each successor gets 1 / m, and BOS, the successor of none, 1 / n_ctx: less, for
    # there are fewer copies than tokens.
    _look_for_equal(
        model, 1, at.pointer, at.position, sharp=n_ctx * SHARP, step=torch.eye(n_ctx).roll(1, 1)
    )
    model.W_Q[1, 0, at.token, 0] = _scale(model, SHARP)
    _move(model, 1, at.token, at.prediction, but=BOS)
    return model


def planted_composer(
    model: AttentionOnlyTransformer,
    kind: Literal["Q", "K", "V"],
    writer: Head,
    reader: Head,
    generator: Generator,
    directions: int | None = None,
) -> AttentionOnlyTransformer:
    """The model, but `writer` writes into a random subspace that the query, key or value of
    `reader` reads, all of it and evenly: a perfect composer of one kind, whose score is the ceiling
    1 / sqrt(d_head). Nothing else is special about the two heads.

    `directions`: a weaker one, that reads so many of the d_head directions written, and others at
    random. ValueError for another kind than Q, K, V, for heads that do not exist, for a reader that
    is not in a later layer, and for directions that are not there.
    """
    if kind not in ("Q", "K", "V"):
        raise ValueError(f"kind is {kind!r}; choose 'Q', 'K' or 'V'")
    check_order(model, writer, reader)
    directions = model.cfg.d_head if directions is None else directions
    if not 0 <= directions <= model.cfg.d_head:
        raise ValueError(
            f"{directions} directions of what a head writes; give 0 to d_head, {model.cfg.d_head}"
        )
    planted = AttentionOnlyTransformer(model.cfg).requires_grad_(False)
    planted.load_state_dict(model.state_dict())

    def frame() -> Float[Tensor, "d_model d_head"]:
        return torch.linalg.qr(
            torch.randn(model.cfg.d_model, model.cfg.d_head, generator=generator)
        ).Q

    shared = frame()
    planted.W_V[writer], planted.W_O[writer] = frame(), shared.T
    for name in ("W_Q", "W_K", "W_V"):
        getattr(planted, name)[reader] = shared if name == f"W_{kind}" else frame()
    planted.W_O[reader] = frame().T
    if directions < model.cfg.d_head:
        getattr(planted, f"W_{kind}")[reader][:, directions:] = frame()[:, directions:]
    return planted


# ---- the pieces


def _blank(
    n_layers: int,
    n_ctx: int,
    positions: Positions,
    blocks: dict[str, int],
    answer: str,
    d_head: int | None = None,
) -> tuple[AttentionOnlyTransformer, SimpleNamespace]:
    """One head a layer, all zero, between an embedding into the block `token` and an unembedding
    from the block `answer`. The second value says where each block lies in the stream."""
    ends = torch.tensor(list(blocks.values())).cumsum(0).tolist()
    at = SimpleNamespace(
        **{name: slice(end - blocks[name], end) for name, end in zip(blocks, ends, strict=True)}
    )
    shape = dict(
        n_layers=n_layers, n_heads=1, d_model=ends[-1], d_head=d_head or max(blocks.values())
    )
    model = AttentionOnlyTransformer(
        ModelConfig(**shape, n_ctx=n_ctx, d_vocab=blocks["token"], positions=positions)
    )
    for weight in model.requires_grad_(False).parameters():
        weight.zero_()
    model.W_E[:, at.token] = torch.eye(blocks["token"])
    model.W_U[getattr(at, answer)] = LOGIT * torch.eye(blocks["token"])
    return model, at


def _look_for_equal(
    model: AttentionOnlyTransformer,
    layer: int,
    query: slice,
    key: slice,
    sharp: float = SHARP,
    step: Tensor | None = None,
) -> None:
    """Scores sharp * (query block @ step) . (key block): high where the two agree. By default no
    step lies between."""
    size = query.stop - query.start
    model.W_Q[layer, 0, query, :size] = _scale(model, sharp) * (
        torch.eye(size) if step is None else step
    )
    model.W_K[layer, 0, key, :size] = torch.eye(size)


def _look_back(model: AttentionOnlyTransformer, layer: int, position: slice) -> None:
    """Attention to the position before: the query's waves, turned back by one step, against the
    key's."""
    waves = _waves(model.cfg.n_ctx)
    model.W_pos[:, position] = waves
    _look_for_equal(model, layer, position, position, step=_one_step(waves.shape[1] // 2).T)


def _move(
    model: AttentionOnlyTransformer,
    layer: int,
    source: slice,
    target: slice,
    but: int | None = None,
) -> None:
    """The head copies one block of what it attends to into another block, except the entry
    `but`."""
    size = source.stop - source.start
    model.W_V[layer, 0, source, :size] = torch.eye(size)
    if but is not None:
        model.W_V[layer, 0, source][but] = 0
    model.W_O[layer, 0, :size, target] = torch.eye(size)


def _scale(model: AttentionOnlyTransformer, sharp: float) -> float:
    return sharp * math.sqrt(model.cfg.d_head)


def _frequencies(count: int) -> Float[Tensor, " waves"]:
    return math.pi / 2.0 ** torch.arange(count)


def _waves(n_ctx: int) -> Float[Tensor, "n_ctx waves_times_2"]:
    """Each position as points on circles, (cos, sin) of angles that grow by pi, pi/2, pi/4, ... a
    step. Positions agree best, with a product of 8 or more, when they are equal; all others miss
    that by 3 or more. The slowest wave is as long as twice the context or longer, so that no two
    distances look alike."""
    angle = torch.arange(n_ctx)[:, None] * _frequencies(max(8, math.ceil(math.log2(n_ctx)) + 1))
    return torch.stack([angle.cos(), angle.sin()], -1).flatten(1)


def _one_step(count: int) -> Float[Tensor, "waves_times_2 waves_times_2"]:
    """The rotation that takes every position to the next: waves[i] @ step = waves[i + 1]."""
    turns = [torch.tensor([[a.cos(), a.sin()], [-a.sin(), a.cos()]]) for a in _frequencies(count)]
    return torch.block_diag(*turns)
