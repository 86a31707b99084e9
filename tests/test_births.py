"""The stored seeds say what the notebook says of them, and training them again gives the same
births."""

import json

import numpy as np
import pytest
import torch

from helpers import handmade
from helpers.experiments import births
from helpers.instruments import circuits, heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import runs

STORED = {condition: births.load(condition) for condition in births.CONDITIONS}
MOST_BYTES = 200_000


def test_the_file_is_small_and_holds_every_condition():
    assert births.FILE.stat().st_size <= MOST_BYTES
    for condition, history in STORED.items():
        assert len(history.loss) == births.CONDITIONS[condition].n_seeds
        assert history.steps == births.SCHEDULE
        for name in births.History._fields[1:]:
            assert (
                getattr(history, name).shape[:2] == history.loss.shape
                and getattr(history, name).isfinite().all()
            )


def test_the_head_comes_in_every_seed_and_in_one_layer_only_with_smeared_keys():
    assert STORED["default"].first("prefix_matching").isfinite().sum() == 64
    assert (STORED["default"].best("prefix_matching")[:, -1] > 0.9).all()
    assert STORED["one layer"].best("prefix_matching").max() < 0.2
    smeared = STORED["one layer, smeared keys"]
    assert smeared.first("prefix_matching").isfinite().all() and (smeared.gate[:, -1] < 0.4).all()
    assert (smeared.gate[:, 0] == 0.5).all() and (STORED["default"].gate == 1).all()


@pytest.mark.slow
@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize("seed", range(8))
def test_training_a_seed_again_gives_its_birth(seed):
    """Sums differ between processors, so a birth may move by a few steps."""
    again, stored = (
        births.run("default", seed, schedule=[0, 4, 8, *range(56, 93, 4)]),
        STORED["default"],
    )
    assert again.first("prefix_matching").item() == pytest.approx(
        stored.first("prefix_matching")[seed].item(), abs=8
    )
    for name in ("matching_weights", "copying_weights"):  # no two seeds begin alike
        found, kept = getattr(again, name)[0, :3], getattr(stored, name)[:, :3]
        apart = (kept - found).abs().flatten(1).amax(1)
        assert apart.argmin() == seed and apart[seed] < 0.05


@pytest.mark.parametrize("condition", ["clamped", "clamped wrong", "one layer, smeared keys"])
def test_a_condition_trains_as_it_is_stored(condition):
    again, stored = births.run(condition, 1, schedule=births.SCHEDULE[:4]), STORED[condition]
    for name in births.History._fields[1:]:
        found = getattr(again, name)[0]
        assert torch.allclose(found, getattr(stored, name)[1, : len(found)], atol=0.05), name


def test_what_is_saved_is_what_is_loaded_in_hundredths(tmp_path, monkeypatch):
    made = {
        condition: [births.run("one layer", seed, schedule=[0, 4]) for seed in (0, 1)]
        for condition in ("default", "clamped")
    }
    births.save(made, tmp_path / "births.npz")
    monkeypatch.setattr(births, "FILE", tmp_path / "births.npz")
    loaded = births.load("clamped")
    assert loaded.steps == [0, 4]
    for name in births.History._fields[1:]:
        together = torch.cat([getattr(one, name) for one in made["clamped"]])
        assert torch.allclose(getattr(loaded, name), together, atol=0.0051)
    assert loaded.loss[0, 0] == pytest.approx(np.log(63), abs=0.0051)


def test_first_and_best_on_a_history_written_by_hand():
    scores = torch.tensor([[0.1, 0.2, 0.6, 0.9], [0.4, 0.5, 0.5, 0.3], [0.8, 0.1, 0.1, 0.1]])
    # [seed, snapshot, layer, head]
    two_heads = torch.stack([scores, torch.zeros_like(scores)], -1)[:, :, None]
    history = births.History([0, 10, 20, 30], *([two_heads] * 7))
    assert torch.equal(history.best("prefix_matching"), scores)
    assert history.first("prefix_matching").nan_to_num(-1).tolist() == [20, -1, 0]
    assert history.first("prefix_matching", 0.45).nan_to_num(-1).tolist() == [20, 10, 0]


