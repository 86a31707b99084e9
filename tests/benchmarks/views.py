"""How soon a view shows what the pointer does, on a bare page in Chromium: from the event's own time
to the end of the frame that follows it, when what it changed has been painted."""

from collections.abc import Callable, Iterator

from playwright.sync_api import Page, sync_playwright

from tests.benchmarks import Row, Settings
from tests.browser import WINDOW, find, launch
from tests.browser.bare import Bare
from tests.browser.every import EVERY, stands

PAINTED = 50  # milliseconds
# From each event of this kind to the task after the next frame.
WATCH = """(kind) => {
    window.seenAfter = [];
    window.addEventListener(kind, (event) => requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => seenAfter.push(performance.now() - event.timeStamp);
        port2.postMessage(0);
    }), true);
}"""
# The slider takes no pointer's moves from a script: from its change to the task after the next frame.
SLIDE = """async (moves) => {
    const slider = document.querySelector(".rotation input[type=range]"), took = [];
    for (let move = 0; move < moves; move++) {
        await new Promise((done) => setTimeout(done, 10));
        const start = performance.now();
        slider.value = (move * 7) % 360;
        slider.dispatchEvent(new Event("input"));
        await new Promise((painted) => requestAnimationFrame(() => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = painted;
            port2.postMessage(0);
        }));
        took.push(performance.now() - start);
    }
    return took;
}"""
# Turn the wheel a little in every frame, all the way in and out again: the time of each frame.
ZOOM = """async (turns) => {
    const canvas = document.querySelector(".virtual-weights canvas"), box = canvas.getBoundingClientRect();
    const frame = () => new Promise(requestAnimationFrame), intervals = [];
    canvas.focus();
    let before = await frame();
    for (let i = 0; i < turns; i++) {
        canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: i < turns / 2 ? -45 : 45, cancelable: true, bubbles: true,
            clientX: box.left + box.width * 0.48, clientY: box.top + box.height * 0.5 }));
        const now = await frame();
        intervals.push(now - before);
        before = now;
    }
    return intervals;
}"""


def views(settings: Settings) -> Iterator[Row]:
    """Rows: pointer to painted for each explorable, a switch of paths, and frames while it zooms."""
    if find() is None:
        yield Row("pointer to painted, in Chromium", f"{PAINTED} ms", "no Chromium here", None)
        return
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name, times in MEASURED.items():
            bare = Bare(browser.new_page(viewport=WINDOW))
            bare.show(EVERY[name].make())
            stands(bare.page, name)
            for what, milliseconds in times(bare.page):
                yield row(f"{name}: {what}", milliseconds)
            bare.page.close()
        browser.close()


def row(measure: str, milliseconds: list[float]) -> Row:
    """The median and the 95th percentile, which is held to the target."""
    times = sorted(milliseconds)
    median, late = times[len(times) // 2], times[int(0.95 * len(times))]
    said = f"{late:.0f} ms (median {median:.0f} ms)"
    return Row(f"{measure}, 95th percentile", f"{PAINTED} ms", said, late <= PAINTED)


Times = Iterator[tuple[str, list[float]]]


def pointed(page: Page, spots: str, rounds: int = 1) -> list[float]:
    """The mouse goes over the middles of all these elements."""
    boxes = [spot.bounding_box() for spot in page.locator(spots).all()]
    page.evaluate(WATCH, "pointermove")
    for box in boxes * rounds:
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_timeout(20)
    page.wait_for_function("least => seenAfter.length >= least", arg=int(0.8 * len(boxes * rounds)))
    return page.evaluate("() => seenAfter")


def attention(page: Page) -> Times:
    yield "pointer to painted", pointed(page, ".attention .chip", 2)


def paths(page: Page) -> Times:
    yield "pointer to painted", pointed(page, ".paths :is(.chip, .switch)")
    page.evaluate(WATCH, "click")
    switches = page.locator(".paths .switch input").all()
    for switch in switches:
        switch.evaluate("input => input.click()")
        page.wait_for_timeout(20)
    page.wait_for_function("all => seenAfter.length >= all", arg=len(switches))
    yield "switch to painted", page.evaluate("() => seenAfter")


def rotation(page: Page) -> Times:
    yield "slider to painted", page.evaluate(SLIDE, 120)


def virtual_weights(page: Page) -> Times:
    box = page.locator(".virtual-weights canvas").bounding_box()
    page.evaluate(WATCH, "pointermove")
    for move in range(80):
        down = 0.2 + 0.7 * ((move * 7) % 40) / 40
        page.mouse.move(box["x"] + box["width"] * 0.78, box["y"] + box["height"] * down)
        page.wait_for_timeout(20)
    yield "pointer to painted", page.evaluate("() => seenAfter")
    yield "from frame to frame while it zooms", page.evaluate(ZOOM, 180)


MEASURED: dict[str, Callable[[Page], Times]] = {
    "attention": attention,
    "paths": paths,
    "rotation": rotation,
    "virtual-weights": virtual_weights,
}
