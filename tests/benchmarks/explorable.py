"""The discovery explorable in JupyterLab in Chromium, as `make lab` starts it: how soon its head
stands, how often it shows something, what that costs, and how soon it pauses."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from helpers.explorables.discovery import SECONDS_A_SLICE
from tests.benchmarks import Row, Settings, spread
from tests.benchmarks.births import BORN, SHARP, TARGETS
from tests.browser import WINDOW, find, launch
from tests.browser.lab import Lab, serving, write_notebook

CELL = "from helpers.explorables.discovery import Discovery\n\ndiscovery = Discovery()\ndiscovery"
FOUND = "print(discovery.share, len(discovery.snapshots))"
TORCH = "import torch"
BEST = (
    "() => Math.max(...[...document.querySelectorAll('.discovery .board "
    "span:first-of-type')].map(span => +span.textContent))"
)
READY = "() => document.querySelectorAll('.discovery .board button').length === 8"
IDLE = "() => document.querySelector('.discovery .main').textContent === 'Train'"
FINISHED = "() => document.querySelector('.discovery .main').disabled"
# milliseconds of an empty cell, to the kernel and back
ROUND_TRIP = """async () => {
    const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
    const start = performance.now();
    await kernel.requestExecute({ code: "", silent: true }).done;
    return performance.now() - start;
}"""
LIMIT = 60  # seconds, after which a head is given up
FROM_THE_START, PAUSED = 4.0, 0.3  # seconds: the targets
PAUSES = 7


def explorable(settings: Settings) -> Iterator[Row]:
    """The rows, or one that says that there is no browser."""
    if find() is None:
        yield Row("the explorable in Chromium", "4 s", "no Chromium here", None)
        return
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        course = Path(home, "course")
        (course / "notebooks").mkdir(parents=True)
        name = write_notebook(course, "discovery.ipynb", CELL, FOUND, TORCH)
        with serving(course, Path(home)) as (url, token):
            browser = launch(playwright)
            lab = Lab(browser.new_page(viewport=WINDOW), url, token)
            lab.open(name)
            one_training(lab)  # the page's own first time is not the kernel's
            rounds = [(only_torch(lab), one_training(lab)) for _ in range(settings.pairs)]
            pauses = [one_pause(lab.page) for _ in range(PAUSES)]
            turns = [lab.page.evaluate(ROUND_TRIP) for _ in range(PAUSES)]
            browser.close()
    yield from rows(rounds, pauses, turns)


def rows(
    rounds: list[tuple[float, dict]], pauses: list[float], turns: list[float]
) -> Iterator[Row]:
    """Of pairs of a kernel with torch alone and one with a training, of presses on Pause, and of an
    empty cell's milliseconds."""
    torch_alone, trained = zip(*rounds, strict=True)

    def middle(name: str | float) -> float:
        return statistics.median(one[name] for one in trained)

    yield row(
        f"start of the kernel to a head above {BORN} on the screen",
        FROM_THE_START,
        tuple(one["kernel"] for one in trained),
        f"{statistics.median(torch_alone):.1f} s: a kernel that starts and imports torch; ours has "
        f"imported all after {middle('imported'):.1f} s, stands {middle('shown'):.1f} s later, and "
        f"trains {middle(BORN):.1f} s",
    )
    for level, target in TARGETS.items():
        measure = f"Train pressed to a head above {level} on the screen"
        alone = "see birth: the same training without looks, browser and screen"
        yield row(measure, target, tuple(one[level] for one in trained), alone)
    yield row(
        "Pause pressed to paused, while it trains",
        PAUSED,
        tuple(pauses),
        f"{statistics.median(turns) / 1000:.3f} s: an empty cell, to the kernel and back; the "
        f"slice of training before it is heard takes {SECONDS_A_SLICE} s",
        max,
    )
    updates = middle("updates")
    yield Row("explorable: snapshots a second", "10", f"{updates:.1f}", updates >= 10)
    share = max(one["share"] for one in trained)
    measure = "explorable: time for snapshots over time for training, largest"
    yield Row(measure, "15%", f"{share:.1%}", share < 0.15)


def row(
    measure: str,
    target: float,
    seconds: tuple[float, ...],
    limit: str,
    held: Callable[[Sequence[float]], float] = statistics.median,
) -> Row:
    """The median or the largest is held to the target."""
    said = f"{spread(seconds, 's')}; largest {max(seconds):.2f} s"
    return Row(
        f"explorable: {measure}", f"{target:g} s", said, held(seconds) <= target, limit, seconds
    )


def only_torch(lab: Lab) -> float:
    """Seconds from the start of a kernel until it has imported torch, and nothing else."""
    start = time.perf_counter()
    restart(lab)
    lab.run_cell(2)
    return time.perf_counter() - start


def restart(lab: Lab) -> None:
    lab.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.restartKernel()")


def one_training(lab) -> dict:
    """A new kernel, the explorable, Train, and on to the end."""
    page = lab.page
    start = time.perf_counter()
    restart(lab)
    lab.run_cell(0)
    imported = time.perf_counter()
    page.wait_for_function(READY, timeout=1000 * LIMIT)
    pressed = time.perf_counter()
    page.evaluate("() => document.querySelector('.discovery .main').click()")
    found = {}
    for level in (BORN, SHARP):
        page.wait_for_function(f"() => ({BEST})() > {level}", timeout=1000 * LIMIT)
        found[level] = time.perf_counter() - pressed
    page.wait_for_function(FINISHED, timeout=1000 * LIMIT)
    ended = time.perf_counter() - pressed
    lab.run_cell(1)
    share, snapshots = map(float, lab.cells()[1]["outputs"][0]["text"].split())
    return found | dict(
        imported=imported - start,
        shown=pressed - imported,
        kernel=pressed - start + found[BORN],
        share=share,
        updates=snapshots / ended,
    )


def one_pause(page) -> float:
    """Seconds from the press on Pause until the explorable says that it stands."""
    page.get_by_role("button", name="Reset", exact=True).click()
    page.wait_for_function(f"() => ({IDLE})() && !({FINISHED})()")
    page.evaluate("() => document.querySelector('.discovery .main').click()")
    page.wait_for_timeout(700)
    return page.evaluate(
        """() => new Promise(done => {
            const button = document.querySelector('.discovery .main'), start = performance.now();
            const paused = () => button.textContent === 'Train';
            new MutationObserver(() => { if (paused()) done((performance.now() - start) / 1000); })
                .observe(button, { childList: true, characterData: true, subtree: true });
            button.click();
        })"""
    )
