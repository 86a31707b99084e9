"""Where every explorable must hold: under a finger, on a narrow page and a large zoom, in two views
at once, without motion, and when its output or its kernel has gone."""

import pytest

from tests.browser.conftest import Lab
from tests.browser.every import NAMES, SCROLLED, says, show, use
from tests.browser.scene import run_cell

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
TABLET, PHONE = {"width": 820, "height": 1180}, {"width": 390, "height": 844}
# the last: a window of 1400 by 1000 at 200 %
SMALL = (
    TABLET,
    PHONE,
    {"width": 700, "height": 500},
)
# What is cut off at the right edge.
OVER = """view => {
    const box = document.querySelector(view), edge = box.getBoundingClientRect().right;
    const over = [...box.querySelectorAll("*")].filter((e) => !e.closest("svg *") && e.getBoundingClientRect().width && e.getBoundingClientRect().right > edge + 1);
    return [...over.map((e) => e.outerHTML.slice(0, 90)), ...(box.scrollWidth > box.clientWidth + 1 ? [`wider by ${box.scrollWidth - box.clientWidth}`] : [])];
}"""


# ---- a finger


@pytest.fixture(scope="module")
def touch(browser, server, course_copy):
    """JupyterLab on a screen that is touched."""
    context = browser.new_context(has_touch=True, viewport=TABLET)
    lab = Lab(context.new_page(), *server)
    yield lab
    context.close()
    lab.check()


class Finger:
    """One finger, or two, on the page."""

    def __init__(self, page):
        self.page, self.session = page, page.context.new_cdp_session(page)

    def _say(self, kind: str, *points: tuple[float, float]) -> None:
        self.session.send(
            "Input.dispatchTouchEvent",
            dict(type=kind, touchPoints=[dict(x=x, y=y, id=i) for i, (x, y) in enumerate(points)]),
        )
        self.page.wait_for_timeout(30)

    def place(self, spot: str, across: float, down: float) -> tuple[float, float]:
        """Such shares of the width and the height of what is at `spot`, which is on the screen
        then."""
        self.page.locator(spot).first.scroll_into_view_if_needed()
        box = self.page.locator(spot).first.bounding_box()
        return box["x"] + across * box["width"], box["y"] + down * box["height"]

    def tap(self, spot: str, across: float = 0.5, down: float = 0.5) -> None:
        self.page.touchscreen.tap(*self.place(spot, across, down))
        self.page.wait_for_timeout(100)

    def drag(
        self, spot: str, dx: float, dy: float, across: float = 0.5, down: float = 0.5
    ) -> float:
        """How far the notebook has scrolled by it, in pixels."""
        x, y = self.place(spot, across, down)
        before = self.page.evaluate(SCROLLED)
        self._say("touchStart", (x, y))
        for step in range(1, 9):
            self._say("touchMove", (x + dx * step / 8, y + dy * step / 8))
        self._say("touchEnd")
        self.page.wait_for_timeout(200)
        return self.page.evaluate(SCROLLED) - before

    def spread(self, spot: str, apart: float, to: float) -> None:
        x, y = self.place(spot, 0.5, 0.45)
        for step, kind in enumerate(["touchStart", *["touchMove"] * 8]):
            half = (apart + (to - apart) * step / 8) / 2
            self._say(kind, (x - half, y), (x + half, y))
        self._say("touchEnd")
        self.page.wait_for_timeout(200)


