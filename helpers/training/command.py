"""What the commands that train have in common."""

import argparse
import sys


def positive(text: str) -> int:
    """An option's value that must be a whole number from 1 up."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a whole number from 1 up")
    return int(text)


def as_typed(module: str, arguments: list[str] | None) -> str:
    """The command that is running, as a record keeps it. `arguments` None: those of this
    process."""
    return " ".join(["python -m", module, *(sys.argv[1:] if arguments is None else arguments)])


def where_to_run(parser: argparse.ArgumentParser) -> None:
    """The options of a command that trains many: what `sweep` takes as `jobs` and `scheduler`."""
    parser.add_argument(
        "--jobs", type=positive, help="how many trainings at a time (default: one a core)"
    )
    parser.add_argument(
        "--scheduler", help="the address of a Dask scheduler, to train on its cluster"
    )
