"""The discovery explorable: how soon its head stands, how often it shows something, and what that
costs.

Headless it is the same loop without a front end; in Chromium, JupyterLab as `make lab` starts it.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import Row, Settings, threads
from tests.benchmarks.births import BORN, SHARP, seeded, transformer_lens, watch
from tests.browser import WINDOW, find, launch
from tests.browser.lab import Lab, serving, write_notebook
from tests.course import ROOT

CELL = "from helpers.explorables.discovery import Discovery\n\ndiscovery = Discovery()\ndiscovery"
BEST = (
    "() => Math.max(...[...document.querySelectorAll('.discovery .board "
    "span:first-of-type')].map(span => +span.textContent))"
)
READY = "() => document.querySelectorAll('.discovery .board button').length === 8"
IDLE = "() => document.querySelector('.discovery .main').textContent === 'Train'"
FINISHED = "() => document.querySelector('.discovery .main').disabled"
LIMIT = 60  # seconds, after which a head is given up


def explorable(settings: Settings) -> Iterator[Row]:
    """Rows: birth, sharp, updates and share, headless and in Chromium; kernel start to birth;
    Pause."""
    with threads(1):
        born_in(0)  # first steps are slow; the row on fresh processes has them
        runs = [born_in(seed) for seed in range(settings.births)]
        mine = statistics.median(run[BORN] for run in runs)
        passed, end = watch(
            transformer_lens, seeded(0), (BORN,), sys.maxsize, settings.patience * mine
        )
    of = f"headless, median of {settings.births} seeds"
    for level, target in ((BORN, 1), (SHARP, 5)):
        yield seconds_row(
            f"Train to a snapshot above {level}, snapshots included, {of}",
            target,
            [run[level] for run in runs],
        )
    yield seconds_row(
        f"start of a process to a snapshot above {BORN}, imports included",
        1,
        [fresh() for _ in range(settings.fresh)],
    )
    ratio, least = passed.get(BORN, end).seconds / mine, "" if BORN in passed else ">= "
    yield Row(
        "TransformerLens native's time to its birth over the explorable's, one seed",
        "10",
        f"{least}{ratio:.1f}",
        ratio >= 10,
    )
    yield updates_row(of, statistics.median(run["updates"] for run in runs))
    yield share_row(of, max(run["share"] for run in runs))
    yield from in_chromium(settings)


def born_in(seed: int) -> dict:
    """Seconds from Train until a snapshot first shows a head above each level; updates a second and
    share until then."""
    from helpers.explorables.discovery import Discovery

    discovery, found = Discovery(seed=seed), {}
    start = time.perf_counter()
    for _ in discovery._slices():
        best = max(map(max, discovery.snapshots[-1]["prefix_matching"]))
        now = time.perf_counter() - start
        found |= {level: now for level in (BORN, SHARP) if best > level and level not in found}
        if len(found) == 2 or now > LIMIT:
            break
    never = dict.fromkeys((BORN, SHARP), float("inf"))
    return never | found | dict(updates=(len(discovery.snapshots) - 1) / now, share=discovery.share)


def fresh() -> float:
    """Seconds from the start of a process to its first snapshot with a head above one half."""
    program = (
        "import torch; torch.set_num_threads(1); from helpers.explorables.discovery import "
        "Discovery; d = Discovery()\n"
        "for _ in d._slices():\n    if max(map(max, d.snapshots[-1]['prefix_matching'])) > "
        f"{BORN}: break"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    return time.perf_counter() - start


def in_chromium(settings: Settings) -> Iterator[Row]:
    """The rows that need a browser, or one that says that there is none."""
    if find() is None:
        yield Row("the explorable in Chromium", "1 s", "no Chromium here", None)
        return
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        course = Path(home, "course")
        (course / "notebooks").mkdir(parents=True)
        name = write_notebook(
            course, "discovery.ipynb", CELL, "print(discovery.share, len(discovery.snapshots))"
        )
        with serving(course, Path(home)) as (url, token):
            browser = launch(playwright)
            lab = Lab(browser.new_page(viewport=WINDOW), url, token)
            lab.open(name)
            rounds = [one_training(lab) for _ in range(settings.fresh)]
            pauses = [one_pause(lab.page) for _ in range(5)]
            browser.close()
    of = f"in Chromium, median of {settings.fresh}"
    for level, target in ((BORN, 1), (SHARP, 5)):
        yield seconds_row(
            f"Train pressed to a head above {level} on the screen, {of}",
            target,
            [run[level] for run in rounds],
        )
    yield seconds_row(
        f"start of the kernel to a head above {BORN} on the screen, {of}",
        1,
        [run["kernel"] for run in rounds],
    )
    yield updates_row(of, statistics.median(run["updates"] for run in rounds))
    yield share_row(of, max(run["share"] for run in rounds))
    slowest = max(pauses)
    yield Row(
        "Pause pressed to paused, while it trains, slowest of 5",
        "300 ms",
        f"{1000 * slowest:.0f} ms",
        slowest <= 0.3,
    )


def one_training(lab) -> dict:
    """A new kernel, the explorable, Train, and on to the end."""
    page = lab.page
    start = time.perf_counter()
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    lab.run_cell(0)
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
        kernel=pressed - start + found[BORN], share=share, updates=snapshots / ended
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


def seconds_row(measure: str, target: int, seconds: list[float]) -> Row:
    median = statistics.median(seconds)
    return Row(f"explorable: {measure}", f"{target} s", f"{median:.2f} s", median <= target)


def updates_row(of: str, updates: float) -> Row:
    return Row(f"explorable: snapshots a second, {of}", "10", f"{updates:.1f}", updates >= 10)


def share_row(of: str, share: float) -> Row:
    return Row(
        f"explorable: time for snapshots over time for training, {of}, largest",
        "15%",
        f"{share:.1%}",
        share < 0.15,
    )
