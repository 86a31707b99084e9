"""A reader's copies: made where they are missing, never overwritten, refreshed on request, and told
of what is newer. What a reader wrote outlives `git pull` and `make course`."""

import json
import os
import subprocess
from datetime import date

import nbformat
import pytest

from helpers.course import build, copies
from tests.course import ROOT

FIRST = "00_first.ipynb"
CELLS = ["print('one')", "def half(x): ..."]


def notebook(title: str = "# Why?"):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(title)])
    made.cells += [nbformat.v4.new_code_cell(source) for source in CELLS]
    made.cells[1].execution_count = 1
    made.cells[1].outputs = [nbformat.v4.new_output("stream", text="one\n")]
    made.cells[2].metadata.tags = ["exercise"]
    for number, cell in enumerate(made.cells):
        cell.id = f"mine-{number}"
    return made


def write(path, made):
    path.write_text(build.render(build.normalise(made)), encoding="utf-8")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two notebooks and a page that they link to, with a README."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    write(folder / FIRST, notebook())
    write(folder / "01_second.ipynb", notebook("# How? See [the first](00_first.ipynb)."))
    (folder / "glossary.md").write_text("QK: ...")
    (tmp_path / "README.md").write_text(f"{build.BEGIN}\n\n{build.END}\n")
    monkeypatch.setattr(build, "NOTEBOOKS", folder)
    monkeypatch.setattr(build, "README", tmp_path / "README.md")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def mine(course):
    """The reader's folder, made, with an answer in its first notebook."""
    copies.make(course / "my_course")
    answer(course / "my_course" / FIRST)
    return course / "my_course"


def answer(path) -> None:
    made = build.read(path)
    made.cells[2].source = "def half(x): return x / 2"
    made.cells.append(nbformat.v4.new_markdown_cell("my own words"))
    nbformat.write(made, path)


def change(course, title: str = "# Why, really?") -> None:
    write(course / "notebooks" / FIRST, notebook(title))


def answered(path) -> bool:
    text = path.read_text(encoding="utf-8")
    return "return x / 2" in text and "my own words" in text


# A copy


def test_a_copy_is_the_notebook_without_outputs(course):
    told = copies.make(course / "my_course")
    assert told == ["New in my_course, to write in: 00_first.ipynb, 01_second.ipynb."]
    ours, theirs = (build.read(course / place / FIRST) for place in ("notebooks", "my_course"))
    assert [cell.source for cell in theirs.cells[1:]] == CELLS
    assert [(cell.id, cell.metadata) for cell in theirs.cells] == [
        (cell.id, cell.metadata) for cell in ours.cells
    ]
    assert all(not cell.outputs and cell.execution_count is None for cell in theirs.cells[1:])
    nbformat.validate(theirs)


def test_its_first_cell_says_where_ours_is_and_what_a_restart_means(course):
    copies.make(course / "my_course")
    source = build.read(course / "my_course" / FIRST).cells[0].source
    assert source.startswith("# Why?\n\n*This is your copy; nothing overwrites it.")
    assert "(../notebooks/00_first.ipynb)" in source and "Run All Above" in source


def test_what_the_notebooks_link_to_is_there(course):
    copies.make(course / "my_course")
    assert (course / "my_course" / "glossary.md").read_text() == "QK: ..."
    assert json.loads((course / "my_course" / "predictions.json").read_text()) == {}
    assert "yours" in (course / "my_course" / "README.md").read_text()


def test_of_every_real_notebook_a_copy_can_be_made_and_git_ignores_it(tmp_path):
    copies.make(tmp_path / "my_course")
    made = sorted((tmp_path / "my_course").glob("*.ipynb"))
    assert [path.name for path in made] == [path.name for path in build.all_notebooks()]
    for path in made:
        assert not any(cell.get("outputs") for cell in build.read(path).cells)
    assert copies.outdated(tmp_path / "my_course") == []
    left = f"my_course/{made[0].name}"
    git = ["git", "-c", f"safe.directory={ROOT}", "check-ignore", left]
    assert subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout == f"{left}\n"


# What a reader wrote


def test_a_copy_is_never_overwritten(course, mine):
    (mine / "predictions.json").write_text('{"q": 1}')
    before = (mine / FIRST).read_bytes()
    change(course)
    copies.make(mine)
    assert (mine / FIRST).read_bytes() == before
    assert (mine / "predictions.json").read_text() == '{"q": 1}'


