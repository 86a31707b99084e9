"""The discovery explorable in a real browser: train, pause, step, scrub, reset and interrupt, while
the kernel stays free."""

import re
import time

import pytest

from tests.browser.scene import NAMELESS, hide_sidebar, open_with

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

STEP = "() => +document.querySelector('.discovery .where').textContent.match(/step (\\d+)/)[1]"
TRAINS = "() => document.querySelector('.discovery .main').textContent === 'Pause'"
SCRUB = "Scrub through the training"
STATE = "discovery.status, discovery.trainer.step_number"


CELL = "from helpers.explorables.discovery import Discovery\n\ndiscovery = Discovery()\ndiscovery"


@pytest.fixture
def page(lab, course_copy):
    """The explorable by itself in a notebook, with the default choices."""
    open_with(lab, course_copy, "discovery.ipynb", CELL)
    yield shown(lab)
    lab.screenshot("discovery")


def shown(lab):
    lab.page.wait_for_function(
        "() => document.querySelectorAll('.discovery .board button').length === 8", timeout=60_000
    )
    lab.page.locator(".discovery").scroll_into_view_if_needed()
    return lab.page


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


def reach(page, step: int) -> None:
    """Wait until the explorable shows this step or a later one."""
    page.wait_for_function(f"() => ({STEP})() >= {step}", timeout=60_000)


def standing(page) -> int:
    """The step at which the training stands; fails if it goes on."""
    page.wait_for_timeout(500)
    at = page.evaluate(STEP)
    page.wait_for_timeout(700)
    assert page.evaluate(STEP) == at
    return at


def ask(page, code: str) -> str:
    """What the notebook's kernel prints for this code, run as another cell of it would be."""
    return page.evaluate(
        """async code => {
            window.kernel ??= jupyterapp.shell.currentWidget.sessionContext.session.kernel.clone();
            const future = window.kernel.requestExecute({ code });
            let said = "";
            future.onIOPub = ({ content }) => { said += content.text ?? content.data?.["text/plain"] ?? content.evalue ?? ""; };
            await future.done;
            return said.trim();
        }""",
        code,
    )


def slow_down(page) -> None:
    """Each step takes 40 ms longer, so that the training does not end before the test does."""
    ask(
        page,
        "import time; step = discovery.trainer.step; discovery.trainer.step = lambda: "
        "(time.sleep(0.04), step())[1]",
    )


def test_one_trains_pauses_steps_scrubs_and_resets_by_keyboard(lab):
    """In notebook 00, whose other cells have run."""
    lab.open("00_start_here.ipynb")
    lab.run_all(timeout=150)
    hide_sidebar(lab.page)
    page = shown(lab)
    press(page, "Train")
    reach(page, 100)

    pressed = time.perf_counter()
    press(page, "Pause")
    page.get_by_role("button", name="Train", exact=True).wait_for()
    # tests share the machine; `make bench` holds the 300 ms
    assert time.perf_counter() - pressed < 3
    paused = standing(page)

    press(page, "Step")
    page.wait_for_function(f"() => ({STEP})() === {paused + 1}")

    scores = page.locator(".discovery .board button").all_inner_texts()
    page.get_by_label(SCRUB).focus()
    page.keyboard.press("Home")
    page.wait_for_function(f"() => ({STEP})() === 0")
    assert page.locator(".discovery .board button").all_inner_texts() != scores
    assert "No head matches prefixes" in page.locator(".discovery .says").inner_text()
    page.keyboard.press("End")
    reach(page, paused + 1)

    page.locator(".discovery canvas").focus()
    page.keyboard.press("ArrowUp")
    row = re.search(
        r"From position (\d+) .*% of the attention goes to position",
        page.locator(".discovery .says").inner_text(),
    )[1]
    page.keyboard.press("ArrowLeft")  # from the token itself to the one before
    assert f"goes to position {int(row) - 1} " in page.locator(".discovery .says").inner_text()
    page.keyboard.press("Escape")

    press(page, "Reset")
    page.wait_for_function(
        f"() => ({STEP})() === 0 && document.querySelector('.discovery input[type=range]').max === "
        "'0'"
    )


