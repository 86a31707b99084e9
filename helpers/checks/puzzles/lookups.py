"""Puzzles of notebooks 00 and 04: a model that continues a text by looking something up in it.

Each trick stands here twice: as a rule in Python, and as weights. A text is a list of tokens
without BOS; its last token is the present one.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from torch import Generator

from helpers.checks.puzzles import engine, written
from helpers.checks.puzzles.engine import Continuation, Rule
from helpers.model import AttentionOnlyTransformer

D_VOCAB, N_CTX = 13, 24
Text = list[int]

# ---- the rules


def _copies(text: Text) -> list[int]:
    """Where the present token stood before, the latest place first."""
    return [place for place in range(len(text) - 2, -1, -1) if text[place] == text[-1]]


def after_the_latest_copy(text: Text) -> int | None:
    return next((text[place + 1] for place in _copies(text)), None)


def after_the_first_copy(text: Text) -> int | None:
    return next((text[place + 1] for place in reversed(_copies(text))), None)


def before_the_latest_copy(text: Text) -> int | None:
    return next((text[place - 1] if place else None for place in _copies(text)), None)


def two_after_the_latest_copy(text: Text) -> int | None:
    return next((text[place + 2] for place in _copies(text) if place + 2 < len(text)), None)


def after_the_latest_copy_of_the_one_before(text: Text) -> int | None:
    return after_the_latest_copy(text[:-1])


def one_more_than_after_the_latest_copy(text: Text) -> int | None:
    found = after_the_latest_copy(text)
    return found and found % (D_VOCAB - 1) + 1


def after_the_latest_copy_of_even_tokens(text: Text) -> int | None:
    return None if text[-1] % 2 else after_the_latest_copy(text)


def the_present_token(text: Text) -> int:
    return text[-1]


def the_token_before(text: Text) -> int | None:
    return text[-2] if len(text) > 1 else None


def the_first_token(text: Text) -> int:
    return text[0]


def the_most_frequent(text: Text) -> int | None:
    (first, most), *others = Counter(text).most_common(2)
    return None if others and others[0][1] == most else first


# ---- the same as weights: what the first layer's head fetches, and what the second's looks up


def _look_up(
    model: AttentionOnlyTransformer,
    at: written.Blocks,
    heads: tuple[int, int],
    fetched: int = 1,
    query: str = "token",
    key: str = "fetched",
    says: str = "token",
    step: float = written.LATER,
    shift: int = 0,
    only_even: bool = False,
) -> None:
    """The head of layer 0 brings the token so many positions back; that of layer 1 looks where the
    key's block equals the query's, and says one of the blocks found there."""
    first, second = (0, heads[0]), (1, heads[1])
    written.look_by_position(model, first, at, written.back(N_CTX, fetched))
    written.move(model, first, at.token, at.fetched)
    never = () if (query, key) == ("token", "fetched") else (0,)  # equal to itself, and no copy
    written.look_by_position(model, second, at, written.among_equals(N_CTX, step, never))
    only = 1 - torch.arange(D_VOCAB) % 2.0 if only_even else None
    blocks = vars(at)
    written.look_for_equal(model, second, at, blocks[query], blocks[key], only)
    written.move(model, second, blocks[says], at.answer, shift)


def _by_position(model, at, heads, scores) -> None:
    """The head of layer 1 looks at the same place whatever the tokens are, and says what is there.
    The one of layer 0 fetches what nobody asks for."""
    written.look_by_position(model, (0, heads[0]), at, written.back(N_CTX, 1))
    written.move(model, (0, heads[0]), at.token, at.fetched)
    written.look_by_position(model, (1, heads[1]), at, scores)
    written.move(model, (1, heads[1]), at.token, at.answer)


Weights = Callable[..., None]
LOOK_UPS: dict[Rule, Weights] = {
    after_the_latest_copy: _look_up,
    after_the_first_copy: partial(_look_up, step=-written.LATER),
    before_the_latest_copy: partial(_look_up, key="token", says="fetched"),
    two_after_the_latest_copy: partial(_look_up, fetched=2),
}
TWISTS: dict[Rule, Weights] = LOOK_UPS | {
    after_the_latest_copy_of_the_one_before: partial(_look_up, query="fetched"),
    one_more_than_after_the_latest_copy: partial(_look_up, shift=1),
    after_the_latest_copy_of_even_tokens: partial(_look_up, only_even=True),
}
CONTINUATIONS: dict[Rule, Weights] = LOOK_UPS | {
    the_token_before: partial(_by_position, scores=written.back(N_CTX, 1)),
    the_first_token: partial(
        _by_position, scores=2 * written.MATCH * torch.eye(N_CTX)[[1] * N_CTX]
    ),
    the_most_frequent: partial(_by_position, scores=torch.zeros(N_CTX, N_CTX)),
}
TAKEN_FOR: dict[str, Rule] = {
    "you read on after the latest copy of the present token": after_the_latest_copy,
    "you read on after the first copy, not the latest": after_the_first_copy,
    "you took what stood before the copy": before_the_latest_copy,
    "you read on by two places": two_after_the_latest_copy,
    "you looked for the token before the present one": after_the_latest_copy_of_the_one_before,
    "you said the token that comes next in the vocabulary": one_more_than_after_the_latest_copy,
    "you left the odd tokens out": after_the_latest_copy_of_even_tokens,
    "you repeated the present token": the_present_token,
    "you repeated the token before": the_token_before,
    "you repeated the first token": the_first_token,
    "you counted": the_most_frequent,
}


# ---- the puzzles


def a_text(generator: Generator) -> Text:
    """Up to 22 tokens of a few kinds; in most texts the last one has stood there before."""
    one_of = partial(engine.one_of, generator)
    kinds = torch.randperm(D_VOCAB - 1, generator=generator)[: one_of(range(3, D_VOCAB))] + 1
    length = one_of(range(2, N_CTX - 1))
    text = kinds[torch.randint(len(kinds), (length,), generator=generator)].tolist()
    if one_of(range(3)):
        text[-1] = one_of(text)
    return text


def drawn(tricks: dict[Rule, Weights], seed: int) -> tuple[Rule, Generator]:
    """Which of the tricks this seed hides; for whoever leads a group."""
    generator = Generator().manual_seed(seed)
    rules = list(tricks)
    return rules[int(torch.randint(len(rules), (), generator=generator))], generator


def anonymous(weights: Weights, generator: Generator) -> AttentionOnlyTransformer:
    """The trick as weights, beside an idle head in each layer, and all of it turned."""
    model, at = written.blank(2, D_VOCAB, N_CTX)
    working = tuple(torch.randint(2, (2,), generator=generator).tolist())
    for layer, head in enumerate(working):
        written.idle(model, (layer, 1 - head), at, generator)
    weights(model, at, working)
    return written.turned(model, generator)


def _puzzle(asks: str, tricks: dict[Rule, Weights], seed: int) -> Continuation:
    rule, generator = drawn(tricks, seed)
    wrong = {why: other for why, other in TAKEN_FOR.items() if other is not rule}
    return Continuation(asks, anonymous(tricks[rule], generator), wrong, a_text)


def continuation(seed: int) -> Continuation:
    """Notebook 00's puzzle: what does this model continue a list of numbers with?"""
    return _puzzle(
        f"A model continues lists of up to {N_CTX - 2} numbers from 1 to {D_VOCAB - 1}. "
        "`puzzle.says([3, 5, 8, 5])` asks it; `None` means that it prefers no number. Write a "
        "function that takes a list and says what the model says, and check it: "
        "`puzzle.check(your_function)`.",
        CONTINUATIONS,
        seed,
    )


def twist(seed: int) -> Continuation:
    """Notebook 04's puzzle: something like an induction head; what is its twist?"""
    return _puzzle(
        "`puzzle.model` has two layers of two heads and looks things up, in texts of at most "
        f"{N_CTX - 2} tokens from 1 to {D_VOCAB - 1}. Is that an induction head? "
        "`puzzle.says([3, 5, 8, 3])` asks it, BOS put in front; `None` means that no token stands "
        "out. Write a function that takes a text and says what the model says, and check it: "
        "`puzzle.check(your_function)`.",
        TWISTS,
        seed,
    )
