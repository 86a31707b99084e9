"""Many runs of one function, one a setting, and what they found on disk.

One seed is an anecdote. `sweep` calls a function once for every setting: on all cores of this
machine by default, on a Dask cluster when told. Every run is a function of its setting alone, so
the results are the same wherever and in whichever order they were computed. What is done is kept in
a file as it comes, from which a sweep that died goes on.

`save` and `load` keep a finished sweep the way `runs` keeps a run: `sweep.json` for people, which
names the file of the tensors with its sha256. Nothing is ever unpickled.

    python -m helpers.training.sweeps two_layers one_layer --seeds 3 --out FOLDER
"""

import argparse
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import joblib
import torch
from torch import Tensor
from tqdm import tqdm

from helpers.files import write_atomically
from helpers.instruments import heads
from helpers.tables import Table
from helpers.training import records, runs
from helpers.training.command import as_typed, positive, where_to_run
from helpers.training.loop import log_spaced, train
from helpers.training.recipes import RECIPES
from helpers.training.seeds import seeds

Setting = dict[str, Any]


def sweep(
    run: Callable[..., Any],
    settings: Iterable[Mapping[str, Any]],
    jobs: int | None = None,
    scheduler: str | None = None,
    kept: str | Path | None = None,
    command: str = "",
    progress: str | None = None,
) -> Iterator[Any]:
    """run(**setting) for every setting: the results in the order of the settings, each as soon as
    it and those before it are there.

    `jobs`: how many at a time (default: as many as there are cores here, or on the cluster), each
    with one thread; 1 runs them here, in this process. `scheduler`: the address of a Dask
    scheduler, to run them on its cluster instead. `kept`: a file of `records` that every result is
    added to as it comes, under this `command`; what it holds is not run again. `progress`: the name
    of a bar.

    An error in a run ends the sweep. ValueError for no settings, one that is there twice or does
    not fit the file, for jobs below 1, and for a cluster that is not there.
    """
    settings = [dict(setting) for setting in settings]
    if not settings:
        raise ValueError("there are no settings to run; give at least one, such as dict(seed=0)")
    for number, setting in enumerate(settings):
        if setting in settings[:number]:
            raise ValueError(f"the setting {setting} is there twice; give each once")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs is {jobs}; give 1 or more, or leave it out for one job a core")
    if kept is None:
        done, keep = {}, lambda setting, result, versions: result
    else:
        done, keep = _from_file(Path(kept), settings, command)
    missing = {number: setting for number, setting in enumerate(settings) if number not in done}
    arriving = (
        _on_this_machine(run, missing, jobs)
        if scheduler is None
        else _on_cluster(run, missing, jobs, scheduler)
    )
    return _in_order(settings, done, arriving, keep, progress)


def _in_order(
    settings: list[Setting],
    done: dict[int, Any],
    arriving: Iterator[tuple[int, Any, dict[str, str]]],
    keep: Callable[[Setting, Any, dict[str, str]], Any],
    progress: str | None,
) -> Iterator[Any]:
    """The results by number, as their turn comes. All that arrive before it are kept at once."""
    with tqdm(
        total=len(settings), initial=len(done), desc=progress, disable=progress is None
    ) as bar:
        for turn in range(len(settings)):
            while turn not in done:
                number, result, versions = next(arriving)
                done[number] = keep(settings[number], result, versions)
                bar.update()
            yield done.pop(turn)


def _from_file(
    path: Path, settings: list[Setting], command: str
) -> tuple[dict[int, Any], Callable]:
    """What a file holds of these settings, by their numbers, and what adds to it."""
    keys = [records.key(setting) for setting in settings]
    held = records.read(path) if path.exists() else []
    by_key = {records.key(record.setting): record for record in held}
    done = {
        number: by_key[key].result(path.parent) for number, key in enumerate(keys) if key in by_key
    }

    def keep(setting: Setting, result: Any, versions: dict[str, str]) -> Any:
        return records.append(path, setting, result, command, versions).result(path.parent)

    return done, keep


# ---- where the runs are


