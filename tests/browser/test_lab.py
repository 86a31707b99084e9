"""JupyterLab as `make lab` starts it."""

from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.course import ROOT
from tests.patience import PATIENCE

pytestmark = pytest.mark.browser

FIRST = "00_start_here.ipynb"


@pytest.fixture(scope="module")
def first(tab, course_copy):
    """JupyterLab as it opens, once it stands. The reader's copy is left as it was found."""
    mine = course_copy / "my_course" / FIRST
    found = mine.read_bytes()
    tab.begin()
    yield tab
    mine.write_bytes(found)


def test_the_lab_opens_on_the_first_notebook(first, lab):
    assert lab.page.get_by_role("tab", name=FIRST).first.is_visible()
    lab.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    assert lab.page.get_by_text("Jupyter news").count() == 0


def test_long_lines_of_code_wrap(first, lab):
    lab.page.locator(".jp-CodeCell .cm-lineWrapping").first.wait_for()


def test_the_server_asks_for_its_token(server):
    url, _ = server
    with pytest.raises(HTTPError, match="403"):
        urlopen(f"{url}/api/contents", timeout=PATIENCE)


def test_every_cell_of_the_first_notebook_runs_and_its_training_stands_on_the_screen(first, lab):
    lab.run_all()
    page = lab.page
    page.locator(".discovery .board button:nth-child(8)").wait_for()
    page.get_by_role("button", name="Step", exact=True).press("Enter")
    page.locator(".discovery .where").filter(has_text="step 1 of 400").wait_for()


def test_running_leaves_the_notebooks_as_they_were(first, lab, course_copy):
    """What JupyterLab saves goes to the reader's copy."""
    mine, ours = course_copy / "my_course" / FIRST, ROOT / "notebooks" / FIRST
    before, original = mine.read_bytes(), ours.read_bytes()
    lab.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    assert mine.read_bytes() != before
    assert ours.read_bytes() == (course_copy / "notebooks" / FIRST).read_bytes() == original
