"""A sweep gives what its runs give, in order, wherever they ran; on disk it is whole or refused."""

import importlib
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from concurrent.futures import CancelledError, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import joblib
import pytest
import torch

from helpers.model import AttentionOnlyTransformer
from helpers.training import records, runs, sweeps
from helpers.training.recipes import RECIPES
from tests.patience import PATIENCE, until

ROOT = Path(__file__).parent.parent

# ---- what is run, here and in other processes


def power(base: int, seed: int) -> int:
    return base**seed


def surroundings(seed: int) -> tuple[int, int]:
    return os.getpid(), torch.get_num_threads()


def unlucky(seed: int) -> int:
    if seed == 2:
        raise ArithmeticError(f"seed {seed} has no luck")
    return seed


def product(base: int, seed: int) -> int:
    return base * seed


def started(folder: str, seed: int) -> dict[str, int]:
    """Says in the folder that it ran, and in which process."""
    Path(folder, f"{seed}-{os.getpid()}-{uuid.uuid4().int}").touch()
    return dict(square=seed**2)


def starts_of(folder: Path) -> dict[int, int]:
    """How often each seed was started."""
    return dict(Counter(sorted(int(path.name.split("-")[0]) for path in folder.glob("*-*-*"))))


def held_back(folder: str, seed: int, free: int = 0) -> dict[str, int]:
    """Waits to be let go, but for the first seeds."""
    found = started(folder, seed)
    until(lambda: seed < free or Path(folder, "go").exists())
    return found


def first_waits(path: str, seed: int) -> int:
    if seed == 0:
        until(lambda: Path(path).exists() and Path(path).read_bytes().endswith(b"\n"))
    return seed


def deadly(seed: int) -> int:
    if seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return seed


def weighty(seed: int) -> tuple[dict, dict[str, torch.Tensor]]:
    return dict(seed=seed, pair=(seed, 0.1 + 0.2)), {"W": torch.full((2, 3), 1 / 3) + seed}


def trained(seed: int) -> list[dict]:
    return sweeps.scores("chain", seed, steps=3, snapshots=2)


def trained_two(folder: str, seed: int) -> list[dict]:
    """Two seeds, and the others once they are let go."""
    held_back(folder, seed, free=2)
    return trained(seed)


# ---- in order


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_settings(jobs):
    settings = [*sweeps.each_seed(4, base=3), dict(base=10, seed=2)]
    assert list(sweeps.sweep(power, settings, jobs)) == [1, 3, 9, 27, 100]


def test_one_job_runs_here_and_more_run_elsewhere_with_one_thread_each():
    torch.set_num_threads(2)
    here = list(sweeps.sweep(surroundings, sweeps.each_seed(2), jobs=1))
    assert here == [(os.getpid(), 1)] * 2 and torch.get_num_threads() == 2
    for pid, threads in sweeps.sweep(surroundings, sweeps.each_seed(2), jobs=2):
        assert pid != os.getpid() and threads == 1


def test_by_default_there_is_a_job_a_core(monkeypatch):
    asked = {}
    monkeypatch.setattr(
        joblib,
        "Parallel",
        lambda **options: asked.update(options) or (lambda calls: ((0, 1, {}),).__iter__()),
    )
    assert list(sweeps.sweep(power, sweeps.each_seed(1, base=2))) == [1]
    assert asked["n_jobs"] == -1


def test_results_come_as_soon_as_they_are_there():
    done = []

    def noted(seed):
        done.append(seed)
        return seed

    assert next(sweeps.sweep(noted, sweeps.each_seed(3), jobs=1)) == 0
    assert done == [0]


def test_an_error_in_a_run_ends_the_sweep_and_says_in_which():
    for jobs in (1, 2):
        with pytest.raises(ArithmeticError, match="seed 2 has no luck") as caught:
            list(sweeps.sweep(unlucky, sweeps.each_seed(4), jobs))
        assert caught.value.__notes__ == ["in the run of {'seed': 2}"]


