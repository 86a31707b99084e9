"""The exercises' checks are checked: the solution passes, every known mistake is told by its name,
a stub is neutral, and nothing a reader returns can raise.

All exercises of helpers/checks are found by themselves, and so are their places in the notebooks.
"""

import ast
import importlib
import math
import pkgutil
import re

import nbformat
import numpy as np
import pytest
import torch

from helpers import checks
from helpers.checks import FAILED, NOT_ATTEMPTED, PASSED, Exercise, start_here
from tests.course import NOTEBOOKS, cells
from tests.notebook_rules import tags


def half(x):
    return x / 2


HALF = Exercise(
    solution=half,
    draw=lambda generator: dict(x=torch.randn(checks.different(generator, 2), generator=generator)),
    oracle=lambda x: torch.stack([row / 2 for row in x]),
    mistakes={
        "you doubled it": lambda x: 2 * x,
        "you took it as it is": lambda x: x,
        "you turned it round": lambda x: x.T / 2,
    },
    hints=("Less than all of it.", "Divide.", "x divided by two."),
)


def one_that_sums_to(total):
    return torch.full((4,), total / 4)


JUDGED = Exercise(
    solution=one_that_sums_to,
    draw=lambda generator: dict(total=float(torch.rand(1, generator=generator) + 1)),
    judge=lambda answer, total: (
        None
        if abs(answer.sum() - total) < 1e-4
        else "you forgot to divide"
        if abs(answer.sum() - 4 * total) < 1e-4
        else "it is all zeros"
        if not answer.any()
        else "the sign is wrong"
        if abs(answer.sum() + total) < 1e-4
        else f"It sums to {answer.sum():.2f}, not to {total:.2f}."
    ),
    mistakes={
        "you forgot to divide": lambda total: torch.full((4,), total),
        "it is all zeros": lambda total: torch.zeros(4),
        "the sign is wrong": lambda total: torch.full((4,), -total / 4),
    },
    hints=("Several are right.", "All alike is easiest.", "torch.full"),
)


def modules() -> list:
    return [
        importlib.import_module(f"helpers.checks.{found.name}")
        for found in pkgutil.iter_modules(checks.__path__)
    ]


COURSE = [
    value for module in modules() for value in vars(module).values() if isinstance(value, Exercise)
]
EVERY = [HALF, JUDGED, *COURSE]
every_exercise = pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.name)
every_mistake = pytest.mark.parametrize(
    ("exercise", "why"),
    [(exercise, why) for exercise in EVERY for why in exercise.mistakes],
    ids=lambda value: value if isinstance(value, str) else value.name,
)


@every_exercise
def test_the_solution_passes_on_a_hundred_draws(exercise, uncheck_shapes):
    for seed in range(math.ceil(100 / exercise.draws)):
        assert exercise(exercise.solution, seed=seed), exercise(exercise.solution, seed=seed)
        uncheck_shapes()


@every_mistake
def test_every_mistake_is_told_by_its_name(exercise, why, uncheck_shapes):
    for seed in range(5):
        verdict = exercise(exercise.mistakes[why], seed=seed)
        assert (verdict.state, verdict.diagnosis) == (FAILED, why)
        assert why in repr(verdict) and f"seed {seed}" in repr(verdict)
        uncheck_shapes()


@every_exercise
def test_a_stub_is_neutral(exercise):
    def unimplemented(*_):
        raise NotImplementedError

    for stub in (lambda *_: None, lambda *_: ..., unimplemented):
        verdict = exercise(stub)
        assert verdict.state == NOT_ATTEMPTED and not verdict
        assert repr(verdict).startswith(f"{exercise.name}: not attempted\nPassed so far: ")


@every_exercise
def test_a_forgotten_return_is_no_stub(exercise):
    def forgotten(*arguments):
        exercise.solution(*arguments)

    assert "It returned nothing; is a `return` missing?" in repr(exercise(forgotten, seed=0))


def raises(*_):
    raise KeyError("lost")


def wants_nothing():
    return 0


JUNK = {
    "words": lambda *_: "words",
    "list": lambda *_: [[1], [2, 3]],
    "object": lambda *_: object(),
    "five axes": lambda *_: torch.zeros(1, 2, 3, 4, 5),
    "empty": lambda *_: torch.zeros(0),
    "nan": lambda *_: torch.tensor(torch.nan),
    "text array": lambda *_: np.array(["a"]),
    "dict": lambda *_: {},
    "raises": raises,
    "arguments": wants_nothing,
    "no function": 5,
}


@every_exercise
@pytest.mark.parametrize("junk", JUNK)
def test_no_answer_raises_and_none_of_these_passes(exercise, junk):
    verdict = exercise(JUNK[junk], seed=0)
    assert verdict.state == FAILED and not verdict
    assert len(verdict.details) > 10


