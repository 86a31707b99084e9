"""Chromium for the browser tests; `bare`, a page for views, and `lab`, JupyterLab in a tab. A start
of JupyterLab takes seconds, so the tests of a file share one."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.browser import SCREENSHOTS, WINDOW, find, launch
from tests.browser.bare import Bare
from tests.browser.lab import Lab, serving
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


@pytest.fixture
def bare(browser):
    """An empty page of the usual size. In the end nothing may have complained or left the
    machine."""
    context = browser.new_context(viewport=WINDOW)
    with Bare(context.new_page()).watched() as bare:
        yield bare
    context.close()


@pytest.fixture(scope="module")
def modules(browser):
    """One such page for the tests of a file that ask modules alone, and put nothing on it."""
    with Bare(browser.new_page()).watched() as bare:
        yield bare
    bare.page.close()


@pytest.fixture
def touched(browser):
    """The same on the screen of a tablet, under a finger."""
    context = browser.new_context(has_touch=True, viewport={"width": 820, "height": 1180})
    with Bare(context.new_page()).watched() as bare:
        yield bare
    context.close()


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
    """The file's tab. In the end nothing may have complained or left the machine."""
    yield tab
    tab.check()
