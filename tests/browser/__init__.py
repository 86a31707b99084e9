"""Views in a real browser: most on a bare page with their Python object in the test's own process
(`bare.py`), and in JupyterLab what needs JupyterLab (`lab.py`)."""

import shutil

from playwright.sync_api import Browser, Playwright

from tests.course import ROOT

SCREENSHOTS = ROOT / "tests" / "browser" / "screenshots"  # for people to look at
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WINDOW = {"width": 1400, "height": 1000}


def find() -> str | None:
    """Where Chromium is, if there is one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def launch(playwright: Playwright) -> Browser:
    """A headless Chromium."""
    return playwright.chromium.launch(executable_path=find(), args=list(FLAGS))
