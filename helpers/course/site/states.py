"""What the explorables of a notebook are when they are shown, for pages without a kernel.

The notebook is run once more, and its kernel is asked: neither the notebook's file nor nbclient's
record of widgets has what a view is told in messages. `keep` and `write` run in that kernel.
"""

import gzip
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anywidget
from ipywidgets.widgets.widget import _remove_buffers
from nbformat.v4 import new_code_cell

from helpers.course import build
from helpers.explorables import Explorable
from helpers.explorables.virtual_weights import VirtualWeights

Message = tuple[dict[str, Any], list[bytes]]  # what a widget says to its view

shown: dict[str, tuple[Explorable, dict[str, Any]]] = {}


class State(NamedTuple):
    """One explorable: the folder of its view, and all that the view needs, packed."""

    view: str
    packed: bytes


# ---- around the kernel


def of_notebook(path: Path) -> dict[tuple[str, int], State]:
    """The explorables that a notebook shows, by the cell's id and the output's number in it, from a
    run of the whole. Raises nbclient's errors where a cell fails."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = build.read(path)
        here = "from helpers.course.site import states\nstates."
        notebook.cells.insert(0, new_code_cell(f"{here}keep()"))
        notebook.cells.append(new_code_cell(f"{here}write({folder!r})"))
        build.run(notebook, path.parent)
        return {
            (cell.id, at): _read(Path(folder) / output.data[build.WIDGET_VIEW]["model_id"])
            for cell in notebook.cells
            for at, output in enumerate(cell.get("outputs", []))
            if build.WIDGET_VIEW in output.get("data", {})
        }


def _read(file: Path) -> State:
    view, _, packed = file.read_bytes().partition(b"\n")
    return State(view.decode(), packed)


# ---- in the kernel


def keep() -> None:
    """From now on, keep each explorable as it is when it is shown."""
    bundle = Explorable._repr_mimebundle_

    def kept(widget: Explorable, **options):
        shown[widget.model_id] = widget, own_state(widget)
        return bundle(widget, **options)

    Explorable._repr_mimebundle_ = kept


def write(folder: str) -> None:
    """Write what was kept into a folder, a file an explorable."""
    for model_id, (widget, state) in shown.items():
        view = type(widget).__module__.rpartition(".")[2]
        packed = pack(state, opening(widget))
        (Path(folder) / model_id).write_bytes(view.encode() + b"\n" + packed)


def own_state(widget: Explorable) -> dict[str, Any]:
    """What the widget shares with its view, without what every widget has."""
    own = set(widget.trait_names(sync=True)) - set(anywidget.AnyWidget.class_trait_names())
    return widget.get_state({name for name in own if not name.startswith("_")})


def opening(widget: Explorable) -> list[Message]:
    """What the widget says to a view that has opened and asks: each message with its bytes. A
    training is not among it, for the page trains anew."""
    said: list[Message] = []
    if not isinstance(widget, VirtualWeights):
        return said
    widget.send = lambda content, buffers=(): said.append((content, list(buffers)))
    widget._handle_custom_msg(dict(do="show"), [])
    del widget.send
    return said


def pack(state: dict[str, Any], said: Sequence[Message]) -> bytes:
    """A line of JSON and all bytes behind it, compressed. The floats stay whole: of halves, the
    diagram and the paths print another last digit here and there than the notebook does."""
    state, paths, buffers = _remove_buffers(state)
    blocks = [*map(bytes, buffers), *(block for _, each in said for block in each)]
    head = dict(
        state=state,
        paths=paths,
        opening=[dict(content=content, count=len(each)) for content, each in said],
        sizes=[len(block) for block in blocks],
    )
    text = json.dumps(head, allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode() + b"\n" + b"".join(blocks), mtime=0)
