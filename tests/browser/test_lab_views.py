"""All explorables in one notebook of JupyterLab, for what only JupyterLab does to them: its
keys, its output views, its windowing of long notebooks, and a restart of the kernel."""

import pytest

from tests.browser.every import NAMES, says, says_anew, stands, use
from tests.browser.lab import ENDLESS, FRAMES, write_notebook
from tests.patience import until

pytestmark = pytest.mark.browser

IMPORTS = """import torch
from helpers.instruments import heads
from helpers.training import runs
from helpers.explorables.attention import Attention
from helpers.explorables.discovery import Discovery
from helpers.explorables.paths import Paths
from helpers.explorables.prediction import Prediction
from helpers.explorables.rotation import Rotation
from helpers.explorables.savings import Savings
from helpers.explorables.virtual_weights import VirtualWeights
from helpers.sequences import repeated_block
model = runs.load(runs.DATA / "runs" / "two_layers").model_at()
batch = repeated_block(1, 48, 64, torch.Generator().manual_seed(1), periods=[14])"""
MADE = {
    "attention": "Attention(model, batch.tokens)",
    "paths": "Paths(model, *batch)",
    "virtual-weights": "VirtualWeights(model)",
    "rotation": "Rotation(model, heads.probe(64, 48)[3])",
    "prediction": "Prediction('What next?', dict(A='the same', B='another'), 'At which step?')",
    "savings": "Savings(model, batch.tokens, without=[(1, 0)])",
    "discovery": "discovery = Discovery(); discovery",
}
CELLS = [IMPORTS, *MADE.values(), *["0"] * 30]
CELL = {name: 1 + number for number, name in enumerate(MADE)}


@pytest.fixture(scope="module")
def notebook(tab, course_copy):
    """The notebook, open, with what its first cell imports."""
    tab.open(write_notebook(course_copy, "views.ipynb", *CELLS))
    tab.hide_sidebar()
    tab.run_cell(0)
    return tab


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


def show(lab, name: str):
    """The tab's page with one explorable on it, made anew, and no other."""
    lab.clear()
    lab.run_cell(CELL[name])
    stands(lab.page, name)
    return lab.page


@pytest.fixture
def page(notebook, lab, name):
    return show(lab, name)


def change(page, name: str) -> None:
    """Let its sentence change, by a key; in `paths` the sentence follows the switches."""
    if name == "paths":
        page.locator(".paths .switch input").nth(4).press("Space")
    else:
        page.keyboard.press(use(page, name))


SCROLLED = (
    "() => "
    "jupyterapp.shell.currentWidget.content.node.querySelector('.jp-WindowedPanel-outer').scrollTop"
)
ACTIVE = "() => jupyterapp.shell.currentWidget.content.activeCellIndex"


def test_it_works_and_jupyterlab_leaves_it_its_keys(page, lab, name):
    """Of a cell that nobody writes in, JupyterLab takes the keys: arrows choose another cell, x
    cuts it, a puts one above, two d delete it, two zeros restart the kernel."""
    before, cells = says(page, name), len(lab.cells())
    change(page, name)
    assert says_anew(page, name, before) != before
    use(page, name)
    active, scrolled = page.evaluate(ACTIVE), page.evaluate(SCROLLED)
    for key in ("ArrowDown", "ArrowUp", "x", "a", "d", "d", "0", "0"):
        page.keyboard.press(key)
        page.evaluate(FRAMES, 2)
        assert page.evaluate(ACTIVE) == active and len(lab.cells()) == cells, key
        assert page.evaluate(SCROLLED) == pytest.approx(scrolled, abs=8), key
    assert page.locator(".jp-Dialog").count() == 0
    lab.screenshot(f"lab_{name}")


# ---- output views


def open_second_view(page, name: str) -> None:
    """A view of its own for the output of the explorable's cell, below the notebook."""
    page.evaluate(
        "number => { jupyterapp.shell.currentWidget.content.activeCellIndex = number;"
        " return jupyterapp.commands.execute('notebook:create-output-view'); }",
        CELL[name],
    )
    page.wait_for_function(
        "name => document.querySelectorAll(`.${name} .says`)[1]?.textContent", arg=name
    )


def close_second_view(page, name: str) -> None:
    page.evaluate(
        "() => [...jupyterapp.shell.widgets('main')].find((one) => one.title.label === 'Output "
        "View').close()"
    )
    page.wait_for_function("name => document.querySelectorAll(`.${name}`).length === 1", arg=name)


def test_two_views_show_the_same(page, name):
    open_second_view(page, name)
    if name == "paths":
        page.locator(".paths .switch input").nth(4).evaluate("input => input.click()")
        page.wait_for_function(
            "() => [...document.querySelectorAll('.paths')].every(view => "
            "view.querySelectorAll('.switch :checked').length === 24)"
        )
    else:
        page.wait_for_function(
            "name => new Set([...document.querySelectorAll(`.${name} .says`)].map(says => "
            "says.textContent)).size === 1",
            arg=name,
        )
    close_second_view(page, name)
    before = says(page, name)
    change(page, name)
    says_anew(page, name, before)


