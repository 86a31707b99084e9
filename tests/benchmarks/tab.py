"""A birth in a browser tab without a kernel, by the trainer in JavaScript, against torch's."""

import statistics
from collections.abc import Iterator
from typing import NamedTuple

from playwright.sync_api import sync_playwright

from tests.benchmarks import Row, Settings, spread, threads
from tests.benchmarks.births import BORN, EVERY, course, products_share, seeded, watch
from tests.browser import WINDOW, find, launch
from tests.browser.bare import Bare

TARGET = 1.1
MEASURE = (
    f"birth in a browser tab: its time to prefix matching > {BORN} over torch's on one thread, "
    "training without measuring, by turns"
)


class Birth(NamedTuple):
    """Seconds of training, and steps, to the birth."""

    seconds: float
    step: float


def tab(settings: Settings) -> Iterator[Row]:
    """Row: the tab's time over torch's, seed by seed. The seeds draw other numbers in each, so that
    a step's time stands beside."""
    if find() is None:
        yield Row(MEASURE, str(TARGET), "no Chromium here", None)
        return
    with sync_playwright() as playwright, threads(1):
        browser = launch(playwright)
        with Bare(browser.new_page(viewport=WINDOW)).empty() as bare:
            fresh = in_the_tab(bare, 0, settings)
            share = statistics.median(products_share(settings.rounds))
            pairs = [
                (in_the_tab(bare, seed, settings), with_torch(seed, settings))
                for seed in range(settings.births)
            ]
        browser.close()
    yield row(fresh, pairs, share)


def in_the_tab(bare: Bare, seed: int, settings: Settings) -> Birth | None:
    given = dict(seed=seed, every=EVERY, level=BORN, steps=budget(seed, settings))
    module = "import('/tests/benchmarks/tab.js')"
    found = bare.page.evaluate(f"(given) => {module}.then((tab) => tab.birth(given))", given)
    return found and Birth(**found)


def with_torch(seed: int, settings: Settings) -> Birth | None:
    passed, _ = watch(course, seeded(seed), (BORN,), budget(seed, settings))
    return Birth(passed[BORN].seconds, passed[BORN].step) if BORN in passed else None


def budget(seed: int, settings: Settings) -> int:
    return settings.budget or seeded(seed).training.steps


def row(fresh: Birth | None, pairs: list[tuple[Birth | None, Birth | None]], share: float) -> Row:
    """Where one of the two has no birth on a seed, they are not compared on it; where the tab has
    none the target is missed. `share`: what torch's products alone take of its step."""
    both = [(ours, torchs) for ours, torchs in pairs if ours and torchs]
    born = sum(ours is not None for ours, _ in pairs)
    if not both:
        return Row(MEASURE, str(TARGET), f"{born} of {len(pairs)} seeds born in the tab", False)
    ratios = tuple(ours.seconds / torchs.seconds for ours, torchs in both)
    steps = [ours.seconds / ours.step * torchs.step / torchs.seconds for ours, torchs in both]
    sides = zip(("tab", "torch"), zip(*both, strict=True), strict=True)
    measured = [spread(ratios), *(f"{name} {median(births)}" for name, births in sides)]
    measured += [f"a step {spread(steps)}"]
    measured += [f"in a fresh page {fresh.seconds:.2f} s"] if fresh else []
    measured += [f"{born} of {len(pairs)} seeds born in the tab"]
    met = statistics.median(ratios) <= TARGET and born == len(pairs)
    limit = f"{share:.2f}: as many steps of torch's products alone"
    return Row(MEASURE, str(TARGET), "; ".join(measured), met, limit, ratios)


def median(births: tuple[Birth, ...]) -> str:
    seconds, step = map(statistics.median, zip(*births, strict=True))
    return f"{seconds:.2f} s, {step:.0f} steps"
