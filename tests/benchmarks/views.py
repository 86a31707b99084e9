"""How soon a view shows what the pointer does, on a bare page in Chromium: from the event's own
time to the end of the frame that follows it, when what it changed has been painted."""

from collections.abc import Callable, Iterator

from playwright.sync_api import sync_playwright

from tests.benchmarks import Row, Settings, spread
from tests.browser import WINDOW, find, launch
from tests.browser.bare import Bare
from tests.browser.every import EVERY, stands

PAINTED, THROUGH_PYTHON = 50, 150  # milliseconds: the targets


def views(settings: Settings) -> Iterator[Row]:
    """Rows: pointer to painted in each explorable, a switch of paths, frames in a zoom, and what
    Python answers."""
    if find() is None:
        yield Row("pointer to painted, in Chromium", f"{PAINTED} ms", "no Chromium here", None)
        return
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name, times in MEASURED.items():
            with Bare(browser.new_page(viewport=WINDOW)).empty() as bare:
                idle = took(bare, "nothing", FRAMES)
                bare.show(EVERY[name].make())
                stands(bare.page, name)
                for what, milliseconds in times(bare):
                    target = THROUGH_PYTHON if "Python" in what else PAINTED
                    yield row(f"{name}: {what}", target, milliseconds, idle)
        browser.close()


def row(measure: str, target: int, milliseconds: list[float], idle: list[float]) -> Row:
    """The 95th percentile is held to the target. `idle`: of an empty page, where nothing is to be
    painted."""
    late, least = late_one(milliseconds), late_one(idle)
    said = f"{late:.0f} ms; {spread(milliseconds, 'ms')}"
    limit = f"{least:.0f} ms: an empty page, where nothing changes"
    measure = f"{measure}, 95th percentile"
    return Row(measure, f"{target} ms", said, late <= target, limit, tuple(milliseconds))


def late_one(milliseconds: list[float]) -> float:
    return sorted(milliseconds)[int(0.95 * len(milliseconds))]


def took(bare: Bare, name: str, given) -> list[float] | None:
    """What one of the functions of views.js measures."""
    views = "import('/tests/benchmarks/views.js')"
    return bare.page.evaluate(f"(given) => {views}.then((views) => views.{name}(given))", given)


FRAMES = 40
Times = Iterator[tuple[str, list[float]]]


def pointed(bare: Bare, spots: str, rounds: int = 1) -> list[float]:
    """The mouse goes over the middles of all these elements."""
    boxes = [spot.bounding_box() for spot in bare.page.locator(spots).all()]
    took(bare, "watch", "pointermove")
    for box in boxes * rounds:
        bare.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        bare.page.wait_for_timeout(20)
    bare.page.wait_for_function(
        "least => seenAfter.length >= least", arg=int(0.8 * len(boxes * rounds))
    )
    return bare.page.evaluate("() => seenAfter")


def attention(bare: Bare) -> Times:
    yield "pointer to painted", pointed(bare, ".attention .chip", 2)


def paths(bare: Bare) -> Times:
    yield "pointer to painted", pointed(bare, ".paths :is(.chip, .switch)")
    took(bare, "watch", "click")
    switches = bare.page.locator(".paths .switch input").all()
    for switch in switches:
        switch.evaluate("input => input.click()")
        bare.page.wait_for_timeout(20)
    bare.page.wait_for_function("all => seenAfter.length >= all", arg=len(switches))
    yield "switch to painted", bare.page.evaluate("() => seenAfter")


def savings(bare: Bare) -> Times:
    yield "pointer to painted", pointed(bare, ".savings .chip", 2)


def rotation(bare: Bare) -> Times:
    yield "slider to painted", took(bare, "slide", [".rotation input[type=range]", 120])


def virtual_weights(bare: Bare) -> Times:
    box = bare.page.locator(".virtual-weights canvas").bounding_box()
    took(bare, "watch", "pointermove")
    for move in range(80):
        down = 0.2 + 0.7 * ((move * 7) % 40) / 40
        bare.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * down)
        bare.page.wait_for_timeout(20)
    yield "pointer to painted", bare.page.evaluate("() => seenAfter")
    yield (
        "from frame to frame while it zooms",
        took(bare, "zoom", [".virtual-weights canvas", 180]),
    )


def discovery(bare: Bare) -> Times:
    """A row that is typed is put to the model in Python, which answers."""
    given = [".discovery .asking input", ["9 2 9", "4 7 4", "5 1 5"] * 10, ".discovery .asking ol"]
    yield "row asked to answer painted, through Python", took(bare, "ask", given)


MEASURED: dict[str, Callable[[Bare], Times]] = {
    "attention": attention,
    "discovery": discovery,
    "paths": paths,
    "rotation": rotation,
    "savings": savings,
    "virtual-weights": virtual_weights,
}
