"""The site's pages lead somewhere, say what the notebooks say, and hold what the views need."""

import base64
import gzip
import io
import json
import re
import subprocess
import zipfile
from collections import Counter
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.course import build
from helpers.course.site import __main__ as command
from helpers.course.site import pages, states
from helpers.explorables.prediction import Prediction
from helpers.explorables.virtual_weights import VirtualWeights
from helpers.model import AttentionOnlyTransformer, ModelConfig
from tests.course import NOTEBOOKS, ROOT, cells

THEMES = ("body {", 'body[data-jp-theme-light="false"] {')


class Reader(HTMLParser):
    """What a page has: its tags with their attributes, and its words outside of code."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.words, self._quiet = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in ("code", "pre", "script", "style"):
            self._quiet.append(tag)

    def handle_endtag(self, tag):
        if self._quiet and self._quiet[-1] == tag:
            self._quiet.pop()

    def handle_data(self, data):
        if not self._quiet:
            self.words.append(data)

    def all(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if attributes.get(name)]


def test_without_git_the_site_is_written_and_offers_no_folder(monkeypatch):
    monkeypatch.setattr(command.shutil, "which", lambda name: None)
    monkeypatch.setattr(command, "folder", command.folder.__wrapped__)
    assert command.folder() == {}
    assert command.FOLDER not in command.front().html()


@cache
def files() -> dict[str, bytes]:
    """The site as `--stills` makes it."""
    return command.site(NOTEBOOKS, {})


@cache
def read(name: str) -> Reader:
    return Reader(files()[name].decode())


def names() -> list[str]:
    return sorted(name for name in files() if name.endswith(".html"))


def missing(name: str) -> set[str]:
    """The addresses on a page that lead nowhere in the site."""
    page, lost = read(name), set()
    for address in page.all("href") + page.all("src"):
        path, _, place = address.partition("#")
        target = path or name
        if address.startswith("data:"):
            continue
        if target not in files() or (place and place not in read(target).all("id")):
            lost.add(address)
    return lost


# ---- pages


def test_there_is_a_page_for_every_notebook_and_text():
    assert {f"{path.stem}.html" for path in NOTEBOOKS} | {
        "index.html", "birth.html", "claims.html", "glossary.html", "facilitator_guide.html",
        "notation_sheet.html",
    } == set(names())  # fmt: skip


def test_every_address_leads_to_a_file_and_a_place_of_the_site():
    assert {name: missing(name) for name in names() if missing(name)} == {}


def test_the_front_page_leads_to_every_page():
    page = set(read("index.html").all("href"))
    assert {name for name in names() if name != "index.html"} <= page


def test_the_front_page_has_the_course_itself_as_git_keeps_it():
    listed = ["git", "-C", str(build.ROOT), "ls-tree", "-r", "--name-only", "-z", "HEAD"]
    kept = subprocess.run(listed, capture_output=True, check=True, text=True).stdout
    with zipfile.ZipFile(io.BytesIO(files()[command.FOLDER])) as packed:
        held = {name for name in packed.namelist() if not name.endswith("/")}
        readme = packed.read("induction-course/README.md")
    assert held == {f"induction-course/{name}" for name in kept.split("\0") if name}
    assert readme.startswith(b"# Watch a circuit being born")
    assert command.FOLDER in read("index.html").all("href")


def test_no_two_places_of_a_page_have_one_name():
    doubled = {
        name: Counter(read(name).all("id")) - Counter({*read(name).all("id")}) for name in names()
    }
    assert {name: ids for name, ids in doubled.items() if ids} == {}


def test_a_link_without_a_page_is_its_words():
    page = pages.of_text("x.html", "X", "See [this](../CONTRIBUTING.md) and $x$.", command.link)
    assert "See this and <math" in page.body


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_has_every_figure_with_its_sentence(path):
    told = Counter(
        output.metadata["image/png"]["alt"]
        for cell in cells(build.read(path), "code")
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    )
    page = read(f"{path.stem}.html")
    assert told == Counter(attributes["alt"] for tag, attributes in page.tags if tag == "img")
    assert all(attributes.get("width") for tag, attributes in page.tags if tag == "img")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_has_all_code_and_says_at_each_exercise_how_to_try_it(path):
    notebook, text = build.read(path), files()[f"{path.stem}.html"].decode()
    exercises = [c for c in cells(notebook, "code") if "exercise" in c.metadata.get("tags", [])]
    shown = re.findall(r'<div class=" highlight [^>]*><pre>(.*?)</pre>', text, re.DOTALL)
    code = {unescape(re.sub(r"<[^>]*>", "", one)).strip() for one in shown}
    assert {cell.source.strip() for cell in cells(notebook, "code")} <= code
    assert text.count('<aside class="try">') == len(exercises) >= 3
    assert text.count('<details class="code">') == len(cells(notebook, "code")) - len(exercises)


@pytest.mark.parametrize("name", sorted(f"{path.stem}.html" for path in NOTEBOOKS))
def test_mathematics_needs_no_script(name):
    words = "".join(read(name).words)
    assert "\\" not in words and "$" not in words


def test_an_equation_is_read_as_one():
    assert "<msub><mi>W</mi><mi>Q</mi></msub>" in pages.mathml("x W_Q", "inline")


def test_what_views_and_outputs_take_from_the_theme_is_there_in_both():
    sources = [*ROOT.glob("helpers/**/*.css"), *ROOT.glob("helpers/**/*.py")]
    asked = {
        name
        for path in sources
        for name in re.findall(r"var\((--jp-[\w-]+)", path.read_text(encoding="utf-8"))
    }
    style = (pages.HERE / "site.css").read_text(encoding="utf-8")
    for theme in THEMES:
        block = style[style.index(theme) :].partition("}")[0]
        given = set(re.findall(r"(--jp-[\w-]+):", block))
        assert {name for name in asked if "family" not in name} <= given
    assert "--jp-ui-font-family:" in style and "--jp-code-font-family:" in style


def test_the_front_page_asks_the_riddle_and_trains_under_the_still():
    page = read("index.html")
    assert "17 4 52 9 31 17 4 52" in " ".join("".join(page.words).split())
    [place] = [attributes for _, attributes in page.tags if attributes.get("data-view")]
    assert place["data-view"] == "discovery" and "data-state" not in place
    [still] = [attributes for tag, attributes in page.tags if tag == "img"]
    assert still["src"] == "figures/birth.png" and still["width"] and len(still["alt"]) > 99
    assert b"course.trainer = " in files()["assets/views/discovery.js"]


# ---- what views need


def unpacked(packed: bytes) -> tuple[dict, list[bytes]]:
    head, _, rest = gzip.decompress(packed).partition(b"\n")
    head, blocks = json.loads(head), []
    for size in head["sizes"]:
        blocks.append(rest[:size])
        rest = rest[size:]
    assert not rest
    return head, blocks


@cache
def model() -> AttentionOnlyTransformer:
    torch.manual_seed(0)
    return AttentionOnlyTransformer(ModelConfig(2, 2, 16, 8, 12, 10))


def test_a_question_is_stored_as_it_stands_before_anyone_answers():
    asked = Prediction("What next, on a page?", dict(A="the same", B="another"))
    state = states.own_state(asked)
    asked.came("B")
    head, _ = unpacked(states.pack(state, states.opening(asked)))
    assert head["state"]["outcome"] == {}
    assert set(head["state"]) == {"scene", "said", "outcome", "says", "trouble"}


def test_a_diagram_is_told_whole():
    diagram = VirtualWeights(model())
    [(content, sent)] = states.opening(diagram)
    head, blocks = unpacked(states.pack(states.own_state(diagram), [(content, sent)]))
    assert head["opening"] == [dict(content=json.loads(json.dumps(content)), count=len(sent))]
    assert blocks == sent


def test_what_is_stored_is_the_same_bytes_each_time():
    diagram = VirtualWeights(model())
    packed = [states.pack(states.own_state(diagram), states.opening(diagram)) for _ in range(2)]
    assert packed[0] == packed[1]
    assert packed[0][4:8] == bytes(4), "it holds the time at which it was made"


def test_a_view_stands_where_the_cell_showed_it():
    notebook = new_notebook(cells=[new_markdown_cell("# Why?"), new_code_cell("show()")])
    notebook.cells[1].update(id="here", outputs=[
        new_output("stream", text="words"),
        new_output("display_data", {"text/html": "<p>the question</p>", "text/plain": "it"}),
    ])  # fmt: skip
    path, state = Path("05_x.ipynb"), states.State("prediction", b"packed")
    page = pages.of_notebook(path, notebook, {("here", 1): state}, command.link)
    before, after = page.body.split('<div class="place" data-view="prediction"')
    assert "words" in before and "<p>the question</p>" in after
    [source] = page.data
    assert base64.b64encode(b"packed") in page.files[source]
    assert f'src="{source}"' in page.html() and "views/prediction.js" in page.html()


@pytest.mark.parametrize("view", ["discovery", "paths"])
def test_a_page_that_trains_says_that_its_figures_are_its_own(view):
    notebook = new_notebook(cells=[new_markdown_cell("# Why?"), new_code_cell("show()")])
    shown = new_output("display_data", {"text/plain": "it"})
    notebook.cells[1].update(id="here", outputs=[shown])
    state = {("here", 0): states.State(view, b"packed")}
    page = pages.of_notebook(Path("05_x.ipynb"), notebook, state, command.link)
    assert (pages.OWN in page.body) == (view == "discovery")


# ---- the folder


def test_a_site_is_written_in_place_of_the_last_and_of_nothing_else(tmp_path):
    into = tmp_path / "site"
    into.mkdir()
    command.write({command.MARK: b"", "old.html": b"old"}, into)
    command.write({command.MARK: b"", "new.html": b"new"}, into)
    assert {path.name for path in into.iterdir()} == {"assets", "new.html"}
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="is no site, and would be lost"):
        command.write({command.MARK: b""}, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_the_command_refuses_before_it_runs_anything(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit) as stopped:
        command.main(["--into", str(tmp_path)])
    assert stopped.value.code == 2 and "name an empty folder" in capsys.readouterr().err


def test_the_command_writes_the_site_and_says_where(tmp_path, capsys):
    assert command.main(["--stills", "--into", str(tmp_path / "site")]) == 0
    assert str(tmp_path / "site") in capsys.readouterr().out
    written = {p for p in (tmp_path / "site").rglob("*") if p.is_file()}
    assert {path.relative_to(tmp_path / "site").as_posix() for path in written} == set(files())


def test_a_notebook_in_which_a_cell_fails_has_a_page_with_stills(tmp_path, capsys):
    path = tmp_path / "00_fails.ipynb"
    notebook = new_notebook(cells=[new_markdown_cell("# Why?"), new_code_cell("1 / 0")])
    path.write_text(build.render(notebook))
    assert command.run([path]) == {}
    assert "with stills, because a cell failed" in capsys.readouterr().err


# ---- elsewhere


@pytest.mark.parametrize("path", NOTEBOOKS[:2], ids=lambda path: path.stem)
def test_an_export_by_nbconvert_shows_stills_and_questions_and_no_gap(path):
    html, _ = HTMLExporter().from_filename(str(path))
    notebook, page = build.read(path), Reader(html)
    pictures = [
        output
        for cell in cells(notebook, "code")
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    drawn = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(drawn) == len(pictures)
    assert all(attributes["src"].startswith("data:image/png;base64,") for attributes in drawn)
    assert "widget-view" not in html and "Error displaying widget" not in html
    for cell in cells(notebook, "code"):
        if re.search(r"= predict\(|^(Discovery|Attention|Paths)\(", cell.source, re.MULTILINE):
            assert cell.outputs, f"{cell.id} shows nothing"
