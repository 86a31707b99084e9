"""How soon a view shows what the pointer does, on a bare page in Chromium: from the event's own
time to the end of the frame that follows it, when what it changed has been painted."""

from collections.abc import Callable, Iterator

from playwright.sync_api import sync_playwright

from tests.benchmarks import Row, Settings
from tests.browser import WINDOW, find, launch
from tests.browser.bare import Bare
from tests.browser.every import EVERY, stands

PAINTED = 50  # milliseconds


def views(settings: Settings) -> Iterator[Row]:
    """Rows: pointer to painted in each explorable, a switch of paths, and frames in a zoom."""
    if find() is None:
        yield Row("pointer to painted, in Chromium", f"{PAINTED} ms", "no Chromium here", None)
        return
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name, times in MEASURED.items():
            with Bare(browser.new_page(viewport=WINDOW)).empty() as bare:
                bare.show(EVERY[name].make())
                stands(bare.page, name)
                for what, milliseconds in times(bare):
                    yield row(f"{name}: {what}", milliseconds)
        browser.close()


def row(measure: str, milliseconds: list[float]) -> Row:
    """The median and the 95th percentile, which is held to the target."""
    times = sorted(milliseconds)
    median, late = times[len(times) // 2], times[int(0.95 * len(times))]
    said = f"{late:.0f} ms (median {median:.0f} ms)"
    return Row(f"{measure}, 95th percentile", f"{PAINTED} ms", said, late <= PAINTED)


def took(bare: Bare, name: str, given) -> list[float] | None:
    """What one of the functions of views.js measures."""
    views = "import('/tests/benchmarks/views.js')"
    return bare.page.evaluate(f"(given) => {views}.then((views) => views.{name}(given))", given)


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


MEASURED: dict[str, Callable[[Bare], Times]] = {
    "attention": attention,
    "paths": paths,
    "rotation": rotation,
    "savings": savings,
    "virtual-weights": virtual_weights,
}
