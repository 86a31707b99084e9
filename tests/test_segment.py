"""Each condition differs from the first in one thing, and what was stored was all that was
asked."""

import json
from dataclasses import asdict

import pytest
import torch

from helpers.experiments import segment
from helpers.instruments import circuits
from helpers.sequences import Batch
from helpers.training import sweeps

NOWHERE_ELSE = {("training", "rows"): "determined", ("data", "distinct"): True}


def test_every_condition_changes_what_it_says():
    def flat(recipe):
        return {
            (part, name): value
            for part, of in dict(
                model=asdict(recipe.model),
                data=recipe.task["options"],
                training=asdict(recipe.training),
            ).items()
            for name, value in of.items()
        }

    base = flat(segment.CONDITIONS["as it is"])
    changed = {
        condition: {name: value for name, value in flat(recipe).items() if value != base[name]}
        for condition, recipe in segment.CONDITIONS.items()
    }
    assert changed == {
        "as it is": {},
        "the loss counts only rows that can be known": {("training", "rows"): "determined"},
        "keys know the token before": {("model", "smeared_keys"): True},
        "one layer": {("model", "n_layers"): 1},
        "no norm": {("model", "normalization"): None},
        "half as wide": {("model", "d_model"): 64, ("model", "d_head"): 16},
        "AdamW alone": {("training", "optimizer"): "AdamW"},
        "copied tokens stand nowhere else": {("data", "distinct"): True},
        "rates three times as high": {("training", "lr"): 0.003, ("training", "muon_lr"): 0.015},
        "nowhere else, only known rows count": NOWHERE_ELSE,
        "nowhere else, only known rows count, 127 kinds": NOWHERE_ELSE
        | {("model", "d_vocab"): 128, ("data", "d_vocab"): 128},
    }


def test_even_shares_count_the_next_token_among_those_before(monkeypatch):
    tokens = torch.tensor([[0, 1, 2, 1], [0, 3, 3, 3]])
    targets = torch.tensor([[1, 2, 1, 2], [3, 3, 3, 1]])
    known = torch.tensor([[False, False, True, True], [False, True, True, False]])
    batch = Batch(tokens, targets, known)
    monkeypatch.setattr(segment, "Task", lambda name, options: lambda *given: batch)
    of_rows = [0, 0, 1 / 3, 1 / 4, 0, 1 / 2, 2 / 3, 0]
    assert segment.even_shares(segment.BASE) == pytest.approx(63 * sum(of_rows) / 8)
    assert segment.even_shares(segment.KNOWN_ROWS) == pytest.approx(63 * sum(of_rows) / 4)


def test_the_first_steps_are_those_of_the_stored_training():
    condition = "half as wide"
    found = segment.first_steps(condition, [0, 2])
    trainer = segment.CONDITIONS[condition].trainer()
    assert trainer.config.steps == 2197 and list(found) == [0, 2]

    def mean_statistic():
        places = [(layer, head) for layer in (0, 1) for head in range(4)]
        return sum(circuits.copying_statistic(trainer.model, *place) for place in places) / 8

    assert found[0] == pytest.approx(mean_statistic())
    trainer.step(), trainer.step()
    assert (
        found[2] == pytest.approx(mean_statistic(), abs=1e-4) != pytest.approx(found[0], abs=1e-4)
    )


def test_a_training_ends_when_half_is_answered(monkeypatch):
    found = iter([0.1, 0.4999, 0.5, 0.9])
    monkeypatch.setattr(segment, "accuracy", lambda model, batch: next(found))
    monkeypatch.setattr(segment, "LOOK_EVERY", 4096)  # one batch
    monkeypatch.setitem(segment.CONDITIONS, "as it is", segment.CONDITIONS["half as wide"])
    made = segment.run("as it is", 3, most=20_000)
    assert made["tokens"] == 3 * 4096 and [look[0] for look in made["looks"]] == [0.1, 0.5, 0.5]
    assert made["condition"] == "as it is" and made["seed"] == 3


def test_a_training_that_never_answers_ends_with_its_tokens(monkeypatch):
    monkeypatch.setattr(segment, "LOOK_EVERY", 4096)
    monkeypatch.setattr(torch, "set_num_threads", None)  # its caller's to choose
    made = segment.run("half as wide", 0, most=10_000)
    assert made["tokens"] is None and len(made["looks"]) == 2


def test_the_folder_is_small_and_holds_all_that_is_to_be_trained():
    assert sum(path.stat().st_size for path in segment.FOLDER.glob("*")) < 120_000
    asked = segment.settings()
    stored = sweeps.load(segment.FOLDER).results
    assert [{name: of[name] for name in asked[0]} for of in stored] == asked


def test_what_is_loaded_is_by_condition_and_every_seed(tmp_path):
    looks = [[0.1, 0.2, 0.3], [0.6, 0.4, 0.5]]
    made = [
        dict(condition="as it is", seed=0, tokens=3_000_000, looks=looks),
        dict(condition="as it is", seed=1, tokens=None, looks=looks[:1]),
    ]
    sweeps.save(tmp_path, "made up", made)
    found = segment.load(tmp_path)["as it is"]
    assert found.million.tolist() == [3, torch.inf]
    assert found.answered.tolist() == pytest.approx([0.6, 0.1])


def test_a_training_that_was_never_looked_at_is_loaded_too(tmp_path):
    made = segment.run("half as wide", 0, most=4096)
    sweeps.save(tmp_path, "made up", [made])
    found = segment.load(tmp_path)["half as wide"]
    assert made["looks"] == [] and found.million.isinf().all() and found.answered.isnan().all()


@pytest.mark.usefixtures("shapes_unchecked")
def test_the_command_trains_all_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(segment, "LOOK_EVERY", 4096)
    segment.main(["--most", "4096", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)])
    record = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    assert record["command"].startswith("python -m helpers.experiments.segment --most 4096")
    found = segment.load(tmp_path)
    assert list(found) == list(segment.CONDITIONS)
    assert all(of.million.isinf().all() and 0 <= of.answered < 0.2 for of in found.values())
