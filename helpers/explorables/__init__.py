"""Pictures that answer. A folder an explorable: its Python, its JavaScript modules and their
styles; none asks for anything off the machine."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import anywidget

from helpers.plotting import core

HERE = Path(__file__).parent
IMPORT = re.compile(r'^import \{[^}]*\} from "(\./|\.\./)([^"]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?!default\b)", re.MULTILINE)


class Explorable(anywidget.AnyWidget):
    """A widget whose view is the `view.js` beside its Python file, with all that it imports.

    Subclasses give a `__repr__` of their settings alone: a notebook stores it, and a test compares
    it. And they give a `picture` of what the view opens on, with its sentence: a still, which a
    front end shows where it has no kernel to show the view with.
    """

    def __init_subclass__(cls, **options):
        if not hasattr(cls, "_esm"):  # traitlets derives classes of its own from this one
            view = Path(sys.modules[cls.__module__].__file__).with_name("view.js")
            cls._esm, cls._css = script(view), style(view)
        super().__init_subclass__(**options)

    def picture(self) -> core.Picture | None:
        """What the view opens on, as a figure and a sentence that says what it shows. None where
        the text alone stands for the view, as for a question."""
        return None

    def still(self) -> bytes:
        """The same as a PNG. ValueError where there is none."""
        told = self._told_still()
        if told is None:
            raise ValueError(f"{self!r} has no still; its text stands for it")
        return told[0]

    def _told_still(self) -> tuple[bytes, str] | None:
        picture = self.picture()
        return picture and (core.png(picture[0]), picture[1])

    def _repr_mimebundle_(self, **options) -> tuple[dict, dict]:
        """The view, and in the same bundle what stands for it elsewhere: the still and a text. A
        front end shows one of them."""
        data, metadata = super()._repr_mimebundle_(**options)
        told = self._told_still()
        if told is None:
            return data, metadata
        still, says = told
        data |= {"image/png": still, "text/plain": f"{self!r}\n{says}"}
        return data, metadata | {"image/png": {"alt": says}}


def script(file: Path) -> str:
    """A module and all that it imports as one text without imports, which is what a front end
    takes: the modules share one scope in it. ValueError as in `modules`."""
    return EXPORT.sub("", IMPORT.sub("", _joined(modules(file))))


def style(file: Path) -> str:
    """The styles that stand beside a module and all that it imports: of `x.js`, `x.css`."""
    beside = (module.with_suffix(".css") for module in modules(file))
    return _joined(path for path in beside if path.exists())


def modules(file: Path, importers: tuple[Path, ...] = ()) -> list[Path]:
    """A module with all that it imports, each once and before whoever imports it.

    An import has the form `import { a, b } from "./x.js";`. ValueError for one that leads to no
    file, and for modules that import each other in a circle.
    """
    file = file.resolve()
    if file in importers:
        circle = " imports ".join(_name(path) for path in [*importers, file])
        raise ValueError(f"{circle}: a circle; move what both need into a module of its own")
    if not file.is_file():
        by = f"{_name(importers[-1])} imports it" if importers else "a view needs it"
        raise ValueError(f"there is no module {_name(file)}, and {by}; correct the path")
    places = [up + name for up, name in IMPORT.findall(file.read_text(encoding="utf-8"))]
    found = [modules(file.parent / place, (*importers, file)) for place in places]
    return list(dict.fromkeys([*(module for each in found for module in each), file]))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _joined(files: Iterable[Path]) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