def test_the_scrubber_moves_all_views_together_while_it_trains(page):
    """Back to the birth: loss, scores, composition, copying, board and pattern stand at one step,
    and training goes on."""
    press(page, "Train")
    page.wait_for_function(
        "() => !document.querySelector('.discovery .scrub button').disabled", timeout=60_000
    )
    page.get_by_label(SCRUB).focus()
    page.keyboard.press("Home")
    page.wait_for_function(f"() => ({STEP})() === 0")
    newest = page.get_by_label(SCRUB).get_attribute("max")
    page.wait_for_function(
        f"() => +document.querySelector('.discovery input[type=range]').max > {newest} + 3"
    )
    assert page.evaluate(STEP) == 0  # new snapshots do not take the reader away

    press(page, "To the birth")
    page.wait_for_function(f"() => ({STEP})() > 0")
    born = page.evaluate(STEP)
    labels = page.evaluate(
        "() => [...document.querySelectorAll('.discovery svg')].map(svg => "
        "svg.getAttribute('aria-label'))"
    )
    assert len(labels) == 4 and all(
        f"At step {born} " in f"{label} " or f"At step {born}:" in label for label in labels
    )
    assert f"Step {born}:" in page.locator(".discovery .says").inner_text()
    chosen = page.locator(".discovery .board button[aria-pressed=true]").get_attribute("aria-label")
    # the head on show is the one that was born
    assert float(chosen.split("prefix matching ")[1].split(",")[0]) > 0.5
    marks = page.evaluate(
        "() => [...document.querySelectorAll('.discovery svg .now')].map(line => "
        "line.getAttribute('x1'))"
    )
    assert len(set(marks)) == 1
    press(page, "Pause")


def test_a_pair_can_be_chosen(page):
    """Any writer and reader, by keyboard; the board chooses too."""
    page.get_by_label("Head that reads").select_option("1.2")
    page.get_by_label("Head that writes").select_option("0.3")
    page.locator(".discovery svg[aria-label*='head 1.2 reads head 0.3 with 0.']").wait_for()
    page.locator(".discovery .board button").nth(5).press("Enter")
    page.locator(".discovery svg[aria-label*='head 1.1 reads head 0.3 with 0.']").wait_for()
    assert "head 1.1" in page.locator(".discovery svg").nth(3).get_attribute("aria-label")


def test_a_click_on_a_graph_goes_to_that_step_and_a_row_is_read_as_it_is_drawn(page):
    press(page, "Train")
    page.wait_for_function(
        "() => document.querySelector('.discovery .main').disabled", timeout=60_000
    )
    graph = page.locator(".discovery svg").first
    width = graph.bounding_box()["width"]
    # between the margins, 60% of the way
    graph.click(position={"x": 34 + 0.6 * (width - 44), "y": 60})
    # To the snapshot that is nearest; on a busy machine they may lie far apart.
    apart = ask(page, "print(min(abs(snapshot['step'] - 240) for snapshot in discovery.snapshots))")
    page.wait_for_function(f"() => Math.abs(({STEP})() - 240) <= {apart} + 3")

    page.get_by_label(SCRUB).press("End")
    page.wait_for_function(f"() => ({STEP})() === 400")
    row = 40
    page.locator(".discovery canvas").focus()
    for _ in range(48 - row):
        page.keyboard.press("ArrowUp")
    page.wait_for_function(
        "() => document.querySelector('.discovery .says').textContent.startsWith('From position "
        f"{row - 1} ')"
    )
    page.keyboard.press("ArrowDown")
    head = page.locator(".discovery .board button[aria-pressed=true] small").inner_text()
    expected = ask(
        page,
        f"""
import torch
from helpers.instruments import heads
layer, head = map(int, {head!r}.split("."))
tokens = discovery.scene.shown
row = discovery.model.run_with_cache(tokens)[1]["pattern", layer][0, head, {row}]
at = row.argmax().item()
named = discovery.scene.labels
hit = f", right after an earlier {{named[{row}]}}: an induction target." if heads.induction_targets(tokens)[0, {row}, at] else "."
print(f"From position {row} ({{named[{row}]}}), {{100 * row[at]:.0f}}% of the attention goes to position {{at}} ({{named[at]}}){{hit}}")
""",
    )
    assert "an induction target" in expected
    page.wait_for_function(
        "said => document.querySelector('.discovery .says').textContent === said",
        arg=expected,
        timeout=10_000,
    )


def test_a_view_that_is_there_keeps_a_long_training_going(page):
    """It acknowledges what it is sent; else the kernel would soon take it for closed."""
    slow_down(page)
    ask(page, "from helpers.explorables import discovery as module; module.PATIENCE = 0.3")
    press(page, "Train")
    reach(page, 70)
    assert page.evaluate(TRAINS)
    press(page, "Pause")


def test_at_the_end_the_keyboard_stays_in_the_view(page):
    """Train and Step are disabled then, and whoever stands on one of them would fall out."""
    press(page, "Train")
    page.wait_for_function(
        "() => document.querySelector('.discovery .main').disabled", timeout=60_000
    )
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == SCRUB


