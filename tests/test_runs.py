"""A run on disk is whole or refused: written in one move, checked when read, and resumed to the
same weights."""

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.files import write_atomically
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import recipes, runs, sweeps
from helpers.training.loop import Trainer, TrainingConfig, log_spaced
from helpers.training.recipes import Recipe, run_recipe
from helpers.training.runs import DamagedRun, Run
from tests.course import ROOT

SHAPE = ModelConfig(n_layers=1, n_heads=2, d_model=12, d_head=4, n_ctx=24, d_vocab=16)
STEPS = 12
RECIPE = Recipe(
    ModelConfig(n_layers=2, n_heads=2, d_model=16, d_head=8, n_ctx=24, d_vocab=24),
    dict(name="repeated_block", options=dict(n_ctx=24, d_vocab=24)),
    TrainingConfig(steps=STEPS, batch=4),
)


def weights(seed: int, model: ModelConfig = SHAPE) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    names = AttentionOnlyTransformer(model).named_parameters()
    return {name: torch.randn(weight.shape, generator=generator) / 3 for name, weight in names}


def some_run(seed: int = 0) -> Run:
    """Three snapshots of random weights."""
    return Run(
        SHAPE,
        dict(name="repeated_block", options=dict(n_ctx=24, d_vocab=16)),
        dict(steps=9, lr=0.01),
        command="python -m helpers.training",
        probe_ids=[3, 5, 8, 13],
        losses=[2.5 - seed, 1 / 3],
        history=[
            dict(step=step, loss=1 / (step + 1), prefix_matching=[[0.1, 0.2]]) for step in (0, 5, 9)
        ],
        weights={step: weights(10 * seed + step) for step in (0, 5, 9)},
    )


def some_checkpoint(seed: int = 0) -> dict[str, Tensor]:
    return {
        "generator": torch.Generator().manual_seed(seed).get_state(),
        "model.W": torch.randn(3, 4),
    }


