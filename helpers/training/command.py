"""What the commands that train have in common."""

import argparse
import sys
from typing import NoReturn

import torch


class Parser(argparse.ArgumentParser):
    """Refuses in one line."""

    def error(self, message: str) -> NoReturn:
        """What was wrong, and exit 2."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def positive(text: str) -> int:
    """An option's value that must be a whole number from 1 up."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a whole number from 1 up")
    return int(text)


def device_here(text: str) -> str:
    """An option's value that must be a device of this machine, as torch names it."""
    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError) as error:  # not known, or torch was built without it
        raise argparse.ArgumentTypeError(
            f"{text!r} given, which this machine has not; expected cpu, cuda or mps"
        ) from error
    return text


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
