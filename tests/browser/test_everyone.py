"""What every explorable owes to those who use keys alone, those who listen, and those who need
contrast."""

import pytest

from tests.browser.every import NAMES, SCROLLED, says, show, use

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

REACHED = """view => [...document.querySelectorAll(`${view} :is(button, input, select, [tabindex])`)]
    .filter((e) => e.tabIndex >= 0 && !e.disabled && e.offsetParent)"""


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def page(lab, course_copy, name):
    return show(lab, course_copy, name)


# ---- keys


def test_tab_goes_through_and_out_and_arrows_do_not_scroll(page, name):
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
    assert not page.evaluate("view => !!document.activeElement.closest(view)", f".{name}"), (
        "Tab never leaves"
    )
    page.evaluate("() => stops[0].focus()")
    page.keyboard.press("Shift+Tab")
    assert not page.evaluate("view => !!document.activeElement.closest(view)", f".{name}")
    arrows_do_not_scroll(page, stops)


def arrows_do_not_scroll(page, stops: int) -> None:
    page.set_viewport_size({"width": 1400, "height": 700})
    for i in range(stops):
        page.evaluate("i => stops[i].focus()", i)
        page.wait_for_timeout(30)
        before = page.evaluate(SCROLLED)
        for key in ("ArrowDown", "ArrowUp", "ArrowUp"):
            page.keyboard.press(key)
            page.wait_for_timeout(30)
            assert page.evaluate(SCROLLED) == pytest.approx(before, abs=8), page.evaluate(
                "i => stops[i].outerHTML.slice(0, 90)", i
            )


# ---- what is heard

LISTEN = """view => {
    window.heard = [];
    const region = document.querySelector(`${view} [aria-live]`);
    new MutationObserver(() => { if (region.textContent) heard.push(region.textContent); }).observe(region, { childList: true });
}"""


def test_the_sentence_is_heard_once_and_only_when_it_rests(page, name):
    page.evaluate(LISTEN, f".{name}")
    key = use(page, name)
    for _ in range(6):
        page.keyboard.press(key)
        page.wait_for_timeout(60)
    page.wait_for_function(
        "([name]) => heard.at(-1) === document.querySelector(`.${name} .says`).textContent",
        arg=[name],
    )
    assert len(page.evaluate("() => heard")) <= 3  # one, where the machine keeps up


@pytest.mark.parametrize("name", ["rotation", "discovery"])
def test_nothing_is_heard_while_it_moves_by_itself(page, name):
    page.evaluate(LISTEN, f".{name}")
    before = says(page, name)
    page.locator(f".{name} .main").press("Enter")
    page.wait_for_function(
        "([name, before]) => document.querySelector(`.${name} .says`).textContent !== before",
        arg=[name, before],
    )
    page.wait_for_timeout(1000)
    page.locator(f".{name} .main").press("Enter")
    heard = page.evaluate("() => heard")
    after = says(page, name)
    # where it rested, and nothing in between
    assert after != before and set(heard) <= {
        before,
        after,
    }


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


def wear(page, theme: str) -> None:
    """Change JupyterLab's theme, and wait until its style has arrived and its splash has gone: it
    cannot change twice at once."""
    if page.evaluate("() => document.body.dataset.jpThemeName") != f"JupyterLab {theme}":
        page.evaluate(
            "() => jupyterapp.commands.execute('apputils:change-theme', "
            f"{{theme: 'JupyterLab {theme}'}})"
        )
    paper = "white" if theme == "Light" else "#111"
    page.wait_for_function(
        f"() => document.body.dataset.jpThemeLight === '{str(theme == 'Light').lower()}' && "
        "getComputedStyle(document.body).getPropertyValue('--jp-layout-color0').trim() === "
        f"'{paper}' && !document.getElementById('jupyterlab-splash')"
    )


def test_all_words_can_be_read_in_both_themes(page, name):
    if name == "discovery":  # with a row in hand, all its shades of tokens
        page.keyboard.press(use(page, name))
    weak = {}
    for theme in ("Light", "Dark"):
        wear(page, theme)
        weak[theme] = page.evaluate(CONTRAST, f".{name}")
    wear(page, "Light")
    assert weak == {"Light": [], "Dark": []}
