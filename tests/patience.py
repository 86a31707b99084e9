"""How long a test waits for what must come. It is the suite's one limit of time, and generous:
beside eight processes that spin, everything takes five times as long and more. What should be fast
is measured by `make bench`."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 180  # seconds
TEST = 6 * PATIENCE  # for one test with all its waits, so that a wait that fails says for what


def until(condition: Callable[[], Any], pause: Callable[[float], object] = time.sleep) -> Any:
    """Wait until something holds, and give it back. `pause` waits for so many seconds; a page's own
    lets it, and the loop in this process, go on meanwhile. AssertionError once patience is lost."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"it never came, in {PATIENCE} s"
        pause(0.01)
    return found


async def soon(condition: Callable[[], Any]) -> Any:
    """`until`, for what happens in the running event loop."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"it never came, in {PATIENCE} s"
        await asyncio.sleep(0.002)
    return found
