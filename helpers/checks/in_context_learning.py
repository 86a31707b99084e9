"""The exercises of notebook 05: what a copy would say, what a context is worth, and how far a head
undoes a change."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from helpers.checks import Exercise, different

# ---- 1. what the latest copy says comes next

NOTHING = -1


def copied(tokens):
    says = torch.full_like(tokens, -1)
    for i in range(len(tokens)):
        for j in range(1, i):  # a later copy takes the place of an earlier one
            if tokens[j] == tokens[i]:
                says[i] = tokens[j + 1]
    return says


def _few_words(generator: Generator) -> dict[str, Tensor]:
    """BOS and tokens of which most come again, two of them twice in a row."""
    length, few = different(generator, 2, 14, 24)
    length, few = max(length, few), min(length, few) // 2
    body = torch.randint(1, few, (length,), generator=generator)
    at = int(torch.randint(3, length - 3, (), generator=generator))
    body[at + 1] = body[at]
    return dict(tokens=torch.cat([torch.zeros(1, dtype=torch.long), body]))


def _by_successors(tokens: Tensor) -> Tensor:
    """One walk over the text, with a book of what followed each token last."""
    book, says, words = {}, [], tokens.tolist()
    for at, word in enumerate(words):
        says.append(book.get(word, NOTHING))
        if at + 1 < len(words) and at > 0:
            book[word] = words[at + 1]
    return torch.tensor(says)


def _choosing(choose: Callable[[list[int], int, list[int]], int]) -> Callable:
    """What one makes of the places at which a row's token stood before."""

    def says(tokens: Tensor) -> Tensor:
        words = tokens.tolist()
        found = []
        for i, word in enumerate(words):
            earlier = [j for j in range(1, i) if words[j] == word]
            found.append(choose(words, i, earlier) if earlier else NOTHING)
        return torch.tensor(found)

    return says


copied = Exercise(
    solution=copied,
    draw=_few_words,
    oracle=_by_successors,
    mistakes={
        "you took the earliest copy; what followed the latest one is asked": _choosing(
            lambda words, i, earlier: words[earlier[0] + 1]
        ),
        "you said the token in front of the copy, and the one behind it is asked": _choosing(
            lambda words, i, earlier: words[earlier[-1] - 1]
        ),
        "you said the copy itself, which is the present token once more": _choosing(
            lambda words, i, earlier: words[i]
        ),
        "you said what followed most often, not what followed last": _choosing(
            lambda words, i, earlier: max(
                [words[j + 1] for j in reversed(earlier)],
                key=[words[j + 1] for j in earlier].count,
            )
        ),
        "you let a token be a copy of itself: then the answer is the next token, which nobody "
        "knows yet": lambda tokens: torch.cat(
            [torch.tensor([NOTHING]), tokens[2:], _by_successors(tokens)[-1:]]
        ),
        "you count from the first row that has a copy: each row has an answer, and -1 stands for "
        "none": lambda tokens: _by_successors(tokens)[_by_successors(tokens) != NOTHING],
    },
    hints=(
        "Take one row. At which earlier places does its token stand? Which of them is the latest?",
        "The place j is before i and is not BOS, tokens[j] equals tokens[i], and the answer is "
        "tokens[j + 1].",
        "Two loops, i over all rows and j from 1 to i - 1; whenever tokens[j] == tokens[i], "
        "says[i] = tokens[j + 1].",
    ),
)


# ---- 2. what a context is worth


def in_context_score(losses, early, late):
    return (losses[:, late].mean(1) - losses[:, early].mean(1)).mean()


def _falling(generator: Generator) -> dict:
    """Losses that fall along the context, in sequences of which some are harder, and two groups of
    rows that are not equally large."""
    sequences, rows = different(generator, 2, 12, 30)
    falls = torch.linspace(5, 3, rows) + torch.randn(sequences, rows, generator=generator)
    few, more = different(generator, 2, 2, 6)
    early = torch.arange(1, 1 + few)
    return dict(losses=falls, early=early, late=torch.arange(rows - more, rows))


