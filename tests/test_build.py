"""The build writes what a kernel computed, the same bytes each time, and never half of it."""

import os
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.claims import Claim
from helpers.course import build
from helpers.course.build import WIDGET_VIEW
from tests.course import NOTEBOOKS

README = f"# Course\n\n{build.BEGIN}\noutdated\n{build.END}\n\nThe end.\n"

CELLS = [
    "import os\nimport matplotlib.pyplot as plt\nimport ipywidgets",
    "print('one')\nprint('two')",
    "from helpers.claims import above, below, claim\n"
    "claim('first', {'x': above(0.5, 0)}, {'x, y': below(0, 1)}, published='one half')",
    "claim('second', {'x': above(1, 0)}, {'z': below(0, 1)})",
    "print(os.environ['OMP_NUM_THREADS'], 'inline' in plt.get_backend())",
    "figure, axes = plt.subplots(figsize=(1, 1))\naxes.plot([1, 2])\nplt.show()",
    "ipywidgets.IntSlider(value=3)",
    "os.path.basename(os.getcwd())",
]


def notebook_of(*sources):
    notebook = new_notebook(cells=[new_markdown_cell("# Why?")])
    notebook.cells += [new_code_cell(source) for source in sources]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"mine-{number}"
    return notebook


def save(path, notebook):
    path.write_text(nbformat.writes(notebook), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small notebook, dirty as an author leaves it, and then built in an author's environment."""
    folder = tmp_path_factory.mktemp("notebooks")
    notebook = notebook_of(*CELLS)
    notebook.metadata.widgets = {"state": {}}
    notebook.metadata.language_info = {"name": "python", "version": "3.99"}
    notebook.cells[1].metadata = {"tags": ["set-up"], "execution": {"iopub.status.busy": "now"}}
    path = save(folder / "00_small.ipynb", notebook)
    with pytest.MonkeyPatch.context() as author:
        author.setenv("MPLBACKEND", "agg")
        author.setenv("OMP_NUM_THREADS", "7")
        build.build(path)
    return path


def outputs(path, number):
    return build.read(path).cells[number].outputs


def test_every_code_cell_was_executed_in_order(built):
    counts = [cell.execution_count for cell in build.read(built).cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(CELLS) + 1))


def test_prints_are_one_stream(built):
    assert [output.text for output in outputs(built, 2)] == ["one\ntwo\n"]


def test_the_kernel_runs_in_the_notebook_s_folder_and_in_the_fixed_environment(built):
    assert outputs(built, 8)[0].data["text/plain"] == repr(built.parent.name)
    assert outputs(built, 5)[0].text.split() == ["1", "True"]


def test_pictures_are_kept_and_widgets_leave_their_text(built):
    assert "image/png" in outputs(built, 6)[0].data
    assert set(outputs(built, 7)[0].data) == {"text/plain"}
    assert WIDGET_VIEW not in built.read_text()


def test_only_what_a_reader_needs_stays_in_the_metadata(built):
    notebook = build.read(built)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.cells[1].metadata == {"tags": ["set-up"]}


def test_cell_ids_are_kept(built):
    assert [cell.id for cell in build.read(built).cells] == [f"mine-{n}" for n in range(9)]


def test_a_second_build_writes_the_same_bytes(built):
    before = built.read_bytes()
    assert build.is_clean(built)
    build.build(built)
    assert built.read_bytes() == before


def test_cells_of_an_old_file_get_the_same_ids_each_time(tmp_path):
    old = notebook_of("1")
    for cell in old.cells:
        del cell["id"]
    old.nbformat_minor = 4
    path = save(tmp_path / "old.ipynb", old)
    ids = [[cell.id for cell in build.normalise(build.read(path)).cells] for _ in range(2)]
    assert ids == [["cell-00", "cell-01"]] * 2


DIRT = {
    "an editor's metadata": lambda nb: nb.metadata.update(toc={}),
    "a kernel's version": lambda nb: nb.metadata.language_info.update(version="3.12"),
    "times": lambda nb: nb.cells[1].metadata.update(execution={"iopub.status.busy": "now"}),
    "a widget": lambda nb: nb.cells[7].outputs[0].data.update({WIDGET_VIEW: {"model_id": "1"}}),
}


@pytest.mark.parametrize("dirt", DIRT)
def test_dirt_is_seen(built, tmp_path, dirt):
    notebook = build.read(built)
    DIRT[dirt](notebook)
    path = save(tmp_path / "dirty.ipynb", notebook)
    path.write_text(build.render(notebook), encoding="utf-8")
    assert not build.is_clean(path)


