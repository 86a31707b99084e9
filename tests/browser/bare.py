"""A page with nothing on it but views. Their Python objects live in the test's own process: what
the page saves and sends reaches them, and what they send reaches the page, bytes included. It
wears JupyterLab's colours, is as wide as a test asks, and leaves the machine for nothing."""

import base64
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from greenlet import greenlet
from ipywidgets.widgets.widget import _remove_buffers
from jupyterlab.commands import get_app_dir
from playwright.sync_api import Page, Route

from tests.browser import SCREENSHOTS
from tests.course import ROOT
from tests.patience import PATIENCE, until

SITE = "http://course.test"
THEMES = Path(get_app_dir()) / "themes" / "@jupyterlab"
# Room to scroll above and below, and a Tab stop on either side. Margins, in a wide and in a narrow
# window, and what a view's place looks like are JupyterLab's, measured there.
HTML = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>A view</title>
<link rel="icon" href="data:,"><style id="theme">{theme}</style>
<script type="module">{script}</script>
<style>
body { margin: 0; background: var(--jp-layout-color0); font-size: var(--jp-ui-font-size1) }
body[data-jp-theme-light="false"] { color-scheme: dark }
main { padding: 0 54px 0 126px }
main > div { box-sizing: border-box; position: relative }
@media (max-width: 760px) { main { padding-left: 62px } }
hr { height: 1500px; margin: 0; border: 0 }
</style>
<body data-jp-theme-light="true" data-jp-theme-name="JupyterLab Light">
<hr><button id="before">before</button><main></main><button id="after">after</button><hr>
"""
TYPES = {".js": "text/javascript", ".css": "text/css"}


def theme(name: str) -> str:
    """JupyterLab's own style, "Light" or "Dark"."""
    return (THEMES / f"theme-{name.lower()}-extension" / "index.css").read_text("utf-8")


@cache
def html() -> str:
    """The page, with all that it needs in one."""
    script = (ROOT / "tests" / "browser" / "bare.js").read_text("utf-8")
    return HTML.replace("{theme}", theme("Light")).replace("{script}", script)


def in_turn(action: Callable[[], object]) -> None:
    """Do this, which waits for the page, from wherever it is asked: a test, what the page calls, or
    a task of the event loop, which none of playwright's functions may hold up."""
    greenlet(action).switch()


class Wire:
    """In place of a kernel's comm: what the widget says goes to the page."""

    def __init__(self, bare: "Bare"):
        self.bare, self.comm_id = bare, uuid4().hex

    def on_msg(self, callback: Callable[[dict], None]) -> None:
        self.hear = callback

    def send(self, data=None, metadata=None, buffers=None) -> None:
        self.bare.tell("hearPython", id=self.comm_id, data=data, buffers=buffers)

    def close(self, *_) -> None:
        pass


