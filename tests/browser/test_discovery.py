"""The discovery explorable in a real browser: train, pause, step, scrub, reset. Its training is a
task of the loop in this process, as it is one of the kernel's; what a kernel alone can do is in
test_lab_discovery.py."""

import re
from dataclasses import replace
from itertools import count
from threading import Event
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from helpers.explorables import discovery as module
from helpers.explorables.discovery import Discovery
from helpers.instruments import heads
from helpers.training import recipes
from tests.browser.every import endless, stands, trained
from tests.patience import PATIENCE

pytestmark = pytest.mark.browser

STEP = "() => +document.querySelector('.discovery .where').textContent.match(/step (\\d+)/)[1]"
SCRUB = "Scrub through the training"
LOOKS = (
    "() => +document.querySelector('.discovery input[type=range]')"
    ".getAttribute('aria-valuetext').match(/of (\\d+)/)[1]"
)


@pytest.fixture(autouse=True)
def steady(monkeypatch):
    """A clock on which every look at it takes 20 ms, so that slices have as many steps on any
    machine; and no view is taken for closed because it is slow."""
    ticks = count()
    clock = SimpleNamespace(perf_counter=lambda: 0.02 * next(ticks))
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "PATIENCE", float("inf"))


@pytest.fixture
def discovery(bare, steady):
    """The explorable with the default choices."""
    made = bare.show(Discovery())
    yield made
    bare.screenshot("discovery")
    made.pause()


@pytest.fixture
def page(bare, discovery):
    stands(bare.page, "discovery")
    return bare.page


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


def reach(page, step: int) -> None:
    """Wait until the explorable shows this step or a later one."""
    page.wait_for_function(f"() => ({STEP})() >= {step}")


def paused(bare, discovery) -> int:
    """The step at which the training stands, there and on the page; fails if it goes on."""
    bare.page.get_by_role("button", name="Train", exact=True).wait_for()
    at = discovery.trainer.step_number
    bare.page.wait_for_function(f"() => ({STEP})() === {at}")
    bare.still()
    assert discovery.status == "paused" and discovery.trainer.step_number == at
    return at


def more(page) -> None:
    """Ask for composition and eigenvalues too."""
    page.locator(".discovery summary").press("Enter")


def says(page) -> str:
    return page.locator(".discovery .says").inner_text()


def almost_there(discovery) -> None:
    """The weights that ship with the course, one step before the end of the training."""
    discovery.model.load_state_dict(trained().state_dict())
    discovery.trainer.step_number = discovery.scene.recipe.training.steps - 1


def test_one_trains_pauses_steps_scrubs_and_resets_by_keyboard(bare, page, discovery):
    endless(discovery)
    press(page, "Train")
    reach(page, 40)
    press(page, "Pause")
    at = paused(bare, discovery)

    press(page, "Step")
    page.wait_for_function(f"() => ({STEP})() === {at + 1}")

    scores = page.locator(".discovery .board button").all_inner_texts()
    page.get_by_label(SCRUB).focus()
    page.keyboard.press("Home")
    page.wait_for_function(f"() => ({STEP})() === 0")
    assert page.locator(".discovery .board button").all_inner_texts() != scores
    assert "No head matches prefixes" in says(page)
    page.keyboard.press("End")
    reach(page, at + 1)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"() => ({STEP})() < {at + 1}")
    page.keyboard.press("ArrowRight")
    reach(page, at + 1)

    page.locator(".discovery canvas").focus()
    page.keyboard.press("ArrowUp")
    row = re.search(r"From position (\d+) .*% of the attention goes to position", says(page))[1]
    page.keyboard.press("ArrowLeft")  # from the token itself to the one before
    assert f"goes to position {int(row) - 1} " in says(page)
    page.keyboard.press("Escape")

    press(page, "Reset")
    page.wait_for_function(f"() => ({STEP})() === 0 && ({LOOKS})() === 1")


def answers(page) -> list[str]:
    """What the model says to the reader's row, as a screen reader hears it."""
    return page.locator(".discovery .asking li").evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label'))"
    )


def ask(page, typed: str) -> None:
    page.get_by_label("Your row").fill(typed)
    page.keyboard.press("Enter")


