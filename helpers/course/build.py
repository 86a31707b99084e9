"""Re-executes the notebooks and writes them back clean: `python -m helpers.course.build [notebook
...]`.

- Each notebook runs from a fresh kernel, under the environment that the tests use too.
- Where the outputs are the same, the file is the same byte for byte: it holds no widget state, no
  times and no versions.
- A notebook in which a cell fails is left as it was.
- README's claims table is then written from the stored outputs of all notebooks.

`--check` executes and writes nothing: it says which files are not as this module would write them.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from helpers import real_model, without
from helpers.claims import Claim
from helpers.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
README = ROOT / "README.md"

# Stored outputs are compared to the letter. The number of threads changes the order of sums, so it
# is fixed; the hub is off, because only a reader may ask for it.
KERNEL_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "0",
    "HF_HUB_OFFLINE": "1",
}
CELL_TIMEOUT = 120
CELL_BUDGET = 15
NOTEBOOK_BUDGET = 60

KEPT_CELL_METADATA = {"tags", "jupyter"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
FOOTER = "footer"  # the id of a notebook's last cell
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"


class Execution(NamedTuple):
    """A notebook that has run, and the seconds of each code cell by its position."""

    notebook: NotebookNode
    seconds: dict[int, float]


def execute(
    path: Path, environment: Mapping[str, str] | None = None, allow_errors: bool = False
) -> Execution:
    """Run the notebook at `path` from a fresh kernel in its own folder; the file is not touched.

    Raises nbclient's errors when a cell fails, times out or kills its kernel. With `allow_errors` a
    cell that fails does not stop it. `environment`: instead of `kernel_environment()`.
    """
    notebook = read(path)
    seconds = run(notebook, path.parent, environment, allow_errors)
    return Execution(normalise(notebook), seconds)


def run(
    notebook: NotebookNode,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    allow_errors: bool = False,
) -> dict[int, float]:
    """Run the notebook in place, as `execute` does and with its errors; the seconds of each code
    cell. Its outputs are as the kernel gave them, views of widgets included."""
    started, seconds = {}, {}
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        startup_timeout=CELL_TIMEOUT,
        kernel_name="python3",
        allow_errors=allow_errors,
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        # Else each kernel warns that what it says to this process is not encrypted.
        extra_arguments=["--log-level=ERROR"],
        on_cell_execute=lambda cell, cell_index: started.update({cell_index: time.perf_counter()}),
        on_cell_executed=lambda cell, cell_index, execute_reply: seconds.update(
            {cell_index: time.perf_counter() - started[cell_index]}
        ),
    )
    client.execute(env=dict(environment or kernel_environment()))
    return seconds


def kernel_environment() -> dict[str, str]:
    """This process' environment with the course's fixed values.

    Without the user's choice of a drawing backend: it would turn inline pictures off.
    """
    environment = {**os.environ, **KERNEL_ENVIRONMENT}
    environment.pop("MPLBACKEND", None)
    return environment


def read(path: Path) -> NotebookNode:
    """The notebook at `path`, in the current format."""
    return nbformat.read(path, as_version=4)


def normalise(notebook: NotebookNode) -> NotebookNode:
    """The notebook, changed in place: without what differs between two machines that agree."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(notebook.cells):
        cell.id = cell.get("id") or f"cell-{number:02d}"
        cell.metadata = nbformat.from_dict(
            {k: v for k, v in cell.metadata.items() if k in KEPT_CELL_METADATA}
        )
        # Without its state a saved widget opens as "model not found". Still and text stay.
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
    return notebook


def render(notebook: NotebookNode) -> str:
    """The text of the notebook's file."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def needing_the_real_model(notebook: NotebookNode) -> set[str]:
    """The ids of the cells that cannot run where `make wild` was not typed."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    needs = without.cells_that_need([cell.source for cell in cells])
    return {cell.id for cell, needed in zip(cells, needs, strict=True) if needed}


def with_footer(notebook: NotebookNode, path: Path) -> NotebookNode:
    """A notebook of the course, changed in place: its last cell leads back, on, and to the
    glossary. One from elsewhere stays as it is."""
    course = all_notebooks()
    if path.resolve() not in course:
        return notebook
    around = [README, *course, README]
    at = around.index(path.resolve())
    back, on = (around[at + way] for way in (-1, 1))
    links = (
        f"[← {_called(back)}]({os.path.relpath(back, NOTEBOOKS)})",
        "[Glossary](glossary.md)",
        f"[{_called(on)} →]({os.path.relpath(on, NOTEBOOKS)})",
    )
    if notebook.cells[-1].id != FOOTER:
        notebook.cells.append(new_markdown_cell(id=FOOTER))
    notebook.cells[-1].source = " · ".join(links)
    return notebook