class Complaints(logging.Handler):
    """What the widgets complain of: an error in one is logged and goes no further."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(logging.Formatter().format(record))


class Bare:
    """The page, and what a test does with it. `errors` are complaints, the page's and the
    widgets'; `strays` the addresses that something asks for and nobody here has."""

    def __init__(self, page: Page):
        self.page, self.stopped = page, False
        self.errors: list[str] = []
        self.strays: list[str] = []
        self.widgets: dict[str, Any] = {}
        page.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(f"page: {error}"))
        page.on("console", self._listen)
        page.route("**/*", self._serve)
        page.expose_function("sendToPython", self._hear)

    @contextmanager
    def empty(self) -> Iterator["Bare"]:
        """With nothing on it. In the end nothing may have complained or left the machine."""
        self._clear()
        log, complaints = logging.getLogger("traitlets"), Complaints()
        log.addHandler(complaints)
        try:
            yield self
        finally:
            log.removeHandler(complaints)
            for widget in self.widgets.values():
                widget.comm = None
        complained = [f"asked for outside this machine: {url}" for url in self.strays]
        complained += self.errors + complaints.heard
        assert not complained, "\n".join(complained)

    def _clear(self) -> None:
        self.errors.clear()
        self.strays.clear()
        self.widgets = {}
        self.page.mouse.move(0, 0)  # where no view will be
        self.page.emulate_media(reduced_motion="null")
        self.page.goto(SITE)

    # ---- the page

    def _listen(self, message) -> None:
        if message.type == "error":
            self.errors.append(f"console: {message.text}")

    def _serve(self, route: Route) -> None:
        """The page, and the files of the repository that it may ask for."""
        address = urlsplit(route.request.url)
        path = ROOT / address.path[1:]
        if f"{address.scheme}://{address.netloc}" != SITE:
            self.strays.append(route.request.url)
            route.abort()
        elif address.path == "/":
            route.fulfill(body=html(), content_type="text/html")
        elif path.suffix in TYPES and path.is_file():
            route.fulfill(path=path, content_type=TYPES[path.suffix])
        else:
            route.fulfill(status=404)

    # ---- the wire

    def _hear(self, text: str) -> None:
        message = json.loads(text)
        buffers = [memoryview(base64.b64decode(one)) for one in message["buffers"]]
        wire = self.widgets[message["id"]].comm
        wire.hear(dict(content=dict(data=message["data"]), buffers=buffers))

    def tell(self, function: str, buffers=None, **message: Any) -> None:
        """Call one of the page's functions with a message. As in a kernel, what is no JSON is an
        error."""
        packed = [base64.b64encode(one).decode() for one in buffers or ()]
        text = json.dumps(message | dict(buffers=packed), allow_nan=False)
        in_turn(lambda: self.page.evaluate(f"text => {function}(text)", text))

    # ---- what a test does

    def show(self, widget: Any) -> Any:
        """A view of this widget on the page; a second one, if it has one already. Gives the widget
        back, once the view stands and says something."""
        if not isinstance(widget.comm, Wire):
            widget.comm = Wire(self)
            self.widgets[widget.comm.comm_id] = widget
        state, paths, buffers = _remove_buffers(widget.get_state())
        esm, css = state.pop("_esm"), state.pop("_css", "")
        data = dict(state=state, buffer_paths=paths)
        self.tell("openView", id=widget.comm.comm_id, esm=esm, css=css, data=data, buffers=buffers)
        return widget

    def remove(self, view: int = 0) -> None:
        """Take a view away, as JupyterLab does with a cleared output."""
        self.page.evaluate("view => views[view].remove()", view)

    def ask(self, module: str, function: str, given: Any = None) -> Any:
        """What a function makes of a module of the explorables and of something given:
        `ask("shared/numbers", "({ clamp }, number) => clamp(number, 0, 1)", 3)`."""
        return self.page.evaluate(
            f"([path, given]) => import(path).then((module) => ({function})(module, given))",
            [f"/helpers/explorables/{module}.js", given],
        )

    def probe(self, module: str, name: str, given: Any = None) -> Any:
        """The same with a longer function, of probes.js."""
        probes = "import('/tests/browser/probes.js')"
        function = f"(module, given) => {probes}.then((probes) => probes.{name}(module, given))"
        return self.ask(module, function, given)

    def measure(self, name: str, given: Any = None) -> Any:
        """What one of the functions of measure.js gives."""
        measure = "import('/tests/browser/measure.js')"
        return self.page.evaluate(
            f"(given) => {measure}.then((measure) => measure.{name}(given))", given
        )

    def wear(self, name: str) -> None:
        """JupyterLab's theme "Light" or "Dark"."""
        self.page.evaluate("(worn) => page.wear(worn)", [name, theme(name)])

    def drawn(self) -> None:
        """Wait until what has happened has been drawn: two frames, for one may ask for another."""
        if self.stopped:
            self.pass_time(50)
        else:
            self.page.evaluate("() => page.frames(2)")

    def still(self) -> None:
        """Wait until nothing moves: five frames in which pictures, words and page stay as they
        are."""
        self.page.evaluate("() => page.still()")

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until something holds here in Python, while the page goes on."""
        return until(condition, self.page)

    def stop_time(self) -> None:
        """From now on the page's time passes only in `pass_time`: timers, frames and clocks."""
        self.stopped = True
        self.page.clock.install(time=0)
        self.page.clock.pause_at(1000)

    def pass_time(self, milliseconds: int) -> None:
        self.page.clock.run_for(milliseconds)

    def screenshot(self, name: str) -> None:
        """Save what the page shows, for a person to look at."""
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")
