"""Where a widget does what its view asks for: in the loop that made it, where cells run."""

import asyncio
from collections.abc import Callable


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that the caller runs in, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def at_home(home: asyncio.AbstractEventLoop | None, work: Callable[..., None], *given) -> None:
    """JupyterLab lets widgets speak in a thread of their own, beside the cells. There an interrupt
    would not be heard, and two might use one model at a time. So it is done in the loop `home`, or
    at once where that is the caller's or there is none."""
    if home is None or running_loop() is home:
        work(*given)
    else:
        home.call_soon_threadsafe(work, *given)
