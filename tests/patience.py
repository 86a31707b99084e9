"""How long a test waits for what must come. It is the suite's one limit of time, and generous:
beside eight processes that spin, everything takes five times as long and more. What should be fast
is measured by `make bench`."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

PATIENCE = 180  # seconds
TEST = 6 * PATIENCE  # for one test with all its waits, so that a wait that fails says for what


def until(condition: Callable[[], Any], page: Page | None = None) -> Any:
    """Wait until something holds, and give it back. With a page, that and the event loop of this
    process go on meanwhile. What is long in coming is asked for ever more seldom, up to ten times a
    second, for asking takes from it. AssertionError once patience is lost."""
    end, pause = time.monotonic() + PATIENCE, 10  # milliseconds
    while not (found := condition()):
        assert time.monotonic() < end, f"it never came, in {PATIENCE} s"
        page.wait_for_timeout(pause) if page else time.sleep(pause / 1000)
        pause = min(1.2 * pause, 100)
    return found


async def soon(condition: Callable[[], Any]) -> Any:
    """`until`, for what happens in the running event loop."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"it never came, in {PATIENCE} s"
        await asyncio.sleep(0.002)
    return found
