"""What readers said, as files: one reader's in a `predictions.json`, a group's in several of them
or in one list of names and answers."""

import csv
import json
from collections.abc import Iterable, Mapping
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from helpers.files import write_atomically
from helpers.plotting.votes import number_words

FILE = "predictions.json"


class Answer(NamedTuple):
    """A choice by its letter, "" for none, and a number where one was given."""

    choice: str = ""
    number: float | None = None

    def words(self, about: str = "") -> str:
        """As in "You said A at 200"; empty when nothing was said. `about` stands before the
        number."""
        number = "" if self.number is None else about + number_words(self.number)
        return " at ".join(filter(None, (self.choice, number)))


def checked(choice: Any, number: Any, choices: Mapping[str, str], what: str) -> Answer:
    """An answer to these choices. ValueError for one that is none of them, and for a number that is
    none, or not finite."""
    if choice not in ("", *choices):
        raise ValueError(f"{what} is {choice!r}; choose among {', '.join(choices)}")
    if number is None:
        return Answer(choice)
    if isinstance(number, bool) or not isinstance(number, Real) or not isfinite(number):
        raise ValueError(f"{what} has the number {number!r}; give a finite one, or leave it out")
    return Answer(choice, number)


# One reader's


def read(file: Path) -> dict[str, dict]:
    """Each question with what was answered: `choices`, `choice` and `number`. ValueError for a
    file that holds something else."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        fits = all({"choices", "choice", "number"} <= {*entry} for entry in found.values())
    except (OSError, ValueError, AttributeError, TypeError):
        fits = False
    if not fits:
        raise ValueError(
            f"{file.name} cannot be read as kept predictions, and stays as it is; to begin a new "
            "one, rename it and write {} into a file of its name"
        )
    return found


def keep(file: Path, question: str, choices: Mapping[str, str], answer: Answer) -> None:
    """Write one answer beside the others. ValueError for a file that cannot be read."""
    entry = dict(choices=dict(choices), choice=answer.choice, number=answer.number)
    text = json.dumps({**read(file), question: entry}, indent=1, ensure_ascii=False)
    write_atomically(file, f"{text}\n".encode())


# A group's


def of_group(
    files: str | Path | Iterable[str | Path], question: str, choices: Mapping[str, str]
) -> dict[str, Answer]:
    """Everyone's answer, by name. `files`: `.json` files, each one reader's and called as the
    reader is, or one `.csv` file with a name, an answer and, if one was asked for, a number a line.

    Who has not answered has an `Answer()`. ValueError for a file that is not there or cannot be
    read, for a name that comes twice, and for answers to other choices.
    """
    paths = [Path(files)] if isinstance(files, (str, Path)) else sorted(map(Path, files))
    if not paths:
        raise ValueError("there is no file to count; give the paths of the collected ones")
    found: dict[str, Answer] = {}
    for path in paths:
        if not path.is_file():
            raise ValueError(f"there is no file {path}; give the paths of the collected ones")
        one = _listed if path.suffix == ".csv" else _kept
        for name, answer in one(path, question, choices):
            if name in found:
                raise ValueError(f"{name} answers twice, again in {path.name}; keep one of them")
            found[name] = answer
    return found


def _listed(path: Path, question: str, choices: Mapping[str, str]):
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = [[field.strip() for field in row] for row in csv.reader(lines)]
    for line, (name, *said) in ((at, row) for at, row in enumerate(rows, 1) if any(row)):
        choice, number, *_ = [*said, "", ""]
        if line == 1 and [name.lower(), choice.lower()] == ["name", "answer"]:
            continue
        what = f"line {line} of {path.name}"
        if not name:
            raise ValueError(f"{what} has no name; write a name, a comma and an answer")
        yield name, checked(_meant(choice, choices), _number(number, what), choices, what)


def _meant(written: str, choices: Mapping[str, str]) -> str:
    """The choice of this name, or the only one whose name differs by its capitals; else what was
    written."""
    alike = [name for name in choices if name.casefold() == written.casefold()]
    return alike[0] if len(alike) == 1 else written


def _number(text: str, what: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise ValueError(f"{what} has the number {text!r}; give a finite one") from None


def _kept(path: Path, question: str, choices: Mapping[str, str]):
    said = read(path).get(question, dict(choices=choices, choice="", number=None))
    if said["choices"] != choices:
        raise ValueError(
            f"{path.name} answers {question!r} with other choices, {choice_words(said['choices'])}"
            f", not {choice_words(choices)}; leave it out, or ask again"
        )
    name = path.parent.name if path.name == FILE else path.stem
    yield name, checked(said["choice"], said["number"], choices, path.name)


def choice_words(choices: Mapping[str, str]) -> str:
    """A: evenly; B: fast at first."""
    return "; ".join(f"{name}: {text}" for name, text in choices.items())
