"""What every explorable owes to those who use keys alone, those who listen, and those who need
contrast."""

import pytest

from tests.browser.every import EVERY, NAMELESS, NAMES, says, stands, use

pytestmark = pytest.mark.browser

REACHED = """view => [...document.querySelectorAll(`${view} :is(button, input, select, [tabindex])`)]
    .filter((e) => e.tabIndex >= 0 && !e.disabled && e.offsetParent)"""


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def page(bare, name):
    bare.show(EVERY[name].make())
    stands(bare.page, name)
    return bare.page


def test_everything_one_can_reach_has_a_name(page, name):
    assert page.evaluate(NAMELESS, f".{name}") == []


# ---- keys


def test_tab_goes_through_and_out_and_arrows_do_not_scroll(bare, page, name):
    stops = page.evaluate(
        f"view => {{ window.stops = ({REACHED})(view); stops[0].focus(); return stops.length; }}",
        f".{name}",
    )
    for _ in range(stops):
        assert page.evaluate(
            "() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle !== "
            "'none' && parseFloat(s.outlineWidth) >= 2 || s.boxShadow !== 'none'; }"
        ), "the focus cannot be seen"
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

LISTEN = """view => {
    window.heard = [];
    const region = document.querySelector(`${view} [aria-live]`);
    new MutationObserver(() => { if (region.textContent) heard.push(region.textContent); }).observe(region, { childList: true });
}"""
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
    bare.page.evaluate(LISTEN, f".{name}")
    return widget


def test_the_sentence_is_heard_once_and_only_when_it_rests(bare, listened, name):
    page, before = bare.page, says(bare.page, name)
    if name == "paths":  # there the sentence follows the switches
        switch, key = page.locator(".paths .switch input").nth(4), "Space"
        switch.focus()
    else:
        key = use(page, name)
    for _ in range(5):
        page.keyboard.press(key)
        bare.pass_time(RESTS // 2)
    assert page.evaluate(HEARD) == []
    bare.pass_time(RESTS)
    assert page.evaluate(HEARD) == [says(page, name)] != [before]
    bare.pass_time(10 * RESTS)
    assert len(page.evaluate(HEARD)) == 1


@pytest.mark.parametrize("name", ["rotation", "discovery"])
def test_nothing_is_heard_while_it_moves_by_itself(bare, listened, name):
    page, before = bare.page, says(bare.page, name)
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
    bare.pass_time(2 * RESTS)
    # where it rested, and nothing in between
    assert page.evaluate(HEARD) == [says(page, name)]


# ---- contrast

CONTRAST = """view => {
    const parse = (colour) => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number); return colour.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a]; };
    const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3]));
    const light = (colour) => colour.reduce((sum, part, i) => sum + [0.2126, 0.7152, 0.0722][i] * (part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4), 0);
    const chain = (e) => (e ? [e, ...chain(e.parentElement)] : []);
    const behind = (e) => chain(e).reverse().reduce((back, e) => over(parse(getComputedStyle(e).backgroundColor), back), [255, 255, 255]);
    const box = document.querySelector(view), weak = [];
    const probes = ["match", "before", "refused", "key"].map((name) => { const probe = document.createElement("span"); probe.className = name; probe.textContent = name; box.append(probe); return probe; });
    const words = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
        const e = words.currentNode.parentElement, style = getComputedStyle(e), svg = e.closest("svg");
        if (!words.currentNode.data.trim() || !e.getBoundingClientRect().width || e.closest("option, :disabled, .heard")) continue;
        const [r, g, b, a] = parse(svg ? style.fill : style.color), seen = chain(e).reduce((all, e) => all * getComputedStyle(e).opacity, a);
        const back = behind(svg ?? e), [low, high] = [light(back), light(over([r, g, b, seen], back))].sort((x, y) => x - y);
        const ratio = (high + 0.05) / (low + 0.05);
        if (ratio < 4.5) weak.push(`${e.localName}.${e.className.baseVal ?? e.className} “${words.currentNode.data.trim().slice(0, 30)}” ${ratio.toFixed(2)}`);
    }
    probes.forEach((probe) => probe.remove());
    return weak;
}"""


def test_all_words_can_be_read_in_both_themes(bare, page, name):
    if name == "discovery":  # with a row in hand, all its shades of tokens
        page.keyboard.press(use(page, name))
        bare.drawn()
    weak = {}
    for theme in ("Light", "Dark"):
        bare.wear(theme)
        bare.drawn()
        weak[theme] = page.evaluate(CONTRAST, f".{name}")
    assert weak == {"Light": [], "Dark": []}
