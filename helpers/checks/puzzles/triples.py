"""The puzzle of notebook 01: one layer in which a single head speaks. To whom, when, and what?

The roles are tokens drawn by the seed: a source that is looked for, a destination that looks, and
what is then said. The head's two circuits are written as in section 6 of the notebook.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from helpers.checks.puzzles import engine, written
from helpers.checks.puzzles.engine import Continuation
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import BOS

D_VOCAB, N_CTX, N_HEADS = 14, 24, 3
FOUND, REST = 60.0, 30.0  # scores of a source and of BOS
LOGIT, MURMUR = 20.0, 5e-4  # of what is said; and what the other heads write
Text = list[int]


class Roles(NamedTuple):
    source: int
    other_source: int
    destination: int
    other_destination: int
    out: int
    other_out: int


# ---- the rules


def one_pair(text: Text, roles: Roles) -> int | None:
    return roles.out if text[-1] == roles.destination and roles.source in text else None


def by_absence(text: Text, roles: Roles) -> int | None:
    return roles.out if text[-1] == roles.destination and roles.source not in text else None


def yes_or_no(text: Text, roles: Roles) -> int | None:
    if text[-1] != roles.destination:
        return None
    return roles.out if roles.source in text else roles.other_out


def two_destinations(text: Text, roles: Roles) -> int | None:
    asked = text[-1] in (roles.destination, roles.other_destination)
    return roles.out if asked and roles.source in text else None


def two_sources(text: Text, roles: Roles) -> int | None:
    found = roles.source in text or roles.other_source in text
    return roles.out if text[-1] == roles.destination and found else None


def anyone(text: Text, roles: Roles) -> int | None:
    return roles.out if roles.source in text else None


def crossed(text: Text, roles: Roles) -> int | None:
    """Two pairs, each with its own source and destination, and one answer for both."""
    pairs = ((roles.destination, roles.source), (roles.other_destination, roles.other_source))
    return roles.out if any(text[-1] == asks and found in text for asks, found in pairs) else None


# ---- the same as weights: who looks for what, what is then said, and what is said anyway


class Tables(NamedTuple):
    """[d_vocab, d_vocab] each: the two circuits of the head, and the direct path."""

    QK: Tensor
    OV: Tensor
    direct: Tensor


def _tables(rule: Callable, roles: Roles) -> Tables:
    """Whoever looks for nothing, or finds nothing, rests on BOS."""
    QK, OV, direct = torch.zeros(3, D_VOCAB, D_VOCAB)
    asking, found = [roles.destination], [roles.source]
    if rule in (two_destinations, crossed):
        asking.append(roles.other_destination)
    if rule in (two_sources, crossed):
        found.append(roles.other_source)
    if rule is anyone:
        asking = list(range(1, D_VOCAB))
    QK[:, BOS] = REST
    QK[torch.tensor(asking)[:, None], found] = FOUND
    if rule is crossed:
        QK[asking, found[::-1]] = 0
    OV[found, roles.out] = LOGIT
    if rule is yes_or_no:
        direct[roles.destination, roles.other_out] = LOGIT / 2
    if rule is by_absence:  # the others look at themselves, for BOS would make them speak
        OV[found, roles.out], OV[BOS, roles.out] = 0, LOGIT
        quiet = [token for token in range(1, D_VOCAB) if token not in asking]
        QK[quiet, quiet] = FOUND
    return Tables(QK, OV, direct)


def anonymous(rule: Callable, roles: Roles, generator: Generator) -> AttentionOnlyTransformer:
    model, at = written.blank(N_HEADS, D_VOCAB, N_CTX, n_layers=1)
    model.W_pos.zero_()
    QK, OV, direct = _tables(rule, roles)
    model.W_U[at.token] = direct
    working = int(torch.randint(N_HEADS, (), generator=generator))
    inside = slice(D_VOCAB)
    for head in range(N_HEADS):
        if head == working:
            model.W_Q[0, head, at.token, inside] = math.sqrt(model.cfg.d_head) * QK
            model.W_K[0, head, at.token, inside] = model.W_V[0, head, at.token, inside] = torch.eye(
                D_VOCAB
            )
            model.W_O[0, head, inside, at.answer] = OV / written.LOGIT
        else:
            written.idle(model, (0, head), at, generator)
            murmur = torch.randn(model.cfg.d_head, D_VOCAB, generator=generator)
            model.W_O[0, head, :, at.answer] = MURMUR * murmur
    return written.turned(model, generator)


# ---- the puzzle


RULES = (one_pair, by_absence, yes_or_no, two_destinations, two_sources, anyone, crossed)
TAKEN_FOR: Mapping[str, Callable[[Text, Roles], int | None]] = {
    "whoever comes last need not be the one that asks": anyone,
    "there is more to it than one source and one destination": one_pair,
    "what it says when the source is missing is another matter": yes_or_no,
    "you have presence and absence the other way round": by_absence,
    "you let a second destination ask": two_destinations,
    "you let a second source be found": two_sources,
    "you let each of two destinations find its own source": crossed,
    "you asked for the destination alone": lambda text, roles: (
        roles.out if text[-1] == roles.destination else None
    ),
    "you wanted the source right before the destination": lambda text, roles: (
        roles.out if text[-2:] == [roles.source, roles.destination] else None
    ),
    "source and destination have changed places": lambda text, roles: (
        roles.out if text[-1] == roles.source and roles.destination in text else None
    ),
}


def a_text(generator: Generator, roles: Roles) -> Text:
    """Up to 20 tokens; most end with one that asks, and in half of these a source comes first."""
    one_of = partial(engine.one_of, generator)
    others = [token for token in range(1, D_VOCAB) if token not in roles[:4]]
    text = [one_of(others) for _ in range(one_of(range(3, 21)))]
    for role in roles[:2]:
        if one_of((True, False)):
            text[one_of(range(len(text) - 1))] = role
    text[-1] = one_of((*roles[2:4], roles.destination, one_of(range(1, D_VOCAB))))
    return text


def drawn(seed: int) -> tuple[Callable, Roles, Generator]:
    """Which rule this seed hides, and with which tokens; for whoever leads a group."""
    generator = Generator().manual_seed(seed)
    rule = RULES[int(torch.randint(len(RULES), (), generator=generator))]
    roles = torch.randperm(D_VOCAB - 1, generator=generator)[: len(Roles._fields)] + 1
    return rule, Roles(*roles.tolist()), generator


def skip_trigram(seed: int) -> Continuation:
    """Notebook 01's puzzle: what does the one head that speaks look for, and what does it say?"""
    rule, roles, generator = drawn(seed)
    wrong = {
        why: partial(other, roles=roles) for why, other in TAKEN_FOR.items() if other is not rule
    }
    return Continuation(
        f"`puzzle.model` has one layer of {N_HEADS} heads and a vocabulary of {D_VOCAB} tokens; 0 "
        "is BOS. After some texts it has something to say. `puzzle.says([3, 5, 8])` asks it, BOS "
        "put in front; `None` means that no token stands out. Read its weights, write a function "
        "that takes a text and says what the model says, and check it: "
        "`puzzle.check(your_function)`.",
        anonymous(rule, roles, generator),
        wrong,
        partial(a_text, roles=roles),
    )