@every_exercise
def test_three_hints_come_one_by_one_and_the_solution_on_demand(exercise):
    assert len(set(exercise.hints)) == 3 and all(len(hint.split()) >= 1 for hint in exercise.hints)
    assert repr(exercise.hint(1)) == f"Hint 1 of 3: {exercise.hints[0]}"
    assert (
        "Hint 2 of 3" in exercise.hint()
        and "Hint 3 of 3" in exercise.hint()
        and "Hint 3 of 3" in exercise.hint()
    )
    with pytest.raises(ValueError, match="no hint 4"):
        exercise.hint(4)
    assert repr(exercise.show_solution()).startswith(f"def {exercise.name}(")


@every_exercise
def test_the_solution_stands_by_itself(exercise):
    """What is revealed runs in a notebook that has imported torch and math and nothing else."""
    namespace = dict(torch=torch, math=math)
    exec(exercise.show_solution(), namespace)
    assert exercise(namespace[exercise.name], seed=0)


@every_exercise
def test_arguments_may_be_written_to(exercise):
    """An attempt that spoils its arguments spoils nothing else."""

    def spoils(*arguments):
        answer = exercise.solution(
            *checks.copied({str(at): value for at, value in enumerate(arguments)}).values()
        )
        for argument in arguments:
            if isinstance(argument, torch.Tensor):
                argument.zero_()
        return answer

    assert exercise(spoils, seed=0)


# Their places in the notebooks


def stubs(notebook) -> list[int]:
    return [at for at, cell in enumerate(notebook.cells) if "exercise" in tags(cell)]


WITH_EXERCISES = {
    file: found for file in NOTEBOOKS if stubs(found := nbformat.read(file, as_version=4))
}


def imports(notebook) -> str:
    """Every import of the notebook, and nothing else of it."""
    trees = [ast.parse(cell.source) for cell in cells(notebook, "code")]
    return "\n".join(
        ast.unparse(n)
        for tree in trees
        for n in tree.body
        if isinstance(n, ast.Import | ast.ImportFrom)
    )


def last_value(source: str, namespace: dict):
    tree = ast.parse(source)
    exec(compile(ast.Module(tree.body[:-1], []), "cell", "exec"), namespace)
    return eval(compile(ast.Expression(tree.body[-1].value), "cell", "eval"), namespace)


def test_every_exercise_stands_in_one_notebook():
    found = [
        ast.parse(notebook.cells[at].source).body[-1].name
        for notebook in WITH_EXERCISES.values()
        for at in stubs(notebook)
    ]
    assert sorted(found) == sorted(exercise.name for exercise in COURSE)


@pytest.mark.parametrize("file", WITH_EXERCISES, ids=lambda file: file.name)
def test_a_stub_is_a_function_that_does_nothing_and_its_cell_holds_nothing_else(file):
    """A reader may replace the whole cell."""
    for at in stubs(WITH_EXERCISES[file]):
        (stub,) = ast.parse(WITH_EXERCISES[file].cells[at].source).body
        assert isinstance(stub, ast.FunctionDef) and [ast.unparse(line) for line in stub.body] == [
            "..."
        ]


@pytest.mark.parametrize(
    "place",
    [(f.name, at) for f, nb in WITH_EXERCISES.items() for at in stubs(nb)] or [None],
    ids=str,
)
def test_in_the_notebook_the_stub_is_neutral_and_the_solution_passes(place):
    if place is None:
        assert COURSE == []  # and every_exercise_stands_in_one_notebook says the same
        return
    notebook = next(found for file, found in WITH_EXERCISES.items() if file.name == place[0])
    stub, check = notebook.cells[place[1]].source, notebook.cells[place[1] + 1].source
    name = ast.parse(stub).body[-1].name
    namespace: dict = {}
    exec(imports(notebook), namespace)
    exec(stub, namespace)
    assert last_value(check, namespace).state == NOT_ATTEMPTED
    exercise = next(exercise for exercise in COURSE if exercise.name == name)
    exec(exercise.show_solution(), namespace)
    assert last_value(check, namespace).state == PASSED


# The engine itself


def test_a_counter_example_names_place_value_and_expectation():
    def spoiled(x):
        answer = x / 2
        answer[1, 0] += 3
        return answer

    verdict = HALF(spoiled, seed=3)
    assert (
        "at [1, 0] it is" in verdict.details
        and "x a tensor [" in verdict.details
        and verdict.diagnosis is None
    )


def test_a_counter_example_shows_a_short_list_and_counts_a_long_one():
    said = repr(start_here.moment_of_birth(lambda steps, scores: -1, seed=0))
    assert re.search(r"steps \[\d+, [\d, ]+\], scores a list of \d+ \(seed 0\)", said)