def test_settings_without_sense_are_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match="no settings to run"):
        sweeps.sweep(power, [])
    with pytest.raises(ValueError, match="jobs is 0"):
        sweeps.sweep(power, sweeps.each_seed(1, base=2), jobs=0)
    with pytest.raises(ValueError, match=r"the setting \{'seed': 1\} is there twice"):
        sweeps.sweep(unlucky, [dict(seed=1), dict(seed=0), dict(seed=1)])
    with pytest.raises(ValueError, match="the setting .* does not fit JSON .*Path.*serializable"):
        sweeps.sweep(power, [dict(seed=tmp_path)], kept=tmp_path / "kept.jsonl")


def test_a_bar_counts_what_is_done_from_what_was_there(tmp_path, capsys):
    kept = tmp_path / "kept.jsonl"
    list(sweeps.sweep(unlucky, sweeps.each_seed(1), 1, kept=kept))
    assert capsys.readouterr().err == ""
    list(sweeps.sweep(unlucky, sweeps.each_seed(2), 1, kept=kept, progress="seeds"))
    bar = capsys.readouterr().err
    assert "seeds:  50%" in bar and "2/2" in bar


# ---- kept as it comes


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_kept_is_not_run_again(jobs, tmp_path):
    kept, starts = tmp_path / "kept.jsonl", tmp_path / "starts"
    starts.mkdir()
    settings = sweeps.each_seed(4, folder=str(starts))
    sweep = sweeps.sweep(started, settings[1:3], jobs, kept=kept, command="the command")
    assert list(sweep) == [dict(square=1), dict(square=4)]
    again = sweeps.sweep(started, settings, jobs, kept=kept, command="another")
    assert list(again) == [dict(square=seed**2) for seed in range(4)]
    assert starts_of(starts) == {0: 1, 1: 1, 2: 1, 3: 1}
    held = records.read(kept)
    assert sorted(record.setting["seed"] for record in held) == [0, 1, 2, 3]
    assert [record.command for record in held] == ["the command"] * 2 + ["another"] * 2
    assert all(record.versions == runs.versions() for record in held)


def test_what_ended_before_an_error_is_kept(tmp_path):
    with pytest.raises(ArithmeticError):
        list(sweeps.sweep(unlucky, sweeps.each_seed(4), 1, kept=tmp_path / "kept.jsonl"))
    assert [record.found for record in records.read(tmp_path / "kept.jsonl")] == [0, 1]


def test_what_comes_before_its_turn_is_kept_at_once(tmp_path):
    """Seed 1 waits for nothing and seed 0 until seed 1 stands in the file."""
    kept = tmp_path / "kept.jsonl"
    settings = [dict(path=str(kept), seed=seed) for seed in range(2)]
    assert list(sweeps.sweep(first_waits, settings, 2, kept=kept)) == [0, 1]


def test_a_result_is_the_same_when_it_is_new_and_when_it_was_kept(tmp_path):
    settings = sweeps.each_seed(2)
    for _ in range(2):
        first, second = sweeps.sweep(weighty, settings, 1, kept=tmp_path / "kept.jsonl")
        assert first[0] == dict(seed=0, pair=[0, 0.1 + 0.2])
        assert torch.equal(second[1]["W"], torch.full((2, 3), 1 / 3) + 1)


def test_a_sweep_killed_as_a_whole_goes_on_and_ends_with_the_same(tmp_path):
    kept, settings = tmp_path / "kept.jsonl", sweeps.each_seed(5, folder=str(tmp_path))
    program = "import sys; from helpers.training import sweeps; from tests import test_sweeps;"
    program += "settings = sweeps.each_seed(5, folder=sys.argv[1]);"
    program += "sweep = sweeps.sweep(test_sweeps.trained_two, settings, 2, kept=sys.argv[2]);"
    program += "next(sweep); next(sweep); print('two', flush=True); next(sweep)"
    killed = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), str(kept)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert killed.stdout.readline() == b"two\n"
    until(lambda: len(starts_of(tmp_path)) == 4)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = records.read(kept)
    assert [record.setting["seed"] for record in before] in ([0, 1], [1, 0])
    (tmp_path / "go").touch()
    assert list(sweeps.sweep(trained_two, settings, 2, kept=kept)) == [
        trained(seed) for seed in range(5)
    ]
    assert starts_of(tmp_path) == {0: 1, 1: 1, 2: 2, 3: 2, 4: 1}
    after = records.read(kept)
    assert after[:2] == before and len(after) == 5 == len(kept.read_bytes().splitlines())


