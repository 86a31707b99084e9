"""The faults of `make mutants` follow the code: each can still be seeded, and the tests that are to
see it are there. Whether they do see it is the command's to say."""

import ast
from functools import cache
from pathlib import Path

import parso
import pytest

from tests.mutants import ROOT, Mutant, __main__
from tests.mutants.by_hand import by_hand, parsed
from tests.mutants.drawn import EQUIVALENT, FILES, OPERATORS, Place, is_code

FAULT = Mutant("three is four", "a.py", "3", "4", ("tests/test_a.py",))


@cache
def functions(path: Path) -> set[str]:
    """The names of the functions of a file of tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def missing(tests: tuple[str, ...]) -> list[str]:
    """The tests that are not there."""
    named = [test.partition("::") for test in tests]
    return [
        f"{file}{colons}{name}"
        for file, colons, name in named
        if not (ROOT / file).is_file() or colons and name not in functions(ROOT / file)
    ]


@pytest.mark.parametrize("mutant", by_hand(), ids=lambda mutant: mutant.name)
def test_a_fault_can_be_seeded_and_its_tests_are_there(mutant):
    mutant.check()
    assert mutant.tests and missing(mutant.tests) == []


def test_there_are_enough_in_both_languages_and_no_two_have_one_name():
    names = [mutant.name for mutant in by_hand()]
    assert len(set(names)) == len(names) >= 150
    assert sum(mutant.file.endswith(".js") for mutant in by_hand()) >= 50


def test_what_a_tool_draws_from_is_there():
    assert [file for file in FILES if not (ROOT / file).is_file()] == []
    assert missing(tuple(f"tests/{name}.py" for name in " ".join(FILES.values()).split())) == []


def test_what_changes_nothing_is_rare_and_has_a_reason():
    assert len(EQUIVALENT) <= 10
    for (file, text, becomes), reason in EQUIVALENT.items():
        Mutant(reason, file, text, becomes, ()).check()
        assert file in FILES and len(reason) >= 20


def test_a_fault_is_read_as_it_is_written():
    text = "# a.py\n\na fault\n- if x:\n-\n-     y()\n+\ntests/test_a.py::test_b\ntests/test_c.py\n"
    assert [*parsed(text)] == [
        Mutant(
            "a fault",
            "a.py",
            "if x:\n\n    y()",
            "",
            ("tests/test_a.py::test_b", "tests/test_c.py"),
        )
    ]


@pytest.mark.parametrize("source", ["x = 2", "x = 3 + 3"])
def test_a_text_that_does_not_stand_there_once_is_refused(source):
    assert FAULT.seeded("x = 3") == "x = 4"
    with pytest.raises(ValueError, match="'three is four': its text stands [02] times in a.py"):
        FAULT.seeded(source)


def test_a_test_that_is_not_there_is_seen():
    assert missing(("tests/test_mutants.py::test_a_test_that_is_not_there_is_seen",)) == []
    assert missing(("tests/test_nothing.py", "tests/test_mutants.py::test_nothing")) == [
        "tests/test_nothing.py",
        "tests/test_mutants.py::test_nothing",
    ]


def test_a_tool_changes_code_and_neither_annotations_nor_messages_nor_guards():
    tree = parso.parse(
        "A = 1\ndef f(x: g[2] = 3) -> h[4]:\n"
        '    y: i[5] = f"{x[6]}"\n    return zip(z, strict=7)[8]\n'
    )
    numbers = [leaf for leaf in leaves(tree) if leaf.type == "number"]
    assert [leaf.value for leaf in numbers if is_code(leaf)] == ["8"]


def leaves(tree) -> list:
    leaf, found = tree.get_first_leaf(), []
    while leaf:
        found.append(leaf)
        leaf = leaf.get_next_leaf()
    return found


def test_what_is_drawn_depends_on_the_line_and_not_on_its_place():
    operator = next(iter(OPERATORS))
    assert Place(operator, 3, "x = 1", 0, 0).rank == Place(operator, 30, "x = 1", 0, 8).rank
    assert Place(operator, 3, "x = 1", 0, 0).rank != Place(operator, 3, "x = 2", 0, 0).rank


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one file; `course(*results)` is the command's status, where the runs of pytest
    come to these results, and what was in the file at each run."""
    place = tmp_path / "a.py"
    place.write_text("x = 3\n")
    monkeypatch.setattr(__main__, "by_hand", lambda: [FAULT._replace(name="one"), FAULT])
    monkeypatch.setattr(Mutant, "check", lambda mutant: None)
    monkeypatch.setattr(__main__, "copied", lambda into: tmp_path)

    def told(*results):
        left, found = iter(results), []

        class Nursery:
            copy = tmp_path

            def __init__(self, copy):
                pass

            def run(self, *arguments):
                found.append(place.read_text())
                return next(left)

        monkeypatch.setattr(__main__, "Nursery", Nursery)
        status = __main__.main(["--by-hand", "--jobs=1"])
        assert place.read_text() == "x = 3\n"
        return status, found

    return told


SEEN = (1, "FAILED tests/test_a.py::test_three[2] - assert 4 == 3\n")


def test_every_fault_is_seeded_alone_and_the_test_that_saw_it_is_shown(course, capsys):
    as_it_is_read = 2, "ERROR tests/test_b.py - ValueError\n"
    assert course((0, ""), SEEN, as_it_is_read) == (0, ["x = 3\n", "x = 4\n", "x = 4\n"])
    shown = capsys.readouterr().out
    assert "  test_a.py::test_three\n" in shown and "  test_b.py\n" in shown
    assert "2 faults, 0 of them unseen" in shown


@pytest.mark.parametrize(
    ("result", "words"),
    [((0, ""), "all tests pass"), ((4, "ERROR: not found"), "none ran"), ((-24, ""), "none ran")],
)
def test_a_fault_that_no_test_sees_is_told_and_gives_status_1(course, capsys, result, words):
    assert course((0, ""), SEEN, result)[0] == 1
    assert f"UNSEEN: three is four (a.py): {words}" in capsys.readouterr().out


def test_tests_that_are_red_without_a_fault_show_nothing(course, capsys):
    assert course((1, "FAILED tests/test_a.py::test_b"))[0] == 2
    assert "do not pass" in capsys.readouterr().out


def test_without_a_browser_its_faults_are_left_out(course, capsys, monkeypatch):
    seen_there = FAULT._replace(tests=("tests/browser/test_a.py",))
    monkeypatch.setattr(__main__, "by_hand", lambda: [seen_there, FAULT])
    monkeypatch.setattr(__main__.browser, "find", lambda: None)
    assert course((0, ""), SEEN)[0] == 0
    shown = capsys.readouterr().out
    assert "No Chromium found" in shown and "1 faults, 0 of them unseen" in shown


def test_words_that_no_fault_has_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        __main__.main(["--by-hand", "no such fault"])
    assert "no fault has one of ['no such fault']" in capsys.readouterr().err
