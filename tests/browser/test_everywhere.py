"""Where every explorable must hold: under a finger, on a narrow page and a large zoom, without
motion, and when its output has gone."""

import pytest

from tests.browser.bare import Bare
from tests.browser.every import EVERY, NAMES, endless, stands, use

pytestmark = pytest.mark.browser

# A tablet, a phone, and a window of 1400 by 1000 at 200 %.
SMALL = (
    {"width": 820, "height": 1180},
    {"width": 390, "height": 844},
    {"width": 700, "height": 500},
)


def show(bare: Bare, name: str):
    """The page with this explorable on it."""
    bare.show(EVERY[name].make())
    stands(bare.page, name)
    return bare.page


# ---- a finger


class Finger:
    """One finger, or two, on the page."""

    def __init__(self, bare: Bare):
        self.bare, self.page = bare, bare.page
        self.session = bare.page.context.new_cdp_session(bare.page)

    def _say(self, kind: str, *points: tuple[float, float]) -> None:
        self.session.send(
            "Input.dispatchTouchEvent",
            dict(type=kind, touchPoints=[dict(x=x, y=y, id=i) for i, (x, y) in enumerate(points)]),
        )
        self.bare.drawn()

    def place(self, spot: str, across: float, down: float) -> tuple[float, float]:
        """Such shares of the width and the height of what is at `spot`, which is on the screen
        then."""
        self.page.locator(spot).first.scroll_into_view_if_needed()
        box = self.page.locator(spot).first.bounding_box()
        return box["x"] + across * box["width"], box["y"] + down * box["height"]

    def tap(self, spot: str, across: float = 0.5, down: float = 0.5) -> None:
        self.page.touchscreen.tap(*self.place(spot, across, down))
        self.bare.drawn()

    def drag(
        self, spot: str, dx: float, dy: float, across: float = 0.5, down: float = 0.5
    ) -> float:
        """How far the page has scrolled by it, in pixels."""
        x, y = self.place(spot, across, down)
        before = self.page.evaluate("() => scrollY")
        self._say("touchStart", (x, y))
        for step in range(1, 9):
            self._say("touchMove", (x + dx * step / 8, y + dy * step / 8))
        self._say("touchEnd")
        self.bare.still()
        return self.page.evaluate("() => scrollY") - before

    def spread(self, spot: str, apart: float, to: float) -> None:
        x, y = self.place(spot, 0.5, 0.45)
        for step, kind in enumerate(["touchStart", *["touchMove"] * 8]):
            half = (apart + (to - apart) * step / 8) / 2
            self._say(kind, (x - half, y), (x + half, y))
        self._say("touchEnd")
        self.bare.still()


# What tells by a finger what the mouse tells by hovering or dragging: where to touch it, and what
# then tells.
PICTURES = [
    ("attention", ".map", ".says", (0.3, 0.6)),
    ("attention", ".tokens", ".says", (0.08, 0.3)),
    ("savings", ".chip >> nth=20", ".says", (0.5, 0.5)),
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
def test_a_finger_chooses_what_it_taps_and_scrolls_past_everything(touched, name):
    page, finger = show(touched, name), Finger(touched)
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
        for graph in range(2):
            assert finger.drag(f".discovery svg >> nth={graph}", 0, -150) > 60


def test_a_finger_drags_the_angle(touched):
    page = show(touched, "rotation")
    Finger(touched).drag(".rotation .graph", 80, 0, 0.4, 0.3)
    assert 150 < float(page.locator(".rotation .angle").inner_text().rstrip("°")) < 200


def test_a_finger_pinches_the_diagram(touched):
    page, finger = show(touched, "virtual-weights"), Finger(touched)
    finger.spread(".virtual-weights canvas", 40, 240)
    level = page.locator(".virtual-weights [aria-label=Zoom] [aria-pressed=true]")
    assert level.inner_text() in ("pair", "matrix")
    # zoomed in, a finger moves the diagram
    assert finger.drag(".virtual-weights canvas", 0, -120) == 0


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_a_small_screen(touched, name):
    page = show(touched, name)
    for size in SMALL:
        page.set_viewport_size(size)
        touched.drawn()
        assert touched.measure("over", f".{name}") == [], size


# ---- calm


def test_without_motion_the_diagram_is_there_at_once(bare):
    bare.page.emulate_media(reduced_motion="reduce")
    page = show(bare, "virtual-weights")
    use(page, "virtual-weights")
    page.keyboard.press("Enter")
    assert (
        page.locator(".virtual-weights [aria-label=Zoom] [aria-pressed=true]").inner_text()
        == "pair"
    )


def test_without_motion_the_angle_goes_in_steps(bare):
    """Two a second, of 15 degrees."""
    bare.page.emulate_media(reduced_motion="reduce")
    bare.stop_time()
    bare.show(EVERY["rotation"].make())
    bare.pass_time(100)
    bare.page.locator(".rotation .main").press("Enter")
    angles = []
    for _ in range(20):
        bare.pass_time(100)
        angles.append(bare.page.locator(".rotation .angle").inner_text())
    assert list(dict.fromkeys(angles)) == ["15.0°", "30.0°", "45.0°", "60.0°"]


# ---- its end


@pytest.mark.parametrize("name", ["rotation", "virtual-weights", "discovery"])
def test_what_moves_ends_with_its_output(bare, name):
    bare.stop_time()
    widget, page = bare.show(EVERY[name].make()), bare.page
    if name == "discovery":
        endless(widget)
    bare.pass_time(1000)
    bare.measure("countFrames")
    page.locator(f".{name} {'canvas' if name == 'virtual-weights' else '.main'}").press("Enter")

    def moves() -> bool:  # not at once: one draws what Python sends, and a frame may be due already
        bare.pass_time(100)
        return page.evaluate("() => asked") > 0

    bare.until(moves)
    bare.remove()
    if name == "discovery":
        bare.until(lambda: widget.status == "paused")
    page.evaluate("() => { asked = 0; }")
    bare.pass_time(1000)
    assert page.evaluate("() => asked") == 0
