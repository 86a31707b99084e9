"""Where the course's files are, and the list of what the tests let pass, each with its reason."""

import json
import subprocess
from pathlib import Path

from beartype import BeartypeConf, beartype
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ALLOWANCES = json.loads((ROOT / "tests" / "allowances.json").read_text(encoding="utf-8"))


def cells(notebook: NotebookNode, kind: str) -> list[NotebookNode]:
    """The notebook's cells of one kind, "code" or "markdown"."""
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def repository_files() -> list[Path]:
    """The files that git tracks, and those that it would track if they were added now."""
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def text_files() -> dict[Path, str]:
    """The repository's files that are text, with what they say."""
    texts = {}
    for path in repository_files():
        try:
            texts[path] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return texts


# As PEP 484 has it, and every reader expects: a whole number will do where a float is asked for.
typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
