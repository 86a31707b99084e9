"""What every test run shares: one environment, one order, and a summary that hides nothing."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from helpers import real_model
from helpers.course import build
from tests.patience import PATIENCE, TEST

# The kernels that nbval starts inherit this, so a cell is compared under the environment it was
# stored under. It must be set before anything imports torch. A backend would turn pictures off.
os.environ.update(build.KERNEL_ENVIRONMENT)
os.environ.pop("MPLBACKEND", None)

build.CELL_TIMEOUT = TEST

ALLOWANCES = Path(__file__).parent / "tests" / "allowances.json"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Nothing is cut short because the machine is busy. A limit given on the command line holds."""
    config.option.timeout = config.option.timeout or TEST
    config.option.nbval_cell_timeout = TEST
    config.option.nbval_kernel_startup_timeout = PATIENCE


def pytest_sessionstart(session: pytest.Session) -> None:
    """The real model is unpacked before a cell could say that it is, and by one process alone."""
    if not hasattr(session.config, "workerinput") and real_model.is_installed():
        real_model.folder(tell=lambda words: None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Alone, units come first, then the notebooks, then the browser: the quickest answer first.
    Shared out among workers, the longest comes first, so that none idles at the end. Cells that
    need the real model are left out where it is not installed, and in CI they fail there."""
    without = not (real_model.is_installed() or os.environ.get("CI"))
    for item in items:
        if is_cell(item.nodeid):
            item.output_timeout = PATIENCE  # nbval's own, for what a cell has said, is 5 seconds
            if without and item.cell.id in build.needing_the_real_model(item.parent.nb):
                item.add_marker(pytest.mark.skip("no real model found: `make wild` installs it"))
    items.sort(key=kind)
    if hasattr(config, "workerinput"):
        tests = Counter(item.path for item in items)
        items.sort(key=lambda item: (-kind(item), -tests[item.path]))


def kind(item: pytest.Item) -> int:
    """0 for a unit, 1 for a cell of a notebook, 2 for what needs a browser: from quick to slow."""
    return 2 * bool(item.get_closest_marker("browser")) + is_cell(item.nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """A file at a time, in the order above. All that needs JupyterLab goes to one worker, because
    each worker that gets a part of it starts a server of its own."""
    from xdist.scheduler import LoadScopeScheduling

    class Sharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope = super()._split_scope(nodeid)
            return "JupyterLab" if "browser/test_lab" in scope else scope

    config.option.loadscopereorder = False  # by the number of tests, which says little of the time
    return Sharing(config, log)


def is_cell(nodeid: str) -> bool:
    """Whether pytest's name for a test names a notebook cell."""
    return ".ipynb::" in nodeid


def skip_reasons(stats: dict) -> list[str]:
    """Why each skipped test was skipped, in pytest's words."""
    return [report.longrepr[2].removeprefix("Skipped: ") for report in stats.get("skipped", [])]


def unexplained(reasons: list[str]) -> list[str]:
    """The reasons that tests/allowances.json does not know."""
    allowed = json.loads(ALLOWANCES.read_text(encoding="utf-8"))["skipped_tests"]
    return sorted(set(reasons) - set(allowed))


def summary(stats: dict) -> str:
    """One line: how many tests and how many notebook cells ran, and how many were skipped."""
    kinds = ("passed", "failed", "xfailed", "xpassed")
    ran = [is_cell(report.nodeid) for kind in kinds for report in stats.get(kind, [])]
    skipped = len(stats.get("skipped", []))
    return f"{ran.count(False)} tests and {ran.count(True)} notebook cells ran, {skipped} skipped"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skip without a reason on the list fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and unexplained(skip_reasons(reporter.stats)) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter) -> None:
    """Print what ran and why anything did not."""
    terminalreporter.section("what ran")
    terminalreporter.line(summary(terminalreporter.stats))
    reasons = skip_reasons(terminalreporter.stats)
    for reason in sorted(set(reasons)):
        terminalreporter.line(f"skipped {reasons.count(reason)}: {reason}")
    for reason in unexplained(reasons):
        terminalreporter.line(f"NOT ALLOWED: no entry in tests/allowances.json for skip {reason!r}")
