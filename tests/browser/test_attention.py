"""The attention explorable in a real browser, by pointer and by keyboard alone."""

import re

import pytest
import torch

from helpers import handmade
from tests.browser.every import EVERY, batch, stands, trained

pytestmark = pytest.mark.browser


@pytest.fixture
def explorable(bare):
    yield bare.show(EVERY["attention"].make())
    bare.screenshot("attention")


@pytest.fixture
def page(bare, explorable):
    stands(bare.page, "attention")
    return bare.page


@pytest.fixture(scope="module")
def cache():
    with torch.no_grad():
        return trained().run_with_cache(batch().tokens)[1]


def chip(page, position):
    return page.locator(".attention .chip").nth(position)


def number(page, position) -> float:
    """What the token's name says to a screen reader."""
    return float(re.search(r"[\d.]+$", chip(page, position).get_attribute("aria-label")).group())


def says(page) -> str:
    return page.locator(".attention .says").inner_text()


def test_the_pointer_moves_the_query_and_the_tokens_show_the_pattern(page, cache):
    chip(page, 30).hover()
    row = cache["pattern", 1][0, 0, 30]
    for key in range(31):
        assert number(page, key) == pytest.approx(row[key].item(), abs=0.006)
        printed = chip(page, key).locator("small").inner_text()
        assert bool(printed) == (row[key] >= 0.05 or key == 30)
    assert "in the future" in chip(page, 31).get_attribute("aria-label")
    best = row.argmax().item()
    assert f"{row[best]:.2f} of the attention goes to position {best} " in says(page)

    chip(page, 40).hover()
    assert says(page).startswith("Head 1.0 from position 40 ")


def test_a_click_holds_the_query_so_that_another_token_can_be_read(page, cache):
    chip(page, 30).click()
    chip(page, 9).hover()
    assert "Head 1.0, from position 30 “" in says(page) and "to position 9 " in says(page)
    assert f"{cache['pattern', 1][0, 0, 30, 9]:.2f} of the attention" in says(page)
    page.keyboard.press("Tab")  # any key reaches the view only with the focus in it
    chip(page, 30).focus()
    page.keyboard.press("Escape")
    chip(page, 9).hover()
    assert "from position 9 " in says(page)


def test_everything_by_keyboard_alone(page, cache):
    page.get_by_label("from: whom does it attend to?").focus()
    page.keyboard.press("Tab")  # to the weighting
    page.keyboard.press("Tab")  # to the tokens: one stop for all of them
    page.keyboard.press("Home")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert "from position 20 " in says(page)
    assert page.evaluate("() => document.activeElement.matches('.attention .chip.chosen')")

    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+ArrowRight")
    assert says(page).startswith("Head 0.1 from position 20 ")
    assert number(page, 19) == pytest.approx(cache["pattern", 0][0, 1, 20, 19].item(), abs=0.006)

    page.keyboard.press("Tab")  # the board: one stop, and arrows move the head
    page.keyboard.press("ArrowRight")
    assert says(page).startswith("Head 0.2 from position 20 ")
    assert page.locator(".attention .board [aria-checked=true]").inner_text() == "0.2"

    page.keyboard.press("Tab")  # the pattern: up and down the query, left and right the key
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert "from position 21 " in says(page) and "to position 19 " in says(page)
    assert f"{cache['pattern', 0][0, 2, 21, 19]:.2f} of the attention" in says(page)
    page.keyboard.press("Escape")

    page.get_by_label("from: whom does it attend to?").focus()
    page.keyboard.press("ArrowRight")
    column = cache["pattern", 0][0, 2, :, 21]
    assert "Head 0.2 to position 21 " in says(page)
    assert number(page, 30) == pytest.approx(column[30].item(), abs=0.006)
    assert "too early" in chip(page, 20).get_attribute("aria-label")
    assert f"give {column[21:].sum():.2f} in sum" in says(page)


def test_value_weighted_is_attention_times_the_length_of_v(page, cache):
    chip(page, 30).hover()
    page.get_by_label("value-weighted").click()
    weighted = cache["pattern", 1][0, 0, 30] * cache["v", 1][0, :, 0].norm(dim=-1)
    for key in range(31):
        assert number(page, key) == pytest.approx(weighted[key].item(), abs=0.006)
    assert "Rows no longer sum to 1" in page.locator(".attention .hint").first.inner_text()


def test_python_shows_another_model_and_turns_the_view(page, explorable):
    explorable.show(handmade.previous_token_head(64, 8), batch().tokens[0, :6], ["<b>", *"vwxyz"])
    assert page.locator(".attention .chip").count() == 6
    assert page.locator(".attention .board button").count() == 1
    explorable.look(0, 0, 3)
    assert "1.00 of the attention goes to position 2 “w”, one step back" in says(page)
