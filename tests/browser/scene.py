"""What tests of an explorable share: a notebook of a few cells to show it in, and how long a
movement takes to be seen."""

from collections.abc import Callable
from pathlib import Path

import nbformat
from playwright.sync_api import Page

# From the event's own time to the end of the frame that follows it: what it changed has then been
# painted.
WATCH = """() => {
    window.seenAfter = [];
    window.addEventListener("pointermove", (event) => requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => seenAfter.push(performance.now() - event.timeStamp);
        port2.postMessage(0);
    }), true);
}"""


def write_notebook(folder: Path, name: str, *cells: str) -> str:
    """A notebook with these code cells among the copied ones; its name."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": kernel}, cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    nbformat.write(notebook, folder / "notebooks" / name)
    return name


def open_with(lab, folder: Path, name: str, *cells: str) -> Page:
    """A notebook with these cells on the screen, the first of them run anew, and the page to
    itself."""
    if lab.shows(name):
        lab.page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    else:
        lab.open(write_notebook(folder, name, *cells))
        hide_sidebar(lab.page)
    run_cell(lab.page, 0)
    return lab.page


def hide_sidebar(page: Page) -> None:
    page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area')")


def run_cell(page: Page, number: int) -> None:
    """Run one cell of the open notebook, as Shift-Enter does."""
    page.evaluate(
        f"() => {{ jupyterapp.shell.currentWidget.content.activeCellIndex = {number};"
        " return jupyterapp.commands.execute('notebook:run-cell'); }"
    )


def wait_for_answer(page: Page, number: int, words: str) -> None:
    """Run one cell again and again until its output has these words.

    A view's state travels to the kernel on a thread of its own, so a cell that is run at once may
    be answered before it arrives.
    """
    for _ in range(150):
        run_cell(page, number)
        page.wait_for_timeout(200)
        output = page.evaluate(
            "() => "
            f"JSON.stringify(jupyterapp.shell.currentWidget.content.widgets[{number}].model.outputs.toJSON())"
        )
        if words in output:
            return
    raise AssertionError(f"the cell never answered {words!r}; in the end it said {output}")


def latency(page: Page, movements: list[Callable[[], None]]) -> tuple[float, float]:
    """Milliseconds from pointer to painted: the median and the 95th percentile over these movements
    of the mouse."""
    page.evaluate(WATCH)
    for move in movements:
        move()
        page.wait_for_timeout(20)
    page.wait_for_timeout(300)
    times = sorted(page.evaluate("() => seenAfter"))
    assert len(times) >= 0.8 * len(movements), "most movements must have been seen"
    return times[len(times) // 2], times[int(0.95 * len(times))]


NAMELESS = """(view) => [...document.querySelectorAll(`${view} :is(button, input, select, [tabindex])`)]
    .filter(e => !(e.getAttribute("aria-label") || e.textContent.trim() || e.closest("label"))).length"""
