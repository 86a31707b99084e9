"""Many runs of one function, one a setting, and what they found on disk.

One seed is an anecdote. `sweep` calls a function once for every setting, through joblib: on all
cores of this machine by default, on a Dask cluster when told. Every run is a function of its
setting alone, so the results are the same wherever and in whichever order they were computed.

`save` and `load` keep a finished sweep the way `runs` keeps a run: `sweep.json` for people, which
names the file of the tensors with its sha256. Nothing is ever unpickled.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import joblib
from torch import Tensor

from helpers.files import write_atomically
from helpers.training import runs
from helpers.training.seeds import seeds


def sweep(
    run: Callable[..., Any],
    settings: Iterable[Mapping[str, Any]],
    jobs: int | None = None,
    scheduler: str | None = None,
) -> Iterator[Any]:
    """run(**setting) for every setting: the results in the order of the settings, each as soon as
    it and those before it are there.

    `jobs`: how many at a time (default: as many as this machine has cores), each with one thread; 1
    runs them here, in this process. `scheduler`: the address of a Dask scheduler, to run them on
    its cluster instead. An error in a run ends the sweep. ValueError for no settings, for jobs
    below 1, and for a cluster without the package `distributed`.
    """
    settings = [dict(setting) for setting in settings]
    if not settings:
        raise ValueError("there are no settings to run; give at least one, such as dict(seed=0)")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs is {jobs}; give 1 or more, or leave it out for one job a core")
    return _results(run, settings, jobs, scheduler)


def _results(
    run: Callable, settings: list[dict], jobs: int | None, scheduler: str | None
) -> Iterator[Any]:
    with _backend(scheduler):
        calls = (joblib.delayed(run)(**setting) for setting in settings)
        yield from joblib.Parallel(n_jobs=jobs or -1, return_as="generator")(calls)


def _backend(scheduler: str | None) -> contextlib.AbstractContextManager:
    if scheduler is None:
        return joblib.parallel_config(backend="loky", inner_max_num_threads=1)
    try:
        return joblib.parallel_config(backend="dask", scheduler_host=scheduler)
    except ValueError as error:  # joblib's own says dask, and means distributed
        raise ValueError(
            f"the cluster at {scheduler} needs the package `distributed` here and on its machines: "
            "pip install distributed"
        ) from error


def each_seed(count: int, **setting: Any) -> list[dict[str, Any]]:
    """The same setting for the first `count` seeds that the course draws from."""
    return [setting | dict(seed=seed) for seed in seeds(count)]


# ---- a sweep on disk


class Sweep(NamedTuple):
    """`results` has one record a run, as the run returned it; `tensors` are weights worth keeping,
    in half precision."""

    command: str
    versions: dict[str, str]
    results: list[dict[str, Any]]
    tensors: dict[str, Tensor]


def save(
    folder: str | Path,
    command: str,
    results: list[dict[str, Any]],
    tensors: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a sweep in place of what the folder held. `results` must be fit for JSON: round what
    has too many digits. ValueError for a value that is not finite."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.half() for name, tensor in (tensors or {}).items()}
    files = {"tensors": runs.write_tensors(folder, "tensors", halves)} if halves else {}
    record = dict(command=command, versions=runs.versions(), files=files, results=results)
    write_atomically(folder / "sweep.json", (json.dumps(record, allow_nan=False) + "\n").encode())
    for stale in folder.glob("*.safetensors*"):
        if stale.name not in {file["name"] for file in files.values()}:
            stale.unlink()


def load(folder: str | Path) -> Sweep:
    """Read a sweep back. FileNotFoundError without a `sweep.json`; runs.DamagedRun when a file is
    missing, cut or edited."""
    folder = Path(folder)
    path = folder / "sweep.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"no sweep.json in {str(folder)!r}; give the folder of a sweep, such as "
            "data/sweeps/<name>"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        file = record["files"].get("tensors")
        kept = [record[key] for key in ("command", "versions", "results")]
    except (ValueError, KeyError, TypeError) as error:
        raise runs.DamagedRun(
            f"sweep.json of {folder.name} is cut or edited ({error!r}); restore it, or run the "
            "sweep again"
        ) from error
    return Sweep(*kept, runs.read_tensors(folder, file["name"], file["sha256"]) if file else {})
