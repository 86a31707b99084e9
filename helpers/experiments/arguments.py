"""The six arguments of Olsson et al. 2022, each beside what this process has claimed of it; and
what others have measured against them.

The numbers come from the claims, by their ids and quantities, so they are those of the cells above.
"""

from typing import NamedTuple

from helpers import claims
from helpers.tables import Table


class Argument(NamedTuple):
    """`measured`: the id of a claim, and the quantities of its finding and controls to quote; or
    words, where nothing is measured here."""

    name: str
    paper: str
    measured: tuple[str, list[str]] | str
    strength: str


ARGUMENTS = [
    Argument(
        "1 they come together",
        "34 models: in one window the heads form and more than 75% of the score comes",
        (
            "text-is-learned-in-an-order",
            ["steps from matching to half of the score", "best prefix matching, one layer"],
        ),
        "correlation, three seeds; the window is wide",
    ),
    Argument(
        "2 they are moved together",
        "smeared keys: the change comes in one layer, and earlier in two",
        (
            "context-is-worth-more-where-heads-can-match",
            ["in-context score with smeared keys (nats)", "in-context score (nats), one layer"],
        ),
        "causal, three seeds; of two layers only in the toy of 04",
    ),
    Argument(
        "3 they are taken out",
        "nearly all of the score goes in small attention-only models, with patterns kept",
        (
            "matching-heads-carry-the-in-context-score",
            ["share of the score that is left", "share of the score that is left, as many others"],
        ),
        "causal, three seeds, other heads of the layer as control",
    ),
    Argument(
        "4 the same heads do more than copy",
        "three examples in a model of 13 billion weights, such as translation",
        "not measured: a model of Python with two layers has none to show",
        "none",
    ),
    Argument(
        "5 their mechanism is understood",
        "composition with a previous-token head, in small attention-only models",
        "notebook 02 on this very model: keys read what the previous-token head wrote",
        "causal in the toy, by weights here",
    ),
    Argument(
        "6 large models are like small ones",
        "the same curves up to 13 billion weights",
        "notebook 06: one model of 135 million weights, about half of the score",
        "suggestive",
    ),
]

COUNTERWEIGHTS = [
    [
        "a head that matches may suppress what it finds",
        "explains 76.9% of what head 10.7 of GPT-2 small does (McDougall et al. 2023)",
    ],
    [
        "learning from examples needs other heads",
        "12 models of 70 million to 7 billion weights: mainly function-vector heads, the more so "
        "the larger; many of these begin as induction heads (Yin and Steinhardt 2025)",
    ],
    [
        "copying may stand in the way of more",
        "trained without the 31.7% of tokens that induction predicts, a model is better at 13 of "
        "21 tasks that are no copying (Sahin et al. 2025)",
    ],
    [
        "other heads copy whole words, or what they mean",
        "in Pythia-6.9b they come later: 0.17 of their attention when token induction has 0.75 "
        "(Feucht et al. 2025)",
    ],
]


def table() -> Table:
    """What the paper argues, and what is measured here. KeyError for a claim that was not made
    yet."""
    head = ["argument", "the paper", "measured here", "how strong, here"]
    return Table([[one.name, one.paper, quoted(one), one.strength] for one in ARGUMENTS], head)


def counterweights() -> Table:
    """What others have measured, and this course has not."""
    rows = [[*row, "no"] for row in COUNTERWEIGHTS]
    return Table(rows, ["but", "figures of others", "measured here"])


def quoted(argument: Argument) -> str:
    """The quantities as their claim prints them."""
    if isinstance(argument.measured, str):
        return argument.measured
    id, quantities = argument.measured
    if id not in claims.MADE:
        raise KeyError(f"the claim {id} was not made yet; run the cells above")
    made = claims.MADE[id]
    printed = dict(part.rsplit(": ", 1) for part in f"{made.finding}; {made.controls}".split("; "))
    return "; ".join(f"{name}: {printed[name]}" for name in quantities)
