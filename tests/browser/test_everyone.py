"""What every explorable owes to those who use keys alone, those who listen, and those who need
contrast."""

import pytest

from tests.browser.every import EVERY, NAMES, endless, says, stands, use

pytestmark = pytest.mark.browser


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def page(bare, name):
    bare.show(EVERY[name].make())
    stands(bare.page, name)
    return bare.page


def test_everything_one_can_reach_has_a_name(bare, page, name):
    assert bare.measure("nameless", f".{name}") == []


# ---- keys


def test_tab_goes_through_and_out_and_arrows_do_not_scroll(bare, page, name):
    stops = bare.measure("stops", f".{name}")
    page.evaluate("() => stops[0].focus()")
    for _ in range(stops):
        assert bare.measure("focusIsSeen"), "the focus cannot be seen"
        page.keyboard.press("Tab")
        if not page.evaluate("view => !!document.activeElement.closest(view)", f".{name}"):
            break
    assert page.evaluate("() => document.activeElement.id") == "after", "Tab never leaves"
    page.evaluate("() => stops[0].focus()")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("() => document.activeElement.id") == "before"
    arrows_do_not_scroll(bare, page, stops)


def arrows_do_not_scroll(bare, page, stops: int) -> None:
    page.set_viewport_size({"width": 1400, "height": 700})
    for i in range(stops):
        page.evaluate("i => stops[i].focus()", i)
        bare.drawn()
        before = page.evaluate("() => scrollY")
        for key in ("ArrowDown", "ArrowUp", "ArrowUp"):
            page.keyboard.press(key)
            bare.drawn()
            assert page.evaluate("() => scrollY") == pytest.approx(before, abs=8), page.evaluate(
                "i => stops[i].outerHTML.slice(0, 90)", i
            )


# ---- what is heard

HEARD = "() => heard"
RESTS = 700  # milliseconds, until a sentence has come to rest


@pytest.fixture
def listened(bare, name):
    """The explorable in a page whose time stands still, and what is heard of it."""
    bare.stop_time()
    widget = bare.show(EVERY[name].make())
    while bare.page.locator(f".{name} {EVERY[name].stands}").count() == 0:
        bare.pass_time(50)
    bare.pass_time(10 * RESTS)
    bare.measure("listen", f".{name}")
    return widget


def test_the_sentence_is_heard_once_and_only_when_it_rests(bare, listened, name):
    page, before = bare.page, says(bare.page, name)
    if name == "paths":  # there the sentence follows the switches
        switch, key = page.locator(".paths .switch input").nth(4), "Space"
        switch.focus()
    else:
        key = use(page, name)
    for _ in range(5):
        words = says(page, name)
        page.keyboard.press(key)
        if name == "prediction":  # whose sentence is Python's
            bare.until(lambda: says(page, name) != words)  # noqa: B023
        bare.pass_time(RESTS // 2)
    assert page.evaluate(HEARD) == []
    bare.pass_time(RESTS)
    assert page.evaluate(HEARD) == [says(page, name)] != [before]
    bare.pass_time(10 * RESTS)
    assert len(page.evaluate(HEARD)) == 1


@pytest.mark.parametrize("name", ["rotation", "discovery"])
def test_nothing_is_heard_while_it_moves_by_itself(bare, listened, name):
    page, before = bare.page, says(bare.page, name)
    if name == "discovery":
        endless(listened)
    page.locator(f".{name} .main").press("Enter")
    for _ in range(6):
        if name == "discovery":  # whose steps are Python's
            seen = len(listened.snapshots)
            bare.until(lambda: len(listened.snapshots) > seen)  # noqa: B023
        bare.pass_time(RESTS // 3)
    assert says(page, name) != before and page.evaluate(HEARD) == []
    page.locator(f".{name} .main").press("Enter")
    if name == "discovery":
        bare.until(lambda: listened.status == "paused")
        last = f"Step {listened.trainer.step_number}:"  # it may still be on its way to the page

        def has_come() -> bool:
            bare.pass_time(1)  # so little that many a look is no rest
            return says(page, name).startswith(last)

        bare.until(has_come)
    bare.pass_time(2 * RESTS)
    # where it rested, and nothing in between
    assert page.evaluate(HEARD) == [says(page, name)]


# ---- contrast


def test_all_words_can_be_read_in_both_themes(bare, page, name):
    if name == "discovery":  # with a row in hand, all its shades of tokens
        page.keyboard.press(use(page, name))
        bare.drawn()
    weak = {}
    for theme in ("Light", "Dark"):
        bare.wear(theme)
        bare.drawn()
        weak[theme] = bare.measure("weak", f".{name}")
    assert weak == {"Light": [], "Dark": []}
