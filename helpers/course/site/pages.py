"""A page of the site: a notebook or a text as HTML, with its links, its mathematics and a place for
each explorable."""

import base64
import hashlib
import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from string import Template

from latex2mathml.converter import convert
from nbconvert.filters import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from helpers.course.site.states import State

HERE = Path(__file__).parent
HOME = "index.html"
COURSE = "Watch a circuit being born"
TO_HAVE = f"{HOME}#on-your-own-machine"  # where the course's folder is to be had

TO_TRY = (
    '<aside class="try"><b>To try it:</b> type <code>make lab</code> in <a href="{folder}">the '
    "course's folder</a>, open <code>{notebook}</code>, write in the cell above and run the one "
    "below. It names what went wrong, and gives hints.</aside>"
)
ABOUT = (
    '<p class="about">This is the notebook <code>{notebook}</code> as a page. Its cells have run, '
    "and what can be pressed works{own}. To run and change cells, type <code>make lab</code> in "
    '<a href="{folder}">the course\'s folder</a>, which sets everything up the first time. '
    '<span class="narrow">A tap on a picture shows it in full size.</span></p>'
)
OWN = "; a training here draws random numbers of its own, so its figures are not the notebook's"

highlighted = Highlight2HTML()


@dataclass
class Page:
    """One file of the site, and what lies beside it: `files` by their path in the site's folder."""

    name: str
    title: str
    body: str = ""
    headings: list[tuple[str, str]] = field(default_factory=list)  # id and text, of the second rank
    views: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def html(self) -> str:
        """The whole text of the file."""
        assets = ["site", *(f"views/{view}" for view in self.views)]  # a style and a script each
        sources = [*(f"assets/{name}.js" for name in assets), *self.data]
        return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
            title=html.escape(self.title if self.name == HOME else f"{self.title} · {COURSE}"),
            course=COURSE,
            styles="\n".join(
                f'<link rel="stylesheet" href="assets/{name}.css">' for name in assets
            ),
            scripts="\n".join(f'<script defer src="{source}"></script>' for source in sources),
            contents=self._contents(),
            body=self.body,
        )

    def _contents(self) -> str:
        if len(self.headings) < 3:
            return ""
        lines = "\n".join(
            f'<li><a href="#{html.escape(id)}">{text}</a></li>' for id, text in self.headings
        )
        return (
            '<nav class="contents" aria-label="On this page"><details open>'
            f"<summary>On this page</summary><ol>{lines}</ol></details></nav>"
        )


def of_notebook(
    path: Path, notebook: NotebookNode, states: Mapping[tuple[str, int], State], link: "Link"
) -> Page:
    """The page of an executed notebook; its explorables are alive where their states are given."""
    title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
    page = Page(f"{path.stem}.html", title)
    write = Writing(page, link, jupyter_anchor)
    parts = [
        write.markdown(cell.source)
        if cell.cell_type == "markdown"
        else "\n".join(_code_cell(page, path, cell, states))
        for cell in notebook.cells
    ]
    own = OWN if "discovery" in page.views else ""
    about = ABOUT.format(notebook=path.name, folder=TO_HAVE, own=own)
    page.body = "\n".join(parts).replace("</h1>", f"</h1>\n{about}", 1)
    return page


def of_text(name: str, title: str, text: str, link: "Link") -> Page:
    """The page of a text in Markdown."""
    page = Page(name, title)
    page.body = Writing(page, link, github_anchor).markdown(text)
    return page


# ---- cells of code


def _code_cell(
    page: Page, path: Path, cell: NotebookNode, states: Mapping[tuple[str, int], State]
) -> Iterator[str]:
    code = highlighted(cell.source, language="python")
    if "exercise" in cell.metadata.get("tags", []):
        yield f'<div class="code">{code}</div>'
        yield TO_TRY.format(notebook=path.name, folder=TO_HAVE)
    else:
        first = html.escape(cell.source.splitlines()[0])
        yield (
            f'<details class="code"><summary>code <code>{first}</code></summary>{code}</details>'
        )
    outputs = "\n".join(_outputs(page, cell, states))
    yield f'<div class="came">{outputs}</div>' if ".came(" in cell.source else outputs


