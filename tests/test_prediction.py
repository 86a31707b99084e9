"""Predictions without a browser: what is kept and where, what stands beside it, what is refused,
and what a group said."""

import json
from pathlib import Path

import nbformat
import pytest

from helpers.course import build
from helpers.explorables import prediction as module
from helpers.explorables.prediction import Prediction, answers, predict
from helpers.explorables.prediction.answers import Answer

QUESTION = "How will the loss fall?"
CHOICES = dict(A="evenly", B="fast, then slowly", C="late & all at once")
NUMBER = "At which step, out of 400, is half of it gone?"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder of working copies, in a kernel that was asked nothing yet."""
    monkeypatch.chdir(tmp_path)
    restart(monkeypatch)
    (tmp_path / "predictions.json").write_text("{}")
    return tmp_path


def restart(monkeypatch):
    monkeypatch.setattr(module, "ASKED", {})


def asked(**changed) -> Prediction:
    return Prediction(**{**dict(question=QUESTION, choices=CHOICES, number=NUMBER), **changed})


def kept(folder: Path) -> dict:
    return json.loads((folder / "predictions.json").read_text(encoding="utf-8"))


# What was said, and what came


@pytest.mark.parametrize(
    ("said", "came", "printed"),
    [
        (("A", 200), ("C", 72), "You said A at 200; it was C at 72."),
        (("C",), ("C", 72), "You said C; it was C at 72."),
        (("A",), ("C",), "You said A; it was C."),
        (("A", 200), ("C", 72, True), "You said A at 200; it was C at ≈ 72."),
        (("", 2400), ("C", 72.25), "You said 2,400; it was C at 72.25."),
        (None, ("C", 72), "It was C at 72."),
        (None, ("C",), "It was C."),
    ],
)
def test_the_result_stands_beside_the_word(capsys, said, came, printed):
    prediction = asked()
    if said:
        prediction.say(*said)
    prediction.came(*came)
    assert capsys.readouterr().out == f"{printed}\n"
    assert prediction.says == ""  # it stands once: below what the later cell shows


def test_a_word_may_change_until_the_outcome_has_come(capsys):
    prediction = asked()
    prediction.say("A", 200)
    prediction.say("B", 150)
    prediction.came("C", 72)
    with pytest.raises(ValueError, match="it has come already"):
        prediction.say("C", 72)
    assert prediction.said == dict(choice="B", number=150)


def test_it_is_shown_at_once_and_nothing_waits(capsys):
    prediction = predict(QUESTION, CHOICES, NUMBER)
    assert repr(prediction) in capsys.readouterr().out
    assert prediction.outcome == {}


def test_without_a_kernel_the_question_and_its_choices_are_read():
    data, _ = asked()._repr_mimebundle_()
    text, html = data["text/plain"], data["text/html"]
    assert text.splitlines() == [
        QUESTION, "  A  evenly", "  B  fast, then slowly", "  C  late & all at once", NUMBER
    ]  # fmt: skip
    assert "<b>C</b> late &amp; all at once" in html and QUESTION in html and NUMBER in html
    assert build.WIDGET_VIEW in data


# Where it is kept


def test_it_is_kept_and_comes_back_in_another_kernel(here, monkeypatch):
    asked().say("A", 200)
    asked(question="Is it a copy?").say("B")
    assert kept(here) == {
        QUESTION: dict(choices=CHOICES, choice="A", number=200),
        "Is it a copy?": dict(choices=CHOICES, choice="B", number=None),
    }
    restart(monkeypatch)
    again = asked()
    assert again.said == dict(choice="A", number=200)
    assert again.says == f"You say A at 200. Kept in {here.name}/predictions.json."
    assert [path.name for path in here.iterdir()] == ["predictions.json"]


def test_where_no_file_is_nothing_is_read_and_nothing_is_written(here, capsys):
    (here / "predictions.json").unlink()
    asked().say("A", 200)
    assert [*here.iterdir()] == []
    assert asked().said == dict(choice="", number=None)


def test_a_word_to_other_choices_is_not_taken_for_one_to_these(here, monkeypatch):
    asked().say("A", 200)
    restart(monkeypatch)
    again = asked(choices=dict(A="not at all", B="evenly"))
    assert again.said == dict(choice="", number=None)
    assert again.trouble.startswith("What you said before was said to other choices, A: evenly;")
    assert kept(here)[QUESTION]["choices"] == CHOICES


@pytest.mark.parametrize("content", ["{", "[]", "[1]", '{"q": 1}', '{"q": {"choice": "A"}}'])
def test_a_file_that_cannot_be_read_is_left_as_it_is(here, content):
    (here / "predictions.json").write_text(content)
    prediction = asked()
    prediction._hear(None, dict(choice="B", number=None), [])
    assert prediction.said["choice"] == "B"
    assert "cannot be read as kept predictions, and stays as it is" in prediction.trouble
    assert (here / "predictions.json").read_text() == content


def test_the_kernel_of_a_build_keeps_nothing_beside_copies_that_do(here):
    """As nbval and `make course` run a notebook; its outputs are the same each time."""
    other = here / "notebooks"
    other.mkdir()
    cells = [
        "from helpers.explorables.prediction import predict\n"
        f"word = predict({QUESTION!r}, {CHOICES!r})\nword.say('A')",
        "word.came('C', 72)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, cells)])
    nbformat.write(notebook, other / "a.ipynb")
    first = build.execute(other / "a.ipynb").notebook
    assert [path.name for path in other.iterdir()] == ["a.ipynb"] and kept(here) == {}
    assert first.cells[1].outputs[0].text == "You said A; it was C at 72.\n"
    assert set(first.cells[0].outputs[0].data) == {"text/plain", "text/html"}
    assert first == build.execute(other / "a.ipynb").notebook


# What is refused


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (dict(question=" "), "the question is empty"),
        (dict(choices={}), "has 0 choices, none; give two or more"),
        (dict(choices=dict(A="evenly")), "has 1 choices, A: evenly; give two or more"),
        (dict(choices=dict(A="evenly", B="")), "give two or more, each with words"),
        (dict(choices=["evenly", "late"]), r"the choices are \['evenly', 'late'\]; name them"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_a_bad_question_is_refused(changed, says):
    with pytest.raises(ValueError, match=says):
        asked(**changed)


def test_one_question_with_two_sets_of_choices_is_refused():
    asked()
    asked()
    with pytest.raises(ValueError, match="was asked before with other choices, A: evenly; B: .*"):
        asked(choices=dict(A="evenly", B="late"))


@pytest.mark.parametrize("do", ["say", "came"])
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (("D",), "is 'D'; choose among A, B, C"),
        ((None,), "is None; choose among A, B, C"),
        (("A", float("nan")), "has the number nan; give a finite one"),
        (("A", float("inf")), "has the number inf; give a finite one"),
        (("A", "72"), "has the number '72'"),
        (("A", True), "has the number True"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_a_bad_answer_is_refused_and_changes_nothing(here, do, answer, says):
    prediction = asked()
    with pytest.raises(ValueError, match=says):
        getattr(prediction, do)(*answer)
    assert prediction.said["choice"] == "" and prediction.outcome == {} and kept(here) == {}


def test_an_outcome_needs_a_choice():
    with pytest.raises(ValueError, match="the outcome has no choice; give one of A, B, C"):
        asked().came("", 72)


def test_a_bad_word_from_the_page_is_answered_there():
    prediction = asked()
    prediction._hear(None, dict(choice="D", number=None), [])
    assert prediction.trouble == "your prediction is 'D'; choose among A, B, C."
    prediction._hear(None, dict(choice="A", number=3), [])
    assert prediction.trouble == "" and prediction.said == dict(choice="A", number=3)


# A group


def csv(folder: Path, text: str) -> Path:
    path = folder / "votes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_of_names_and_answers_is_read(here):
    path = csv(here, "name,answer\n Anna , b ,40\n\nBo,A\nChidi,\n")
    assert answers.of_group(path, QUESTION, CHOICES) == {
        "Anna": Answer("B", 40),
        "Bo": Answer("A"),
        "Chidi": Answer(),
    }


@pytest.mark.parametrize(
    ("names", "written", "meant"),
    [("ab", "a", "a"), ("ab", "A", "a"), ("AB", "a", "A"), ("aAb", "A", "A"), ("aAb", "B", "b")],
)
def test_a_choice_is_read_with_and_without_capitals(here, names, written, meant):
    choices = {name: "words" for name in names}
    found = answers.of_group(csv(here, f"Anna,{written}\n"), QUESTION, choices)
    assert found == {"Anna": Answer(meant)}


def test_a_choice_between_two_that_differ_by_capitals_alone_is_not_guessed(here):
    with pytest.raises(ValueError, match="is 'no'; choose among No, NO"):
        answers.of_group(csv(here, "Anna,no\n"), QUESTION, dict(No="x", NO="y"))


def files(folder: Path) -> list[Path]:
    """Three readers': one kept as it was, in a folder of her name; one who answered nothing."""
    entry = dict(choices=CHOICES, choice="A", number=200)
    (folder / "Anna").mkdir()
    paths = [folder / "Anna" / "predictions.json", folder / "Bo.json", folder / "Chidi.json"]
    for path, content in zip(paths, [entry, {**entry, "choice": "C"}, None], strict=True):
        path.write_text(json.dumps({QUESTION: content} if content else {}))
    return paths