# ---- on a cluster


def test_a_cluster_without_the_package_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        ValueError, match=r"the cluster at tcp://here:8786 needs the package `distributed`"
    ):
        list(sweeps.sweep(power, sweeps.each_seed(2, base=2), scheduler="tcp://here:8786"))


@pytest.fixture(scope="module")
def dask():
    """A cluster of two worker processes of one thread each, and a client that watches it."""
    if not find_spec("distributed") and os.environ.get("CI"):
        pytest.fail("no distributed found, and in CI its tests must run: `make cluster` is first")
    if not find_spec("distributed"):
        pytest.skip("no distributed found: `make cluster` installs it")
    import dask
    import distributed

    with (
        dask.config.set({"distributed.comm.timeouts.connect": PATIENCE}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def cluster(dask):
    """The same, whole again after a worker was killed."""
    dask.wait_for_workers(2, timeout=PATIENCE)
    return dask


def address(client) -> str:
    return client.scheduler.address


@pytest.fixture
def in_background():
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


def test_records_are_the_same_here_and_on_a_cluster(cluster, tmp_path):
    settings = sweeps.each_seed(3)
    here = list(sweeps.sweep(trained, settings, 1, kept=tmp_path / "here.jsonl"))
    there = sweeps.sweep(trained, settings, None, address(cluster), kept=tmp_path / "there.jsonl")
    assert list(there) == here
    by_seed = [
        sorted(records.read(tmp_path / name), key=lambda record: record.setting["seed"])
        for name in ("here.jsonl", "there.jsonl")
    ]
    assert by_seed[0] == by_seed[1]


def test_a_cluster_runs_elsewhere_with_one_thread_each(cluster):
    for pid, threads in sweeps.sweep(surroundings, sweeps.each_seed(4), None, address(cluster)):
        assert pid != os.getpid() and threads == 1


def test_a_cluster_runs_no_more_at_a_time_than_are_asked_for(cluster, tmp_path, in_background):
    settings = sweeps.each_seed(4, folder=str(tmp_path))
    sweep = in_background(lambda: list(sweeps.sweep(held_back, settings, 1, address(cluster))))
    until(lambda: starts_of(tmp_path))
    assert cluster.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 1
    (tmp_path / "go").touch()
    assert sweep.result() == [dict(square=seed**2) for seed in range(4)]


def test_two_sweeps_of_the_same_settings_stay_apart(cluster):
    settings = sweeps.each_seed(3, base=3)
    first = sweeps.sweep(power, settings, scheduler=address(cluster))
    assert next(first) == 1
    second = sweeps.sweep(product, settings, scheduler=address(cluster))
    assert list(second) == [0, 3, 6]  # while the first one's are still there
    assert list(first) == [3, 9]


def test_an_error_on_a_cluster_says_in_which_run(cluster):
    with pytest.raises(ArithmeticError, match="seed 2 has no luck") as caught:
        list(sweeps.sweep(unlucky, sweeps.each_seed(4), scheduler=address(cluster)))
    assert caught.value.__notes__ == ["in the run of {'seed': 2}"]


def test_the_settings_of_a_killed_worker_are_all_there_once(cluster, tmp_path, in_background):
    kept, starts = tmp_path / "kept.jsonl", tmp_path / "starts"
    starts.mkdir()
    settings = sweeps.each_seed(6, folder=str(starts))
    sweep = in_background(
        lambda: list(sweeps.sweep(held_back, settings, scheduler=address(cluster), kept=kept))
    )
    until(lambda: len(starts_of(starts)) == 2)
    killed, pid, _ = map(int, next(starts.iterdir()).name.split("-"))
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid not in cluster.run(os.getpid, on_error="ignore").values())
    (starts / "go").touch()
    assert sweep.result() == [dict(square=seed**2) for seed in range(6)]
    assert starts_of(starts) == {seed: 1 + (seed == killed) for seed in range(6)}
    assert len(kept.read_bytes().splitlines()) == 6 == len(records.read(kept))


def test_a_result_that_dies_with_its_worker_is_made_again(cluster, tmp_path):
    """Killed after its runs ended, and before the sweep had taken what they found."""
    settings = sweeps.each_seed(6, folder=str(tmp_path), free=1)
    sweep = sweeps.sweep(held_back, settings, scheduler=address(cluster), kept=tmp_path / "kept")
    assert next(sweep) == dict(square=0)
    (tmp_path / "go").touch()
    until(lambda: len(starts_of(tmp_path)) == 6 and not any(cluster.processing().values()))
    pid = int(next(tmp_path.glob("5-*")).name.split("-")[1])
    os.kill(pid, signal.SIGKILL)
    assert list(sweep) == [dict(square=seed**2) for seed in range(1, 6)]
    assert starts_of(tmp_path)[5] == 2
    assert len((tmp_path / "kept").read_bytes().splitlines()) == 6


def test_a_setting_that_kills_its_workers_is_named(cluster):
    """The scheduler gives up at the fourth worker; here at the first."""
    cluster.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    try:
        with pytest.raises(Exception, match=r"\{'seed': 1\} of sweep .* workers died"):
            list(sweeps.sweep(deadly, sweeps.each_seed(2), scheduler=address(cluster)))
    finally:
        cluster.run_on_scheduler(
            lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 3)
        )


