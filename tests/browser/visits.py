"""Pages that need no kernel, from a disk or from a server, each in a context of its own."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import WINDOW
from tests.patience import PATIENCE


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A folder behind a web server; its address."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Visits:
    """Opens pages. `asked`: for what; `complaints`: what they complained of, and what they asked
    for outside of the folder that they came from."""

    def __init__(self, browser: Browser):
        self.browser = browser
        self.contexts: list[BrowserContext] = []
        self.asked: list[str] = []
        self.complaints: list[str] = []

    def open(self, origin: str, name: str, **options) -> Page:
        context = self.browser.new_context(**{"viewport": WINDOW, **options})
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        complain = self.complaints.append
        page.on("pageerror", lambda error: complain(f"page: {error}"))
        page.on("console", lambda said: said.type == "error" and complain(said.text))
        page.on("request", lambda request: self.ask(request.url, origin))
        page.goto(f"{origin}/{name}.html")
        return page

    def ask(self, url: str, origin: str) -> None:
        self.asked.append(url)
        if not url.startswith((origin, "data:", "blob:")):
            self.complaints.append(f"asked for {url}")

    def close(self) -> None:
        """In the end nothing may have complained."""
        for context in self.contexts:
            context.close()
        assert self.complaints == []
