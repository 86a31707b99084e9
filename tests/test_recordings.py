"""What a page replays where it cannot train is what was trained."""

import json
from dataclasses import asdict

import pytest

from helpers.course.site import recordings
from helpers.explorables.discovery import Discovery
from helpers.explorables.discovery.scene import Choices
from helpers.training import runs
from helpers.training.recipes import RECIPES
from tests.test_site import unpacked


def read(packed: bytes) -> tuple[dict, list[dict], list[bytes]]:
    """The state, what was seen, and the patterns."""
    head, blocks = unpacked(packed)
    assert all(one["count"] == 1 for one in head["opening"])
    return head["state"], [one["content"] for one in head["opening"]], blocks


def best(seen: dict) -> float:
    return max(map(max, seen["prefix_matching"]))


def test_the_default_one_is_the_stored_run_and_opens_as_discovery_does():
    state, seen, _ = read(recordings.default())
    opens = Discovery()
    for name in ("settings", "shape", "row", "status", "trouble"):
        assert state[name] == json.loads(json.dumps(opens.get_state()[name])), name
    run = runs.load(runs.DATA / "runs" / "two_layers")
    assert [one["step"] for one in seen] == run.steps
    assert best(seen[0]) < 0.1 and seen[-1]["answers"]["best"][0][0] == "9"
    assert "recorded one is replayed" in state["note"]


def test_the_one_on_text_is_of_the_courses_recipe_and_comes_out_where_its_run_does():
    state, seen, patterns = read(recordings.text())
    assert state["settings"] == asdict(Choices(task="text"))
    shape, recipe = state["shape"], RECIPES["text"]
    assert shape["steps"] == recipe.training.steps == seen[-1]["step"]
    assert len(state["shape"]["labels"]) == shape["pos"]
    heads = shape["n_layers"] * shape["n_heads"]
    assert {len(one) for one in patterns} == {heads * shape["pos"] ** 2}
    shipped = runs.load(runs.DATA / "runs" / "text").history
    assert best(seen[0]) < 0.1
    assert best(seen[-1]) == pytest.approx(best(shipped[-1]), abs=0.1)
    assert "replays one that was recorded" in state["note"]


def test_every_tenth_look_is_kept_and_the_last(tmp_path):
    trained = Discovery(n_layers=1, n_heads=1, seed=3)
    for _ in range(12):
        trained.step()
    file = tmp_path / "training.npz"
    recordings.save(trained, "a command", file)
    state, seen, patterns = read(recordings.text(file))
    assert [one["step"] for one in seen] == [0, 10, 12]
    assert patterns == [trained._patterns[at] for at in (0, 10, 12)]
    assert seen[1]["answers"] == json.loads(json.dumps(trained.snapshots[10]["answers"]))
    assert state["settings"]["seed"] == 3 and state["shape"] == trained.shape
