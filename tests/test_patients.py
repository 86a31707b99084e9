"""The clinic names the cause of trainings that it was not built on, and a training made now is
named like those that are stored."""

import json
from collections import Counter

import pytest

from helpers.experiments import patients
from helpers.experiments.clinic import CAUSES, FORMED, UNKNOWN, diagnose
from helpers.training import runs

BUILT_ON, HELD_OUT = patients.load(held_out=False), patients.load(held_out=True)
MOST_BYTES = 400_000


def test_the_folder_is_small_and_holds_all_that_is_to_be_trained():
    assert sum(path.stat().st_size for path in patients.FOLDER.glob("*")) <= MOST_BYTES
    stored = [(one.change, one.seed, one.held_out) for one in BUILT_ON + HELD_OUT]
    asked = patients.settings(2)
    assert stored == [(of["change"], of["seed"], of.get("held_out", False)) for of in asked]


def test_nothing_that_is_held_out_was_built_on():
    assert not {one.seed for one in BUILT_ON} & {one.seed for one in HELD_OUT}
    assert (
        {one.change for one in BUILT_ON} == set(patients.CHANGES) < {one.change for one in HELD_OUT}
    )


def test_the_clinic_names_what_was_held_out():
    assert [one.change for one in HELD_OUT if diagnose(one.chart).cause != one.truth] == []
    assert len(HELD_OUT) == 45


def test_it_names_those_that_it_was_built_on():
    assert [one.change for one in BUILT_ON if diagnose(one.chart).cause != one.truth] == []


def test_every_cause_and_none_of_these_is_among_the_held_out():
    assert set(Counter(one.truth for one in HELD_OUT)) == {*CAUSES, UNKNOWN}


def test_a_head_formed_wherever_nothing_was_wrong_and_wherever_the_advice_was_followed():
    healthy = [one for one in BUILT_ON + HELD_OUT if patients.HELD_OUT[one.change].cause == FORMED]
    assert [one.change for one in healthy if one.truth != FORMED] == []
    ill = [one for one in BUILT_ON + HELD_OUT if patients.HELD_OUT[one.change].cause != FORMED]
    assert [one.change for one in ill if one.truth == FORMED] == ["weight decay of 1"]


def test_the_advice_is_that_of_the_causes_and_counts_who_tried_it():
    rows = patients.advice(HELD_OUT)
    assert [row["no head, because of"] for row in rows] == [one for one in CAUSES if one != FORMED]
    slow = rows[0]
    assert slow["a head formed in"] == "8 of 8" and slow["what to try"] == CAUSES["too slow"].remedy
    assert {row["a head formed in"] for row in rows[1:]} == {"4 of 4"}
    assert patients.advice(BUILT_ON)[0]["a head formed in"] == "0 of 0"
    assert {name for cause in CAUSES.values() for name in cause.tried} <= set(patients.HELD_OUT)


def test_the_namings_have_each_training_once_and_causes_together():
    found = patients.namings(HELD_OUT)
    assert sum(map(len, found.values())) == len(HELD_OUT)
    truths = [pairs[0][0] for pairs in found.values()]
    assert truths == sorted(truths, key=[*CAUSES, UNKNOWN].index)


def test_the_truth_is_what_was_changed_unless_a_head_stands():
    stands = HELD_OUT[0].chart._replace(prefix_matching=[0.0, 0.9])
    falls = HELD_OUT[0].chart._replace(prefix_matching=[0.9, 0.4])
    assert patients.Patient("SGD", 0, True, stands).truth == FORMED
    assert patients.Patient("SGD", 0, True, falls).truth == "too slow"
    assert patients.Patient("AdamW at 0.01", 0, True, falls).truth == UNKNOWN


# ---- trained now


@pytest.mark.parametrize("change", [*patients.CHANGES, "rates of 0.3", "a Markov chain"])
def test_a_change_trains_as_it_is_stored(change, monkeypatch):
    stored = next(one for one in HELD_OUT if one.change == change)
    monkeypatch.setattr(patients, "SCHEDULE", [0, 10])
    again = patients.run(change, stored.seed, held_out=True)
    assert again.chart.losses == pytest.approx(stored.chart.losses[:10], rel=0.01, abs=0.02)
    assert again.chart.previous_token == pytest.approx(stored.chart.previous_token[:2], abs=0.02)


def test_a_training_from_a_seed_of_nobodys_is_named():
    """Half its steps are enough for a shift, and take a second or two."""
    change = patients.CHANGES["one period"]
    short = patients.Change(
        "one period",
        model=dict(n_layers=1),
        training=dict(steps=200),
        task=change.task,
        options=change.options,
    )
    trained = short.recipe(777)
    patients.HELD_OUT["made now"] = short
    try:
        now = patients.run("made now", trained.model.seed)
    finally:
        del patients.HELD_OUT["made now"]
    assert diagnose(now.chart).cause == "one period" and len(now.chart.losses) == 200


def test_a_loss_that_is_no_number_ends_the_training_and_not_the_clinic(monkeypatch):
    far = patients.Change(training=dict(optimizer="SGD", lr=1e6))
    monkeypatch.setitem(patients.HELD_OUT, "far", far)
    ended = patients.run("far", 0)
    assert len(ended.chart.losses) < 400 and diagnose(ended.chart).cause == UNKNOWN


def test_what_is_saved_is_what_is_loaded(tmp_path):
    patients.save([BUILT_ON[0], HELD_OUT[0]], tmp_path)
    assert patients.load(False, tmp_path) == [BUILT_ON[0]]
    assert patients.load(True, tmp_path) == [HELD_OUT[0]]


def test_the_command_trains_everyone_and_writes_the_manifest_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(patients, "CHANGES", {"one layer": patients.CHANGES["one layer"]})
    monkeypatch.setattr(patients, "HELD_OUT", {"one layer": patients.CHANGES["one layer"]})
    monkeypatch.setattr(patients, "SCHEDULE", [0, 1])
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    monkeypatch.setattr(runs, "DATA", tmp_path)
    patients.main(["--out", str(tmp_path / "sweeps" / "clinic"), "--seeds", "1", "--jobs", "1"])
    made = json.loads((tmp_path / "MANIFEST.json").read_text(encoding="utf-8"))
    assert made["sweeps/clinic"]["command"] == "python -m helpers.experiments.patients"
    assert made["sweeps/clinic"]["seeds"] == [0, 200]
    assert len(patients.load(True, tmp_path / "sweeps" / "clinic")) == 1