def test_a_view_that_opens_during_training_has_the_whole_history_and_may_close(notebook, lab):
    page = show(lab, "discovery")
    lab.ask(ENDLESS)
    page.locator(".discovery .main").press("Enter")
    scrubbers = "[...document.querySelectorAll('.discovery input[type=range]')]"
    last = f"{scrubbers}.map((one) => +one.getAttribute('aria-valuetext').match(/of (\\d+)/)[1])"
    page.wait_for_function(f"() => {last}[0] >= 5")
    open_second_view(page, "discovery")
    page.wait_for_function(f"() => {last}[1] > 8")
    page.wait_for_function(f"() => new Set({last}).size === 1")
    close_second_view(page, "discovery")
    newest = page.evaluate(f"() => {last}[0]")
    page.wait_for_function(f"() => {last}[0] > {newest} + 3")
    page.locator(".discovery .main").press("Enter")


# ---- away and back


def pictures(page, name: str) -> list[str]:
    """Its sentence and its canvases."""
    drawn = (
        "name => [...document.querySelectorAll(`.${name} canvas`)].map((one) => one.toDataURL())"
    )
    return [says(page, name), *page.evaluate(drawn, name)]


def scroll_to(page, cell: int) -> None:
    page.evaluate("number => jupyterapp.shell.currentWidget.content.scrollToItem(number)", cell)


def test_scrolled_away_and_back_it_is_as_it_was(page, lab, name):
    page.keyboard.press(use(page, name))
    page.evaluate("() => document.activeElement.blur()")
    page.evaluate(FRAMES, 10)
    before = pictures(page, name)
    scroll_to(page, len(CELLS) - 1)
    page.wait_for_function(
        "name => { const box = document.querySelector(`.${name}`)?.getBoundingClientRect();"
        " return !box || !box.height || box.bottom < 0; }",
        arg=name,
    )
    page.evaluate(FRAMES, 10)
    scroll_to(page, CELL[name])
    page.locator(f".{name}").scroll_into_view_if_needed()
    until(lambda: pictures(page, name) == before, lab.page)


# ---- a restart


@pytest.fixture(scope="module")
def restarted(notebook):
    """What each of them said before the kernel was restarted under them."""
    page, before = notebook.page, {}
    for name in NAMES:
        notebook.run_cell(CELL[name])
        stands(page, name)
        before[name] = says(page, name)
    notebook.restart()
    return before


def test_after_a_restart_it_says_why_it_does_not_answer_or_answers(restarted, lab, name):
    page = lab.page
    scroll_to(page, CELL[name])
    page.locator(f".{name}").scroll_into_view_if_needed()
    if name == "discovery":  # without a click
        page.locator(".discovery .note").filter(has_text="Run the cell again").wait_for()
    else:
        change(page, name)
        says_anew(page, name, restarted[name])


def import_again(lab) -> None:
    if lab.ask("'model' in globals()") == "False":
        lab.run_cell(0)


def test_run_again_after_a_restart_it_is_as_before(restarted, lab, name):
    import_again(lab)
    page = show(lab, name)
    page.wait_for_function(
        "([name, before]) => document.querySelector(`.${name} .says`)?.textContent === before",
        arg=[name, restarted[name]],
    )


# ---- saved, and opened again


@pytest.fixture(scope="module")
def reopened(notebook):
    """The notebook with all of them in it, saved, its kernel restarted, and opened again. While a
    kernel is there a view stands alone, without its still."""
    import_again(notebook)
    for name in NAMES:
        notebook.run_cell(CELL[name])
        stands(notebook.page, name)
        assert output(notebook.page, name).locator("img").count() == 0
    notebook.page.evaluate("() => jupyterapp.shell.currentWidget.context.save()")
    notebook.restart()
    notebook.open("views.ipynb")
    notebook.hide_sidebar()


def output(page, name: str):
    """The output of its cell, which is on the page while the cell is in sight or near."""
    cell = f".jp-Cell[data-windowed-list-index='{CELL[name]}']"
    return page.locator(f"{cell} .jp-OutputArea-output")


def test_a_notebook_that_was_saved_opens_again_on_its_still(reopened, lab, name):
    """The still, and no word of an error."""
    scroll_to(lab.page, CELL[name])
    shown = output(lab.page, name)
    still = shown.locator("img[src^='data:image/png']")
    if name == "prediction":  # whose still is written
        still = shown.and_(lab.page.locator(".jp-RenderedHTML"))
    still.first.wait_for(state="attached")
    assert still.count() == 1
    assert "Error displaying" not in lab.page.locator(".jp-Notebook").inner_text()