def _added_up(losses: Tensor, early: Tensor, late: Tensor) -> float:
    """Number by number."""

    def mean(rows: Tensor) -> float:
        picked = [losses[s, row].item() for s in range(len(losses)) for row in rows.tolist()]
        return math.fsum(picked) / len(picked)

    return mean(late) - mean(early)


in_context_score = Exercise(
    solution=in_context_score,
    draw=_falling,
    oracle=_added_up,
    mistakes={
        "the sign is the other one: the score is late less early, and negative where a context "
        "helps": lambda losses, early, late: -_added_up(losses, early, late),
        "you took the last row against the first, and not the rows that are "
        "given": lambda losses, early, late: (losses[:, -1] - losses[:, 0]).mean(),
        "you added losses up, and `late` has another number of rows than "
        "`early`": lambda losses, early, late: (
            losses[:, late].sum(1) - losses[:, early].sum(1)
        ).mean(),
        "you divided; a difference in nats is asked": lambda losses, early, late: (
            losses[:, late].mean() / losses[:, early].mean()
        ),
        "you took everything up to the early rows; only these rows are "
        "meant": lambda losses, early, late: (
            losses[:, late].mean() - losses[:, : early[-1] + 1].mean()
        ),
        "you gave one number a sequence; their mean is asked": lambda losses, early, late: (
            losses[:, late].mean(1) - losses[:, early].mean(1)
        ),
    },
    hints=(
        "Two means and a difference. Which of them is smaller when a context helps?",
        "losses[:, late] are the losses at late rows, of every sequence.",
        "losses[:, late].mean() less losses[:, early].mean().",
    ),
)


# ---- 3. how far a head's absence undoes a change


def undone(before, after, intact, ablated):
    change = after - before
    return (ablated - intact) @ (change / change.norm())


def _four_losses(generator: Generator) -> dict[str, Tensor]:
    (tokens,) = different(generator, 1, 20, 60)
    before = 4 + torch.randn(tokens, generator=generator)
    learned = torch.rand(tokens, generator=generator)
    after = before - learned
    intact = after + 0.1 * torch.randn(tokens, generator=generator)
    ablated = intact + 0.7 * learned + 0.2 * torch.randn(tokens, generator=generator)
    return dict(before=before, after=after, intact=intact, ablated=ablated)


def _token_by_token(before: Tensor, after: Tensor, intact: Tensor, ablated: Tensor) -> float:
    change = [a - b for a, b in zip(after.tolist(), before.tolist(), strict=True)]
    length = math.sqrt(math.fsum(c * c for c in change))
    rise = [a - i for a, i in zip(ablated.tolist(), intact.tolist(), strict=True)]
    return math.fsum(r * c / length for r, c in zip(rise, change, strict=True))


undone = Exercise(
    solution=undone,
    draw=_four_losses,
    oracle=_token_by_token,
    mistakes={
        "the sign is the other one: the direction runs from before to after, and the rise from "
        "intact to ablated": lambda before, after, intact, ablated: (
            -_token_by_token(before, after, intact, ablated)
        ),
        "the direction has to be a unit vector: divide the change by its "
        "length": lambda before, after, intact, ablated: (ablated - intact) @ (after - before),
        "you took the losses without the head themselves, and not their rise over those with "
        "it": lambda before, after, intact, ablated: (
            ablated @ ((after - before) / (after - before).norm())
        ),
        "you divided both by their length: that is a cosine, and forgets how much is "
        "undone": lambda before, after, intact, ablated: torch.cosine_similarity(
            ablated - intact, after - before, dim=0
        ),
        "you divided by the number of tokens, and not by the length of the "
        "change": lambda before, after, intact, ablated: (
            (ablated - intact) * (after - before)
        ).mean(),
    },
    hints=(
        "In which direction did the training move the losses? How far along it does the ablation "
        "move them?",
        "The direction is after - before, divided by its length, so that it has length 1.",
        "(ablated - intact) @ (change / change.norm()).",
    ),
)