def test_a_scheduler_that_goes_ends_the_sweep(dask, in_background):
    """And until a worker comes it is said what is waited for."""
    with importlib.import_module("distributed").LocalCluster(
        n_workers=0, processes=False, dashboard_address=":0"
    ) as lonely:
        sweep = sweeps.sweep(power, sweeps.each_seed(2, base=2), None, lonely.scheduler_address)
        with pytest.warns(UserWarning, match="has no workers yet.*dask worker .*--nthreads 1"):
            ended = in_background(lambda: list(sweep))
            until(lambda: len(lonely.scheduler.tasks) == 2)
    with pytest.raises(CancelledError, match="lost the connection to the scheduler"):
        ended.result()


def test_no_scheduler_is_explained(dask):
    with importlib.import_module("dask").config.set({"distributed.comm.timeouts.connect": 0.1}):
        with pytest.raises(ValueError, match=r"no scheduler answers at tcp://127.0.0.1:9 .*start"):
            list(sweeps.sweep(power, [dict(base=2, seed=1)], scheduler="tcp://127.0.0.1:9"))


# ---- the command


def test_the_command_trains_keeps_and_goes_on(tmp_path, capsys):
    words = ["one_layer", "--steps", "2", "--snapshots", "2", "--jobs", "1", "--out", str(tmp_path)]
    sweeps.main([*words, "--seeds", "1"])
    before = records.read(tmp_path / "records.jsonl")
    sweeps.main([*words, "--seeds", "2"])
    first, second = records.read(tmp_path / "records.jsonl")
    assert [first] == before and [entry["step"] for entry in first.found] == [0, 1, 2]
    assert second.setting == dict(recipe="one_layer", seed=1, steps=2, snapshots=2)
    recipe = RECIPES["one_layer"].seeded(1)
    untrained = recipe.measure()(AttentionOnlyTransformer(recipe.model))
    assert second.found[0] == dict(step=0, loss=None, **untrained)
    assert second.command == f"python -m helpers.training.sweeps {' '.join(words)} --seeds 2"
    _, *rows = capsys.readouterr().out.splitlines()[-3:]
    assert [row.split()[:3] for row in rows] == [["one_layer", "0", "2"], ["one_layer", "1", "2"]]