def test_the_row_is_answered_at_every_step_and_so_is_another(page, discovery):
    """The riddle, by chance at the start and right at the end; then one of the reader's own, which
    is asked of all steps that were looked at."""
    assert page.get_by_label("Your row").input_value() == "17 4 52 9 31 17 4 52"
    guesses = answers(page)
    almost_there(discovery)
    press(page, "Step")
    page.locator(".discovery .asking li.match[aria-label='9, > 99.9%']").wait_for()
    assert "The trick says 9. The model gives it > 99.9%." in page.inner_text(".asking p")
    assert "it answers 9, with > 99.9%" in says(page)

    ask(page, "40 41 42 43 40 41")
    page.locator(".discovery .asking li.match[aria-label^='42, ']").wait_for()
    page.get_by_label(SCRUB).press("Home")
    page.wait_for_function(f"() => ({STEP})() === 0")
    assert not any(said.startswith("42, ") for said in answers(page))
    ask(page, "17 4 52 9 31 17 4 52")
    page.wait_for_function(
        "before => [...document.querySelectorAll('.discovery .asking li')].map(one => "
        "one.getAttribute('aria-label')).join() === before",
        arg=",".join(guesses),
    )
    ask(page, "1, 2, 3")
    page.get_by_text("Nothing to copy").wait_for()


def test_the_pattern_says_that_it_is_of_another_row_than_the_readers(page):
    strip = page.locator(".discovery .strip").inner_text()
    ask(page, "3 5 3")
    page.locator(".discovery .asking p").filter(has_text="The trick says 5").wait_for()
    assert page.locator(".discovery .strip").inner_text() == strip
    assert (
        page.locator(".discovery .pattern h4").inner_text().endswith("looks in the test row below")
    )


def test_a_row_that_cannot_be_read_is_refused_in_words_and_stays(page, discovery):
    ask(page, "17 4 70 17")
    page.locator(".discovery .note").filter(has_text="'70' is no token; tokens are").wait_for()
    assert page.get_by_label("Your row").input_value() == "17 4 70 17"
    assert discovery.row["typed"] == "17 4 52 9 31 17 4 52"
    ask(page, "17 4 7 17")
    page.locator(".discovery .note").filter(has_text="no token").wait_for(state="detached")


def test_a_refused_row_is_marked_and_the_answers_to_another_stand_back(page):
    asking = page.locator(".discovery .asking")
    box = page.get_by_label("Your row")
    box.fill("70 2")
    box.press("Enter")
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(asking.locator("ol")).to_have_css("opacity", "0.3")
    page.keyboard.press("Tab")
    expect(box).to_have_value("70 2")  # what was typed is not lost
    box.fill("5 6 7 5 6")
    box.press("Enter")
    expect(box).to_have_attribute("aria-invalid", "false")
    expect(asking.locator("ol")).to_have_css("opacity", "1")


def test_the_scrubber_stands_on_the_axis_of_the_graphs(page, discovery):
    """Its thumb is where the line of the present step is, at any step; keys go from look to
    look."""
    for step in (100, 236, 399):
        discovery.trainer.step_number = step - 1
        discovery.step()
        page.wait_for_function(f"() => ({STEP})() === {step}")
        line, thumb = page.evaluate(
            """() => {
                const box = (name) => document.querySelector(name).getBoundingClientRect();
                const scrubber = document.querySelector(".discovery input[type=range]");
                const { left, width } = scrubber.getBoundingClientRect(), half = 8;
                const share = scrubber.value / scrubber.max;
                return [box(".discovery .now").left, left + half + share * (width - 2 * half)];
            }"""
        )
        assert line == pytest.approx(thumb, abs=1.5)
    page.get_by_label(SCRUB).press("ArrowLeft")
    page.wait_for_function(f"() => ({STEP})() === 236")
    page.get_by_label(SCRUB).press("PageDown")
    page.wait_for_function(f"() => ({STEP})() === 0")


def test_a_value_off_the_chart_is_told(page, discovery):
    almost_there(discovery)
    press(page, "Step")
    page.wait_for_function(f"() => ({STEP})() === 400")
    off = discovery.snapshots[-1]["loss_new"]
    assert page.locator(".discovery svg .off").all_text_contents() == [f"{off:.1f} ↑"]