def test_other_cells_run_while_it_trains(page):
    press(page, "Train")
    reach(page, 5)
    at = int(ask(page, "discovery.trainer.step_number"))
    assert page.evaluate(TRAINS) and 0 < at < 400
    # the training went on between the two
    assert int(ask(page, "discovery.trainer.step_number")) > at
    press(page, "Pause")


def test_an_interrupt_leaves_a_model_to_use_and_to_train_on(page):
    slow_down(page)
    press(page, "Train")
    reach(page, 20)
    page.evaluate("() => jupyterapp.commands.execute('notebook:interrupt-kernel')")
    page.get_by_role("button", name="Train", exact=True).wait_for()
    at = standing(page)
    said = ask(
        page,
        "discovery.status, discovery.trainer.step_number, "
        "discovery.model(discovery.scene.shown).isfinite().all().item()",
    )
    assert said == f"('paused', {at}, True)"
    press(page, "Train")
    reach(page, at + 10)
    press(page, "Pause")


@pytest.mark.parametrize("how", ["the output is cleared", "the notebook is closed"])
def test_a_view_that_closes_stops_the_work(page, how):
    slow_down(page)
    press(page, "Train")
    reach(page, 10)
    if how == "the output is cleared":
        page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    else:
        page.evaluate("() => void jupyterapp.commands.execute('application:close')")
        page.get_by_role("button", name="Discard").click()
    page.locator(".discovery").wait_for(state="detached")
    end = time.monotonic() + 40  # a closed notebook cannot say so: its silence does
    while (said := ask(page, STATE)).startswith("('training', ") and time.monotonic() < end:
        page.wait_for_timeout(250)
    page.wait_for_timeout(500)
    assert said.startswith("('paused', ") and ask(page, STATE) == said


def test_a_bad_choice_is_refused_in_words(page):
    for _ in range(2):  # the second time as well
        page.get_by_label("learning rate").press("Control+a")
        page.keyboard.type("7")
        page.keyboard.press("Tab")
        page.wait_for_function(
            "() => document.querySelector('.discovery .note').textContent.includes('a learning "
            "rate of 7')"
        )
        page.wait_for_function(
            "() => document.querySelector('.discovery .row input[type=number]').value === '0.03'"
        )


def test_choices_make_another_model(page):
    page.get_by_label("layers").select_option("1")
    page.wait_for_function(
        "() => document.querySelectorAll('.discovery .board button').length === 4"
    )
    assert not page.get_by_label("Head that reads").is_visible()
    page.get_by_label("smeared keys").check()
    page.locator(".discovery .row select").nth(2).select_option("2")
    page.wait_for_function(
        "() => document.querySelectorAll('.discovery .board button').length === 2"
    )
    assert "smeared_keys=True" in ask(page, "discovery")


def test_a_text_says_what_it_is_doing_and_how_long_it_takes_and_loses_nothing(page):
    note, data = page.locator(".discovery .note"), page.locator(".discovery .row select").first
    data.select_option("text")
    page.wait_for_function(
        "() => document.querySelector('.discovery .note').textContent.startsWith('Reading')"
    )
    assert data.input_value() == "text"  # and not back to what still stands
    page.wait_for_function(
        "() => document.querySelector('.discovery .where').textContent === 'step 0 of 2400'",
        timeout=120_000,
    )
    assert note.inner_text().startswith("Text takes minutes") and data.input_value() == "text"

    press(page, "Train")
    reach(page, 4)
    page.wait_for_function(
        "() => /^To the end: about \\d+ minutes?\\./.test(document.querySelector('.discovery "
        ".note').textContent)"
    )
    press(page, "Pause")
    page.get_by_role("button", name="Train", exact=True).wait_for()
    at = standing(page)
    assert note.inner_text().startswith(
        f"Paused, and nothing is lost: Train goes on from step {at}, about "
    )
    press(page, "Train")
    reach(page, at + 2)
    press(page, "Pause")
    page.get_by_label(SCRUB).press("Home")
    # what was seen before the pause is there still
    page.wait_for_function(f"() => ({STEP})() === 0")


def test_everything_one_can_reach_has_a_name(page):
    assert page.evaluate(NAMELESS, ".discovery") == 0


def test_nothing_is_cut_off_at_700_pixels(page):
    page.set_viewport_size({"width": 700, "height": 1000})
    page.wait_for_timeout(500)
    over = page.evaluate(
        "() => { const edge = document.querySelector('.discovery').getBoundingClientRect().right;"
        "return [...document.querySelectorAll('.discovery *')].filter(e => "
        "e.getBoundingClientRect().right > edge + 1).map(e => e.outerHTML.slice(0, 80)); }"
    )
    assert over == []
