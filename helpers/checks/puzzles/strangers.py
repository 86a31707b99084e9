"""The puzzle of notebook 06: a stranger of eight heads. What does each of them do?

Some match prefixes and copy what they find, some match and suppress it. Others only look alike: by
where they attend, or by what their weights would copy if they attended anywhere. An answer is
judged by what the heads do on blocks of random tokens drawn anew.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from helpers.checks.puzzles import written
from helpers.checks.puzzles.engine import Puzzle, one_of
from helpers.instruments.patterns import (
    directions,
    induction_targets,
    prefix_matching,
    previous_token,
)
from helpers.instruments.probes import probe
from helpers.model import AttentionOnlyTransformer, Head

D_VOCAB, N_CTX, N_HEADS = 18, 32, 4
COPIES, SUPPRESSES, PREVIOUS, NONE = WORDS = ("copies", "suppresses", "previous", "none")
MOST = 0.5  # of the attention
LOGIT = 10.0  # of what a head says at its loudest
MOVED = 1.0  # logits, up or down
# Of written scores. Less than all: no trained head attends to one place alone.
SOFT, SHARP = 1 / 160, 1 / 80
Names = list[list[str]]  # [layer][head]


# ---- the kinds of heads, by where they look


def _look_back(model, head: Head, at: written.Blocks, steps: int) -> None:
    written.look_by_position(model, head, at, written.back(N_CTX, steps))


def _look_behind_copies(model, head: Head, at: written.Blocks) -> None:
    written.look_for_equal(model, head, at, at.token, at.fetched)


def _look_at_copies(model, head: Head, at: written.Blocks) -> None:
    not_itself = written.among_equals(N_CTX, step=0, never=(0,))
    written.look_by_position(model, head, at, not_itself)
    written.look_for_equal(model, head, at, at.token, at.token)


def _rest_on_bos(model, head: Head, at: written.Blocks) -> None:
    written.look_for_equal(model, head, at, at.token, at.token, only=torch.zeros(D_VOCAB))


# those that have no word of their own
MUTE, AT_COPIES, AT_ITSELF, TWO_BACK, RESTS = (
    "matches, and no logit reads it",
    "attends to the copies",
    "attends to itself",
    "attends two back",
    "rests on BOS",
)
ANYWHERE: dict[str, Callable[..., None]] = {
    PREVIOUS: partial(_look_back, steps=1),
    TWO_BACK: partial(_look_back, steps=2),
    AT_ITSELF: partial(_look_back, steps=0),
    RESTS: _rest_on_bos,
}
KINDS = ANYWHERE | {
    COPIES: _look_behind_copies,
    SUPPRESSES: _look_behind_copies,
    MUTE: _look_behind_copies,
    AT_COPIES: _look_at_copies,
}
TAKEN_FOR: Mapping[str, Mapping[str, str]] = {
    "you have up and down the other way round": {COPIES: SUPPRESSES, SUPPRESSES: COPIES},
    "you did not ask whether a head raises what it finds or lowers it": {SUPPRESSES: COPIES},
    "a head that matches and does not copy need not suppress; what one of them writes, no logit "
    "reads": {MUTE: SUPPRESSES},
    "a head that matches need not copy; what one of them writes, no logit reads": {MUTE: COPIES},
    "you took the earlier copies themselves for the keys behind them": {AT_COPIES: COPIES},
    "you went by what the weights would copy, and not by where the head attends": {
        kind: COPIES for kind in (AT_COPIES, RESTS, AT_ITSELF, TWO_BACK)
    },
    "you took two back for the token before": {TWO_BACK: PREVIOUS},
}


def words(kinds: Names, taken_for: Mapping[str, str] | None = None) -> Names:
    """The word for each head, where some kinds are `taken_for` others."""
    right = {kind: kind if kind in WORDS else NONE for kind in KINDS} | (taken_for or {})
    return [[right[kind] for kind in layer] for layer in kinds]


# ---- the stranger


def drawn(seed: int) -> tuple[Names, Generator]:
    """Which kinds this seed hides, for whoever leads a group: one head of the first layer or more
    looks back, and one of the second or more copies or suppresses."""
    generator = Generator().manual_seed(seed)

    def shuffled(names: Collection[str]) -> list[str]:
        return [[*names][i] for i in torch.randperm(len(names), generator=generator).tolist()]

    surely = (PREVIOUS, one_of(generator, (COPIES, SUPPRESSES)))
    kinds = [
        shuffled([sure, *shuffled(others)[: N_HEADS - 1]])
        for sure, others in zip(surely, (ANYWHERE, KINDS), strict=True)
    ]
    return kinds, generator


def _anonymous(kinds: Names, generator: Generator) -> AttentionOnlyTransformer:
    """Where each head looks, how sharply, and what it then writes: the heads of the first layer
    that look back fetch for the second, the others speak to the logits, but for the mute."""
    model, at = written.blank(N_HEADS, D_VOCAB, N_CTX)
    model.W_U *= LOGIT / written.LOGIT
    for layer, names in enumerate(kinds):
        for head, kind in enumerate(names):
            KINDS[kind](model, (layer, head), at)
            sharp, loud = torch.rand(2, generator=generator).tolist()
            model.W_Q[layer, head] *= SOFT + sharp * (SHARP - SOFT)
            speaks = (0.4 + 0.6 * loud) * (-1 if kind == SUPPRESSES else 1)
            target, how_much = at.aside if kind == MUTE else at.answer, speaks
            if kind == PREVIOUS and layer == 0:
                target, how_much = at.fetched, 1.0
            written.move(model, (layer, head), at.token, target, how_much=how_much)
    return written.turned(model, generator)


# ---- what its heads do


class Seen(NamedTuple):
    """What one head does on tokens that repeat."""

    matching: float  # of its attention, behind earlier copies
    looking_back: float  # of its attention, on the token before
    raised: float  # the logit of a token found behind a copy, above the mean

    @property
    def word(self) -> str:
        if self.looking_back > MOST:
            return PREVIOUS
        if self.matching > MOST and abs(self.raised) > MOVED:
            return COPIES if self.raised > 0 else SUPPRESSES
        return NONE

    def against(self, word: str) -> str:
        """What speaks against calling it so."""
        if PREVIOUS in (word, self.word):
            return f"{self.looking_back:.0%} of its attention falls on the token before"
        if self.matching < MOST:
            return f"{self.matching:.0%} of its attention falls behind earlier copies"
        raised = round(self.raised, 1) + 0.0  # no minus before a zero
        return f"it moves the logit of a token found behind a copy by {raised:+.1f}"


@torch.no_grad()
def seen(model: AttentionOnlyTransformer, tokens: Int[Tensor, "batch pos"]) -> list[list[Seen]]:
    """What each head does, [layer][head]."""
    _, cache = model.run_with_cache(tokens)
    targets = induction_targets(tokens)[:, None]
    found = []
    for layer, W_O in enumerate(model.W_O):
        pattern, z = (cache[f"blocks.{layer}.attn.hook_{part}"] for part in ("pattern", "z"))
        raised = torch.einsum("bqhd,hdm,bkm->bhqk", z, W_O, directions(model.W_U, tokens))
        hits = pattern * targets
        scores = (
            prefix_matching(pattern, tokens),
            previous_token(pattern, tokens),
            (hits * raised).sum((0, 2, 3)) / hits.sum((0, 2, 3)),
        )
        found.append([Seen(*of_head) for of_head in torch.stack(scores, 1).tolist()])
    return found


# ---- the puzzle


def stranger(seed: int) -> Puzzle:
    """Notebook 06's puzzle: what does each head of this model do?"""
    kinds, generator = drawn(seed)
    model = _anonymous(kinds, generator)

    def judge(answer: Any, generator: Generator) -> str | None:
        given = _checked(answer)
        texts = probe(D_VOCAB, N_CTX, seed=int(torch.randint(10**6, (), generator=generator)))
        heads = [
            (f"{layer}.{head}", word, does)
            for layer, row in enumerate(seen(model, texts))
            for head, (word, does) in enumerate(zip(given[layer], row, strict=True))
        ]
        misnamed = [(name, word, does) for name, word, does in heads if word != does.word]
        if not misnamed:
            return None
        name, word, does = misnamed[0]
        likely = (why for why, other in TAKEN_FOR.items() if words(kinds, other) == given)
        why = next(likely, None)
        return (
            f"{len(heads) - len(misnamed)} of {len(heads)} heads do what you say. You call head "
            f'{name} "{word}": {does.against(word)}.' + (f" Most likely: {why}." if why else "")
        )

    return Puzzle(
        f"`puzzle.model` has two layers of {N_HEADS} heads, a vocabulary of {D_VOCAB} tokens, of "
        f"which 0 is BOS, and a context of {N_CTX}. What does each head do? "
        f'`"{COPIES}"`: it attends to what followed earlier copies of the present token, and '
        f'raises the logit of what it finds above the mean. `"{SUPPRESSES}"`: it attends there, '
        f'and lowers it. `"{PREVIOUS}"`: it attends to the token before. `"{NONE}"`: nothing of '
        "this. Give the words of each layer, four and four: `puzzle.check([first, second])`.",
        judge,
        model=model,
    )


def _checked(answer: Any) -> Names:
    """ValueError for what does not name every head."""
    if (
        not isinstance(answer, list | tuple)
        or [len(layer) for layer in answer] != [N_HEADS] * 2
        or not all(word in WORDS for layer in answer for word in layer)
    ):
        raise ValueError(
            f"{answer!r:.60} does not name every head; give two lists of {N_HEADS} words, each one "
            f"of {', '.join(WORDS)}"
        )
    return [list(layer) for layer in answer]
