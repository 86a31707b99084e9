"""The facilitator's guide says what the notebooks say: each has its section, its questions are
answered word by word, and every heading, figure, link and minute that it names is there."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from helpers.checks import puzzles
from helpers.course.build import read
from helpers.instruments import basis
from tests.course import NOTEBOOKS, ROOT, cells

GUIDE = ROOT / "notebooks" / "facilitator_guide.md"
TEXT = GUIDE.read_text(encoding="utf-8")
PLOTTING = "".join(path.read_text("utf-8") for path in (ROOT / "helpers" / "plotting").glob("*.py"))
MINUTES = 75


def sections(text: str) -> dict[str, str]:
    """The guide's section of each notebook, by the notebook's file."""
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    named = {re.match(r"\[\d\d .*?\]\((.*?)\)\n", part): part for part in parts}
    return {found[1]: part for found, part in named.items() if found}


@cache
def source(path: Path, kind: str) -> str:
    return "\n".join(cell.source for cell in cells(read(path), kind))


def headings(path: Path) -> set[str]:
    """A notebook's headings, without their numbers."""
    found = re.findall(r"^#+ (.*)$", source(path, "markdown"), re.MULTILINE)
    return {re.sub(r"^\d+\. ", "", heading).strip() for heading in found}


def recalled(markdown: str) -> list[str]:
    """The questions under a notebook's heading of recall."""
    part = re.search(r"^## [^\n]*recall\n(.*?)(?=^## |\Z)", markdown, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^\d+\. (.*)$", part, re.MULTILINE)


def answered(section: str) -> list[tuple[str, str]]:
    """The questions that a section of the guide quotes, each with its answer."""
    return re.findall(r"^\d+\. \*\*(.*?)\*\* (\S.*)$", section, re.MULTILINE)


def figures(section: str) -> list[str]:
    """What stands in the first column of a section's table of figures."""
    return re.findall(r"^\| (\*.*?\*|the view \w+) \|", section, re.MULTILINE)


def views(code: str) -> set[str]:
    """The explorables that a notebook imports; a prediction is none to look at."""
    found = dict(re.findall(r"^from helpers\.explorables\.(\w+) import (\w+)$", code, re.MULTILINE))
    return {f"the view {name}" for folder, name in found.items() if folder != "prediction"}


def asked(code: str) -> Iterator[list[str]]:
    """The question of every prediction, in the parts between what is filled in."""
    calls = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "predict":
            question = call.args[0]
            parts = question.values if isinstance(question, ast.JoinedStr) else [question]
            yield [part.value for part in parts if isinstance(part, ast.Constant)]


def answers(text: str) -> list[list[str]]:
    """What the table of puzzles says: a list of answers for each seed, and first the seed."""
    rows = re.findall(r"^\| (\d+ \|.*\|.*) \|$", text, re.MULTILINE)
    return [[cell.strip().strip("*") for cell in row.split("|")] for row in rows]


def plans(text: str) -> list[list[tuple[int, int]]]:
    """The spans of minutes of each plan."""
    tables = re.findall(r"^\| minutes \|.*\n\|.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [
        [(int(a), int(b)) for a, b in re.findall(r"^\| (\d+)–(\d+) \|", rows, re.MULTILINE)]
        for rows in tables
    ]


def test_every_notebook_has_its_section_and_no_other():
    assert sorted(sections(TEXT)) == [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_question_is_quoted_and_answered(path):
    found = answered(sections(TEXT)[path.name])
    assert [question for question, _ in found] == recalled(source(path, "markdown"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_prediction_is_put_to_the_vote(path):
    section = sections(TEXT)[path.name]
    questions = list(asked(source(path, "code")))
    assert [parts for parts in questions if not all(part in section for part in parts)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_and_view_is_named_as_the_notebook_has_it(path):
    named, code = figures(sections(TEXT)[path.name]), source(path, "code")
    titles = [name.strip("*") for name in named if name.startswith("*")]
    assert [title for title in titles if title not in code + PLOTTING] == []
    assert len(titles) == len(re.findall(r"\bshow\(\*", code))
    assert {name for name in named if name not in map("*{}*".format, titles)} == views(code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_heading_that_is_named_is_one(path):
    in_section = re.findall(r"“(.*?)”", sections(TEXT)[path.name])
    elsewhere = re.findall(rf"\b{path.name[:2]} “(.*?)”", TEXT)
    assert {*in_section, *elsewhere} <= headings(path)


def words(rule) -> str:
    return rule.__name__.replace("_", " ")


def test_the_answers_of_the_puzzles_are_theirs():
    found = answers(TEXT)
    assert len(found) == 8
    for seed, continuation, triple, composition, change, twist in found:
        seed = int(seed)
        rule, roles, _ = puzzles.triples.drawn(seed)
        pair, *_ = puzzles.composers.drawn(seed)
        ends = "{}.{} to {}.{}".format(*pair.writer, *pair.reader)
        assert continuation == words(puzzles.lookups.drawn(puzzles.lookups.CONTINUATIONS, seed)[0])
        assert triple.startswith(words(rule))
        assert {*map(int, re.findall(r"\d+", triple))} <= {*roles}
        assert composition == f"{ends}, {pair.read}"
        assert change == puzzles.changes.drawn(seed)[0]
        assert twist == words(puzzles.lookups.drawn(puzzles.lookups.TWISTS, seed)[0])


def test_the_strangers_heads_are_named_as_they_are():
    found = re.findall(r"^\| (\d+) \| ([a-z* ]+ / [a-z* ]+) \|$", TEXT, re.MULTILINE)
    assert len(found) == 8
    for seed, named in found:
        heads = puzzles.strangers.words(puzzles.strangers.drawn(int(seed))[0])
        assert [layer.split() for layer in named.strip("*").split(" / ")] == [*map(list, heads)]


def test_the_code_of_the_answers_passes():
    of_change, of_twist = re.findall(r"```python\n(def .*?)```", TEXT, re.DOTALL)
    for code, puzzle in ((of_change, puzzles.change(2)), (of_twist, puzzles.twist(3))):
        scope = dict(torch=torch, basis=basis, puzzle=puzzle)
        exec(code, scope)
        assert puzzle.check(scope[re.match(r"def (\w+)", code)[1]], seed=0)


def test_every_plan_fills_its_minutes_without_a_gap():
    found = plans(TEXT)
    assert len(found) == 5
    for plan in found:
        ends = [0, *(end for _, end in plan)]
        assert [start for start, _ in plan] == ends[:-1]
        assert ends[-1] == MINUTES


def test_what_the_guide_links_to_is_there_and_readme_names_guide_and_sheet():
    lines = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    anchors = {f"#{line.lower().replace(' ', '-')}" for line in lines}
    targets = {*re.findall(r"\]\(([^)]*)\)", TEXT)} - anchors
    assert [target for target in targets if not (GUIDE.parent / target).is_file()] == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(notebooks/facilitator_guide.md)" in readme
    assert "(notebooks/notation_sheet.html)" in readme


def test_what_is_missing_is_seen():
    section = "[00 a](a.ipynb)\n\n1. **Why?** Because.\n2. **How *so*?** \n"
    assert sections(f"# T\n\n## {section}")["a.ipynb"] == section
    assert answered(section) == [("Why?", "Because.")]
    assert recalled("## Five questions to recall\n\n1. Why?\n2. How *so*?\n\n## An open one\n") == [
        "Why?",
        "How *so*?",
    ]
    assert figures("| *A b* | c |\n| the view D | e |\n| f | g |") == ["*A b*", "the view D"]
    assert list(asked("a = predict(f'Who, at {rate:g}?', dict(A=1))\nprint('b')")) == [
        ["Who, at ", "?"]
    ]
    assert answers("| 0 | a | **b c** |\n| x | y |\n") == [["0", "a", "b c"]]
    assert plans("| minutes | what |\n|---|---|\n| 0–7 | a |\n| 8–9 | b |\n") == [[(0, 7), (8, 9)]]
