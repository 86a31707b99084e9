"""A record is written whole, read once, and joined with those of other machines."""

import json

import pytest
import torch

from helpers.training import records, runs

VERSIONS = dict(torch="1")


def append(path, seed, found=0.5):
    return records.append(path, dict(seed=seed), found, "the command", VERSIONS)


def test_a_record_comes_back_as_it_was(tmp_path):
    path = tmp_path / "new" / "records.jsonl"
    assert append(path, 0) == records.Record(dict(seed=0), "the command", VERSIONS, None, 0.5)
    append(path, 1, [dict(loss=None, scores=(1, 0.1 + 0.2))])
    first, second = records.read(path)
    assert (first.setting, first.command, first.versions) == (dict(seed=0), "the command", VERSIONS)
    assert first.result(path.parent) == 0.5
    assert second.found == [dict(loss=None, scores=[1, 0.1 + 0.2])]
    assert len(path.read_bytes().splitlines()) == 2


def test_weights_come_back_bit_by_bit_from_beside_the_file(tmp_path):
    path, W = tmp_path / "records.jsonl", torch.randn(3, 2)
    append(path, 0, (dict(loss=1.5), {"W": W}))
    (record,) = records.read(path)
    found, weights = record.result(tmp_path)
    assert found == dict(loss=1.5) and weights["W"].equal(W)
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(runs.DamagedRun, match="missing, cut or edited"):
        record.result(tmp_path)


@pytest.mark.parametrize(
    "found", [float("nan"), {1, 2}, (dict(loss=float("inf")), {"W": torch.ones(1)})]
)
def test_what_does_not_fit_is_refused_before_anything_is_written(found, tmp_path):
    with pytest.raises(ValueError, match=r"the run of \{'seed': 3\} found does not fit JSON"):
        append(tmp_path / "records.jsonl", 3, found)
    assert list(tmp_path.iterdir()) == []


def test_a_setting_is_the_same_in_whichever_order_it_was_written():
    assert records.key(dict(a=1, b=dict(c=2, d=3))) == records.key(dict(b=dict(d=3, c=2), a=1))
    assert records.key(dict(a=1)) != records.key(dict(a=2))


@pytest.mark.parametrize("left", [1, 40, -1])
def test_a_last_line_that_was_cut_short_is_noticed_and_gives_way(left, tmp_path):
    path = tmp_path / "records.jsonl"
    append(path, 0)
    whole = path.read_bytes()
    append(path, 1)
    path.write_bytes(whole + path.read_bytes().removeprefix(whole)[:left])
    with pytest.warns(UserWarning, match="the last line of records.jsonl was cut short"):
        assert [record.setting for record in records.read(path)] == [dict(seed=0)]
    append(path, 2)
    assert [record.setting["seed"] for record in records.read(path)] == [0, 2]


def test_a_file_that_was_cut_in_its_first_line_begins_anew(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{"setting": {"se')
    append(path, 2)
    assert [record.setting["seed"] for record in records.read(path)] == [2]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"setting": {"seed": 0}}', "\0\0", ""])
def test_a_line_that_is_none_is_named(line, tmp_path):
    path = tmp_path / "records.jsonl"
    append(path, 0)
    path.write_bytes(path.read_bytes() + line.encode() + b"\n")
    with pytest.raises(runs.DamagedRun, match="line 2 of .*records.jsonl is no record"):
        records.read(path)


# ---- two machines


@pytest.fixture
def machines(tmp_path):
    """Two folders of three seeds each, of which one is in both."""
    for name, seeds in dict(a=(0, 1, 2), b=(2, 3, 4)).items():
        for seed in seeds:
            weights = {"W": torch.full((2,), float(seed))}
            append(tmp_path / name / "records.jsonl", seed, (seed / 2, weights))
    return [tmp_path / name / "records.jsonl" for name in "ab"]


def test_two_machines_merge_with_nothing_lost_or_counted_twice(machines, tmp_path):
    into = tmp_path / "c" / "records.jsonl"
    assert records.merge(into, machines) == records.read(into)
    for at, record in enumerate(records.read(into)):
        found, weights = record.result(into.parent)
        assert (record.setting["seed"], found, weights["W"].tolist()) == (at, at / 2, [at] * 2)
    assert len(into.read_bytes().splitlines()) == 5
    first, second = machines
    assert records.merge(first, [second]) == records.merge(first, [second, into])
    assert first.read_bytes() == into.read_bytes()


def test_joined_by_hand_they_are_read_the_same(machines):
    first, second = machines
    read = records.read(first, second)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert records.read(first) == read


@pytest.mark.parametrize("other", [(1.25, {"W": torch.zeros(2)}), (1.0, {"W": torch.zeros(2)})])
def test_a_setting_with_two_results_is_refused_and_named(other, machines, tmp_path):
    first, second = machines
    append(second, 2, other)
    for path in (second, tmp_path / "new.jsonl"):
        with pytest.raises(
            ValueError, match=r"the setting \{'seed': 2\} is there with two results"
        ):
            records.merge(path, machines)
    assert len(first.read_bytes().splitlines()) == 3 and not (tmp_path / "new.jsonl").exists()


def test_another_command_or_version_makes_no_other_result(tmp_path):
    path = tmp_path / "records.jsonl"
    append(path, 0)
    records.append(path, dict(seed=0), 0.5, "another", dict(torch="2"))
    (record,) = records.read(path)
    assert record.command == "the command"


def test_weights_that_are_lost_are_not_taken_over(machines, tmp_path):
    first, second = machines
    for file in second.parent.glob("*.safetensors"):
        file.unlink()
    before = first.read_bytes()
    with pytest.raises(runs.DamagedRun, match="missing, cut or edited"):
        records.merge(first, [second])
    assert first.read_bytes() == before


def test_a_line_is_json_that_anyone_reads(tmp_path):
    append(tmp_path / "records.jsonl", 0)
    assert json.loads((tmp_path / "records.jsonl").read_text(encoding="utf-8")) == dict(
        setting=dict(seed=0), command="the command", versions=VERSIONS, tensors=None, found=0.5
    )
