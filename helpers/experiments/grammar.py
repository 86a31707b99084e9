"""Pairs of Python's keywords, by a rule: what a head could have read in any Python, and what not.

Source: The Python Language Reference, "Expressions", "Simple statements", "Compound statements".
"""

import keyword
from collections.abc import Sequence
from itertools import combinations, permutations

import torch

from helpers.instruments import circuits

# Every construct in which one keyword follows another with something in between, as a skip-trigram
# would have it; its keywords in the order in which they may come.
CONSTRUCTS = (
    "from import as",
    "raise from",
    "if elif else",
    "for in else",
    "for in if",
    "while else",
    "with as",
    "try except as else finally",
)
Pair = tuple[list[int], list[int]]  # the ids of a source, and of an answer, with and without space


def keyword_pairs(words: Sequence[str]) -> tuple[list[Pair], list[Pair]]:
    """The ordered pairs of keywords that one construct holds, and all other ordered pairs.

    `words` are the labels of a vocabulary by id, a space shown as `·`; a keyword that is no token
    of it is left out. ValueError when no pair is left.
    """
    ids = {
        word: [words.index(form) for form in (word, f"·{word}") if form in words]
        for word in keyword.kwlist
    }
    known = [word for word in ids if ids[word]]
    together = {pair for construct in CONSTRUCTS for pair in combinations(construct.split(), 2)}
    held, others = [], []
    for pair in permutations(known, 2):
        (held if pair in together else others).append(tuple(ids[word] for word in pair))
    if not held:
        raise ValueError(
            f"none of {len(words)} labels are two keywords of one construct; give the labels of a "
            "vocabulary that has read Python, spaces shown as ·"
        )
    return held, others


def share_found(model, pairs: Sequence[Pair], top: int = 10) -> float:
    """In which share of the pairs the answer is among the `top` strongest of some head of the first
    layer, given the source."""
    strongest = [
        circuits.full_ov(model, 0, head).topk(top).indices for head in range(model.cfg.n_heads)
    ]
    hits = [
        any(torch.isin(tops[sources], torch.tensor(answers)).any() for tops in strongest)
        for sources, answers in pairs
    ]
    return sum(hits) / len(hits)
