"""Exercises that really check. One file a notebook; each exercise there is an `Exercise`:

    half = Exercise(
        solution=half,  # a function; its name is the exercise's name
        draw=lambda generator: dict(x=torch.randn(different(generator, 2), generator=generator)),
        oracle=lambda x: torch.stack([row / 2 for row in x]),  # slow, and written another way
        # three or more, each told from the others
        mistakes={"you took the square, not the half": lambda x: x**2, ...},
        hints=("the question again, in other words", "the idea", "all but the code"),
    )

The notebook holds a stub, `def half(x): ...`, in a cell tagged `exercise`, and below it
`checks.half(half)`. The answer is `not attempted`, `passed`, or the first counter-example with the
misconception by name: a mistake is named when it gives what the reader's function gave, on every
draw. `checks.half.hint()` gives one hint more each time, and `checks.half.show_solution()` the
solution, which exists once: here. It uses nothing but what it imports itself, and torch and math.

Where no single answer is right (weights written by hand, say), give `judge(answer, **arguments)` in
place of `oracle`: None when the answer does what it should, else a sentence. Where that sentence
names a misconception, use the words of `mistakes`; a test holds that every mistake is diagnosed as
itself.

tests/test_checks.py finds all exercises by itself and holds each to these rules.
"""

import copy
import html
import inspect
import random
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor

NOT_ATTEMPTED, PASSED, FAILED = "not attempted", "passed", "not yet"
# A mark, and how the card looks: on a light page and on a dark one.
LOOKS = {
    PASSED: ("✓", "background: #2fe0a0; color: #04291d; box-shadow: 0 0 10px #2fe0a0"),
    FAILED: ("✗", "border: 1px solid #D55E00; border-left-width: 6px"),
    NOT_ATTEMPTED: ("○", "border: 1px solid #888888; opacity: 0.75"),
}


class Said(str):
    """Words that a notebook shows as they are, without quotes."""

    def __repr__(self) -> str:
        return str(self)


class Verdict:
    """What a check answers. It is true when the attempt passed; `state` is "not attempted",
    "passed" or "not yet", and `so_far` says how many of the notebook's exercises have passed, of
    how many."""

    def __init__(self, name: str, state: str, details: str = "", diagnosis: str | None = None):
        self.name, self.state, self.details, self.diagnosis = name, state, details, diagnosis
        self.so_far = (0, 1)

    def __bool__(self) -> bool:
        return self.state == PASSED

    def __repr__(self) -> str:
        details = self.details and f". {self.details}"
        return "\n".join([f"{self.name}: {self.state}{details}", *self._likely(), *self._count()])

    def _repr_html_(self) -> str:
        """The same in colour, which never stands alone. Nothing on the page is as bright as what
        passed."""
        mark, look = LOOKS[self.state]
        words = "<br>".join(html.escape(line) for line in [self.details, *self._likely()] if line)
        passed, of = self.so_far
        count = " ".join(["●" * passed + "○" * (of - passed), *self._count()]) if of > 1 else ""
        return (
            f'<div style="display: inline-block; padding: 5px 14px; border-radius: 8px; {look}">'
            f"<b>{mark} {html.escape(self.name)}: {self.state}</b>"
            f'<span style="margin-left: 1.5em">{count}</span>'
            f'<div style="white-space: pre-wrap">{words}</div></div>'
        )

    def _likely(self) -> list[str]:
        return [f"Most likely: {self.diagnosis}."] if self.diagnosis else []

    def _count(self) -> list[str]:
        passed, of = self.so_far
        return [f"Passed so far: {passed} of {of}"] if of > 1 else []  # a puzzle stands alone


class NotAttempted(Exception):
    """The stub is still a stub."""


class WrongAnswer(Exception):
    """The attempt raised, or returned something that cannot be compared."""


