"""A sweep gives what its runs give, in order, wherever they ran; on disk it is whole or refused."""

import os
import sys

import joblib
import pytest
import torch

from helpers.training import runs, sweeps


def power(base: int, seed: int) -> int:
    return base**seed


def surroundings(seed: int) -> tuple[int, int]:
    return os.getpid(), torch.get_num_threads()


def unlucky(seed: int) -> int:
    if seed == 2:
        raise ArithmeticError(f"seed {seed} has no luck")
    return seed


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_settings(jobs):
    settings = [*sweeps.each_seed(4, base=3), dict(base=10, seed=2)]
    assert list(sweeps.sweep(power, settings, jobs)) == [1, 3, 9, 27, 100]


def test_one_job_runs_here_and_more_run_elsewhere_with_one_thread_each():
    assert [pid for pid, _ in sweeps.sweep(surroundings, sweeps.each_seed(2), jobs=1)] == [
        os.getpid()
    ] * 2
    for pid, threads in sweeps.sweep(surroundings, sweeps.each_seed(2), jobs=2):
        assert pid != os.getpid() and threads == 1


def test_by_default_there_is_a_job_a_core(monkeypatch):
    asked = {}
    monkeypatch.setattr(
        joblib, "Parallel", lambda **options: asked.update(options) or (lambda calls: iter(()))
    )
    list(sweeps.sweep(power, sweeps.each_seed(2, base=2)))
    assert asked == dict(n_jobs=-1, return_as="generator")


def test_results_come_as_soon_as_they_are_there():
    done = []

    def noted(seed):
        done.append(seed)
        return seed

    assert next(sweeps.sweep(noted, sweeps.each_seed(3), jobs=1)) == 0
    assert done == [0]


def test_an_error_in_a_run_ends_the_sweep():
    with pytest.raises(ArithmeticError, match="seed 2 has no luck"):
        list(sweeps.sweep(unlucky, sweeps.each_seed(4), jobs=1))


def test_settings_without_sense_are_refused_at_once():
    with pytest.raises(ValueError, match="no settings to run"):
        sweeps.sweep(power, [])
    with pytest.raises(ValueError, match="jobs is 0"):
        sweeps.sweep(power, sweeps.each_seed(1, base=2), jobs=0)


def test_a_cluster_without_the_package_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        ValueError, match=r"the cluster at tcp://here:8786 needs the package `distributed`"
    ):
        list(sweeps.sweep(power, sweeps.each_seed(2, base=2), scheduler="tcp://here:8786"))


def test_a_cluster_is_asked_for_by_its_address(monkeypatch):
    asked = []

    class Recorded(joblib.parallel.SequentialBackend):
        def __init__(self, scheduler_host=None, **options):
            asked.append(scheduler_host)
            super().__init__(**options)

    monkeypatch.setitem(joblib.parallel.BACKENDS, "dask", Recorded)
    assert list(sweeps.sweep(power, sweeps.each_seed(3, base=2), scheduler="tcp://here:8786")) == [
        1,
        2,
        4,
    ]
    assert asked == ["tcp://here:8786"]


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
