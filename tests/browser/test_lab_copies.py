"""A reader's copy in JupyterLab, as `make lab` opens it: without outputs, clean, and with what was
predicted kept. A notebook that is opened again shows no error where its kernel has gone."""

import json

import pytest

from helpers.course.build import WIDGET_VIEW
from tests.browser.lab import FRAMES, IDLE, write_notebook
from tests.patience import until

pytestmark = pytest.mark.browser

FIRST = "00_start_here.ipynb"
PREDICT = """from helpers.explorables.prediction import predict
word = predict("How will it fall?", dict(A="evenly", B="late"), "At which step?")"""
PATHS = """import torch
from helpers.explorables.paths import Paths
from helpers.sequences import repeated_block
from helpers.training import runs
model = runs.load(runs.DATA / "runs" / "two_layers").model_at()
Paths(model, *repeated_block(1, 48, 64, torch.Generator().manual_seed(1), periods=[14]))"""
CAME = 'word.came("B", 72)'
# What is open, whether its tab bears the mark of a change, and whether its kernel has begun.
OPEN = """() => {
    const { context, title, content, sessionContext } = jupyterapp.shell.currentWidget;
    return {
        path: context.path,
        dirty: context.model.dirty || title.className.includes("jp-mod-dirty"),
        outputs: [...content.model.cells].flatMap((cell) => cell.outputs?.toJSON() ?? []),
        language: content.model.getMetadata("language_info"),
    };
}"""
SAID = """async () => {
    const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
    await kernel.info;
    await kernel.spec;
}"""


def opened(lab) -> dict:
    """What is open, once its kernel has said what it is and JupyterLab has heard it."""
    lab.page.wait_for_function(IDLE)
    lab.page.evaluate(SAID)
    lab.page.evaluate(FRAMES, 20)
    return lab.page.evaluate(OPEN)


@pytest.fixture(scope="module")
def first(tab):
    """JupyterLab as it opens, once it stands."""
    tab.begin()


def test_the_lab_opens_on_the_readers_copy_without_outputs_and_clean(first, lab):
    found = opened(lab)
    assert (found["path"], found["outputs"]) == (f"my_course/{FIRST}", [])
    assert not found["dirty"], found["language"]
    assert lab.page.locator("em").filter(has_text="This is your copy;").is_visible()
    lab.screenshot("lab_copy")


def test_from_the_copy_ours_opens_with_its_outputs_and_clean(first, tab, lab):
    lab.page.get_by_role("link", name="Ours, with its outputs").click()
    lab.page.wait_for_function(
        "path => jupyterapp.shell.currentWidget?.context?.path === path", arg=f"notebooks/{FIRST}"
    )
    tab.ready()
    found = opened(lab)
    assert found["outputs"] and not found["dirty"], found["language"]


def test_what_was_predicted_in_a_copy_is_kept_and_comes_back(tab, lab, course_copy):
    mine = course_copy / "my_course"
    name = write_notebook(course_copy, "predicted.ipynb", PREDICT, CAME, folder="my_course")
    tab.open(name, "my_course")
    lab.run_cell(0)
    page = lab.page
    page.locator(".prediction input").first.focus()
    page.keyboard.press("ArrowDown")
    page.get_by_label("At which step?").focus()
    page.keyboard.type("200")
    page.keyboard.press("Tab")
    says(page, "You say B at 200. Kept in my_course/predictions.json.")
    kept = json.loads((mine / "predictions.json").read_text())
    assert kept["How will it fall?"]["choice"] == "B"
    lab.restart()
    lab.run_cell(0)
    says(page, "You say B at 200. Kept in my_course/predictions.json.")
    lab.run_cell(1)
    page.locator(".prediction .came").wait_for()
    assert lab.cells()[1]["outputs"][0]["text"] == "You said B at 200; it was B at 72.\n"
    lab.screenshot("lab_prediction")


def says(page, words: str) -> None:
    page.locator(".prediction .says").filter(has_text=words).wait_for()


# A notebook that is opened again


@pytest.fixture(scope="module")
def saved(tab, course_copy):
    """A notebook with two explorables that was run and saved, open; its name. Its kernel is slow to
    start, so the tests that need it stand before those that end it."""
    name = write_notebook(course_copy, "again.ipynb", PREDICT, PATHS)
    tab.open(name)
    for cell, view in enumerate((".prediction .says", ".paths .switch")):
        tab.run_cell(cell)
        tab.page.locator(view).first.wait_for()
    tab.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    assert WIDGET_VIEW in (course_copy / "notebooks" / name).read_text()
    return name


def test_with_its_kernel_alive_a_reload_keeps_the_view(saved, tab, lab):
    tab.open(saved)
    page = lab.page
    page.locator(".paths .switch").first.wait_for()
    page.locator(".prediction label").first.click()
    says(page, "You say A.")
    assert lab.ask("word.said['choice']") == "'A'"


def test_a_kernel_that_computes_is_not_waited_for(saved, tab, lab):
    """It cannot say what it holds; its views are left to JupyterLab."""
    lab.ask("0")  # by a connection that outlives the notebook's
    lab.page.evaluate("() => void window.kernel.requestExecute({ code: 'while True: pass' })")
    address = f"{tab.url}/api/contents/notebooks/{saved}?token={tab.token}&type=notebook&content=1"
    got = lab.page.request.get(address).json()
    outputs = [output for cell in got["content"]["cells"] for output in cell["outputs"]]
    assert [WIDGET_VIEW in output["data"] for output in outputs] == [True, True]
    lab.page.evaluate("() => window.kernel.interrupt()")
    until(lambda: lab.ask("1 + 1") == "2", lab.page)


def test_where_the_kernel_was_restarted_each_output_shows_its_other_form(saved, tab, lab):
    lab.restart()
    shows_the_other_forms(saved, tab, lab)


def test_without_its_kernel_each_output_shows_its_other_form(saved, tab, lab):
    lab.page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")
    shows_the_other_forms(saved, tab, lab)


def shows_the_other_forms(name: str, tab, lab) -> None:
    tab.open(name)
    page = lab.page
    page.locator(".jp-RenderedHTML").filter(has_text="How will it fall?").wait_for()
    page.locator(".jp-OutputArea-output").nth(1).wait_for()
    assert page.get_by_text("Error displaying widget").count() == 0
    assert page.get_by_text("Loading widget").count() == 0
    assert page.locator(".explorable").count() == 0
    lab.screenshot("lab_reopened")
    tab.run_cell(0)
    page.locator(".prediction .says").wait_for()