def _outputs(
    page: Page, cell: NotebookNode, states: Mapping[tuple[str, int], State]
) -> Iterator[str]:
    for at, output in enumerate(cell.outputs):
        shown = _output(page, cell, at, output)
        state = states.get((cell.id, at))
        yield _with_state(page, state, shown) if state else shown


def _with_state(page: Page, state: State, still: str) -> str:
    """Where a view comes as the notebook had it."""
    name = hashlib.sha256(state.packed).hexdigest()[:12]
    source = f"data/{name}.js"
    page.files[source] = stored("states", name, state.packed).encode()
    page.data = list(dict.fromkeys([*page.data, source]))
    return place(page, state.view, still, f' data-state="{name}"')


def stored(where: str, name: str, packed: bytes) -> str:
    """The script that brings a page what was packed: from a disk it can load nothing else."""
    return f'course.{where}["{name}"] = "{base64.b64encode(packed).decode()}";\n'


def place(page: Page, view: str, still: str, data: str = "") -> str:
    """Where a view comes in place of its still. Without a state it opens on its own."""
    page.views = list(dict.fromkeys([*page.views, view]))
    return f'<div class="place" data-view="{view}"{data}><div class="still">{still}</div></div>'


def _output(page: Page, cell: NotebookNode, at: int, output: NotebookNode) -> str:
    """An output as HTML: of a picture its file and its sentence, of a text the text."""
    if output.output_type == "stream":
        return f"<pre>{html.escape(output.text)}</pre>"
    data = output.data
    if "text/html" in data:
        return f'<div class="output">{data["text/html"]}</div>'
    if "image/png" in data:
        says = output.metadata.get("image/png", {}).get("alt", data["text/plain"])
        source = f"figures/{page.name.removesuffix('.html')}-{cell.id}-{at}.png"
        page.files[source] = picture = base64.b64decode(data["image/png"])
        return image(source, says, picture)
    return f"<pre>{html.escape(data['text/plain'])}</pre>"


def image(source: str, says: str, picture: bytes) -> str:
    """A PNG with its sentence, and with its size, so that nothing jumps when it comes. Where it is
    drawn smaller than it is, a tap shows it whole."""
    width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
    return (
        f'<span class="picture"><img src="{source}" alt="{html.escape(says)}" width="{width}" '
        f'height="{height}" loading="lazy"></span>'
    )


# ---- Markdown

Link = Callable[[str], str | None]


def jupyter_anchor(text: str) -> str:
    """The id of a heading in a notebook, as JupyterLab gives it."""
    return text.replace(" ", "-")


def github_anchor(text: str) -> str:
    """The id of a heading in a text, as code hosts give it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


class Writing(IPythonRenderer):
    """nbconvert's rendering of Markdown, with the site's links, its headings' ids, and mathematics
    as MathML, which needs no script."""

    def __init__(self, page: Page, link: Link, anchor: Callable[[str], str]):
        super().__init__(escape=False)
        self.page, self.to, self.anchor, self.ids = page, link, anchor, Counter()

    def markdown(self, text: str) -> str:
        return MarkdownWithMath(renderer=self).render(text)

    def heading(self, text: str, level: int, **attributes) -> str:
        words = html.unescape(re.sub(r"<[^>]*>", "", text))
        id = self._unique(self.anchor(words))
        if level == 2:
            self.page.headings.append((id, text))
        return f'<h{level} id="{html.escape(id)}">{text}</h{level}>\n'

    def _unique(self, id: str) -> str:
        """As code hosts tell headings of the same words apart: the second has -1 behind its own."""
        seen = self.ids[id]
        self.ids[id] += 1
        return f"{id}-{seen}" if seen else id

    def link(self, text: str, url: str, title: str | None = None) -> str:
        to = self.to(url)  # what has no page here is named, and leads nowhere
        return text if to is None else f'<a href="{html.escape(to)}">{text}</a>'

    def table(self, text: str) -> str:
        return f'<div class="wide"><table>{text}</table></div>\n'

    def inline_math(self, body: str) -> str:
        return mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return f'<span class="equation">{mathml(body, "block")}</span>'


@cache
def mathml(body: str, display: str) -> str:
    return convert(body, display=display)
