"""The glossary: words in order, two sentences each, and a link that leads to where the word is
explained. And the footers: every notebook leads back, on, and to the glossary."""

import re

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from helpers.course import build
from tests.course import NOTEBOOKS, ROOT, cells
from tests.notebook_rules import _anchor

GLOSSARY = ROOT / "notebooks" / "glossary.md"
# **term.** What it means. [01](01_name.ipynb#Its-section)
ENTRY = re.compile(r"\*\*(?P<term>[^*]+)\.\*\* (?P<means>.+) \[\d\d\]\((?P<file>\S+)#(?P<at>\S+)\)")
# Words that the notebooks teach; the glossary has more.
WORDS = """ablation, BOS, bigram, claim, composition, control, determined position, eigenvalue
share, gauge, induction head, key, kurtosis, logit, nat, null, OV circuit, path patching, plateau,
prefix matching, previous-token head, privileged basis, probe, QK circuit, query, residual stream,
seed, shortformer, skip-trigram, smeared keys, value, virtual attention head, virtual weights"""


def entries(text: str) -> list[re.Match]:
    """The glossary's paragraphs after its opening, as entries. AssertionError for one that is
    none."""
    _, _, *paragraphs = text.strip().split("\n\n")
    found = [ENTRY.fullmatch(paragraph) for paragraph in paragraphs]
    assert all(found), [p for p, entry in zip(paragraphs, found, strict=True) if not entry]
    return found


@pytest.fixture(scope="module")
def glossary() -> list[re.Match]:
    return entries(GLOSSARY.read_text(encoding="utf-8"))


def test_the_words_of_the_course_are_there(glossary):
    words = set(" ".join(WORDS.split()).split(", "))
    assert words - {entry["term"] for entry in glossary} == set()


def test_the_terms_are_in_order_and_each_is_there_once(glossary):
    terms = [entry["term"].lower() for entry in glossary]
    assert terms == sorted(set(terms))


def test_an_entry_has_two_sentences_at_most(glossary):
    ends = {entry["term"]: re.findall(r"(?<!\.)[.?!](?= |$)", entry["means"]) for entry in glossary}
    assert [term for term, found in ends.items() if not 1 <= len(found) <= 2] == []


def test_every_link_leads_to_a_section(glossary):
    anchors = {
        path.name: {
            _anchor(title)
            for cell in cells(build.read(path), "markdown")
            for title in re.findall(r"^#+ (.*)$", cell.source, re.MULTILINE)
        }
        for path in NOTEBOOKS
    }
    dead = [e[0] for e in glossary if e["at"] not in anchors.get(e["file"], ())]
    assert dead == [], "move these links to where the word is explained now"


def test_what_is_no_entry_is_seen():
    with pytest.raises(AssertionError, match="no link"):
        entries("# Glossary\n\nWords.\n\n**a.** It has no link.")


# ---- footers


def test_every_notebook_leads_back_and_on_and_to_the_glossary():
    for before, path, after in zip(
        [build.README, *NOTEBOOKS], NOTEBOOKS, [*NOTEBOOKS[1:], build.README], strict=False
    ):
        footer = build.read(path).cells[-1].source
        targets = re.findall(r"\]\(([^)]+)\)", footer)
        assert [(path.parent / target).resolve() for target in targets] == [before, GLOSSARY, after]


def test_the_build_mends_a_footer_and_leaves_other_notebooks_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "NOTEBOOKS", tmp_path)
    for name in ("00_a.ipynb", "02_b_c.ipynb"):
        (tmp_path / name).touch()
    notebook = new_notebook(cells=[new_markdown_cell("# Why?")])
    for _ in range(2):
        build.with_footer(notebook, tmp_path / "00_a.ipynb")
    assert len(notebook.cells) == 2
    assert notebook.cells[-1].source.endswith("[Glossary](glossary.md) · [02 b c →](02_b_c.ipynb)")
    other = new_notebook(cells=[new_markdown_cell("# Why?")])
    assert len(build.with_footer(other, tmp_path / "sub" / "00_a.ipynb").cells) == 1
