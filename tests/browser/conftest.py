"""`lab`: JupyterLab as `make lab` starts it, in a headless Chromium, on a copy of the notebooks. A
start in a tab takes seconds, so the tests of a file share one."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.course import ROOT

SCREENSHOTS = ROOT / "tests" / "browser" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOCAL = {"127.0.0.1", "localhost"}
START_SECONDS = 60
WINDOW = {"width": 1400, "height": 1000}

# What JupyterLab itself writes to the console, and why it does no harm.
BENIGN = {
    "Could not restore the debugger state": "a notebook was left before its kernel's debugger had "
    "answered",
}

# One object a code cell: what it says, whether it has run and how that ended.
CELLS = """
() => [...jupyterapp.shell.currentWidget.content.model.cells]
    .filter(cell => cell.type === "code" && cell.sharedModel.source.trim())
    .map(cell => ({
        source: cell.sharedModel.source,
        count: cell.executionCount,
        outputs: cell.outputs.toJSON(),
        failed: cell.outputs.toJSON().some(output => output.output_type === "error")
            && !(cell.getMetadata("tags") ?? []).includes("raises-exception"),
    }))
"""


class Lab:
    """JupyterLab in a browser tab, and what a test does with it.

    `page` is playwright's page. While it is used, `errors` collects what the console complains
    about, and `strays` the addresses outside this machine that something asks for.
    """

    def __init__(self, page: Page, url: str, token: str):
        self.page, self.url, self.token = page, url, token
        self.errors: list[str] = []
        self.strays: list[str] = []
        page.on("request", lambda request: self._see(request.url))
        page.on("websocket", lambda socket: self._see(socket.url))
        page.on("pageerror", lambda error: self.errors.append(f"page: {error}"))
        page.on("console", self._hear)
        page.on("dialog", lambda dialog: dialog.accept())  # leave a notebook that is not saved

    def _see(self, url: str) -> None:
        address = urlsplit(url)
        if address.scheme not in ("data", "blob", "about") and address.hostname not in LOCAL:
            self.strays.append(url)

    def _hear(self, message) -> None:
        if message.type == "error" and not any(known in message.text for known in BENIGN):
            self.errors.append(f"console: {message.text}")

    def open(self, notebook: str) -> None:
        """Open a notebook of the course by its name and wait until its kernel is ready."""
        self.page.goto(f"{self.url}/lab/tree/notebooks/{notebook}?token={self.token}&reset")
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.context?.isReady"
            " && jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'",
            timeout=START_SECONDS * 1000,
        )

    def shows(self, notebook: str) -> bool:
        """Whether the tab has this notebook before it, and nothing that asks a question."""
        return self.page.evaluate(
            "path => window.jupyterapp?.shell.currentWidget?.context?.path === path"
            " && !document.querySelector('.jp-Dialog')",
            f"notebooks/{notebook}",
        )

    def check(self) -> None:
        """Nothing has complained or left the machine since the last check."""
        strays, errors = self.strays[:], self.errors[:]
        self.strays.clear()
        self.errors.clear()
        assert strays == [], "something was asked for outside this machine"
        assert errors == []

    def cells(self) -> list[dict]:
        """The code cells of the open notebook: source, execution count, outputs."""
        return self.page.evaluate(CELLS)

    def run_all(self, timeout: float = 120) -> list[dict]:
        """Clear the outputs, choose Run > Run All Cells, and return the cells once all have run.

        Raises AssertionError with the first cell that fails, or when the seconds are up.
        """
        self.page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        self.menu("Run", "Run All Cells")
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            cells = self.cells()
            failed = [cell for cell in cells if cell["failed"]]
            assert not failed, f"a cell failed: {failed[0]}"
            if all(cell["count"] for cell in cells):
                return cells
            self.page.wait_for_timeout(200)
        waiting = [cell["source"] for cell in cells if not cell["count"]]
        raise AssertionError(f"after {timeout} s still to run: {waiting}")

    def menu(self, *path: str) -> None:
        """Choose an entry of the menu bar, such as menu("Run", "Run All Cells")."""
        bar, entry = path
        self.page.get_by_role("menuitem", name=bar, exact=True).click()
        self.page.get_by_role("menuitem", name=entry, exact=True).click()

    def screenshot(self, name: str) -> Path:
        """Save what the tab shows, for a person to look at."""
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path


def chromium() -> str:
    """Where Chromium is. Without one the tests skip, but in CI they fail."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found and os.environ.get("CI"):
        pytest.fail("no Chromium found, and in CI the browser tests must run")
    if not found:
        pytest.skip("no Chromium found: install one to run the browser tests")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def course_copy(tmp_path_factory) -> Path:
    """A copy of the notebooks, so that saving in JupyterLab never touches the real ones."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "data").symlink_to(ROOT / "data")
    return folder


@pytest.fixture(scope="session")
def server(course_copy, tmp_path_factory):
    """`make lab`, with settings of its own; yields its address and its token."""
    with serving(course_copy, tmp_path_factory.mktemp("home")) as address:
        yield address


@contextmanager
def serving(course: Path, home: Path) -> Iterator[tuple[str, str]]:
    """`make lab` on the folder `course`, as long as the block runs; gives its address and its
    token."""
    port, token = free_port(), secrets.token_hex(16)
    url = f"http://127.0.0.1:{port}"
    words = [
        "--no-browser",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={course}",
        "--expose-app-in-browser",
    ]
    # `-o` and BIN: use the environment that runs this test, and do not set it up again.
    command = ["make", "-o", ".venv/.set_up", "lab", f"BIN={Path(sys.executable).parent}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment |= {"JUPYTER_TOKEN": token, "JUPYTER_CONFIG_DIR": str(home / "config")}
    environment |= {
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "run"),
    }
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    environment |= {"JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
    with (home / "log").open("w") as log:
        make = subprocess.Popen(
            [*command, f"ARGS={' '.join(words)}"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(f"{url}/api", make, home / "log")
        yield url, token
    finally:
        stop(make)


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    """Return when something answers; fail with the server's words when nothing does."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def stop(process: subprocess.Popen) -> None:
    """Ask the server to end, which ends its kernels too, and wait until its whole group is gone."""
    for request, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        end = time.monotonic() + patience
        try:
            os.killpg(process.pid, request)
            while time.monotonic() < end:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.1)
        except ProcessLookupError:
            return


@pytest.fixture(scope="module")
def tab(browser, server):
    """JupyterLab in a tab of its own, for the tests of one file. Its kernels end with it."""
    context = browser.new_context(viewport=WINDOW)
    tab = Lab(context.new_page(), *server)
    yield tab
    tab.page.evaluate("() => window.jupyterapp?.serviceManager.sessions.shutdownAll()")
    tab.page.goto("about:blank")
    context.close()
    tab.check()


@pytest.fixture
def lab(tab):
    """The file's tab, in a window of the usual size. In the end nothing may have complained or left
    the machine."""
    SCREENSHOTS.mkdir(exist_ok=True)
    tab.page.set_viewport_size(WINDOW)
    yield tab
    tab.check()