# What tells by a finger what the mouse tells by hovering or dragging: where to touch it, and what
# then tells.
PICTURES = [
    ("attention", ".map", ".says", (0.3, 0.6)),
    ("attention", ".tokens", ".says", (0.08, 0.3)),
    ("paths", ".tokens", "h4 >> nth=1", (0.08, 0.3)),
    ("paths", ".switch >> nth=5", ".losses .number", (0.5, 0.5)),
    ("virtual-weights", "canvas", ".says", (0.2, 0.12)),
    ("rotation", ".graph", ".angle", (0.6, 0.3)),
    ("rotation", ".dial", ".stack h4", (0.2, 0.2)),
    ("rotation", ".stack canvas", ".stack h4", (0.5, 0.2)),
    ("discovery", ".pattern canvas", ".says", (0.3, 0.6)),
    ("discovery", ".strip", ".says", (0.3, 0.3)),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_finger_chooses_what_it_taps_and_scrolls_past_everything(touch, course_copy, name):
    page = show(touch, course_copy, name, "touch.ipynb")
    finger = Finger(page)
    for of, spot, teller, at in PICTURES:
        if of != name:
            continue
        spot, teller = f".{name} {spot}", page.locator(f".{name} {teller}").first
        before = teller.inner_text()
        finger.tap(spot, *at)
        told = teller.inner_text()
        assert told != before, f"a tap on {spot} tells nothing"
        assert finger.drag(spot, 25, -150, *at) > 60, f"{spot} holds the finger that scrolls"
        assert teller.inner_text() == told, f"scrolling past {spot} changed it"
    if name == "discovery":
        for graph in range(4):
            assert finger.drag(f".discovery svg >> nth={graph}", 0, -150) > 60


def test_a_finger_drags_the_angle_and_pinches_the_diagram(touch, course_copy):
    page = show(touch, course_copy, "rotation", "touch.ipynb")
    Finger(page).drag(".rotation .graph", 80, 0, 0.4, 0.3)
    assert 150 < float(page.locator(".rotation .angle").inner_text().rstrip("°")) < 200
    page = show(touch, course_copy, "virtual-weights", "touch.ipynb")
    Finger(page).spread(".virtual-weights canvas", 40, 240)
    level = page.locator(".virtual-weights [aria-label=Zoom] [aria-pressed=true]")
    assert level.inner_text() in ("pair", "matrix")
    # zoomed in, a finger moves the diagram
    assert Finger(page).drag(".virtual-weights canvas", 0, -120) == 0


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_a_small_screen(touch, course_copy, name):
    page = show(touch, course_copy, name, "touch.ipynb")
    for size in SMALL:
        page.set_viewport_size(size)
        page.wait_for_timeout(300)
        assert page.evaluate(OVER, f".{name}") == [], size
    page.set_viewport_size(TABLET)


# ---- calm


def test_without_motion_the_diagram_is_there_at_once_and_the_angle_goes_in_steps(lab, course_copy):
    lab.page.emulate_media(reduced_motion="reduce")
    page = show(lab, course_copy, "virtual-weights")
    use(page, "virtual-weights")
    page.keyboard.press("Enter")
    assert (
        page.locator(".virtual-weights [aria-label=Zoom] [aria-pressed=true]").inner_text()
        == "pair"
    )
    page = show(lab, course_copy, "rotation")
    page.evaluate("""() => { window.angles = []; const angle = document.querySelector(".rotation .angle");
        new MutationObserver(() => angles.at(-1) === angle.textContent || angles.push(angle.textContent)).observe(angle, { childList: true }); }""")
    page.locator(".rotation .main").press("Enter")
    page.wait_for_function("() => angles.length >= 3")
    page.locator(".rotation .main").press("Enter")
    assert [angle.rstrip("°") for angle in page.evaluate("() => angles.slice(0, 3)")] == [
        "15.0",
        "30.0",
        "45.0",
    ]
    lab.page.emulate_media(reduced_motion="null")


# ---- views


@pytest.mark.parametrize("name", NAMES)
def test_two_views_show_the_same(lab, course_copy, name):
    page = show(lab, course_copy, name)
    page.evaluate("() => jupyterapp.commands.execute('notebook:create-output-view')")
    page.wait_for_function(
        f"() => document.querySelectorAll('.{name} .says').length === 2 && "
        f"document.querySelectorAll('.{name} .says')[1].textContent"
    )
    if name == "paths":
        page.locator(".paths .switch input").nth(4).evaluate("input => input.click()")
        page.wait_for_function(
            "() => [...document.querySelectorAll('.paths')].every(view => "
            "view.querySelectorAll('.switch :checked').length === 24)"
        )
    else:
        assert says(page, name, 0) == says(page, name, 1)
    close_new_view(page)
    page.wait_for_function(f"() => document.querySelectorAll('.{name}').length === 1")
    before = says(page, name)
    page.keyboard.press(use(page, name))
    if name == "paths":  # there the sentence follows the switches
        page.locator(".paths .switch input").nth(5).evaluate("input => input.click()")
    page.wait_for_function(
        "([name, before]) => document.querySelector(`.${name} .says`).textContent !== before",
        arg=[name, before],
    )


def close_new_view(page) -> None:
    page.evaluate(
        "() => [...jupyterapp.shell.widgets('main')].find((one) => one.title.label === 'Output "
        "View').close()"
    )


def test_a_view_that_opens_during_training_has_the_whole_history_and_may_close(lab, course_copy):
    page = show(lab, course_copy, "discovery")
    page.locator(".discovery .main").press("Enter")
    page.wait_for_function("() => +document.querySelector('.discovery input[type=range]').max >= 5")
    page.evaluate("() => jupyterapp.commands.execute('notebook:create-output-view')")
    last = "[...document.querySelectorAll('.discovery input[type=range]')].map((one) => +one.max)"
    page.wait_for_function(f"() => {last}[1] > 8")
    page.wait_for_function(f"() => new Set({last}).size === 1")
    close_new_view(page)
    page.wait_for_function("() => document.querySelectorAll('.discovery').length === 1")
    newest = page.evaluate(f"() => {last}[0]")
    page.wait_for_function(f"() => {last}[0] > {newest} + 3")
    page.locator(".discovery .main").press("Enter")


@pytest.mark.parametrize("name", ["rotation", "virtual-weights", "discovery"])
def test_what_moves_ends_with_its_output(lab, course_copy, name):
    page = show(lab, course_copy, name)
    page.locator(f".{name} {'canvas' if name == 'virtual-weights' else '.main'}").focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.locator(f".{name}").wait_for(state="detached")
    page.wait_for_timeout(300)
    asked = page.evaluate("""async () => {
        let asked = 0;
        const ask = window.requestAnimationFrame;
        window.requestAnimationFrame = (frame) => { asked++; return ask(frame); };
        await new Promise((done) => setTimeout(done, 500));
        window.requestAnimationFrame = ask;
        return asked;
    }""")
    assert asked <= 2


@pytest.mark.parametrize("name", NAMES)
def test_scrolled_away_and_back_it_is_as_it_was(lab, course_copy, name):
    page = show(lab, course_copy, name)
    page.keyboard.press(use(page, name))
    page.evaluate("() => document.activeElement.blur()")
    page.wait_for_timeout(300)
    before = (
        says(page, name),
        page.evaluate(
            "name => [...document.querySelectorAll(`.${name} canvas`)].map((one) => "
            "one.toDataURL())",
            name,
        ),
    )
    page.evaluate("() => jupyterapp.shell.currentWidget.content.scrollToItem(35)")
    page.wait_for_timeout(400)
    page.evaluate(
        "number => jupyterapp.shell.currentWidget.content.scrollToItem(number)",
        1 + NAMES.index(name),
    )
    page.locator(f".{name}").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    assert (
        says(page, name),
        page.evaluate(
            "name => [...document.querySelectorAll(`.${name} canvas`)].map((one) => "
            "one.toDataURL())",
            name,
        ),
    ) == before


@pytest.mark.parametrize("name", NAMES)
def test_after_a_restart_it_answers_or_says_why_not(lab, course_copy, name):
    page = show(lab, course_copy, name)
    before = says(page, name)
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.wait_for_function(
        "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'",
        timeout=60_000,
    )
    if name == "discovery":
        page.locator(".discovery .main").press("Enter")
        page.locator(".discovery .note").filter(has_text="Run the cell again").wait_for()
    else:
        page.locator(".paths .switch input").nth(4).evaluate(
            "input => input.click()"
        ) if name == "paths" else page.keyboard.press(use(page, name))
        page.wait_for_function(
            "([name, before]) => document.querySelector(`.${name} .says`).textContent !== before",
            arg=[name, before],
        )
    run_cell(page, 0)
    run_cell(page, 1 + NAMES.index(name))
    page.wait_for_function(
        "before => document.querySelector('.says')?.textContent === before",
        arg=before,
        timeout=60_000,
    )