class Exercise:
    """One exercise; calling it checks an attempt. The module's docstring says what its parts are.

    `draws`: on how many random inputs an attempt is checked. `tolerance`: of the largest number
    expected, or of 1. ValueError unless there is an oracle or a judge, three hints and at least
    three mistakes.
    """

    def __init__(
        self,
        solution: Callable,
        draw: Callable[[Generator], dict[str, Any]],
        hints: Sequence[str],
        mistakes: Mapping[str, Callable],
        oracle: Callable | None = None,
        judge: Callable[..., str | None] | None = None,
        draws: int = 6,
        tolerance: float = 1e-4,
    ):
        self.name = solution.__name__
        if (oracle is None) == (judge is None):
            raise ValueError(f"{self.name}: give an oracle or a judge, and not both")
        if len(hints) != 3 or len(mistakes) < 3:
            raise ValueError(
                f"{self.name}: {len(hints)} hints and {len(mistakes)} mistakes; expected 3 and at "
                "least 3"
            )
        self.solution, self.draw, self.hints, self.mistakes = (
            solution,
            draw,
            tuple(hints),
            dict(mistakes),
        )
        self.oracle, self.judge, self.draws, self.tolerance = oracle, judge, draws, tolerance
        self._hints_given, self.passed = 0, False

    def __repr__(self) -> str:
        return f"the check of {self.name}: call it with your function"

    def __call__(self, attempt: Any, seed: int | None = None) -> Verdict:
        """Check an attempt. It never raises, whatever the attempt does; `seed` repeats the draws of
        an earlier check."""
        verdict = self._verdict(attempt, seed)
        self.passed = bool(verdict)
        beside = inspect.unwrap(self.solution).__globals__.values()  # of the same notebook
        states = [one.passed for one in beside if isinstance(one, Exercise)]
        verdict.so_far = (sum(states), len(states))
        return verdict

    def _verdict(self, attempt: Any, seed: int | None) -> Verdict:
        if not callable(attempt):
            return Verdict(
                self.name,
                FAILED,
                f"It was given {attempt!r:.60}; give the function itself, without calling it.",
            )
        seed = random.SystemRandom().randrange(10**6) if seed is None else seed
        generator, failure, suspects = Generator().manual_seed(seed), None, dict(self.mistakes)
        for _ in range(self.draws):
            arguments = self.draw(generator)
            try:
                answer = _call(attempt, arguments)
                complaint, named = self._complaint(answer, arguments)
            except NotAttempted:
                return Verdict(self.name, NOT_ATTEMPTED)
            except WrongAnswer as error:
                return Verdict(
                    self.name,
                    FAILED,
                    f"{error} It was given {_described(arguments)} (seed {seed}).",
                )
            if named:
                return Verdict(
                    self.name, FAILED, f"Given {_described(arguments)} (seed {seed}).", named
                )
            if self.oracle:
                suspects = {
                    why: wrong
                    for why, wrong in suspects.items()
                    if self._is(wrong, arguments, answer)
                }
            if complaint and not failure:
                failure = f"Given {_described(arguments)} (seed {seed}):\n{complaint}"
        if failure:
            return Verdict(
                self.name, FAILED, failure, next(iter(suspects), None) if self.oracle else None
            )
        return Verdict(self.name, PASSED, f"{self.draws} random inputs.")

    def hint(self, number: int | None = None) -> Said:
        """The next hint, or the one with this number, from 1 to 3."""
        if number is not None and number not in (1, 2, 3):
            raise ValueError(f"there is no hint {number}; ask for 1, 2 or 3")
        self._hints_given = min(self._hints_given + 1, 3) if number is None else number
        return Said(f"Hint {self._hints_given} of 3: {self.hints[self._hints_given - 1]}")

    def show_solution(self) -> Said:
        """The solution, as one would write it into the notebook."""
        return Said(textwrap.dedent(inspect.getsource(self.solution)))

    def _complaint(self, answer: Any, arguments: dict[str, Any]) -> tuple[str | None, str | None]:
        """What is wrong with the answer, and its name if the judge gave one. (None, None) if
        nothing is."""
        if self.judge:
            said = _guarded(
                lambda: self.judge(answer, **copied(arguments)), "Your answer could not be used"
            )
            return said, (said if said in self.mistakes else None)
        return difference(answer, self.oracle(**copied(arguments)), self.tolerance), None

    def _is(self, mistake: Callable, arguments: dict[str, Any], answer: Any) -> bool:
        """Whether this mistake gives this answer."""
        try:
            return difference(answer, mistake(*copied(arguments).values()), self.tolerance) is None
        except Exception:  # a mistake may be impossible on some inputs
            return False


def different(generator: Generator, count: int, low: int = 2, high: int = 11) -> list[int]:
    """So many sizes from low to high, no two alike: a transposed answer then has the wrong
    shape."""
    if not 0 < count <= high - low + 1:
        raise ValueError(
            f"{count} different sizes from {low} to {high}; there are {high - low + 1}"
        )
    return (low + torch.randperm(high - low + 1, generator=generator)[:count]).tolist()