def test_another_layout_of_the_same_notebook_is_seen(built, tmp_path):
    path = tmp_path / "spaced.ipynb"
    path.write_text(built.read_text().replace("\n ", "\n  "))
    assert not build.is_clean(path)


def test_when_a_cell_fails_the_file_stays_as_it_was(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(build, "README", tmp_path / "README.md")
    path = save(tmp_path / "bad.ipynb", notebook_of("1", "1 / 0"))
    before = path.read_bytes()
    assert build.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["bad.ipynb"]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_write_that_is_cut_short_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def cut(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", cut)
    with pytest.raises(OSError, match="no space"):
        build.write_atomically(path, b"new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("file", "old")]


def test_a_notebook_that_is_not_there_is_named(capsys):
    with pytest.raises(SystemExit):
        build.main(["notebooks/99_missing.ipynb"])
    assert "there is no notebook notebooks/99_missing.ipynb" in capsys.readouterr().err


def test_the_claims_table_is_read_from_the_outputs(built):
    assert build.claims_table([built]).splitlines() == [
        "<details><summary>00: Why? Claims: 2, all hold.</summary>",
        "",
        "| claim | published | measured here | controls | holds |",
        "|---|---|---|---|---|",
        "| first | one half | x: 0.5 (above 0) | x, y: 0 (below 1) | yes |",
        "| second | no published counterpart | x: 1 (above 0) | z: 0 (below 1) | yes |",
        "",
        "</details>",
    ]


def test_a_claim_that_does_not_hold_is_named_even_while_the_table_is_folded(built, tmp_path):
    notebook = build.read(built)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "claim second" in output.get("data", {}).get("text/plain", ""):
                output.data["text/plain"] = str(Claim("second", "1", "2", "3", False))
    table = build.claims_table([save(tmp_path / "00_small.ipynb", notebook), built])
    assert "Claims: 2, not holding: second." in table and "| 1 | 2 | 3 | NO |" in table
    assert table.count("<details>") == table.count("</details>") == 2


def test_a_notebook_without_claims_has_no_table(tmp_path):
    assert build.claims_table([save(tmp_path / "00_small.ipynb", notebook_of("1"))]) == ""


def test_the_table_replaces_what_stood_between_the_markers(built, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(README)
    for _ in range(2):
        build.write_claims_table(readme, [built])
    text = readme.read_text()
    assert text.startswith("# Course\n\n") and text.endswith("\n\nThe end.\n")
    assert "outdated" not in text and text.count("| first |") == 1


@pytest.mark.parametrize(
    "readme", ["", build.BEGIN, f"{build.END}\n{build.BEGIN}", README + build.BEGIN]
)
def test_a_readme_without_room_for_the_table_is_refused(readme):
    with pytest.raises(ValueError, match="claims:begin.*claims:end"):
        build.with_claims(readme, "table")


def test_check_names_what_is_not_clean_and_touches_nothing(built, tmp_path, monkeypatch, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(README)
    for name, value in {"ROOT": tmp_path, "README": readme, "NOTEBOOKS": tmp_path}.items():
        monkeypatch.setattr(build, name, value)
    path = tmp_path / built.name
    path.touch()
    path.write_text(build.render(build.with_footer(build.read(built), path)), encoding="utf-8")
    assert build.main(["--check"]) == 1
    assert capsys.readouterr().out == "not clean: README.md\n"
    assert readme.read_text() == README
    build.write_claims_table(readme, [built])
    assert build.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("seconds", "over"),
    [
        ({1: 14.0, 2: 12.0}, False),
        ({1: 16.0}, True),
        ({1: 14.0} | dict.fromkeys(range(2, 9), 7.0), True),
    ],
)
def test_the_report_names_the_slowest_cells_and_the_budget(seconds, over):
    line = build.report("00_small.ipynb", seconds)
    assert ("OVER BUDGET" in line) == over
    slowest = max(seconds, key=seconds.get)
    assert re.search(rf"slowest: cell {slowest} {seconds[slowest]:.1f} s", line)


@pytest.mark.parametrize("path", NOTEBOOKS or [None], ids=lambda path: getattr(path, "name", "-"))
def test_the_committed_notebooks_are_as_the_build_writes_them(path):
    assert path, "there are no notebooks yet"
    assert build.is_clean(path), f"run: python -m helpers.course.build notebooks/{path.name}"


def test_the_committed_claims_table_is_what_the_notebooks_printed():
    text = build.README.read_text(encoding="utf-8")
    assert text == build.with_claims(text, build.claims_table(NOTEBOOKS)), "run: make course"
