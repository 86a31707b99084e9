"""The pages of the site in Chromium: how many bytes they are, how soon they stand, and whether the
page of the birth answers while it trains."""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from helpers.course import build
from helpers.course.site import __main__ as command
from tests.benchmarks import Row, Settings, spread
from tests.browser import find, launch
from tests.browser.visits import Visits

MOST_SEEDS = 16
EMPTY = "<!doctype html><html lang=en><meta charset=utf-8><title>Empty</title><p>Empty"
MOST_BYTES, FIRST_PAINT, FRAME = 100_000, 1.0, 34  # seconds; milliseconds
PAINTED = """() => new Promise((done) => new PerformanceObserver((list) => {
  for (const { name, startTime } of list.getEntries())
    if (name === "first-contentful-paint") done(startTime / 1000);
}).observe({ type: "paint", buffered: true }))"""
# the milliseconds of each frame of a training, from Train to its end
FRAMES = """() => new Promise((done) => {
  const took = [], train = document.querySelector(".discovery .main");
  const measure = (before) => requestAnimationFrame((now) => {
    took.push(now - before);
    if (train.disabled) done(took.slice(1));
    else measure(now);
  });
  train.click();
  measure(performance.now());
})"""


def pages(settings: Settings) -> Iterator[Row]:
    """Rows: bytes, first paint, frames while it trains, and seeds that are born in the tab."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        (folder / "birth.html").write_bytes(command.birth())
        size = (folder / "birth.html").stat().st_size
        yield Row(
            "site: the page of the birth, one file",
            f"{MOST_BYTES / 1000:.0f} kB",
            f"{size / 1000:.1f} kB",
            size <= MOST_BYTES,
        )
        if find() is None:
            yield Row("site: its pages in Chromium", "1 s", "no Chromium here", None)
            return
        with sync_playwright() as playwright:
            browser = launch(playwright)
            yield from in_chromium(Visits(browser), folder, settings)
            browser.close()


def in_chromium(visits: Visits, folder: Path, settings: Settings) -> Iterator[Row]:
    site, of = command.INTO, "as make site wrote them"
    if not (site / command.MARK).is_file():
        site, of = folder / "site", "with stills, for make site has not run"
        command.write(command.site(build.all_notebooks(), {}), site)
    looks = {
        path.stem: look(visits, site, path.stem, settings.pairs) for path in site.glob("*.html")
    }
    slowest = max(looks, key=lambda name: statistics.median(looks[name][0]))
    (folder / "empty.html").write_text(EMPTY, encoding="utf-8")
    empty, _ = look(visits, folder, "empty", settings.pairs)
    seconds, sizes = looks[slowest][0], {name: size / 1e6 for name, (_, size) in looks.items()}
    said = f"{spread(seconds, 's')}; {slowest}"
    measure = f"site: first paint from a file, slowest of {len(looks)} pages {of}"
    limit = f"{statistics.median(empty):.2f} s: a page of one word"
    met = statistics.median(seconds) <= FIRST_PAINT
    yield Row(measure, f"{FIRST_PAINT:.0f} s", said, met, limit, tuple(seconds))
    said = ", ".join(f"{name} {size:.2f}" for name, size in sorted(sizes.items()))
    largest = max(sizes.values())
    yield Row(f"site: a page with all that it asks for, {of}, in MB", "5", said, largest <= 5)
    page = opened(visits, folder)
    frames = sorted(page.evaluate(FRAMES))
    late, middle = frames[int(0.95 * len(frames))], frames[len(frames) // 2]
    measure = "site: from frame to frame while the page of the birth trains, 95th percentile"
    yield Row(measure, f"{FRAME} ms", f"{late:.0f} ms (median {middle:.0f} ms)", late <= FRAME)
    seeds = min(settings.seeds, MOST_SEEDS)
    born = sum(is_born(page, seed) for seed in range(seeds))
    measure = "site: seeds whose head is born in the tab within 120 steps, on unseen periods"
    yield Row(measure, f"all ({MOST_SEEDS} of {MOST_SEEDS})", f"{born} of {seeds}", born == seeds)


def look(visits: Visits, site: Path, name: str, times: int) -> tuple[list[float], int]:
    """Seconds to the first paint, and the bytes of all files that the page asks for."""
    seconds = []
    for _ in range(times):
        visits.asked.clear()
        page = visits.open(f"file://{site}", name)
        seconds.append(page.evaluate(PAINTED))
        page.context.close()
    files = {url.partition("#")[0] for url in visits.asked if url.startswith("file://")}
    size = sum(Path(url.removeprefix("file://")).stat().st_size for url in files)
    return seconds, size


def opened(visits: Visits, folder: Path) -> Page:
    page = visits.open(f"file://{folder}", "birth")
    page.locator(".where", has_text="step 0 of").wait_for()
    return page


def is_born(page: Page, seed: int) -> bool:
    """Whether a head passes one half within 120 steps. The scores are of unseen periods."""
    page.get_by_label("seed").fill(str(seed))
    page.get_by_role("button", name="Reset").click()
    page.locator(".where", has_text="step 0 of").wait_for()
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_function(
        "() => +document.querySelector('.where').textContent.split(' ')[1] >= 120"
    )
    page.get_by_role("button", name="Pause").click()
    return page.get_by_role("button", name="To the birth").is_enabled()