def same(some: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    """Equal bit by bit."""
    return some.keys() == others.keys() and all(
        torch.equal(some[name], others[name]) for name in some
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def file_of(folder: Path, kind: str) -> Path:
    (path,) = folder.glob(f"{kind}-*.safetensors")
    return path


@pytest.fixture
def saved(tmp_path) -> Path:
    """The folder of a run that was saved with a checkpoint."""
    runs.save(some_run(), tmp_path / "mine", some_checkpoint())
    return tmp_path / "mine"


# ---- there and back


def test_a_run_comes_back_as_it_was(saved):
    run, loaded = some_run(), runs.load(saved)
    for name in ("model", "task", "training", "command", "versions", "probe_ids", "history"):
        assert getattr(loaded, name) == getattr(run, name)
    assert loaded.losses == pytest.approx(run.losses, abs=1e-5)
    assert loaded.steps == run.steps == [0, 5, 9]
    assert same(loaded.weights[9], run.weights[9])
    for step in (0, 5):
        assert {tensor.dtype for tensor in loaded.weights[step].values()} == {torch.float16}
        for name, weight in run.weights[step].items():
            assert torch.allclose(loaded.weights[step][name].float(), weight, rtol=1e-3, atol=1e-6)
    assert list(loaded.weights) == [0, 5, 9] and list(loaded.weights[9]) == sorted(run.weights[9])


def test_a_run_that_was_loaded_and_saved_again_is_the_same_file_by_file(saved, tmp_path):
    runs.save(runs.load(saved), tmp_path / "copy", runs.load_checkpoint(saved))
    assert files(tmp_path / "copy") == files(saved)


def test_a_checkpoint_comes_back_bit_by_bit(saved, tmp_path):
    odd = dict(a=torch.randn(5, 3).T, b=torch.tensor(7.0), c=torch.arange(4, dtype=torch.uint8))
    odd["d"] = torch.rand(2, dtype=torch.float64)
    runs.save(some_run(), tmp_path / "odd", odd)
    loaded = runs.load_checkpoint(tmp_path / "odd")
    assert same(loaded, odd) and all(loaded[name].dtype == odd[name].dtype for name in odd)


def test_the_model_of_a_run_stands_as_it_stood(saved):
    loaded, tokens = runs.load(saved), torch.randint(16, (2, 24))
    for step, tolerance in ((9, 0.0), (0, 0.02)):
        model = AttentionOnlyTransformer(SHAPE)
        model.load_state_dict(some_run().weights[step])
        assert torch.allclose(loaded.model_at(step)(tokens), model(tokens), atol=tolerance, rtol=0)
        assert not torch.allclose(loaded.model_at(5)(tokens), model(tokens), atol=0.1, rtol=0)
    assert torch.equal(loaded.model_at()(tokens), loaded.model_at(9)(tokens))
    with pytest.raises(ValueError, match=r"no weights at step 3; this run has them at \[0, 5, 9\]"):
        loaded.model_at(3)


def test_the_record_says_what_made_the_run(saved):
    record = json.loads((saved / "run.json").read_text(encoding="utf-8"))
    assert record["model"]["d_model"] == 12 and record["command"] == "python -m helpers.training"
    assert record["versions"]["torch"] == torch.__version__ and record["versions"][
        "python"
    ].startswith("3.")
    for kind, file in record["files"].items():
        content = file_of(saved, kind).read_bytes()
        assert file == {
            "name": file_of(saved, kind).name,
            "sha256": hashlib.sha256(content).hexdigest(),
        }


# ---- whole or not at all


def fail_at(monkeypatch, owner, name: str, call: int, before=lambda *arguments: None) -> None:
    """The process 'dies' at the given call of a function: it does what `before` does and raises."""
    original, calls = getattr(owner, name), []

    def dying(*arguments, **keywords):
        calls.append(name)
        if len(calls) == call:
            before(*arguments)
            raise KeyboardInterrupt
        return original(*arguments, **keywords)

    monkeypatch.setattr(owner, name, dying)


def write_half(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("owner", ["os.replace", "Path.write_bytes"])
def test_a_save_that_is_cut_short_leaves_the_run_before_whole(saved, monkeypatch, owner, call):
    checkpoint = runs.load_checkpoint(saved)
    with monkeypatch.context() as patch:
        if owner == "os.replace":
            fail_at(patch, os, "replace", call)
        else:
            fail_at(patch, Path, "write_bytes", call, write_half)
        with pytest.raises(KeyboardInterrupt):
            runs.save(some_run(seed=1), saved, some_checkpoint(seed=1))
    loaded = runs.load(saved)
    assert loaded.losses[0] == 2.5 and same(loaded.weights[9], some_run().weights[9])
    assert same(runs.load_checkpoint(saved), checkpoint)
    runs.save(some_run(seed=1), saved, some_checkpoint(seed=1))
    assert runs.load(saved).losses[0] == 1.5 and len(files(saved)) == 3


def test_a_killed_process_cannot_clean_up_and_the_next_save_does(saved, monkeypatch):
    """A kill leaves the half-written file: nothing after it runs."""
    with monkeypatch.context() as patch:
        fail_at(patch, Path, "write_bytes", 1, write_half)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            runs.save(some_run(seed=1), saved)
    assert len(files(saved)) == 4 and runs.load(saved).losses[0] == 2.5
    runs.save(some_run(seed=2), saved)
    assert set(files(saved)) == {"run.json", file_of(saved, "snapshots").name}


def test_what_the_record_names_is_removed_only_after_another_record_stands(saved, monkeypatch):
    removed, unlink = [], Path.unlink

    def watched(path, missing_ok=False):
        if path.suffix == ".safetensors" and path.exists():
            removed.append(path.name)
            assert path.name not in (saved / "run.json").read_text(encoding="utf-8")
        unlink(path, missing_ok=missing_ok)

    old = {file_of(saved, kind).name for kind in ("snapshots", "checkpoint")}
    monkeypatch.setattr(Path, "unlink", watched)
    runs.save(some_run(seed=1), saved)
    assert set(removed) == old
    assert set(files(saved)) == {"run.json", file_of(saved, "snapshots").name}


def test_a_file_is_replaced_whole_or_stays(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, b"first")
    with monkeypatch.context() as patch:
        fail_at(patch, Path, "write_bytes", 1, write_half)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, b"second")
    assert files(tmp_path) == {"a.json": b"first"}
    write_atomically(path, b"second")
    assert files(tmp_path) == {"a.json": b"second"}


# ---- what lies in the data folder


def test_the_manifest_names_every_file_with_its_sha256_and_what_made_it(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    folder = tmp_path / "runs" / "mine"
    runs.save(replace(some_run(), training=dict(seed=7)), folder, some_checkpoint())
    (tmp_path / "runs" / "unfinished").mkdir()
    runs.write_manifest(tmp_path)
    made = json.loads((tmp_path / "MANIFEST.json").read_text(encoding="utf-8"))
    assert made == runs.manifest(tmp_path) and set(made) == {"tokenizer.json", "runs/mine"}
    assert made["tokenizer.json"]["sha256"] == hashlib.sha256(b"{}").hexdigest()
    entry = made["runs/mine"]
    assert entry["sha256"] == {
        name: hashlib.sha256(content).hexdigest() for name, content in files(folder).items()
    }
    assert (entry["command"], entry["seed"]) == ("python -m helpers.training", 7)
    assert entry["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize("written", ["births.npz", "sweeps/mine/sweep.json"])
def test_what_is_written_into_the_data_folder_is_in_its_manifest(tmp_path, monkeypatch, written):
    data = tmp_path / "data"
    path = data / written
    path.parent.mkdir(parents=True)
    (data / "tokenizer.json").write_bytes(b"{}")
    monkeypatch.setattr(runs, "DATA", data)
    monkeypatch.chdir(tmp_path)
    runs.update_manifest(Path("elsewhere", written))
    assert not (data / "MANIFEST.json").exists()
    for number in (0, 1):  # a second time too
        if path.suffix == ".npz":
            np.savez(path, about=json.dumps(dict(command=f"again {number}")))
        else:
            sweeps.save(path.parent, f"again {number}", [dict(seed=number)])
        runs.update_manifest(Path("data", written))  # as one types it
        made = json.loads((data / "MANIFEST.json").read_text(encoding="utf-8"))
        name = written.removesuffix("/sweep.json")
        assert made == runs.manifest(data) and made[name]["command"] == f"again {number}"


@pytest.mark.parametrize(("place", "written"), [("data/runs", 1), ("elsewhere", 0)])
def test_the_command_writes_the_manifest_of_the_courses_own_runs_only(
    tmp_path, monkeypatch, place, written
):
    calls = []
    monkeypatch.setattr(runs, "DATA", tmp_path / "data")
    monkeypatch.setattr(runs, "write_manifest", lambda *_: calls.append(1))
    recipes.main(
        ["one_layer", "--steps", "1", "--snapshots", "1", "--out", str(tmp_path / place / "mine")]
    )
    assert len(calls) == written


# ---- damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [cut, flip_a_bit, remove])
@pytest.mark.parametrize(
    ("kind", "read"), [("snapshots", runs.load), ("checkpoint", runs.load_checkpoint)]
)
def test_a_file_that_is_cut_edited_or_missing_is_refused(saved, damage, kind, read):
    path = file_of(saved, kind)
    read(saved)
    damage(path)
    told = (
        f"{path.name} of mine has sha256 .* expects .*: the file is missing, cut or edited; "
        "restore it, or train"
    )
    with pytest.raises(DamagedRun, match=told):
        read(saved)


def edit(folder: Path, change) -> None:
    """Change what run.json holds."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    change(record)
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")


KEYS = [
    "model",
    "task",
    "training",
    "command",
    "versions",
    "probe_ids",
    "files",
    "losses",
    "history",
]
EDITS = {f"without {key}": lambda record, key=key: record.pop(key) for key in KEYS}
EDITS |= {
    "no snapshots": lambda record: record["files"].pop("snapshots"),
    "no name": lambda record: record["files"]["snapshots"].pop("name"),
    "no sha256": lambda record: record["files"]["snapshots"].pop("sha256"),
    "unknown field of the model": lambda record: record["model"].update(n_mlps=2),
    "impossible model": lambda record: record["model"].update(d_model=0),
    "model of words": lambda record: record["model"].update(n_heads="two"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_record_that_was_edited_is_refused(saved, name, shapes_unchecked):
    edit(saved, EDITS[name])
    with pytest.raises(
        DamagedRun, match="run.json of mine is cut or edited .*restore it, or train the run again"
    ):
        runs.load(saved)


@pytest.mark.parametrize("content", [b"", b'{"model": {"n_la', b"[]", b"null", b"\xff\xfe{}", b"3"])
def test_a_record_that_is_no_record_is_refused(saved, content):
    (saved / "run.json").write_bytes(content)
    for read in (runs.load, runs.load_checkpoint):
        with pytest.raises(DamagedRun, match="run.json of mine is cut or edited"):
            read(saved)


def test_a_sha256_that_was_edited_is_refused(saved):
    edit(saved, lambda record: record["files"]["snapshots"].update(sha256="0" * 64))
    with pytest.raises(DamagedRun, match="expects 000000000000..."):
        runs.load(saved)


@pytest.mark.parametrize("other", [dict(d_vocab=17), dict(n_layers=2), dict(normalization="RMS")])
def test_weights_of_another_shape_are_refused(saved, other):
    edit(saved, lambda record: record["model"].update(other))
    with pytest.raises(
        DamagedRun,
        match="mine at step 0 holds .*W_E.*; its config makes .*W_E.*; train the run again",
    ):
        runs.load(saved)


def test_a_snapshot_that_lacks_a_weight_is_refused(tmp_path):
    run = some_run()
    del run.weights[5]["W_Q"]
    runs.save(run, tmp_path)
    with pytest.raises(DamagedRun, match="at step 5 holds"):
        runs.load(tmp_path)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="no run.json in .*empty.*; give the folder of a run"
    ):
        runs.load(tmp_path / "empty")


def test_a_run_saved_without_a_checkpoint_has_nothing_to_go_on_from(tmp_path):
    runs.save(some_run(), tmp_path / "done")
    with pytest.raises(ValueError, match="done has no checkpoint to go on from"):
        runs.load_checkpoint(tmp_path / "done")


# ---- nothing is unpickled


class Payload:
    """What it would do when unpickled: write a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("write", [pickle.dumps, None])
def test_a_pickle_is_refused_and_not_run(saved, tmp_path, write):
    """Even one whose sha256 stands in run.json."""
    mark, path = tmp_path / "unpickled", file_of(saved, "snapshots")
    if write:
        path.write_bytes(write(Payload(mark)))
    else:
        torch.save({"0000000/W_E": Payload(mark)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit(saved, lambda record: record["files"]["snapshots"].update(sha256=digest))
    with pytest.raises(
        DamagedRun, match=f"{path.name} of mine holds no tensors .*; train the run again"
    ):
        runs.load(saved)
    assert not mark.exists()


def test_reading_a_run_does_not_touch_pickle(saved, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("unpickled")

    for owner, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
    ):
        monkeypatch.setattr(owner, name, forbidden)
    assert runs.load(saved).steps == [0, 5, 9] and runs.load_checkpoint(saved)


# ---- resumed


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    """The folder of RECIPE trained in one go."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run_recipe(RECIPE, folder, snapshots=5)
    return folder


SCHEDULE = log_spaced(STEPS, 5)


@pytest.mark.parametrize("kept", range(1, len(SCHEDULE)))
def test_a_run_stopped_at_any_snapshot_ends_as_if_it_had_not(
    tmp_path, monkeypatch, uninterrupted, kept
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        fail_at(patch, runs, "save", kept + 1)
        with pytest.raises(KeyboardInterrupt):
            run_recipe(RECIPE, folder, snapshots=5)
    assert [entry["step"] for entry in runs.load(folder).history] == SCHEDULE[:kept]
    steps, step = [], Trainer.step
    monkeypatch.setattr(
        Trainer, "step", lambda trainer: (steps.append(trainer.step_number + 1), step(trainer))
    )
    run_recipe(RECIPE, folder, resume=True, snapshots=5)
    assert files(folder) == files(uninterrupted)
    assert steps == list(range(SCHEDULE[kept - 1] + 1, STEPS + 1))  # and nothing was trained twice


@pytest.mark.parametrize("call", [4, 5, 6])
def test_a_run_killed_while_it_saves_ends_as_if_it_had_not(
    tmp_path, monkeypatch, uninterrupted, call
):
    """The second snapshot is being written: its weights, its checkpoint, its record."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        fail_at(patch, os, "replace", call)
        with pytest.raises(KeyboardInterrupt):
            run_recipe(RECIPE, folder, snapshots=5)
    assert len(runs.load(folder).history) == 1
    run_recipe(RECIPE, folder, resume=True, snapshots=5)
    assert files(folder) == files(uninterrupted)


def test_the_finished_run_holds_every_step_and_no_checkpoint(uninterrupted):
    run = runs.load(uninterrupted)
    assert [entry["step"] for entry in run.history] == run.steps == SCHEDULE
    assert len(run.losses) == STEPS and run.training["steps"] == STEPS
    for before, entry in zip(SCHEDULE, run.history[1:], strict=False):
        losses = run.losses[before : entry["step"]]
        assert entry["loss"] == pytest.approx(sum(losses) / len(losses), abs=1e-4)
    assert set(run.history[0]) == {
        "step",
        "loss",
        "prefix_matching",
        "previous_token",
        "copying",
        "repeat_loss",
    }
    with pytest.raises(ValueError, match="it is finished"):
        run_recipe(RECIPE, uninterrupted, resume=True)


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD", "Muon"])
def test_a_trainer_goes_on_through_the_disk_bit_by_bit(tmp_path, optimizer):
    config = TrainingConfig(steps=STEPS, batch=4, optimizer=optimizer)
    trainer, restored = (Recipe(RECIPE.model, RECIPE.task, config).trainer() for _ in range(2))
    for _ in range(5):
        trainer.step()
    runs.save(Run(RECIPE.model, RECIPE.task, {}), tmp_path, trainer.checkpoint())
    restored.restore(runs.load_checkpoint(tmp_path))
    for _ in range(5):
        trainer.step(), restored.step()
    assert trainer.losses == restored.losses and len(trainer.losses) == 10
    assert same(trainer.checkpoint(), restored.checkpoint())


@pytest.mark.parametrize(
    "other",
    [
        Recipe(RECIPE.model, RECIPE.task, TrainingConfig(steps=STEPS, batch=5)),
        Recipe(ModelConfig(**(vars(RECIPE.model) | {"seed": 1})), RECIPE.task, RECIPE.training),
        Recipe(
            RECIPE.model,
            dict(name="fixed_period", options=dict(n_ctx=24, d_vocab=24, period=8)),
            RECIPE.training,
        ),
    ],
)
def test_a_run_is_not_resumed_with_other_settings(uninterrupted, other):
    before = files(uninterrupted)
    with pytest.raises(
        ValueError, match="was made with other settings; give the same ones, or another folder"
    ):
        run_recipe(other, uninterrupted, resume=True)
    assert files(uninterrupted) == before


# ---- how many weights


@pytest.mark.parametrize("kept", [1, 2, 3, len(SCHEDULE), 99, None])
def test_a_run_keeps_the_weights_of_as_many_snapshots_as_asked_and_always_the_last(
    tmp_path, uninterrupted, kept
):
    run = run_recipe(RECIPE, tmp_path, snapshots=5, weights=kept)
    assert len(run.weights) == min(kept or 99, len(SCHEDULE)) and set(run.weights) <= set(SCHEDULE)
    assert max(run.weights) == STEPS and (kept == 1 or min(run.weights) == 0)
    assert runs.load(tmp_path).steps == run.steps
    assert [entry["step"] for entry in run.history] == SCHEDULE
    assert same(run.weights[STEPS], runs.load(uninterrupted).weights[STEPS])


# ---- the command line


# Training from the command line, in a process that is killed in the middle of its 21st step.
KILLED = """
import os, signal
from helpers.training import loop, recipes
loss = loop.cross_entropy
losses = []
def killed(*given):
    losses.append(loss(*given))
    if len(losses) == 21:
        os.kill(os.getpid(), signal.SIGKILL)
    return losses[-1]
loop.cross_entropy = killed
recipes.main()
"""


def test_a_process_killed_in_the_middle_ends_as_if_it_had_not_been(tmp_path, capsys):
    """Resumed here, and compared with one that was left alone."""
    options = ["one_layer", "--steps", "40", "--weights", "4", "--seed", "3", "--out"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-c", KILLED, *options, str(killed)]
    process = subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    assert process.returncode == -signal.SIGKILL
    assert 3 <= runs.load(killed).history[-1]["step"] < 40

    recipes.main([*options, str(killed), "--resume"])
    resumed = capsys.readouterr().out
    recipes.main([*options, str(whole)])
    one, other = runs.load(killed), runs.load(whole)
    assert one.steps == other.steps and len(one.steps) == 4
    assert all(same(one.weights[step], other.weights[step]) for step in one.steps)
    assert (one.losses, str(one.history)) == (other.losses, str(other.history))
    assert set(files(killed)) == set(files(whole))  # the names hold the sha256 of the weights
    # the table of heads
    assert resumed == capsys.readouterr().out and len(resumed.splitlines()) == 2 + 4


def test_the_command_refuses_to_overwrite(saved, capsys):
    before = files(saved)
    with pytest.raises(SystemExit) as caught:
        recipes.main(["one_layer", "--steps", "2", "--out", str(saved)])
    assert caught.value.code == 2
    assert (
        "holds a run already; add --resume to go on with it, or name another folder"
        in capsys.readouterr().err
    )
    assert files(saved) == before


def test_the_command_explains_itself(capsys):
    with pytest.raises(SystemExit) as caught:
        recipes.main(["--help"])
    told = capsys.readouterr().out
    assert caught.value.code == 0
    options = "out resume seed steps snapshots weights threads folder device".split()
    assert all(f"--{option}" in told for option in options)
    assert all(word in told for word in ("python -m helpers.training", *recipes.RECIPES))


@pytest.mark.parametrize(
    "wrong", ["three_layers --out x", "one_layer", "one_layer --out x --steps few"]
)
def test_the_command_refuses_what_it_does_not_know(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        recipes.main(wrong.split())
    (told,) = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2 and told.startswith("python -m helpers.training: ")
    assert told.endswith(" (--help lists the options)")


def test_the_command_does_what_it_is_told_and_writes_it_down(tmp_path, capsys, monkeypatch):
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    arguments = [
        "two_layers",
        "--steps",
        "3",
        "--seed",
        "4",
        "--snapshots",
        "2",
        "--weights",
        "1",
        "--threads",
        "2",
    ]
    arguments += ["--out", str(tmp_path)]
    recipes.main(arguments)
    run = runs.load(tmp_path)
    assert (run.model.seed, run.training["seed"], run.training["steps"]) == (4, 4, 3)
    assert (run.steps, [entry["step"] for entry in run.history]) == ([3], [0, 1, 3])
    assert run.command == " ".join(["python -m helpers.training", *arguments])
    assert len(capsys.readouterr().out.splitlines()) == 2 + 8  # the table of heads
    assert threads == [2]


@pytest.mark.parametrize("count", [0, -1])
@pytest.mark.parametrize("name", ["snapshots", "weights"])
def test_a_run_without_snapshots_or_weights_is_refused(tmp_path, name, count):
    with pytest.raises(ValueError, match=f"{name} is {count}; give 1 or more, or leave it out"):
        run_recipe(RECIPE, tmp_path / "mine", **{name: count})
    assert list(tmp_path.iterdir()) == []