def test_everyones_files_are_read(here):
    assert answers.of_group(files(here), QUESTION, CHOICES) == {
        "Anna": Answer("A", 200),
        "Bo": Answer("C", 200),
        "Chidi": Answer(),
    }


def test_votes_say_what_was_expected_and_what_came(here, capsys):
    prediction = asked()
    paths = files(here)
    _, before = prediction.votes(paths)
    prediction.came("C", 72)
    _, after = prediction.votes(str(path) for path in paths)
    assert before == (
        "Of 2 people 1 A, 0 B, 1 C. Their numbers run from 200 to 200, and the middle one is 200. "
        "1 without a choice is not counted."
    )
    assert after.startswith("Of 2 people 1 A, 0 B, 1 C; it was C at 72, which 1 of 2 expected.")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Anna,d\n", "line 1 of votes.csv is 'd'; choose among A, B, C"),
        ("Anna,A,soon\n", "line 1 of votes.csv has the number 'soon'"),
        ("Anna,A,inf\n", "line 1 of votes.csv has the number inf"),
        ("name,answer\n,A\n", "line 2 of votes.csv has no name"),
        ("Anna,A\nAnna,B\n", "Anna answers twice, again in votes.csv"),
        ("Anna,\nBo,\n", "none of 2 has answered 'How will the loss fall"),
    ],
)
def test_a_bad_list_is_refused_with_its_line(here, text, says):
    with pytest.raises(ValueError, match=says):
        asked().votes(csv(here, text))


def test_bad_files_are_refused_by_name(here):
    paths = files(here)
    with pytest.raises(ValueError, match="there is no file to count"):
        asked().votes([])
    with pytest.raises(ValueError, match="there is no file .*Dora.json"):
        asked().votes([*paths, here / "Dora.json"])
    entry = dict(choices=dict(A="x", B="y"), choice="A", number=None)
    paths[1].write_text(json.dumps({QUESTION: entry}))
    with pytest.raises(
        ValueError, match="Bo.json answers .* with other choices, A: x; B: y, not A"
    ):
        asked().votes(paths)
    paths[1].write_text("no")
    with pytest.raises(ValueError, match="Bo.json cannot be read as kept predictions"):
        asked().votes(paths)
