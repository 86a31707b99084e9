"""Pictures that answer. One file an explorable, its JavaScript beside it; none asks for anything
off the machine."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import anywidget

HERE = Path(__file__).parent


class Explorable(anywidget.AnyWidget):
    """A widget whose view stands beside its Python file, `name.js` and `name.css`, after what all
    views share and the parts that it names: `class Attention(Explorable, parts=["tokens"])` puts
    `tokens.js`, and `tokens.css` if there is one, before it.

    Subclasses give a `__repr__` of their settings alone: a notebook stores it, and a test compares
    it.
    """

    def __init_subclass__(cls, parts: Sequence[str] = (), **options):
        if not hasattr(cls, "_esm"):  # traitlets derives classes of its own from this one
            view = Path(sys.modules[cls.__module__].__file__)
            names = "shared/common", *parts, f"{view.parent.name}/view"
            cls._esm = _joined(HERE / f"{name}.js" for name in names)
            cls._css = _joined(path for name in names if (path := HERE / f"{name}.css").exists())
        super().__init_subclass__(**options)


def _joined(files: Iterable[Path]) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
