"""Training in a kernel: other cells run beside it, an interrupt is heard, and it ends with its
view."""

import pytest

from tests.browser.every import stands
from tests.browser.lab import ENDLESS, FRAMES, write_notebook
from tests.patience import until

pytestmark = pytest.mark.browser

CELL = "from helpers.explorables.discovery import Discovery\n\ndiscovery = Discovery()\ndiscovery"
STATE = "discovery.status, discovery.trainer.step_number"
STEP = "() => +document.querySelector('.discovery .where').textContent.match(/step (\\d+)/)[1]"
TRAINS = "() => document.querySelector('.discovery .main').textContent === 'Pause'"


@pytest.fixture(scope="module")
def notebook(tab, course_copy):
    """A notebook with the explorable by itself."""
    tab.open(write_notebook(course_copy, "discovery.ipynb", CELL))
    return tab


@pytest.fixture
def page(notebook, lab):
    """A new one, in a training without end."""
    lab.clear()
    lab.run_cell(0)
    stands(lab.page, "discovery")
    lab.ask(ENDLESS)
    press(lab.page, "Train")
    reach(lab.page, 10)
    return lab.page


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


def reach(page, step: int) -> None:
    """Wait until the explorable shows this step or a later one."""
    page.wait_for_function(f"() => ({STEP})() >= {step}")


def step(lab) -> int:
    return int(lab.ask("discovery.trainer.step_number"))


def test_other_cells_run_while_it_trains(lab, page):
    at = step(lab)
    assert page.evaluate(TRAINS) and at > 0
    until(lambda: step(lab) > at, lab.page)  # it goes on between two cells
    press(page, "Pause")


def test_an_interrupt_leaves_a_model_to_use_and_to_train_on(lab, page):
    def paused() -> bool:
        """Or interrupted once more: one that comes between two slices is the kernel's, and lost."""
        if page.evaluate(TRAINS):
            page.evaluate("() => jupyterapp.commands.execute('notebook:interrupt-kernel')")
            page.evaluate(FRAMES, 20)
        return not page.evaluate(TRAINS)

    until(paused, lab.page)
    at = step(lab)
    page.wait_for_function(f"() => ({STEP})() === {at}")
    said = lab.ask(f"{STATE}, discovery.model(discovery.scene.shown).isfinite().all().item()")
    assert said == f"('paused', {at}, True)"
    press(page, "Train")
    reach(page, at + 10)
    press(page, "Pause")


@pytest.mark.parametrize("how", ["the output is cleared", "the notebook is closed"])
def test_a_view_that_closes_stops_the_work(lab, page, how):
    lab.ask("0")  # by a connection that outlives the notebook's
    if how == "the output is cleared":
        lab.clear()
    else:
        page.evaluate("() => void jupyterapp.commands.execute('application:close')")
        page.get_by_role("button", name="Discard").click()
    page.locator(".discovery").wait_for(state="detached")
    # a closed notebook cannot say so: its silence does
    said = until(lambda: (now := lab.ask(STATE)).startswith("('paused', ") and now, lab.page)
    for _ in range(5):
        assert lab.ask(STATE) == said
