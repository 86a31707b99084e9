"""The attention explorable in a real browser, by pointer and by keyboard alone."""

import re

import pytest
import torch

from helpers import handmade
from helpers.explorables.attention import Attention
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


SOME = [(1, 2), (0, 3), (1, 0), (0, 0), (1, 1), (0, 1)]


@pytest.fixture
def some(bare):
    """A view of some heads, out of order: a row of five, and one below."""
    yield bare.show(Attention(trained(), batch().tokens, heads=SOME))
    bare.page.locator(".attention").scroll_into_view_if_needed()
    bare.screenshot("attention_some")


def test_of_some_heads_the_board_shows_these_and_says_so(some, bare, cache):
    page = bare.page
    assert page.locator(".attention h4").first.inner_text() == "6 of 8 heads"
    board = page.get_by_role("radiogroup", name="6 of 8 heads")
    assert board.locator("button").all_inner_texts() == ["1.2", "0.3", "1.0", "0.0", "1.1", "0.1"]
    places = [one.bounding_box() for one in board.locator("button").all()]
    assert len({place["y"] for place in places[:5]}) == 1 and places[5]["x"] == places[0]["x"]
    assert says(page).startswith("Head 1.2 from position 47 ")  # it opens at the first

    board.locator("button").nth(1).hover()
    row = cache["pattern", 0][0, 3, 47]
    assert says(page).startswith("Head 0.3 ") and f" {row.max():.2f} of the attention" in says(page)
    page.get_by_label("value-weighted").click()
    board.locator("button").nth(5).click()
    weighted = cache["pattern", 0][0, 1, 47] * cache["v", 0][0, :, 1].norm(dim=-1)
    assert number(page, 46) == pytest.approx(weighted[46].item(), abs=0.006)


def test_of_some_heads_the_arrows_walk_over_the_board_as_it_stands(some, bare):
    page = bare.page
    page.locator(".attention .board [tabindex='0']").focus()
    for key, head in (
        ("ArrowRight", "0.3"),
        ("ArrowDown", "0.1"),  # the last row ends early
        ("ArrowRight", "0.1"),
        ("ArrowUp", "1.2"),
        ("ArrowLeft", "1.2"),
        ("Shift+ArrowDown", "0.1"),
    ):
        page.keyboard.press(key)
        assert says(page).startswith(f"Head {head} "), key
        assert page.evaluate("() => document.activeElement.textContent") == head


def test_python_turns_the_view_to_a_head_that_is_shown_and_it_stays(some, bare):
    some.look(0, 0, 30)
    assert says(bare.page).startswith("Head 0.0 from position 30 ")
    some.show(trained(), batch().tokens[:, :40])
    assert says(bare.page).startswith("Head 0.0 from position 39 ")


def test_python_shows_another_model_and_turns_the_view(page, explorable):
    explorable.show(handmade.previous_token_head(64, 8), batch().tokens[0, :6], ["<b>", *"vwxyz"])
    assert page.locator(".attention .chip").count() == 6
    assert page.locator(".attention .board button").count() == 1
    explorable.look(0, 0, 3)
    assert "1.00 of the attention goes to position 2 “w”, one step back" in says(page)
