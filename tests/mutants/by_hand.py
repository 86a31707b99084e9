"""The faults that are written by hand, in python.txt and javascript.txt: below each file's name,
behind a #, blocks of a fault in words, the text that stands in the file, each of its lines behind a
-, what it becomes, behind a +, and the tests that see it, one a line."""

from collections.abc import Iterator

from tests.mutants import ROOT, Mutant

HERE = ROOT / "tests" / "mutants"


def by_hand() -> list[Mutant]:
    texts = [(HERE / name).read_text("utf-8") for name in ("python.txt", "javascript.txt")]
    return [mutant for text in texts for mutant in parsed(text)]


def parsed(text: str) -> Iterator[Mutant]:
    """The faults of one such text."""
    file = ""
    for block in text.strip().split("\n\n"):
        if block.startswith("# "):
            file = block.removeprefix("# ")
            continue
        name, *lines = block.split("\n")
        text, becomes = (
            "\n".join(line[2:] for line in lines if line.startswith(mark)) for mark in "-+"
        )
        yield Mutant(
            name, file, text, becomes, tuple(of for of in lines if of.startswith("tests/"))
        )
