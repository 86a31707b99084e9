"""What a model says after planted skip-trigrams, and whether it says what nobody planted.

The table that is studied has two sources, two destinations and four answers: `keep ... in -> mind`,
`keep ... at -> bay`, `stay ... in -> touch`, `stay ... at -> home`.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Skip-Trigram Bugs".
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from helpers.instruments import paths
from helpers.sequences import SKIP_TRIGRAMS, Task

CONTEXTS = ("keep…in", "keep…at", "stay…in", "stay…at")
ANSWERS = ("mind", "bay", "touch", "home")


class Cells(NamedTuple):
    """For each context, the column of three of the four answers."""

    planted: Int[Tensor, " context"]  # what the data say
    bug: Int[Tensor, " context"]  # the same source's answer to the other destination
    stranger: Int[Tensor, " context"]  # the other source's answer to the other destination


def cells() -> Cells:
    """Which answer is which, read off the table."""

    def column(context: int, same_source: bool) -> int:
        source, destination, _ = SKIP_TRIGRAMS[context]
        return next(
            other
            for other, (s, d, _) in enumerate(SKIP_TRIGRAMS)
            if d != destination and (s == source) == same_source
        )

    contexts = range(len(SKIP_TRIGRAMS))
    return Cells(
        torch.arange(len(SKIP_TRIGRAMS)),
        torch.tensor([column(context, same_source=True) for context in contexts]),
        torch.tensor([column(context, same_source=False) for context in contexts]),
    )


def layout() -> tuple[Sequence[str], Sequence[str], Tensor, Tensor]:
    """What a picture of a board needs beside its numbers: the names of the contexts and of the
    answers, and the columns of what was planted and of the bugs."""
    return CONTEXTS, ANSWERS, cells().planted, cells().bug


def board(model, task: Task) -> dict[str, Float[Tensor, "context answer"]]:
    """What each term of the model adds to the four answers after each context, measured from the
    tokens of the noise (logits, the mean over 512 sequences). The terms sum to the logits.

    The task is `skip_trigrams` with its own table.
    """
    tokens, _, determined = task(512, Generator().manual_seed(1))
    rows = [
        determined & (tokens == destination) & (tokens == source).any(-1, keepdim=True)
        for source, destination, _ in SKIP_TRIGRAMS
    ]
    answers = [answer for *_, answer in SKIP_TRIGRAMS]
    noise = slice(max(answers) + 1, None)

    def measured(term: Float[Tensor, "batch pos d_vocab"]) -> Tensor:
        means = torch.stack([term[at].mean(0) for at in rows])  # [context, d_vocab]
        return means[:, answers] - means[:, noise].mean(-1, keepdim=True)

    return {name: measured(term) for name, term in paths.path_expansion(model, tokens).items()}


def learned(logits: Float[Tensor, "*model context answer"]) -> Bool[Tensor, "*model"]:
    """Whether a model gives every context the answer that was planted."""
    return (logits.argmax(-1) == cells().planted).all(-1)


def bug_heights(logits: Float[Tensor, "*model context answer"]) -> Float[Tensor, "*model context"]:
    """By how much the bug stands above the answer that shares nothing with the context."""
    context, at = torch.arange(logits.shape[-2]), cells()
    return logits[..., context, at.bug] - logits[..., context, at.stranger]
