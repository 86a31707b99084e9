"""The puzzle of notebook 02: of sixteen pairs of heads one composes and matters. Which, and by
which of the three reads?

A second pair composes as well, by another read, and writes where nothing reads: weights alone name
both. An answer is judged by cutting it: when the reader no longer gets what that writer wrote on
this text, but what it wrote on another, the model's answers must change; all others leave them.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from helpers.checks.puzzles import written
from helpers.checks.puzzles.engine import Puzzle
from helpers.instruments.interventions import Edge, head_outputs, patch
from helpers.model import AttentionOnlyTransformer, Head
from helpers.sequences import BOS

D_VOCAB, N_CTX, N_HEADS = 18, 32, 4
READS = ("Q", "K", "V")
CHANGED = 0.5  # the share of answers that a cut of the right edge changes


class Composition(NamedTuple):
    writer: Head
    reader: Head
    read: Literal["Q", "K", "V"]


def _compose(model: AttentionOnlyTransformer, at: written.Blocks, pair: Composition) -> None:
    """The writer fetches the token before. K: the reader looks where it equals the present token,
    and says the token found. Q: it looks for an earlier copy of it, and says that. V: it looks one
    back too, and says what was fetched there."""
    writer, reader, read = pair
    written.look_by_position(model, writer, at, written.back(N_CTX, 1))
    written.move(model, writer, at.token, at.fetched)
    if read == "V":
        written.look_by_position(model, reader, at, written.back(N_CTX, 1))
        written.move(model, reader, at.fetched, at.answer)
        return
    never = () if read == "K" else (0, 1)
    written.look_by_position(model, reader, at, written.among_equals(N_CTX, 0, never))
    query, key = (at.token, at.fetched) if read == "K" else (at.fetched, at.token)
    written.look_for_equal(model, reader, at, query, key)
    written.move(model, reader, at.token, at.answer)


def _compose_in_vain(
    model: AttentionOnlyTransformer, at: written.Blocks, pair: Composition, generator: Generator
) -> None:
    """The writer writes aside, into a block which the reader reads; what the reader writes is
    read by no one."""
    writer, reader, read = pair
    written.idle(model, writer, at, generator)
    written.idle(model, reader, at, generator)
    inside = slice(D_VOCAB)
    model.W_V[(*writer, at.token, inside)] = torch.eye(D_VOCAB)
    model.W_O[(*writer, inside, at.aside)] = torch.eye(D_VOCAB)
    model.W_O[(*writer, slice(None), at.spare)] = 0
    weight = getattr(model, f"W_{read}")[reader]
    weight[:] = 0
    weight[at.aside, inside] = written.MATCH / 10 * torch.eye(D_VOCAB)


def _anonymous(
    right: Composition, vain: Composition, generator: Generator
) -> AttentionOnlyTransformer:
    model, at = written.blank(N_HEADS, D_VOCAB, N_CTX)
    for layer in range(2):
        for head in range(N_HEADS):
            written.idle(model, (layer, head), at, generator)
    for pair in (right, vain):
        for head in pair[:2]:
            for name in ("W_Q", "W_K", "W_V", "W_O"):
                getattr(model, name)[head] = 0
    _compose_in_vain(model, at, vain, generator)
    _compose(model, at, right)
    return written.turned(model, generator)


def texts(generator: Generator) -> Int[Tensor, "text pos"]:
    """16 texts of one random length, of a few kinds of tokens each, behind BOS."""
    length = int(torch.randint(16, N_CTX, (), generator=generator))
    kinds = torch.randint(1, D_VOCAB, (16, 6), generator=generator)
    drawn = kinds.gather(1, torch.randint(6, (16, length - 1), generator=generator))
    return torch.nn.functional.pad(drawn, (1, 0), value=BOS)


@torch.no_grad()
def share_changed(
    model: AttentionOnlyTransformer, pair: Composition, generator: Generator
) -> float:
    """The share of the model's answers that change when this edge brings what another text would
    have brought."""
    text = texts(generator)
    writer, reader, read = pair
    outputs = head_outputs(model, text)
    hooks = patch([Edge(writer, reader, read.lower())], outputs, outputs.roll(1, 1))
    before, after = model(text)[:, 8:], model.run_with_hooks(text, hooks)[:, 8:]
    speaks = before.topk(2).values.diff(dim=-1).abs()[..., 0] > 1
    return (before.argmax(-1) != after.argmax(-1))[speaks].float().mean().item()


def misconception(pair: Composition, right: Composition, vain: Composition) -> str | None:
    """What one may have taken the pair for, where it can be known."""
    if pair == vain:
        return "these two do compose, and what the reader writes is read by no one"
    if pair[:2] == right[:2]:
        return "the right two heads, by another read"
    if pair.reader == right.reader:
        return "the right reader, and another writer"
    if pair.writer == right.writer:
        return "the right writer, and another reader"
    return None


def drawn(seed: int) -> tuple[Composition, Composition, Generator]:
    """The pair that this seed hides, and the one that composes in vain; for whoever leads a
    group."""
    generator = Generator().manual_seed(seed)
    writers, readers = (torch.randperm(N_HEADS, generator=generator).tolist() for _ in "12")
    reads = [READS[i] for i in torch.randperm(3, generator=generator).tolist()]
    right, vain = (Composition((0, writers[i]), (1, readers[i]), reads[i]) for i in (0, 1))
    return right, vain, generator


def composition(seed: int) -> Puzzle:
    """Notebook 02's puzzle: which two heads compose to any effect, and by which read?"""
    right, vain, generator = drawn(seed)
    model = _anonymous(right, vain, generator)

    def judge(answer, generator: Generator) -> str | None:
        pair = _checked(answer)
        changed = share_changed(model, pair, generator)
        if changed > CHANGED:
            return None
        why = misconception(pair, right, vain)
        return (
            f"When that read gets what the writer wrote on another text, {changed:.0%} of the "
            "model's answers change." + (f" Most likely: {why}." if why else "")
        )

    return Puzzle(
        f"`puzzle.model` has two layers of {N_HEADS} heads, and a vocabulary of {D_VOCAB} tokens; "
        "0 is BOS. Its answers hang on one pair of heads that compose. Which are they, and through "
        'which read? `puzzle.check(((0, 1), (1, 2), "Q"))` takes the writer, the reader, and '
        '`"Q"`, `"K"` or `"V"`.',
        judge,
        model=model,
    )


def _checked(answer) -> Composition:
    """ValueError for what names no composition."""
    heads = range(N_HEADS)
    if (
        not isinstance(answer, tuple | list)
        or len(answer) != 3
        or tuple(answer[0]) not in [(0, head) for head in heads]
        or tuple(answer[1]) not in [(1, head) for head in heads]
        or answer[2] not in READS
    ):
        raise ValueError(
            f"{answer!r:.60} names no composition; give a writer of layer 0, a reader of layer 1 "
            'and a read, as in ((0, 1), (1, 2), "Q")'
        )
    return Composition(tuple(answer[0]), tuple(answer[1]), answer[2])
