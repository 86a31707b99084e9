"""nbval, as pyproject.toml sets it up, sees a wrong output: a check must be able to fail."""

import copy
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers.course.build import execute, read, render
from tests.course import NOTEBOOKS, ROOT, cells
from tests.notebook_rules import IGNORED, RULES, tags

SOURCES = {
    "print": "print('the loss is 0.25 nats')",
    "result": "2 + 2",
    "picture": "from IPython.display import display\n"
    "sentence = 'The loss falls from 4.1 to 0.2 nats.'\n"
    "display({'image/png': 'iVBORw0KGgo=', 'text/plain': sentence}, raw=True)",
    "silence": "x = 1",
}


def corrupt(output) -> None:
    """Add to a stored text what the cell does not say."""
    if "text" in output:
        output.text = output.text.rstrip() + " and so on\n"
    else:
        output.data["text/plain"] += " and so on"


def wrong(notebook, *numbers):
    """The notebook with the first stored output of some cells corrupted."""
    changed = copy.deepcopy(notebook)
    for number in numbers:
        corrupt(changed.cells[number].outputs[0])
    return changed


def first_text(notebook) -> int | None:
    """The position of the first cell with a text that nbval compares; no rich output with it."""
    for number, cell in enumerate(notebook.cells):
        ignored = any(IGNORED.search(mark) for mark in [*tags(cell), cell.source])
        texts = [
            "text" in out or set(out.get("data", {})) == {"text/plain"} for out in cell.outputs
        ]
        if texts and all(texts) and not ignored:
            return number
    return None


def beginning():
    """The start of a notebook of the course, up to its first text: the shortest such start."""
    found = []
    for path in NOTEBOOKS:
        notebook = read(path)
        notebook.cells = cells(notebook, "code")
        end = first_text(notebook)
        if end is not None:
            notebook.cells = notebook.cells[: end + 1]
            found.append((end, path.name, notebook))
    return min(found, key=lambda one: one[:2])[-1] if found else None


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small notebook, executed."""
    path = tmp_path_factory.mktemp("canary") / "small.ipynb"
    path.write_text(render(new_notebook(cells=[new_code_cell(text) for text in SOURCES.values()])))
    return execute(path).notebook


@pytest.fixture(scope="module")
def failures(small, tmp_path_factory):
    """For each canary, the cells at which nbval stopped it; all canaries in one run of pytest."""
    unrun = copy.deepcopy(small)
    unrun.cells[1].update(execution_count=None, outputs=[])
    doubled = copy.deepcopy(small)
    doubled.cells[0].outputs += copy.deepcopy(small.cells[1].outputs)
    canaries = {"right": small, "unrun": unrun, "doubled": doubled}
    canaries |= {"one_wrong": wrong(small, 1), "all_wrong": wrong(small, 0, 1, 2)}
    if (course := beginning()) is not None:
        canaries |= {"course": course, "course_wrong": wrong(course, -1)}
    return run_nbval(canaries, tmp_path_factory.mktemp("canaries"))


def run_nbval(canaries, folder) -> dict[str, list[int]]:
    """The numbers of the failed cells of each notebook, under the project's own pytest options."""
    for name, notebook in canaries.items():
        (folder / f"{name}.ipynb").write_text(render(notebook), encoding="utf-8")
    results = folder / "results.xml"
    options = ["-c", "pyproject.toml", "-p", "conftest", "-p", "no:cacheprovider", "-q"]
    options += [f"--junitxml={results}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    cases = list(ElementTree.parse(results).iter("testcase"))
    assert len(cases) == sum(len(notebook.cells) for notebook in canaries.values())
    failed = {name: [] for name in canaries}
    for case in cases:
        if len(case):
            failed[case.get("classname").split(".")[-2]].append(int(case.get("name").split()[-1]))
    return failed


def test_right_outputs_pass(failures):
    assert failures["right"] == []


@pytest.mark.parametrize("number", range(3), ids=list(SOURCES)[:3])
def test_a_wrong_output_fails(failures, number):
    assert number in failures["all_wrong"] and number not in failures["right"]


def test_a_wrong_output_fails_its_own_cell_and_no_other(failures):
    assert failures["one_wrong"] == [1] and failures["all_wrong"] == [0, 1, 2]


def test_an_output_too_many_fails(failures):
    assert failures["doubled"] == [0]


def test_what_nbval_lets_through_the_rules_catch(failures, small):
    """nbval compares nothing in a cell without an execution count."""
    assert failures["unrun"] == []
    unrun = copy.deepcopy(small)
    unrun.cells[1].update(execution_count=None, outputs=[])
    assert list(RULES["not_executed"](unrun)) and not list(RULES["not_executed"](small))


def test_a_wrong_output_in_a_notebook_of_the_course_fails(failures):
    assert "course" in failures, "no notebook of the course has a text output yet"
    assert failures["course"] == []
    assert failures["course_wrong"] == [len(beginning().cells) - 1]
