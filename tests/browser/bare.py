"""A page with nothing on it but views. Their Python objects live in the test's own process: what
the page saves and sends reaches them, and what they send reaches the page, bytes included. It
wears JupyterLab's colours, is as wide as a test asks, and leaves the machine for nothing."""

import base64
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from greenlet import greenlet
from ipywidgets.widgets.widget import _remove_buffers
from jupyterlab.commands import get_app_dir
from playwright.sync_api import JSHandle, Page, Route

from tests.browser import SCREENSHOTS
from tests.course import ROOT
from tests.patience import PATIENCE, until

SITE = "http://course.test"
THEMES = Path(get_app_dir()) / "themes" / "@jupyterlab"
# Room to scroll above and below, and a Tab stop on either side. Margins, in a wide and in a narrow
# window, and what a view's place looks like are JupyterLab's, measured there.
HTML = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>A view</title>
<style id="theme"></style><script type="module" src="/tests/browser/bare.js"></script>
<style>
body { margin: 0; background: var(--jp-layout-color0); font-size: var(--jp-ui-font-size1) }
body[data-jp-theme-light="false"] { color-scheme: dark }
main { padding: 0 54px 0 126px }
main > div { box-sizing: border-box; position: relative }
@media (max-width: 760px) { main { padding-left: 62px } }
hr { height: 1500px; margin: 0; border: 0 }
</style>
<body><hr><button id="before">before</button><main></main><button id="after">after</button><hr>
"""
TYPES = {".js": "text/javascript", ".css": "text/css"}


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
        self.page, self.errors, self.strays, self.stopped = page, [], [], False
        self.widgets: dict[str, Any] = {}
        page.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(f"page: {error}"))
        page.on("console", self._listen)
        page.route("**/*", self._serve)
        page.expose_function("sendToPython", self._hear)
        page.goto(SITE)
        self.wear("Light")

    @contextmanager
    def watched(self) -> Iterator["Bare"]:
        """In the end nothing may have complained or left the machine."""
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
            route.fulfill(body=HTML, content_type="text/html")
        elif address.path == "/favicon.ico":
            route.fulfill(status=204)
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

    def module(self, name: str) -> JSHandle:
        """One module of the explorables by itself, such as "virtual_weights/camera": what it
        exports."""
        return self.page.evaluate_handle(
            "path => import(path)", f"{SITE}/helpers/explorables/{name}.js"
        )

    def measure(self, name: str, given: Any = None) -> Any:
        """What one of the functions of measure.js gives."""
        return self.page.evaluate(f"given => measure.{name}(given)", given)

    def probe(self, module: str, name: str, given: Any = None) -> Any:
        """What one of the functions of probes.js finds out of a module."""
        return self.page.evaluate(
            f"([module, given]) => probes.{name}(module, given)", [self.module(module), given]
        )

    def wear(self, theme: str) -> None:
        """JupyterLab's theme "Light" or "Dark"."""
        css = THEMES / f"theme-{theme.lower()}-extension" / "index.css"
        self.measure("wear", [theme, css.read_text(encoding="utf-8")])

    def drawn(self) -> None:
        """Wait until what has happened has been drawn: two frames, for one may ask for another."""
        if self.stopped:
            self.pass_time(50)
        else:
            self.measure("frames", 2)

    def still(self) -> None:
        """Wait until nothing moves: five frames in which pictures, words and page stay as they
        are."""
        self.measure("still")

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
