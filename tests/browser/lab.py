"""JupyterLab as `make lab` starts it, in a headless Chromium, on a copy of the notebooks."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import nbformat
from playwright.sync_api import Page

from tests.browser import SCREENSHOTS
from tests.course import ROOT
from tests.patience import PATIENCE, until

LOCAL = {"127.0.0.1", "localhost"}

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
# Whether all have run, or one has failed. It is asked often, and so does not look into outputs.
ENDED = """() => {
    const cells = [...jupyterapp.shell.currentWidget.content.model.cells]
        .filter(cell => cell.type === "code" && cell.sharedModel.source.trim());
    const types = ({ outputs }) =>
        Array.from({ length: outputs.length }, (_, at) => outputs.get(at).type);
    const failed = cell => types(cell).includes("error")
        && !(cell.getMetadata("tags") ?? []).includes("raises-exception");
    return cells.every(cell => cell.executionCount) || cells.some(failed);
}"""
IDLE = """() => {
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session?.kernel;
    return kernel?.status === "idle" && kernel.connectionStatus === "connected";
}"""
FRAMES = """async (frames) => {
    while (frames-- > 0) await new Promise(requestAnimationFrame);
}"""
# Let the notebook's `discovery` train until it is told to stop: a test that is slow finds it so.
ENDLESS = """from dataclasses import replace
recipe = discovery.scene.recipe
discovery.scene.recipe = replace(recipe, training=replace(recipe.training, steps=10**6))"""


class Lab:
    """JupyterLab in a browser tab, and what a test does with it.

    `page` is playwright's page. While it is used, `errors` collects what the console complains
    about, and `strays` the addresses outside this machine that something asks for.
    """

    def __init__(self, page: Page, url: str, token: str):
        self.page, self.url, self.token = page, url, token
        self.errors: list[str] = []
        self.strays: list[str] = []
        page.set_default_timeout(1000 * PATIENCE)
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

    def begin(self) -> None:
        """Open JupyterLab as `make lab` does for the first time: nothing is remembered."""
        self.page.request.delete(f"{self.url}/lab/api/workspaces/default?token={self.token}")
        self.page.goto(f"{self.url}/?token={self.token}")
        self.ready()

    def open(self, notebook: str, folder: str = "notebooks") -> None:
        """Open a notebook of the course by its name."""
        self.page.goto(f"{self.url}/lab/tree/{folder}/{notebook}?token={self.token}&reset")
        self.ready()

    def ready(self) -> None:
        """Wait until a notebook is there, and its kernel with it."""
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.context?.isReady"
            " && jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
        )

    def hide_sidebar(self) -> None:
        """The page for the notebook alone."""
        self.page.evaluate("() => jupyterapp.shell.collapseLeft()")

    def check(self) -> None:
        """Nothing has complained or left the machine since the last check."""
        strays, errors = self.strays[:], self.errors[:]
        self.strays.clear()
        self.errors.clear()
        assert strays == [], "something was asked for outside this machine"
        assert errors == []

    # ---- cells

    def cells(self) -> list[dict]:
        """The code cells of the open notebook: source, execution count, outputs."""
        return self.page.evaluate(CELLS)

    def run_cell(self, number: int) -> None:
        """Run one cell of the open notebook, as Shift-Enter does, and wait until it has run."""
        self.page.evaluate(
            f"() => {{ jupyterapp.shell.currentWidget.content.activeCellIndex = {number};"
            " return jupyterapp.commands.execute('notebook:run-cell'); }"
        )

    def run_all(self) -> list[dict]:
        """Clear the outputs, choose Run > Run All Cells, and return the cells once all have run.

        AssertionError with the first cell that fails.
        """
        self.clear()
        self.menu("Run", "Run All Cells")
        self.page.wait_for_function(ENDED)
        failed = [cell for cell in self.cells() if cell["failed"]]
        assert not failed, f"a cell failed: {failed[0]}"
        return self.cells()

    def clear(self) -> None:
        """Clear the outputs of all cells."""
        self.page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")

    def ask(self, code: str) -> str:
        """What the notebook's kernel prints for this code, run as another cell of it would be."""
        return self.page.evaluate(
            """async code => {
                const { sessionContext } = jupyterapp.shell.currentWidget ?? {};
                window.kernel ??= sessionContext.session.kernel.clone();
                const future = window.kernel.requestExecute({ code });
                let said = "";
                future.onIOPub = ({ content }) => {
                    said += content.text ?? content.data?.["text/plain"] ?? content.evalue ?? "";
                };
                await future.done;
                return said.trim();
            }""",
            code,
        )

    def restart(self) -> None:
        """Restart the kernel, and wait until the new one is there."""
        self.page.evaluate(
            "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
        )
        self.page.wait_for_function(IDLE)

    # ---- the rest

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


def write_notebook(course: Path, name: str, *cells: str, folder: str = "notebooks") -> str:
    """A notebook with these code cells among the copied ones; its name."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": kernel}, cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    nbformat.write(notebook, course / folder / name)
    return name


# ---- the server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
        "--expose-app-in-browser",
    ]
    # `-o` and BIN: use the environment that runs this test, and do not set it up again.
    command = ["make", "-o", ".venv/.set_up", "lab", f"BIN={Path(sys.executable).parent}"]
    command += [f"COURSE={course}"]
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

    def answers() -> bool:
        assert make.poll() is None, f"JupyterLab ended:\n{(home / 'log').read_text()[-3000:]}"
        try:
            with urlopen(f"{url}/api", timeout=PATIENCE):
                return True
        except OSError:
            return False

    try:
        until(answers)
        yield url, token
    finally:
        stop(make)


def stop(process: subprocess.Popen) -> None:
    """Ask the server to end, which ends its kernels too, and wait until its whole group is gone."""

    def gone() -> bool:
        process.poll()
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    if not gone():
        os.killpg(process.pid, signal.SIGTERM)
    try:
        until(gone)
    finally:
        if not gone():
            os.killpg(process.pid, signal.SIGKILL)
