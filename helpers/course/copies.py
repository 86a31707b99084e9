"""A reader's working copies of the notebooks: `python -m helpers.course.copies`.

- A copy has no outputs, so that a prediction comes before its answer. It is made where it is
  missing and never overwritten: not by this command, not by `git pull`, not by `make course`.
- Where a notebook has changed since its copy was made, this is said. `--refresh` takes the new one
  and keeps the reader's aside, under its date.
- Beside the copies stands `predictions.json`, where the explorable `prediction` keeps what a reader
  said, and what the notebooks link to besides each other.
"""

import argparse
import hashlib
import json
import shutil
import sys
from datetime import date
from pathlib import Path

from nbformat import NotebookNode

from helpers.course import build
from helpers.explorables.prediction.answers import FILE as PREDICTIONS
from helpers.files import write_atomically

COPIES = build.ROOT / "my_course"
KEPT = "kept"  # the folder of what was refreshed
MARK = "course"  # in a copy's metadata: the edition of the notebook that it was made from

YOURS = (
    "*This is your copy; nothing overwrites it. [Ours, with its outputs](../notebooks/{name}), "
    "opens in a tab of its own. After a restart of the kernel nothing is remembered: choose Run, "
    "then Run All Above Selected Cell.*"
)

ABOUT = """# Your copies

The notebooks in this folder are yours: write in them, run them, save them. Nothing overwrites
them, neither `git pull` nor `make lab`. They have no outputs, so that you can predict before you
see. Ours, with all outputs, are in the folder `notebooks`; drag a tab to the side to see both.

After a restart of the kernel nothing is remembered: choose Run, then Run All Above Selected Cell.

`{predictions}` keeps what you predicted. A reading group collects these files, each renamed to its
reader, as in `anna.json`.

To make a copy anew, type in the folder above this one
`.venv/bin/python -m helpers.course.copies --refresh 00_start_here.ipynb`; yours then goes into the
folder `{kept}`. All other files here, this one too, are written again at every start.
"""


def edition(notebook: NotebookNode) -> str:
    """A name for what a notebook asks of its reader: another one once a cell or a tag changes, the
    same whatever its outputs are."""
    cells = [
        [cell.cell_type, cell.source, cell.metadata.get("tags", [])]
        for cell in notebook.cells
        if cell.id != build.FOOTER
    ]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def copy_of(path: Path) -> str:
    """The text of a new copy of the notebook at `path`, as JupyterLab would save it."""
    notebook = build.normalise(build.read(path))
    notebook.metadata[MARK] = {"edition": edition(notebook)}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.cells[0].source += "\n\n" + YOURS.format(name=path.name)
    return build.render(notebook)


def made_from(copy: Path) -> str | None:
    """The edition that a copy was made from; None where the file does not say so."""
    try:
        return json.loads(copy.read_text(encoding="utf-8"))["metadata"][MARK]["edition"]
    except (ValueError, LookupError, TypeError):
        return None


def make(folder: Path = COPIES) -> list[str]:
    """Make what is missing in `folder`, and the sentences that a reader is told."""
    folder.mkdir(parents=True, exist_ok=True)
    about = ABOUT.format(predictions=PREDICTIONS, kept=KEPT)
    write_atomically(folder / "README.md", about.encode())
    for path in sorted(build.NOTEBOOKS.iterdir()):
        if path.is_file() and path.suffix != ".ipynb" and not path.name.startswith("."):
            shutil.copyfile(path, folder / path.name)
    if not (folder / PREDICTIONS).exists():
        write_atomically(folder / PREDICTIONS, b"{}\n")
    missing = [path for path in build.all_notebooks() if not (folder / path.name).exists()]
    for path in missing:
        write_atomically(folder / path.name, copy_of(path).encode())
    new = ", ".join(path.name for path in missing)
    told = [f"New in {folder.name}, to write in: {new}."] if missing else []
    return told + [
        f"{name} has changed since your copy of it was made. Yours is as you left it; for the new "
        f"one: {sys.executable} -m helpers.course.copies --refresh {name}"
        for name in outdated(folder)
    ]


def outdated(folder: Path) -> list[str]:
    """The notebooks that have changed since their copies were made."""
    return [
        path.name
        for path in build.all_notebooks()
        if (folder / path.name).exists()
        and made_from(folder / path.name) != edition(build.read(path))
    ]


def refresh(name: str, folder: Path = COPIES) -> str:
    """A new copy of one notebook; the reader's, with all that was written in it, is kept aside. The
    sentence that says where. ValueError for a notebook that is not there."""
    copy, made = folder / name, copy_of(known(name)).encode()
    kept = free(folder / KEPT / f"{copy.stem}_{date.today()}.ipynb")
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, copy.read_bytes())
    write_atomically(copy, made)
    return f"{name} is new; what you wrote is in {folder.name}/{KEPT}/{kept.name}."


def known(name: str) -> Path:
    """The notebook of that name. ValueError for one that is not there."""
    names = [path.name for path in build.all_notebooks()]
    if name not in names:
        raise ValueError(f"there is no notebook {name}; choose among {', '.join(names)}")
    return build.NOTEBOOKS / name


def free(path: Path) -> Path:
    """This path, or the same with the first number that nothing has yet."""
    number, wanted = 1, path
    while path.exists():
        number += 1
        path = wanted.with_stem(f"{wanted.stem}_{number}")
    return path


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.course.copies", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--into", type=Path, default=COPIES, help="their folder; default: my_course"
    )
    parser.add_argument(
        "--refresh",
        metavar="NOTEBOOK",
        nargs="*",
        help="make these anew; default: all that changed",
    )
    options = parser.parse_args(arguments)
    folder = options.into.resolve()
    try:
        asked = [known(Path(name).name).name for name in options.refresh or []]
    except ValueError as error:
        parser.error(str(error))
    if options.refresh == []:
        asked = outdated(folder)
    told = [refresh(name, folder) for name in asked if (folder / name).exists()]
    for sentence in told + make(folder):
        print(sentence, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
