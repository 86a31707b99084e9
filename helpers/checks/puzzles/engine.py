"""What every puzzle is: a question, an anonymous model, and a judge of answers."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator

from helpers.checks import FAILED, NOT_ATTEMPTED, PASSED, Said, Verdict, is_stub
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import BOS

Rule = Callable[[list[int]], int | None]  # from a text, without BOS, to what comes next
Judge = Callable[[Any, Generator], str | None]  # None where an answer is right

TEXTS = 60  # on which two rules are compared
SURE = 1.0  # by how many logits the strongest answer stands above the second


class Puzzle:
    """One draw of a puzzle: what is asked, what is shown, most often a `model`, and the check of an
    answer."""

    def __init__(self, asks: str, judge: Judge, **shown: Any):
        self.asks, self._judge = Said(asks), judge
        vars(self).update(shown)

    def __repr__(self) -> str:
        return self.asks

    def check(self, answer: Any = ..., seed: int | None = None) -> Verdict:
        """Whether an answer is right. It never raises, whatever the answer does; `seed` repeats the
        draws of an earlier check."""
        untouched = hasattr(answer, "__code__") and is_stub(answer)
        if answer is None or answer is ... or untouched:
            return Verdict("puzzle", NOT_ATTEMPTED)
        seed = random.SystemRandom().randrange(10**6) if seed is None else seed
        try:
            complaint = self._judge(answer, Generator().manual_seed(seed))
        except Exception as error:  # a judge meets whatever a reader made
            complaint = f"It raised {type(error).__name__}: {error}."
        if complaint:
            return Verdict("puzzle", FAILED, f"{complaint} (Seed of this check: {seed}.)")
        return Verdict("puzzle", PASSED, "Your answer does what the model does.")


class Continuation(Puzzle):
    """A puzzle whose model says what comes next; the answer is a rule that says the same. `wrong`
    are rules one may take it for, by the name of the misconception; `draw` gives a text."""

    def __init__(
        self,
        asks: str,
        model: AttentionOnlyTransformer,
        wrong: Mapping[str, Rule],
        draw: Callable[[Generator], list[int]],
    ):
        self._speaks = True

        def judge(answer: Rule, generator: Generator) -> str | None:
            if not callable(answer):
                return f"It was given {answer!r:.60}; give a function from a text to a token."
            texts = [draw(generator) for _ in range(TEXTS)]
            wanted = [_strongest(model, text) for text in texts]
            self._speaks = False
            try:
                given = [_token(answer(list(text))) for text in texts]
            finally:
                self._speaks = True
            return _difference(texts, wanted, given, wrong)

        super().__init__(asks, judge, model=model)

    def says(self, text: list[int]) -> int | None:
        """The model's strongest answer after a text, BOS put in front; None where none stands out.
        ValueError for tokens that it does not know, and while an answer is being checked."""
        if not self._speaks:
            raise ValueError("a rule is checked without the model; say it in code of your own")
        return _strongest(self.model, text)


@torch.no_grad()
def _strongest(model: AttentionOnlyTransformer, text: list[int]) -> int | None:
    logits = model(torch.tensor([[BOS, *text]]))[0, -1]
    best, second = logits.topk(2).values
    return int(logits.argmax()) if best - second > SURE else None


def _token(said: Any) -> int | None:
    return None if said is None else int(said)


def _difference(
    texts: list[list[int]],
    wanted: list[int | None],
    given: list[int | None],
    wrong: Mapping[str, Rule],
) -> str | None:
    """The shortest text on which the two differ, and the misconception that gives all of what was
    given."""
    misses = [at for at in range(len(texts)) if given[at] != wanted[at]]
    if not misses:
        return None
    at = min(misses, key=lambda at: len(texts[at]))
    likely = next((why for why, rule in wrong.items() if [*map(rule, texts)] == given), None)
    return (
        f"After {' '.join(map(str, texts[at]))} the model says {wanted[at]} and your rule "
        f"{given[at]}; they agree on {len(texts) - len(misses)} of {len(texts)} texts."
        + (f" Most likely: {likely}." if likely else "")
    )