def _one(run: Callable, number: int, setting: Setting) -> tuple[int, Any, dict[str, str]]:
    """One run, with one thread wherever it is: its number, its result and the versions there. More
    threads would add in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return number, run(**setting), runs.versions()
    except Exception as error:
        error.add_note(f"in the run of {setting}")
        raise
    finally:
        torch.set_num_threads(threads)


def _on_this_machine(
    run: Callable, settings: Mapping[int, Setting], jobs: int | None
) -> Iterator[tuple[int, Any, dict[str, str]]]:
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        calls = (joblib.delayed(_one)(run, *numbered) for numbered in settings.items())
        yield from joblib.Parallel(
            n_jobs=jobs or -1, return_as="generator_unordered", batch_size=1
        )(calls)


def _on_cluster(
    run: Callable, settings: Mapping[int, Setting], jobs: int | None, scheduler: str
) -> Iterator[tuple[int, Any, dict[str, str]]]:
    """Through the client itself. joblib's Dask backend counts the cluster's cores once, so that a
    worker that joins later would find little to do, and leaves no say in how many run at a time."""
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ValueError(
            f"the cluster at {scheduler} needs the package `distributed` here and on its machines: "
            "make cluster"
        ) from error
    try:
        client = Client(scheduler, set_as_default=False)
    except OSError as error:
        raise ValueError(
            f"no scheduler answers at {scheduler} ({error}); start one with `dask scheduler`: it "
            "prints its address"
        ) from error
    with client:
        if not client.nthreads():
            warnings.warn(
                f"the scheduler at {scheduler} has no workers yet, and the sweep waits for the "
                f"first; start some with `dask worker {scheduler} --nthreads 1`",
                stacklevel=2,
            )
        ours = uuid4().hex  # another sweep on this cluster may have the same settings
        waiting = iter(settings.items())

        def submitted(count: int | None) -> list:
            return [
                client.submit(
                    *(_one, run, number, setting),
                    key=f"{setting} of sweep {ours}",
                    priority=-number,  # the first ones first
                )
                for number, setting in islice(waiting, count)
            ]

        futures = as_completed(submitted(jobs), loop=client.loop)
        for future in futures:
            futures.update(submitted(1))
            yield future.result()


def each_seed(count: int, **setting: Any) -> list[Setting]:
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
    """Write a sweep in place of what the folder held, records on the way to it included. `results`
    must be fit for JSON: round what has too many digits. ValueError for a value that is not
    finite."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.half() for name, tensor in (tensors or {}).items()}
    files = {"tensors": runs.write_tensors(folder, "tensors", halves)} if halves else {}
    record = dict(command=command, versions=runs.versions(), files=files, results=results)
    write_atomically(folder / "sweep.json", (json.dumps(record, allow_nan=False) + "\n").encode())
    (folder / records.NAME).unlink(missing_ok=True)  # before the weights that it names
    for stale in folder.glob("*.safetensors*"):
        if stale.name not in {file["name"] for file in files.values()}:
            stale.unlink()


def sweep_into(
    folder: Path,
    run: Callable[..., Any],
    settings: Iterable[Mapping[str, Any]],
    command: str,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: str | None = None,
    name: Callable[[dict[str, Any]], str] | None = None,
) -> None:
    """`sweep` and `save`, and the manifest where the folder lies in the data. The run returns a
    record; with `name`, a record and tensors, stored as name(record)/their own name. What is done
    is kept in the folder on the way; what the folder held stands until all is done."""
    made = list(sweep(run, settings, jobs, scheduler, folder / records.NAME, command, progress))
    tensors = {}
    if name is not None:
        for record, found in made:
            tensors |= {f"{name(record)}/{part}": tensor for part, tensor in found.items()}
        made = [record for record, _ in made]
    save(folder, command, made, tensors)
    runs.update_manifest(folder / "sweep.json")


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


# ---- the command


def scores(recipe: str, seed: int, steps: int, snapshots: int) -> list[dict[str, Any]]:
    """Train a recipe from a seed for so many steps: at each of about as many snapshots its step,
    the mean loss since the one before (nats) and what the recipe measures."""
    made = RECIPES[recipe].seeded(seed)
    made = replace(made, training=replace(made.training, steps=steps))
    return [
        dict(step=at.step, loss=at.loss, **at.scores)
        for at in train(made.trainer(), made.measure(), log_spaced(steps, snapshots))
    ]


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m helpers.training.sweeps",
        description="Train recipes from several seeds, and keep the scores of all their heads.",
    )
    parser.add_argument("recipe", nargs="*", help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--seeds", type=positive, default=3, help="of each recipe (default 3)")
    parser.add_argument("--steps", type=positive, help="default: each recipe's own")
    parser.add_argument(
        "--snapshots", type=positive, default=60, help="about how many (default 60)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help=f"folder for {records.NAME}; what it holds already is not trained again",
    )
    parser.add_argument(
        "--merge", type=Path, nargs="+", default=[], help="take over what these folders hold first"
    )
    where_to_run(parser)
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.recipe) - set(RECIPES)):
        parser.error(f"no recipe is called {', '.join(unknown)}; choose of {', '.join(RECIPES)}")
    if not given.recipe and not given.merge:
        parser.error(f"nothing to do: name recipes, of {', '.join(RECIPES)}, or folders to --merge")
    kept = given.out / records.NAME
    try:
        if given.merge:
            records.merge(kept, [folder / records.NAME for folder in given.merge])
        settings = [
            setting
            for recipe in dict.fromkeys(given.recipe)
            for setting in each_seed(
                given.seeds,
                recipe=recipe,
                steps=given.steps or RECIPES[recipe].training.steps,
                snapshots=given.snapshots,
            )
        ]
        command = as_typed("helpers.training.sweeps", arguments)
        if settings:
            for _ in sweep(
                scores, settings, given.jobs, given.scheduler, kept, command, progress="runs"
            ):
                pass
    except (ValueError, FileNotFoundError) as error:
        parser.error("; ".join([str(error), *getattr(error, "__notes__", [])]))
    print(Table.of(sorted(map(born, records.read(kept)), key=lambda row: [*row.values()][:3])))


def born(record: records.Record) -> dict[str, Any]:
    """A row on one training: how it ended and when its head was born, if it was."""
    last, step = record.found[-1], heads.birth(record.found)
    return {
        **{name: record.setting[name] for name in ("recipe", "seed", "steps")},
        "loss at the end": f"{last['loss']:.3f}",
        "best prefix matching": f"{max(map(max, last['prefix_matching'])):.2f}",
        "head born at step": "-" if step is None else step,
    }


if __name__ == "__main__":
    # by its full name, so that other processes find what they are to run
    from helpers.training.sweeps import main

    main()
