"""What every puzzle is: a question, an anonymous model, and a judge of answers."""

import html
import random
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator
from torch.nn.utils.rnn import pad_sequence

from helpers.checks import (
    FAILED,
    NOT_ATTEMPTED,
    PASSED,
    NotAttempted,
    Verdict,
    is_stub,
)
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import BOS

Rule = Callable[[list[int]], int | None]  # from a text, without BOS, to what comes next
Judge = Callable[[Any, Generator], str | None]  # None where an answer is right

TEXTS = 50  # on which two rules are compared
COLUMNS = 66  # of a question as text, so that a narrow window breaks no word
CODE = re.compile("`(.*?)`")  # in a question
SURE = 1.0  # by how many logits the strongest answer stands above the second


class Puzzle:
    """One draw of a puzzle: what is asked, with code between backticks, what is shown, most often a
    `model`, and the check of an answer."""

    def __init__(self, asks: str, judge: Judge, **shown: Any):
        self._asks, self._judge = asks, judge
        vars(self).update(shown)

    def __repr__(self) -> str:
        """In lines that break no piece of code."""
        whole = CODE.sub(lambda code: code[1].replace(" ", "\xa0"), self._asks)
        return textwrap.fill(whole, COLUMNS).replace("\xa0", " ")

    def _repr_html_(self) -> str:
        """In a paragraph, which every window breaks for itself, though not in a piece of code."""
        code = r'<code style="white-space: nowrap">\1</code>'
        words = CODE.sub(code, html.escape(self._asks, quote=False))
        return f'<p style="margin: 0; max-width: 44em">{words}</p>'

    def check(self, answer: Any = ..., seed: int | None = None) -> Verdict:
        """Whether an answer is right. It never raises, whatever the answer does; `seed` repeats the
        draws of an earlier check."""
        if answer is None or answer is ...:
            return Verdict("puzzle", NOT_ATTEMPTED)
        seed = random.SystemRandom().randrange(10**6) if seed is None else seed
        try:
            complaint = self._judge(answer, Generator().manual_seed(seed))
        except (NotAttempted, NotImplementedError):
            return Verdict("puzzle", NOT_ATTEMPTED)
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
            self._speaks = False
            try:
                given = [_token(said(answer, list(text))) for text in texts]
            finally:
                self._speaks = True
            return _difference(texts, strongest(model, texts), given, wrong)

        super().__init__(asks, judge, model=model)

    def says(self, text: list[int]) -> int | None:
        """The model's strongest answer after a text, BOS put in front; None where none stands out.
        ValueError for tokens that it does not know, and while an answer is being checked."""
        if not self._speaks:
            raise ValueError("a rule is checked without the model; say it in code of your own")
        return strongest(self.model, [text])[0]


@torch.no_grad()
def strongest(model: AttentionOnlyTransformer, texts: list[list[int]]) -> list[int | None]:
    """The model's strongest answer after each text, None where none stands out. ValueError for an
    empty text."""
    if not all(len(text) for text in texts):
        raise ValueError("a text is empty; give one token or more, such as [3, 5]")
    ends = torch.tensor([len(text) for text in texts])  # BOS stands in front
    rows = [torch.tensor([BOS, *text]) for text in texts]
    logits = model(pad_sequence(rows, batch_first=True))[torch.arange(len(texts)), ends]
    best, second = logits.topk(2).values.unbind(-1)
    return [
        token if sure else None
        for token, sure in zip(logits.argmax(-1).tolist(), best - second > SURE, strict=True)
    ]


def one_of(generator: Generator, among: Sequence) -> Any:
    return among[int(torch.randint(len(among), (), generator=generator))]


def said(answer: Callable, argument: Any) -> Any:
    """What a reader's function gives. NotAttempted for a stub."""
    value = answer(argument)
    if (value is None or value is ...) and hasattr(answer, "__code__") and is_stub(answer):
        raise NotAttempted
    return value


def _token(value: Any) -> int | None:
    return None if value is None else int(value)


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