def test_the_seed_repeats_the_draws_and_without_one_they_are_fresh():
    wrong = HALF.mistakes["you doubled it"]
    assert repr(HALF(wrong, seed=7)) == repr(HALF(wrong, seed=7))
    assert len({repr(HALF(wrong)) for _ in range(5)}) > 1


def test_what_goes_wrong_on_some_draws_only_is_seen():
    assert not HALF(lambda x: x / 2 if x.shape[0] > x.shape[1] else x, seed=0)


def test_what_passed_says_on_how_many_inputs_and_no_more():
    assert HALF(HALF.solution).details == "6 random inputs."


def test_a_mistake_is_named_only_if_it_explains_every_draw():
    assert HALF(lambda x: 2 * x if x.shape[0] > x.shape[1] else 3 * x, seed=0).diagnosis is None


def test_the_line_that_raised_is_shown():
    assert "KeyError" in repr(HALF(raises, seed=0))


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (torch.tensor([1.0, torch.nan]), torch.tensor([1.0, 2.0]), "at [1] it is nan"),
        (torch.tensor([1.0, -torch.inf]), torch.tensor([1.0, -torch.inf]), None),
        (torch.tensor([1.0, torch.inf]), torch.tensor([1.0, -torch.inf]), "expected -inf"),
        (torch.tensor([True, False]), torch.tensor([1.0, 0.0]), None),
        ((1.0, 2.0), (torch.tensor(1.0), torch.tensor(3.0)), "Value 2 of 2"),
        ((1.0,), (1.0, 2.0), "expected 2 values"),
        (np.float64(0.5), 0.5, None),
        (3, 3, None),
        ("a", "b", "expected 'b'"),
        (torch.zeros(2), 3, "expected 3"),
        (torch.tensor(1 + 1j), torch.tensor(1.0), "expected"),
        (torch.tensor([1e6 + 1]), torch.tensor([1e6]), None),
    ],
)
def test_difference(answer, expected, words):
    found = checks.difference(answer, expected, 1e-4)
    assert (found is None) if words is None else (words in found)


@pytest.mark.parametrize(
    "broken",
    [
        dict(hints=("one",)),
        dict(mistakes={"a": half}),
        dict(judge=lambda answer, x: None),
        dict(oracle=None),
    ],
)
def test_an_exercise_that_is_not_whole_is_refused(broken):
    whole = dict(
        solution=half, draw=HALF.draw, oracle=HALF.oracle, mistakes=HALF.mistakes, hints=HALF.hints
    )
    with pytest.raises(ValueError, match="half: "):
        Exercise(**whole | broken)


def test_sizes_are_different():
    generator = torch.Generator().manual_seed(0)
    assert all(len(set(checks.different(generator, 4))) == 4 for _ in range(50))
    with pytest.raises(ValueError, match="12 different sizes"):
        checks.different(generator, 12)


# ---- how many have passed, and how it looks


def test_a_verdict_counts_the_exercises_beside_it_that_have_passed():
    stub, doubled = (lambda total: ...), (lambda x: 2 * x)
    JUDGED(stub)  # whatever other tests have left
    counts = [
        exercise(attempt).so_far
        for exercise, attempt in (
            *((HALF, doubled), (JUDGED, stub), (JUDGED, one_that_sums_to)),
            *((HALF, half), (HALF, half), (HALF, doubled)),
        )
    ]
    assert counts == [(0, 2), (0, 2), (1, 2), (2, 2), (2, 2), (1, 2)]
    assert repr(HALF(half)).endswith("\nPassed so far: 2 of 2")
    assert "●● Passed so far: 2 of 2" in HALF(half)._repr_html_()


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_the_exercises_of_one_notebook_are_counted_together(module):
    mine = [one for one in vars(module).values() if isinstance(one, Exercise)]
    assert {one(lambda *_: ...).so_far[1] for one in mine} <= {len(mine)}


def test_each_verdict_has_its_own_mark_and_nothing_is_as_bright_as_what_passed():
    verdicts = [HALF(attempt) for attempt in (half, lambda x: 2 * x, lambda x: ...)]
    cards = [verdict._repr_html_() for verdict in verdicts]
    assert [card.count("<b>✓") - card.count("<b>✗") for card in cards] == [1, -1, 0]
    assert ["background" in card for card in cards] == [True, False, False]
    assert all(str(verdict.state) in card for verdict, card in zip(verdicts, cards, strict=True))


def test_a_verdict_shows_what_a_reader_returned_as_text():
    assert "&lt;b&gt;" in HALF(lambda x: "<b>")._repr_html_()
