"""Faults that are seeded on purpose, to prove that the tests can fail: `make mutants`."""

import ast
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Mutant(NamedTuple):
    """A fault: in this file this text, which stands there once, becomes another; and the tests that
    can see it, as few as do, by pytest's names."""

    name: str
    file: str
    text: str
    becomes: str
    tests: tuple[str, ...]

    def seeded(self, source: str) -> str:
        """The file's source with the fault in it. ValueError where the text does not stand there
        exactly once."""
        if source.count(self.text) != 1 or self.text == self.becomes:
            raise ValueError(
                f"{self.name!r}: its text stands {source.count(self.text)} times in {self.file}; "
                f"expected once, and something else in its place: {self.text!r} becomes "
                f"{self.becomes!r}"
            )
        return source.replace(self.text, self.becomes)

    def check(self) -> None:
        """ValueError where the fault cannot be seeded in what is checked out, SyntaxError where
        what comes of it is no Python."""
        seeded = self.seeded((ROOT / self.file).read_text(encoding="utf-8"))
        if self.file.endswith(".py"):
            ast.parse(seeded)
