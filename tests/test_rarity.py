"""Some sequences repeat and the others hold no token twice; what is stored was all that was
asked."""

import json

import pytest
import torch

from helpers.experiments import rarity
from helpers.sequences import repeated_block
from helpers.training import sweeps

BATCH = 24


def drawn(repeating: int, counted: str):
    return rarity.seldom(repeating, counted, BATCH, torch.Generator().manual_seed(0))


def whole() -> tuple:
    return repeated_block(BATCH, 48, 64, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("repeating", [0, 6, 24])
def test_so_many_sequences_repeat_and_the_others_hold_no_token_twice(repeating):
    tokens, targets, _ = drawn(repeating, "repeats")
    for mine, original in zip((tokens, targets), whole(), strict=False):
        assert torch.equal(mine[:repeating], original[:repeating])
    assert torch.equal(tokens[:, 1:], targets[:, :-1]) and not tokens[:, 0].any()
    for row, answer in zip(tokens[repeating:].tolist(), targets[repeating:].tolist(), strict=True):
        assert len({*row, *answer}) == 49


def test_the_loss_counts_repeats_alone_or_the_same_rows_everywhere():
    rows = whole()[2]
    assert torch.equal(drawn(6, "everywhere").determined, rows)
    alone = drawn(6, "repeats").determined
    assert torch.equal(alone[:6], rows[:6]) and not alone[6:].any()
    assert torch.equal(drawn(6, "repeats").tokens, drawn(6, "everywhere").tokens)


@pytest.mark.parametrize("repeating", [-1, 25])
def test_more_than_there_are_cannot_repeat(repeating):
    with pytest.raises(ValueError, match=f"{repeating} of 24 sequences cannot repeat; try 0 to 24"):
        drawn(repeating, "repeats")


def test_the_folder_is_small_and_holds_all_that_is_to_be_trained():
    assert sum(path.stat().st_size for path in rarity.FOLDER.glob("*")) < 60_000
    asked = rarity.settings()
    stored = sweeps.load(rarity.FOLDER).results
    assert [{name: of[name] for name in asked[0]} for of in stored] == asked
    assert not any(at["counted"] == "repeats" and at["repeating"] == 0 for at in asked)


def test_what_is_loaded_is_by_share_and_every_seed():
    found = rarity.load()
    assert {name: len(of) for name, of in found.items()} == {"repeats": 5, "everywhere": 6}
    assert {len(scores) for of in found.values() for scores in of.values()} == {rarity.SEEDS}
    assert list(found["everywhere"]) == sorted(rarity.REPEATING)


def test_a_training_leaves_the_threads_to_its_caller(monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", None)
    assert rarity.run(3, "repeats", 0, steps=1)["repeating"] == 3


def test_the_command_trains_all_of_them(tmp_path):
    rarity.main(["--steps", "1", "--seeds", "1", "--out", str(tmp_path)])
    record = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    assert [one["seed"] for one in record["results"]] == [0] * 11
    assert record["command"].startswith("python -m helpers.experiments.rarity --steps 1")
    assert {name: len(of) for name, of in rarity.load(tmp_path).items()} == dict(
        repeats=5, everywhere=6
    )