def test_a_kernel_that_has_gone_is_noticed_without_a_click(bare, page):
    page.evaluate(
        "() => { const { model } = views[0]; model.gone = true; model.tell('comm_live_update'); }"
    )
    page.locator(".discovery .note").filter(has_text="The kernel has been restarted").wait_for()
    assert page.get_by_role("button", name="No kernel").is_disabled()
    assert page.locator(".discovery .row :enabled").count() == 0


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_scrubbers_focus_is_seen_and_covers_no_number(bare, page, theme):
    bare.wear(theme)
    page.set_viewport_size({"width": 800, "height": 1000})
    bare.still()
    page.locator(".discovery .asking input").focus()
    page.keyboard.press("Tab")
    ring = page.evaluate(
        """() => {
            const { outline, outlineOffset } = getComputedStyle(document.activeElement);
            const { top, right, bottom, left } = document.activeElement.getBoundingClientRect();
            const out = parseFloat(outlineOffset) + parseFloat(outline.match(/(\\d+)px/)[1]);
            const ink = getComputedStyle(document.querySelector(".discovery")).color;
            const numbers = [...document.querySelectorAll(".discovery svg text")]
                .map((e) => e.getBoundingClientRect()).filter((e) =>
                    e.bottom - 2 > top - out && e.top < bottom + out // below digits 2 px are empty
                    && e.right > left && e.left < right);
            return { kind: document.activeElement.type, outline, ink, covered: numbers.length };
        }"""
    )
    assert ring["kind"] == "range" and "solid" in ring["outline"]
    assert ring["outline"].startswith(ring["ink"])  # the thumb has the usual ring's colour
    assert ring["covered"] == 0


def test_it_fits_a_small_window(page):
    assert page.locator(".discovery").bounding_box()["height"] <= 620


def test_the_scrubber_moves_all_views_together_while_it_trains(bare, page, discovery):
    """Back to the birth: loss, scores, composition, copying, board and pattern stand at one step,
    and training goes on."""
    endless(discovery)
    more(page)
    press(page, "Train")
    page.wait_for_function("() => !document.querySelector('.discovery .scrub button').disabled")
    page.get_by_label(SCRUB).focus()
    page.keyboard.press("Home")
    page.wait_for_function(f"() => ({STEP})() === 0")
    newest = page.evaluate(LOOKS)
    page.wait_for_function(f"() => ({LOOKS})() > {newest} + 3")
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
    assert f"Step {born}:" in says(page)
    assert born == heads.birth(discovery.snapshots)
    chosen = page.locator(".discovery .board button[aria-pressed=true]").get_attribute("aria-label")
    # the head on show is the one that was born
    assert float(chosen.split("prefix matching ")[1].split(",")[0]) > 0.5
    marks = page.evaluate(
        "() => [...document.querySelectorAll('.discovery svg .now')].map(line => "
        "line.getAttribute('x1'))"
    )
    assert len(set(marks)) == 1


def test_a_pair_can_be_chosen(page):
    """Any writer and reader, by keyboard; the board chooses too."""
    more(page)
    page.get_by_label("Head that reads").select_option("1.2")
    page.get_by_label("Head that writes").select_option("0.3")
    page.locator(".discovery svg[aria-label*='head 1.2 reads head 0.3 with 0.']").wait_for()
    page.locator(".discovery .board button").nth(5).press("Enter")
    page.locator(".discovery svg[aria-label*='head 1.1 reads head 0.3 with 0.']").wait_for()
    assert "head 1.1" in page.locator(".discovery svg").nth(3).get_attribute("aria-label")


def test_a_click_on_a_graph_goes_to_that_step(page, discovery):
    for step in (100, 236, 300, 399):
        discovery.trainer.step_number = step - 1
        discovery.step()
    page.wait_for_function(f"() => ({STEP})() === 399")
    graph = page.locator(".discovery svg").first
    width = graph.bounding_box()["width"]
    # between the margins, 60% of the way: at step 240
    graph.click(position={"x": 34 + 0.6 * (width - 44), "y": 60})
    page.wait_for_function(f"() => ({STEP})() === 236")


def test_a_row_is_read_as_it_is_drawn(page, discovery):
    almost_there(discovery)
    press(page, "Step")
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
    named = page.locator(".discovery .board button[aria-pressed=true] small").inner_text()
    layer, head = map(int, named.split("."))

    tokens, labels = discovery.scene.shown, discovery.scene.labels
    pattern = discovery.model.run_with_cache(tokens)[1]["pattern", layer][0, head, row]
    at = pattern.argmax().item()
    assert heads.induction_targets(tokens)[0, row, at]
    page.wait_for_function(
        "said => document.querySelector('.discovery .says').textContent === said",
        arg=f"From position {row} ({labels[row]}), {100 * pattern[at]:.0f}% of the attention goes "
        f"to position {at} ({labels[at]}), right after an earlier “{labels[row]}”: an induction "
        "target.",
    )


def test_a_view_that_is_there_says_so_and_one_that_has_gone_does_not(
    bare, page, discovery, monkeypatch
):
    """It acknowledges what it is sent; else the kernel would soon take it for closed."""
    monkeypatch.setattr(module, "PATIENCE", 0)
    for _ in range(2 * module.UNSEEN):
        discovery.step()
    bare.until(lambda: discovery._unseen < module.UNSEEN and not discovery._left_alone())
    page.evaluate("() => { window.hearPython = () => {}; }")  # as if its tab were closed
    for _ in range(2 * module.UNSEEN):
        discovery.step()
    assert discovery._left_alone()


