"""Chromium for the browser tests; `bare`, a page for views; `lab`, JupyterLab in a tab."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.browser import SCREENSHOTS, WINDOW, find, launch
from tests.browser.bare import Bare
from tests.browser.lab import Lab, serving
from tests.browser.visits import Visits
from tests.course import ROOT


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium. Without one the tests skip, but in CI they fail."""
    if not find() and os.environ.get("CI"):
        pytest.fail("no Chromium found, and in CI the browser tests must run")
    if not find():
        pytest.skip("no Chromium found: install one to run the browser tests")
    SCREENSHOTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


# ---- a bare page


@pytest.fixture(scope="session")
def lend(browser):
    """`lend("touched", has_touch=True)`: a bare page by its name, as long as a block runs. It is
    slow to make, so it is kept; but time that has been stopped in it does not go on."""
    kept: dict[str, Bare] = {}

    @contextmanager
    def lend(name: str, **options) -> Iterator[Bare]:
        if name not in kept:
            kept[name] = Bare(browser.new_context(**options).new_page())
        bare = kept[name]
        bare.page.set_viewport_size(options["viewport"])
        try:
            with bare.empty():
                yield bare
        finally:
            if bare.stopped:
                kept.pop(name).page.context.close()

    return lend


@pytest.fixture
def bare(lend):
    """An empty page of the usual size. In the end nothing may have complained or left the
    machine."""
    with lend("bare", viewport=WINDOW) as bare:
        yield bare


@pytest.fixture
def touched(lend):
    """The same on the screen of a tablet, under a finger."""
    with lend("touched", has_touch=True, viewport={"width": 820, "height": 1180}) as bare:
        yield bare


@pytest.fixture(scope="module")
def modules(lend):
    """One such page for the tests of a file that ask modules alone, and leave nothing on it."""
    with lend("modules", viewport=WINDOW) as bare:
        yield bare


@pytest.fixture
def ask(modules):
    """`ask("shared/numbers", "({ clamp }, number) => clamp(number, 0, 1)", 3)`: what a function
    makes of a module."""
    return modules.ask


@pytest.fixture
def probe(modules):
    """`probe("shared/common", "made")`: the same with a longer function, of probes.js."""
    return modules.probe


# ---- pages without a kernel


@pytest.fixture
def visits(browser):
    """Pages of a site; in the end none may have complained, or asked for anything elsewhere."""
    visits = Visits(browser)
    yield visits
    visits.close()


# ---- JupyterLab


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


@pytest.fixture(scope="session")
def context(browser):
    """Where all tabs of JupyterLab open: what one has loaded and compiled, the others need not."""
    context = browser.new_context(viewport=WINDOW)
    yield context
    context.close()


@pytest.fixture(scope="module")
def tab(context, server):
    """JupyterLab in a tab of its own, for the tests of one file. Its kernels end with it."""
    tab = Lab(context.new_page(), *server)
    yield tab
    tab.page.evaluate("() => window.jupyterapp?.serviceManager.sessions.shutdownAll()")
    tab.page.goto("about:blank")
    tab.page.close()
    tab.check()


@pytest.fixture
def lab(tab):
    """The file's tab. In the end nothing may have complained or left the machine."""
    yield tab
    tab.check()
