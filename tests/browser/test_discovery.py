"""The discovery explorable in a real browser: train, pause, step, scrub and reset, by keyboard."""

import time

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

STEP = "() => +document.querySelector('.discovery .scrub span:last-child').textContent.match(/step (\\d+)/)[1]"


@pytest.fixture
def page(lab):
    """00 with its explorable on the screen; the cells after it have run."""
    lab.open("00_start_here.ipynb")
    lab.run_all(timeout=150)
    lab.page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area')")
    lab.page.locator(".discovery").scroll_into_view_if_needed()
    lab.page.wait_for_function("() => document.querySelectorAll('.discovery .board button').length === 8")
    yield lab.page
    lab.screenshot("discovery")


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


def test_one_trains_pauses_steps_scrubs_and_resets_by_keyboard(page):
    press(page, "Train")
    page.wait_for_function(f"() => ({STEP})() > 100", timeout=60_000)

    pressed = time.perf_counter()
    press(page, "Pause")
    page.get_by_role("button", name="Train", exact=True).wait_for()
    assert time.perf_counter() - pressed < 3  # tests share the machine; `make bench` holds the 300 ms
    page.wait_for_timeout(500)
    paused = page.evaluate(STEP)
    page.wait_for_timeout(500)
    assert page.evaluate(STEP) == paused

    press(page, "Step")
    page.wait_for_function(f"() => ({STEP})() === {paused + 1}")

    scores = page.locator(".discovery .board button").all_inner_texts()
    page.get_by_label("Scrub through the training").focus()
    page.keyboard.press("Home")
    assert page.evaluate(STEP) == 0
    assert page.locator(".discovery .board button").all_inner_texts() != scores
    assert "No head matches prefixes" in page.locator(".discovery .says").inner_text()
    page.keyboard.press("End")
    assert page.evaluate(STEP) == paused + 1

    page.locator(".discovery canvas").focus()
    page.keyboard.press("ArrowUp")
    assert "% of the attention goes to position" in page.locator(".discovery .says").inner_text()
    page.keyboard.press("Escape")

    press(page, "Reset")
    page.wait_for_function(f"() => ({STEP})() === 0 && document.querySelector('.discovery input[type=range]').max === '0'")


def test_a_bad_choice_is_refused_in_words(page):
    page.get_by_label("learning rate").press("Control+a")
    page.keyboard.type("7")
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.querySelector('.discovery .says').textContent.includes('a learning rate of 7')")


def test_everything_one_can_reach_has_a_name(page):
    nameless = page.evaluate(
        "() => [...document.querySelectorAll('.discovery button, .discovery input, .discovery select, .discovery canvas')]"
        ".filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label'))).length"
    )
    assert nameless == 0
