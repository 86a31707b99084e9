"""The exercises of notebook 00: play the induction head, name the chance line, find the moment of
birth."""

import math

import torch
from torch import Generator

from helpers.checks import Exercise

# ---- what the head does


def next_token(tokens):
    earlier = tokens[:-1].index(tokens[-1])
    return tokens[earlier + 1]


def _one_copy(generator: Generator) -> dict[str, list[int]]:
    """Distinct tokens, then the present one, which stood among them: neither first nor last."""
    length = int(torch.randint(6, 12, (1,), generator=generator))
    tokens = (torch.randperm(60, generator=generator)[:length] + 1).tolist()
    present = int(torch.randint(1, length - 2, (1,), generator=generator))
    return dict(tokens=[*tokens, tokens[present]])


def _read_backwards(tokens: list[int]) -> int:
    for place in range(len(tokens) - 2, -1, -1):
        if tokens[place] == tokens[-1]:
            return tokens[place + 1]
    raise ValueError("the last token has not come before")


next_token = Exercise(
    solution=next_token,
    draw=_one_copy,
    oracle=_read_backwards,
    mistakes={
        "you answered with the token before the copy, not the one after it": lambda tokens: tokens[
            tokens.index(tokens[-1]) - 1
        ],
        "you answered with the present token itself": lambda tokens: tokens[-1],
        "you answered with a position, not with a token": lambda tokens: (
            tokens.index(tokens[-1]) + 1
        ),
        "you answered with the position of the copy": lambda tokens: tokens.index(tokens[-1]),
        "you started again from the first token": lambda tokens: tokens[0],
        "you repeated the token before the present one": lambda tokens: tokens[-2],
    },
    hints=(
        "The last token has stood in the list before. Where?",
        "tokens[:-1].index(tokens[-1]) is the place of the earlier copy.",
        "The answer is the token one place after the earlier copy.",
    ),
)


# ---- what it costs to know nothing


def guessing_loss(d_vocab):
    return math.log(d_vocab - 1)


guessing_loss = Exercise(
    solution=guessing_loss,
    draw=lambda generator: dict(d_vocab=int(torch.randint(12, 2000, (1,), generator=generator))),
    oracle=lambda d_vocab: (
        -sum(math.log(1 / (d_vocab - 1)) for _ in range(d_vocab - 1)) / (d_vocab - 1)
    ),
    mistakes={
        "you counted BOS, which never comes next": lambda d_vocab: math.log(d_vocab),
        "you measured in bits; the loss is in nats, with the natural logarithm": lambda d_vocab: (
            math.log2(d_vocab - 1)
        ),
        "that is the probability of one token; the loss is minus its logarithm": lambda d_vocab: (
            1 / (d_vocab - 1)
        ),
        "the sign is missing: a loss is minus the logarithm": lambda d_vocab: (
            -math.log(d_vocab - 1)
        ),
        "you took away two tokens, not one": lambda d_vocab: math.log(d_vocab - 2),
    },
    hints=(
        "How many tokens can come next, and what probability does each get from someone who knows "
        "nothing?",
        "The loss is minus the natural logarithm of the probability of what came.",
        "The logarithm of the number of tokens, BOS not counted.",
    ),
    tolerance=1e-6,
)


# ---- when it happened


def moment_of_birth(steps, scores):
    for step, score in zip(steps, scores, strict=True):
        if score > 0.5:
            return step


def _a_training(generator: Generator) -> dict[str, list]:
    """Steps and the best score at each: low, above one half once or twice, sometimes back below it,
    then high."""
    low, high = (int(torch.randint(3, 7, (1,), generator=generator)) for _ in range(2))
    steps = (torch.randint(2, 9, (low + high + 2,), generator=generator).cumsum(0) + 20).tolist()
    scores = [
        *(0.05 + 0.4 * torch.rand(low, generator=generator)).tolist(),
        0.55,
        0.48,
        *(0.6 + 0.3 * torch.rand(high, generator=generator)).tolist(),
    ]
    return dict(steps=steps, scores=[round(score, 3) for score in scores])


def _first_of_sorted(steps: list[int], scores: list[float]) -> int:
    return min(step for step, score in sorted(zip(steps, scores, strict=True)) if score > 0.5)


moment_of_birth = Exercise(
    solution=moment_of_birth,
    draw=_a_training,
    oracle=_first_of_sorted,
    mistakes={
        "you answered with a place in the list, not with a step": lambda steps, scores: next(
            i for i, s in enumerate(scores) if s > 0.5
        ),
        "you answered with the score, not with its step": lambda steps, scores: next(
            s for s in scores if s > 0.5
        ),
        "that is the step of the highest score; the first above one half comes "
        "earlier": lambda steps, scores: steps[scores.index(max(scores))],
        "that is the last step below one half": lambda steps, scores: [
            n for n, s in zip(steps, scores, strict=True) if s <= 0.5
        ][-1],
        "that is the last step above one half": lambda steps, scores: [
            n for n, s in zip(steps, scores, strict=True) if s > 0.5
        ][-1],
        "that is the first step of all": lambda steps, scores: steps[0],
    },
    hints=(
        "Go through the steps from the first. When do you stop?",
        "zip(steps, scores) gives both together.",
        "Return the first step whose score is above 0.5.",
    ),
)