def test_the_command_takes_over_what_another_machine_did(tmp_path, capsys):
    words = ["--steps", "1", "--jobs", "1", "--seeds", "1"]
    sweeps.main(["one_layer", *words, "--out", str(tmp_path / "a")])
    sweeps.main(["chain", *words, "--out", str(tmp_path / "b")])
    sweeps.main(["--merge", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c")])
    held = records.read(tmp_path / "c" / "records.jsonl")
    assert [record.setting["recipe"] for record in held] == ["one_layer", "chain"]


def test_a_row_tells_the_end_of_a_training_and_the_birth_before_it():
    looks = [(0, 4.0, 0.1), (5, 2.0, 0.6), (9, 1.0, 0.8)]
    found = [dict(step=at, loss=loss, prefix_matching=[[best]]) for at, loss, best in looks]
    setting = dict(recipe="two_layers", seed=3, steps=9)
    row = sweeps.born(records.Record(setting, "", {}, None, found))
    told = {"loss at the end": "1.000", "best prefix matching": "0.80", "head born at step": 5}
    assert row == setting | told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["one_layers"], "no recipe is called one_layers; choose of two_layers"),
        ([], "nothing to do: name recipes"),
        (["--merge", "nowhere"], "nowhere"),
        (["--merge", "."], "no record in records.jsonl; merge a file that holds one"),
    ],
)
def test_a_command_without_sense_writes_nothing(words, message, tmp_path, capsys, monkeypatch):
    (tmp_path / "records.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        sweeps.main([*words, "--out", str(tmp_path / "out")])
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


# ---- on disk

RESULTS = [dict(seed=0, loss=1.5), dict(seed=3, loss=2.5)]


def test_a_sweep_comes_back_as_it_was(tmp_path):
    sweeps.save(tmp_path / "a", "the command", RESULTS, {"0/W": torch.randn(3, 2)})
    sweeps.save(tmp_path / "b", "another", RESULTS)
    back = sweeps.load(tmp_path / "a")
    assert (back.command, back.results, back.versions) == ("the command", RESULTS, runs.versions())
    assert back.tensors["0/W"].dtype == torch.float16 and back.tensors["0/W"].shape == (3, 2)
    assert sweeps.load(tmp_path / "b").tensors == {}


def test_new_tensors_replace_the_old_file(tmp_path):
    for value in (1.0, 2.0):
        sweeps.save(tmp_path, "again", RESULTS, {"W": torch.tensor([value])})
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    assert sweeps.load(tmp_path).tensors["W"].item() == 2


def test_what_is_no_number_is_not_written(tmp_path):
    with pytest.raises(ValueError):
        sweeps.save(tmp_path, "nan", [dict(seed=0, loss=float("nan"))])
    assert not (tmp_path / "sweep.json").exists()


def test_a_damaged_sweep_is_refused(tmp_path):
    sweeps.save(tmp_path, "command", RESULTS, {"W": torch.ones(2)})
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(runs.DamagedRun, match="missing, cut or edited"):
        sweeps.load(tmp_path)
    for content in ("{", "[]", '{"files": {}}'):
        (tmp_path / "sweep.json").write_text(content)
        with pytest.raises(runs.DamagedRun, match="sweep.json of .* is cut or edited"):
            sweeps.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="no sweep.json"):
        sweeps.load(tmp_path / "nowhere")


def test_the_manifest_names_a_sweep_with_its_seeds_and_files(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    sweeps.save(tmp_path / "sweeps" / "births", "the command", RESULTS, {"W": torch.ones(2)})
    entry = runs.manifest(tmp_path)["sweeps/births"]
    assert (entry["command"], entry["seeds"]) == ("the command", [0, 3])
    assert set(entry["sha256"]) == {
        path.name for path in (tmp_path / "sweeps" / "births").iterdir()
    }
