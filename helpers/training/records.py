"""The records of a sweep while they come: a file with a line for each run that is done.

A line is JSON and stands for itself: the setting, what its run found, the command, and the versions
where it ran. It reaches the disk before the next one is waited for. Whoever kills a sweep loses the
runs that were under way; a line that was cut short by it counts as missing. The files of two
machines are one when joined, and a setting that stands in both counts once.
"""

import json
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from helpers.files import write_atomically
from helpers.training import runs

NAME = "records.jsonl"


class Record(NamedTuple):
    """`found`: what the run returned, as JSON gives it back. `tensors`: name and sha256 of the file
    beside the records that holds the run's weights, if it returned any."""

    setting: dict[str, Any]
    command: str
    versions: dict[str, str]
    tensors: dict[str, str] | None
    found: Any

    def result(self, folder: Path) -> Any:
        """What the run returned: what it found, or that and its weights. DamagedRun when the file
        of these is missing, cut or edited."""
        if self.tensors is None:
            return self.found
        return self.found, runs.read_tensors(folder, **self.tensors)


def key(setting: Mapping[str, Any]) -> str:
    """What makes a setting the same as another. ValueError for one that does not fit JSON."""
    return _json(dict(setting), f"the setting {dict(setting)}", sort_keys=True)


def append(
    path: Path, setting: dict[str, Any], result: Any, command: str, versions: dict[str, str]
) -> Record:
    """Add a run to the file, in place of a line that was cut short. A result is fit for JSON, or a
    pair of such and of weights by name, which are kept as they are in a file of their own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found, weights = result if _has_weights(result) else (result, None)
    record = Record(setting, command, versions, None, found)
    line = _line(record)  # refused before anything is written
    if weights is not None:
        tensors = runs.write_tensors(path.parent, "tensors", weights)
        line = _line(record._replace(tensors=tensors))
    _end_with_a_whole_line(path)
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return Record(**json.loads(line))


def read(*paths: Path) -> list[Record]:
    """The records of these files, each setting once. Warns of a last line that was cut short.

    ValueError for a setting of which two lines say something else; runs.DamagedRun for a line that
    is none.
    """
    found: dict[str, Record] = {}
    for path in paths:
        *lines, rest = path.read_bytes().split(b"\n")
        if rest:
            warnings.warn(
                f"the last line of {path.name} was cut short: its setting counts as missing, and "
                "is run again",
                stacklevel=2,
            )
        for number, line in enumerate(lines, 1):
            record = _parsed(line, path, number)
            first = found.setdefault(key(record.setting), record)
            if (record.found, record.tensors) != (first.found, first.tensors):
                raise ValueError(
                    f"the setting {record.setting} is there with two results, one of them in line "
                    f"{number} of {path}; take one of the two lines out. Another processor, or "
                    "another version, rounds otherwise: give each machine settings of its own"
                )
    return list(found.values())


def merge(into: Path, others: Iterable[Path]) -> list[Record]:
    """Take over into the first file what the others hold, with the weights beside them. ValueError
    when they hold no record."""
    others = list(others)
    every = read(*([into] if into.exists() else []), *others)
    if not every:
        raise ValueError(f"no record in {', '.join(map(str, others))}; merge a file that holds one")
    into.parent.mkdir(parents=True, exist_ok=True)
    for path in others:
        for record in read(path):
            if record.tensors:
                weights = runs.read_tensors(path.parent, **record.tensors)
                runs.write_tensors(into.parent, "tensors", weights)
    write_atomically(into, b"".join(map(_line, every)))
    return every


def _has_weights(result: Any) -> bool:
    return (
        isinstance(result, tuple)
        and len(result) == 2
        and isinstance(result[1], Mapping)
        and all(isinstance(value, Tensor) for value in result[1].values())
    )


def _line(record: Record) -> bytes:
    return _json(record._asdict(), f"what the run of {record.setting} found").encode() + b"\n"


def _json(value: Any, name: str, sort_keys: bool = False) -> str:
    try:
        return json.dumps(value, allow_nan=False, sort_keys=sort_keys)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} does not fit JSON ({error}); give finite numbers, words, lists and dicts of "
            "these, and weights as a dict of tensors beside it"
        ) from error


def _parsed(line: bytes, path: Path, number: int) -> Record:
    try:
        return Record(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise runs.DamagedRun(
            f"line {number} of {path} is no record ({error}): cut or edited; take it out, and its "
            "setting is run again"
        ) from error


def _end_with_a_whole_line(path: Path) -> None:
    content = path.read_bytes() if path.exists() else b"\n"
    if not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