def causal_patterns(
    generator: Generator, n_heads: int, pos: int
) -> Float[Tensor, "head query key"]:
    """Attention patterns that no head made: the softmax of random scores, the future hidden."""
    scores = 2 * torch.randn(n_heads, pos, pos, generator=generator)
    return scores.masked_fill(torch.ones(pos, pos).triu(1).bool(), -torch.inf).softmax(-1)


def difference(answer: Any, expected: Any, tolerance: float) -> str | None:
    """Where the two differ most, in words, or None if they agree. Tuples are compared part by
    part."""
    if isinstance(expected, tuple):
        if not isinstance(answer, tuple | list) or len(answer) != len(expected):
            return f"It returned {_kind(answer)}; expected {len(expected)} values."
        parts = (difference(a, e, tolerance) for a, e in zip(answer, expected, strict=True))
        return next(
            (f"Value {i + 1} of {len(expected)}: {part}" for i, part in enumerate(parts) if part),
            None,
        )
    if not isinstance(expected, Tensor | float):
        return (
            None
            if _same(answer, expected)
            else f"It returned {answer!r:.80}; expected {expected!r:.80}."
        )
    expected = torch.as_tensor(expected)
    try:
        given = torch.as_tensor(answer).detach()
    except (TypeError, ValueError, RuntimeError):
        return f"It returned {_kind(answer)}; expected {_kind(expected)}."
    if given.shape != expected.shape:
        return f"It returned {_kind(given)}; expected {_kind(expected)}."
    dtype = torch.complex128 if given.is_complex() or expected.is_complex() else torch.float64
    given, expected = given.to(dtype), expected.to(dtype)
    finite = expected[expected.isfinite()].abs()
    # inf equals inf; a mistake may give nan, and is one then
    same = (given == expected) | (given.isnan() & expected.isnan())
    apart = (given - expected).abs().masked_fill(same, 0).nan_to_num(torch.inf)
    if not apart.numel() or apart.max() <= tolerance * max(
        1.0, finite.max().item() if finite.numel() else 0.0
    ):
        return None
    at = tuple(int(i) for i in torch.unravel_index(apart.argmax(), apart.shape))
    place = f"at {list(at)} it is" if at else "it returned"
    return f"{place} {_number(given[at])}; expected {_number(expected[at])}."


def copied(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments that may be written to."""
    return {
        name: value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
        for name, value in arguments.items()
    }


def _call(attempt: Callable, arguments: dict[str, Any]) -> Any:
    try:
        answer = attempt(*copied(arguments).values())
    except NotImplementedError as error:
        raise NotAttempted from error
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        where = (
            f", in the line `{line.line}`"
            if line.line and line.name == getattr(attempt, "__name__", "")
            else ""
        )
        raise WrongAnswer(f"It raised {type(error).__name__}: {error}{where}.") from error
    if answer is None or answer is ...:
        if is_stub(attempt):
            raise NotAttempted
        raise WrongAnswer("It returned nothing; is a `return` missing?")
    return answer


def is_stub(attempt: Callable) -> bool:
    """Whether its body does nothing: `...`, `pass`, `return None` or a docstring alone."""
    code = getattr(attempt, "__code__", None)
    return code is None or len(code.co_code) <= len((lambda: ...).__code__.co_code)


def _guarded(judge: Callable[[], str | None], otherwise: str) -> str | None:
    """A judge meets whatever the reader made: what it cannot use is a complaint, not a
    traceback."""
    try:
        return judge()
    except Exception as error:
        return f"{otherwise}: {type(error).__name__}: {error}"


def _same(answer: Any, expected: Any) -> bool:
    try:
        return bool(answer == expected)
    except (RuntimeError, ValueError):  # a tensor of several entries has no truth
        return False


def _described(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_kind(value)}" for name, value in arguments.items())


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)}" if value.ndim else "a number"
    if isinstance(value, bool | int | float | str | tuple):
        return f"{value!r:.60}"
    if isinstance(value, list):
        shown = all(isinstance(entry, int | float) for entry in value) and len(str(value)) <= 60
        return str(value) if shown else f"a list of {len(value)}"
    if hasattr(value, "cfg"):
        return (
            f"a model of {value.cfg.n_layers} layers, {value.cfg.n_heads} heads, d_model "
            f"{value.cfg.d_model}"
        )
    return f"a {type(value).__name__}"


def _number(value: Tensor) -> str:
    number = value.item()
    return f"{number:.3g}" if isinstance(number, complex) else f"{number + 0.0:.4g}"