def test_a_reader_is_told_once_a_notebook_has_changed(course, mine):
    assert copies.make(mine) == []
    change(course)
    (told,) = copies.make(mine)
    assert told.startswith("00_first.ipynb has changed since your copy of it was made. Yours is as")
    assert told.endswith("-m helpers.course.copies --refresh 00_first.ipynb")


def test_other_outputs_are_no_change(course, mine):
    ours = build.read(course / "notebooks" / FIRST)
    ours.cells[1].outputs = []
    write(course / "notebooks" / FIRST, ours)
    assert copies.make(mine) == []


@pytest.mark.parametrize("where", [0, 1, 2])
def test_any_change_of_a_cell_is_one(course, mine, where):
    ours = build.read(course / "notebooks" / FIRST)
    ours.cells[where].source += "!"
    write(course / "notebooks" / FIRST, ours)
    assert copies.outdated(mine) == [FIRST]


def test_a_refreshed_copy_is_new_and_the_readers_is_kept_aside(course, mine, capsys):
    change(course)
    assert copies.main(["--into", str(mine), "--refresh", FIRST]) == 0
    kept = mine / "kept" / f"00_first_{date.today()}.ipynb"
    said = f"{FIRST} is new; what you wrote is in my_course/kept/{kept.name}.\n"
    assert capsys.readouterr().out == said
    assert answered(kept) and not answered(mine / FIRST)
    assert build.read(mine / FIRST).cells[0].source.startswith("# Why, really?")
    assert copies.make(mine) == []


def test_twice_refreshed_on_one_day_both_are_kept(course, mine):
    copies.refresh(FIRST, mine)
    answer(mine / FIRST)
    copies.refresh(FIRST, mine)
    kept = sorted((mine / "kept").iterdir())
    assert [path.name for path in kept] == [
        f"00_first_{date.today()}.ipynb", f"00_first_{date.today()}_2.ipynb"
    ]  # fmt: skip
    assert all(map(answered, kept))


def test_without_a_name_what_has_changed_is_refreshed(course, mine):
    change(course)
    second = (mine / "01_second.ipynb").read_bytes()
    copies.main(["--into", str(mine), "--refresh"])
    assert len([*(mine / "kept").iterdir()]) == 1
    assert (mine / "01_second.ipynb").read_bytes() == second


def test_an_unknown_name_is_refused_before_anything_is_written(course, mine, capsys):
    with pytest.raises(SystemExit, match="2"):
        copies.main(["--into", str(mine), "--refresh", FIRST, "09_no.ipynb"])
    assert (
        "there is no notebook 09_no.ipynb; choose among 00_first.ipynb" in capsys.readouterr().err
    )
    assert answered(mine / FIRST) and not (mine / "kept").exists()


@pytest.mark.parametrize("content", ["{", "{}", "[]", ""])
def test_a_copy_that_cannot_be_read_is_kept_and_told(mine, content):
    (mine / FIRST).write_text(content)
    assert len(copies.make(mine)) == 1 and (mine / FIRST).read_text() == content
    copies.refresh(FIRST, mine)
    assert [path.read_text() for path in (mine / "kept").iterdir()] == [content]
    assert copies.make(mine) == []


# git pull, and make course


def git(folder, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_answers_survive_git_pull_and_the_reader_is_told(course, tmp_path_factory, monkeypatch):
    (course / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    git(course, "init", "-q", "-b", "main")
    git(course, "add", "-A")
    git(course, "commit", "-qm", "the course")
    clone = tmp_path_factory.mktemp("reader") / "course"
    git(course, "clone", "-q", str(course), str(clone))
    monkeypatch.setattr(build, "NOTEBOOKS", clone / "notebooks")
    copies.make(clone / "my_course")
    answer(clone / "my_course" / FIRST)
    change(course)
    git(course, "commit", "-qam", "a better first notebook")
    git(clone, "pull", "-q", "--ff-only")
    assert "really" in (clone / "notebooks" / FIRST).read_text()
    assert len(copies.make(clone / "my_course")) == 1
    assert answered(clone / "my_course" / FIRST)


def test_answers_survive_a_build_of_the_course(course, mine):
    before = {path.name: path.read_bytes() for path in mine.iterdir() if path.is_file()}
    assert build.main([]) == 0
    assert {path.name: path.read_bytes() for path in mine.iterdir() if path.is_file()} == before
    assert copies.make(mine) == []
