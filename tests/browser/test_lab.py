"""JupyterLab as `make lab` starts it. That every cell of the first notebook runs in it is held in
test_discovery.py."""

from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.course import ROOT

pytestmark = pytest.mark.browser

FIRST = "00_start_here.ipynb"


def test_the_lab_opens_on_the_first_notebook(lab):
    lab.page.goto(f"{lab.url}/?token={lab.token}")
    lab.page.get_by_role("tab", name=FIRST).first.wait_for(timeout=60_000)
    lab.page.wait_for_function("() => document.querySelector('.jp-Notebook .jp-Cell')")
    assert lab.page.get_by_text("Jupyter news").count() == 0


def test_long_lines_of_code_wrap(lab):
    lab.open(FIRST)
    lab.page.locator(".jp-CodeCell .cm-lineWrapping").first.wait_for()


def test_the_server_asks_for_its_token(server):
    url, _ = server
    with pytest.raises(HTTPError, match="403"):
        urlopen(f"{url}/api/contents", timeout=10)


def test_running_leaves_the_notebooks_as_they_were(lab, course_copy):
    """What JupyterLab saves goes to the copy."""
    original = (ROOT / "notebooks" / FIRST).read_bytes()
    lab.open(FIRST)
    lab.page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    lab.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    assert (course_copy / "notebooks" / FIRST).read_bytes() != original
    assert (ROOT / "notebooks" / FIRST).read_bytes() == original
