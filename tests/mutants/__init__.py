"""Faults that are seeded on purpose, to prove that the tests can fail: `make mutants`."""

from typing import NamedTuple

from tests.course import ROOT


class Mutant(NamedTuple):
    """A fault: in this file this text, which stands there once, becomes another; and the tests that
    can see it, as few as do, by pytest's names and with spaces between."""

    name: str
    file: str
    text: str
    becomes: str
    tests: str

    @property
    def source(self) -> str:
        return (ROOT / self.file).read_text(encoding="utf-8")

    def seeded(self) -> str:
        """The file with the fault in it. ValueError where the text does not stand exactly once."""
        count = self.source.count(self.text)
        if count != 1 or self.text == self.becomes:
            raise ValueError(
                f"{self.name!r}: its text stands {count} times in {self.file}, expected once, and "
                f"another text in its place: {self.text!r} becomes {self.becomes!r}"
            )
        return self.source.replace(self.text, self.becomes)