def test_the_first_head_is_the_best_of_those_that_pass_one_half_first():
    scores = torch.zeros(3, 3, 2, 2)  # [seed, snapshot, layer, head]
    scores[0, :, 1] = torch.tensor([[0.0, 0.4], [0.6, 0.7], [0.9, 0.8]])  # both at once
    scores[1, :, 1] = torch.tensor([[0.0, 0.4], [0.6, 0.1], [0.9, 0.99]])
    scores[2, :, 0] = 0.9  # never in the last layer
    history = births.History([0, 10, 20], *([scores] * 7))
    assert history.first_heads() == [1, 0]


def test_the_command_trains_every_condition_and_writes_the_manifest_anew(tmp_path, monkeypatch):
    few = {name: births.Condition(1, n_layers=1) for name in ("default", "one layer")}
    monkeypatch.setattr(births, "CONDITIONS", few)
    run = births.run
    monkeypatch.setattr(births, "run", lambda **setting: run(**setting, schedule=[0, 1]))
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    (tmp_path / "MANIFEST.json").write_text("stale", encoding="utf-8")
    monkeypatch.setattr(runs, "DATA", tmp_path)
    births.main(["--out", str(tmp_path / "births.npz"), "--jobs", "1"])
    made = json.loads((tmp_path / "MANIFEST.json").read_text(encoding="utf-8"))
    assert made == runs.manifest(tmp_path) and set(made) == {"tokenizer.json", "births.npz"}
    assert made["births.npz"]["command"] == "python -m helpers.experiments.births"


def test_an_unknown_condition_is_named():
    with pytest.raises(
        ValueError, match="no condition is called 'three layers'; stored are default, clamped"
    ):
        births.load("three layers")


# ---- the statistic read off the weights


def test_matching_is_perfect_by_hand_and_nothing_in_random_weights():
    model = handmade.induction_head(12, 32)
    previous = heads.score(model, heads.probe(12, 32)).previous_token
    assert circuits.matching_statistic(model, 1, 0, previous) == pytest.approx(1, abs=1e-6)
    random = [AttentionOnlyTransformer(ModelConfig(seed=seed)) for seed in range(30)]
    found = [
        circuits.matching_statistic(made, 1, head, torch.ones(2, 4))
        for made in random
        for head in range(4)
    ]
    assert abs(np.mean(found)) < 0.05 and np.quantile(np.abs(found), 0.95) < 0.4


def test_matching_with_one_earlier_head_is_the_pairs_own_positivity():
    model, only = AttentionOnlyTransformer(ModelConfig(seed=3)), torch.zeros(2, 4)
    only[0, 2] = 0.7
    pair = circuits.positivity(circuits.matching_eigenvalues(model, (0, 2), (1, 1))).item()
    assert circuits.matching_statistic(model, 1, 1, only) == pytest.approx(pair, abs=1e-5)


def test_every_heads_matching_is_that_of_each():
    model, previous = AttentionOnlyTransformer(ModelConfig(n_layers=3, seed=4)), torch.rand(3, 4)
    found = circuits.matching_statistics(model, 2, previous)
    each = [circuits.matching_statistic(model, 2, head, previous) for head in range(4)]
    assert found.tolist() == each and len({*each}) == 4


def test_the_first_layer_has_nothing_to_match_with():
    with pytest.raises(ValueError, match="no head comes before layer 0"):
        circuits.matching_statistic(AttentionOnlyTransformer(ModelConfig()), 0, 0, torch.ones(2, 4))


def test_the_gate_is_what_a_head_keeps_of_its_own_key():
    """Elsewhere nothing is blended, and a head keeps all of it."""
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=48, smeared_keys=True))
    with torch.no_grad():
        model.smear[0] = torch.tensor([-20.0, 0.0, 20.0, 0.0])
    assert births._read_off(model)["gate"] == pytest.approx([0, 0.5, 1, 0.5], abs=1e-6)
    assert births._read_off(AttentionOnlyTransformer(ModelConfig(n_ctx=48)))["gate"] == [1, 1, 1, 1]