def _called(path: Path) -> str:
    """A notebook by its number and its name, README as the course."""
    return "The course" if path == README else path.stem.replace("_", " ")


def is_clean(path: Path) -> bool:
    """Whether the file is exactly as `build` would write it, given its outputs."""
    return path.read_text(encoding="utf-8") == render(with_footer(normalise(read(path)), path))


def build(path: Path) -> Execution:
    """Execute the notebook and write it back clean. When a cell fails, the file stays as it was."""
    done = execute(path)
    write_atomically(path, render(with_footer(done.notebook, path)).encode())
    return done


def printed_claims(notebook: NotebookNode) -> list[Claim]:
    """The claims that stand in the notebook's stored outputs, in reading order."""
    texts = [
        output.data.get("text/plain", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "display_data"
    ]
    lines = map(Claim.parse, texts)
    return [found for found in lines if found]


def claims_table(notebooks: list[Path]) -> str:
    """README's claims, read from the notebooks' stored outputs: a table a notebook, folded under
    its question."""
    return "\n\n".join(filter(None, map(_folded_claims, notebooks)))


def _folded_claims(path: Path) -> str:
    notebook = read(path)
    claims = printed_claims(notebook)
    if not claims:
        return ""
    number, question = (
        path.stem.split("_")[0],
        notebook.cells[0].source.splitlines()[0].lstrip("# "),
    )
    failed = [found.id for found in claims if not found.holds]
    verdict = f"not holding: {', '.join(failed)}" if failed else "all hold"
    return "\n".join(
        [
            f"<details><summary>{number}: {question} Claims: {len(claims)}, {verdict}.</summary>",
            "",  # Markdown inside HTML begins after an empty line
            "| claim | published | measured here | controls | holds |",
            "|---|---|---|---|---|",
            *(f"| {' | '.join(texts)} | {'yes' if holds else 'NO'} |" for *texts, holds in claims),
            "",
            "</details>",
        ]
    )


def with_claims(readme: str, table: str) -> str:
    """The text of README with `table` between its markers; ValueError unless each is there once."""
    if (
        readme.count(BEGIN) != 1
        or readme.count(END) != 1
        or readme.index(BEGIN) > readme.index(END)
    ):
        raise ValueError(
            "README has no room for the claims table; "
            f"write one line {BEGIN} and below it one line {END}"
        )
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def write_claims_table(readme: Path, notebooks: list[Path]) -> None:
    """Write the claims of `notebooks` into the file `readme`."""
    table = claims_table(notebooks)
    write_atomically(readme, with_claims(readme.read_text(encoding="utf-8"), table).encode())


def all_notebooks() -> list[Path]:
    """The course's notebooks, in reading order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def unclean_files() -> list[Path]:
    """The committed files that are not as this module would write them."""
    unclean = [path for path in all_notebooks() if not is_clean(path)]
    text = README.read_text(encoding="utf-8")
    return unclean + [README] * (text != with_claims(text, claims_table(all_notebooks())))


def report(name: str, seconds: dict[int, float]) -> str:
    """One line: the notebook's seconds, its three slowest cells, and whether it is over budget."""
    slowest = sorted(seconds.items(), key=lambda item: -item[1])[:3]
    cells = ", ".join(f"cell {index} {taken:.1f} s" for index, taken in slowest)
    over = sum(seconds.values()) > NOTEBOOK_BUDGET or any(
        taken > CELL_BUDGET for _, taken in slowest
    )
    warning = (
        f"  OVER BUDGET ({NOTEBOOK_BUDGET} s a notebook, {CELL_BUDGET} s a cell)" if over else ""
    )
    return f"{name:<36} {sum(seconds.values()):6.1f} s   slowest: {cells}{warning}"


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0 when everything asked for was done, 1 when not."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.course.build", description=__doc__.splitlines()[0]
    )
    parser.add_argument("notebook", nargs="*", type=Path, help="default: all in notebooks/")
    parser.add_argument(
        "--check",
        action="store_true",
        help="execute and write nothing; name the files that are unclean",
    )
    options = parser.parse_args(arguments)
    if options.check:
        unclean = unclean_files()
        print("\n".join(f"not clean: {path.relative_to(ROOT)}" for path in unclean) or "all clean")
        return int(bool(unclean))
    for path in options.notebook:
        if not path.is_file():
            parser.error(f"there is no notebook {path}")
    failed = False
    for path in options.notebook or all_notebooks():
        if not real_model.is_installed() and needing_the_real_model(read(path)):
            print(f"{path.name:<36} left as it was: the real model comes with `make wild`")
            continue
        try:
            print(report(path.name, build(path.resolve()).seconds), flush=True)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed = True
            print(f"{path.name}: left as it was, because a cell failed\n{error}", file=sys.stderr)
    if README.exists():
        write_claims_table(README, all_notebooks())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