def test_at_the_end_the_keyboard_stays_in_the_view(page, discovery):
    """Train and Step are disabled then, and whoever stands on one of them would fall out."""
    almost_there(discovery)
    press(page, "Train")
    page.wait_for_function("() => document.querySelector('.discovery .main').disabled")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == SCRUB
    expect(page.locator(".discovery .scrub [role=status]")).to_contain_text("Over. Head 1.")


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


def test_choices_make_another_model(page, discovery):
    page.get_by_label("layers").select_option("1")
    page.wait_for_function(
        "() => document.querySelectorAll('.discovery .board button').length === 4"
    )
    more(page)
    page.locator(".discovery svg[aria-label^='Copying statistic']").wait_for()
    assert not page.get_by_label("Head that reads").is_visible()
    page.get_by_label("smeared keys").check()
    page.locator(".discovery .row select").nth(2).select_option("2")
    page.wait_for_function(
        "() => document.querySelectorAll('.discovery .board button').length === 2"
    )
    assert discovery.model.cfg.smeared_keys and discovery.model.cfg.n_heads == 2


def test_a_number_half_typed_is_not_overwritten_by_an_earlier_choice(bare, page, discovery):
    page.get_by_label("seed").fill("3")
    discovery.settings = discovery.settings | dict(n_layers=1)  # the answer to an earlier choice
    expect(page.get_by_label("layers")).to_have_value("1")
    expect(page.get_by_label("seed")).to_have_value("3")
    page.keyboard.press("Tab")
    bare.until(lambda: discovery.settings["seed"] == 3)


def test_sizes_that_come_before_the_first_look_at_them_are_waited_for(page, discovery):
    """A view that is drawn in between shows the old model and does not stumble."""
    discovery.shape = discovery.shape | dict(n_heads=8)
    page.evaluate("() => document.querySelector('.discovery').parentElement.style.width = '611px'")
    page.evaluate(
        "async () => { for (const _ of [1, 2, 3]) await new Promise(requestAnimationFrame); }"
    )
    assert page.locator(".discovery .board button").count() == 8  # two layers of four


@pytest.fixture
def slow_text(monkeypatch):
    """The course's text, which is there only when this event is set; and small batches of it."""
    text, there, built = recipes.RECIPES["text"], Event(), module.Scene
    small = replace(text, training=replace(text.training, batch=2))
    monkeypatch.setitem(recipes.RECIPES, "text", small)
    monkeypatch.setattr(module, "Scene", lambda choices: (there.wait(PATIENCE), built(choices))[1])
    yield there
    there.set()


def test_a_text_says_what_it_is_doing_and_how_long_it_takes_and_loses_nothing(
    bare, page, discovery, slow_text
):
    note, data = page.locator(".discovery .note"), page.locator(".discovery .row select").first
    data.select_option("text")
    page.wait_for_function(
        "() => document.querySelector('.discovery .note').textContent.startsWith('Reading')"
    )
    assert data.input_value() == "text"  # and not back to what still stands
    slow_text.set()
    page.wait_for_function(
        "() => document.querySelector('.discovery .where').textContent === 'step 0 of 2400'"
    )
    assert note.inner_text().startswith("Text takes minutes") and data.input_value() == "text"

    press(page, "Train")
    reach(page, 4)
    page.wait_for_function(
        "() => /^To the end: about \\d+ minutes?\\./.test(document.querySelector('.discovery "
        ".note').textContent)"
    )
    press(page, "Pause")
    at = paused(bare, discovery)
    assert note.inner_text().startswith(
        f"Paused, and nothing is lost: Train goes on from step {at}, about "
    )
    press(page, "Train")
    reach(page, at + 2)
    press(page, "Pause")
    page.get_by_label(SCRUB).press("Home")
    # what was seen before the pause is there still
    page.wait_for_function(f"() => ({STEP})() === 0")


def test_nothing_is_cut_off_at_700_pixels(bare, page):
    page.set_viewport_size({"width": 700, "height": 1000})
    bare.drawn()
    over = page.evaluate(
        "() => { const edge = document.querySelector('.discovery').getBoundingClientRect().right;"
        "return [...document.querySelectorAll('.discovery *')].filter(e => "
        "e.getBoundingClientRect().right > edge + 1).map(e => e.outerHTML.slice(0, 80)); }"
    )
    assert over == []
