"""The experiments of notebook 07 do what they say, and what is shipped is what they give."""

import pytest
import torch
from torch.testing import assert_close

from helpers.experiments import privileged
from helpers.experiments.privileged import (
    BITS,
    GROWN,
    KEPT,
    POINTS,
    ROUNDED,
    TWINS,
    records,
    trainings,
)
from helpers.instruments import basis
from helpers.training import runs, sweeps
from helpers.training.loop import validation_loss


def test_the_model_allows_every_rotation_and_prefers_no_axis():
    model = privileged.fresh_model(seed=3)
    assert (
        model.cfg.normalization == "RMS"
        and not model.norm_gain.requires_grad
        and (model.norm_gain == 1).all()
    )
    assert all(
        weight.requires_grad for name, weight in model.named_parameters() if name != "norm_gain"
    )
    # sinusoids: 1.5
    assert basis.kurtosis(model.W_pos.detach()) == pytest.approx(basis.kurtosis_null(64), abs=0.4)
    assert not torch.equal(model.W_pos, privileged.fresh_model(seed=4).W_pos)
    tokens = privileged.held_out(4).tokens
    turned = basis.rotate(
        model.double(), basis.random_rotation(64, torch.Generator().manual_seed(0))
    )
    assert (turned(tokens) - model(tokens)).abs().max() < 1e-10


def test_every_other_sequence_says_its_first_half_again():
    tokens, targets, _ = privileged.half_repeated(64, torch.Generator().manual_seed(0))
    assert tokens.shape == targets.shape == (64, 48)
    assert torch.equal(tokens[:, 1:], targets[:, :-1]) and (tokens[:, 0] == 0).all()
    again = (targets[:, :24] == targets[:, 24:]).all(-1)
    assert again[::2].all() and not again[1::2].any()


def test_no_training_draws_the_held_out_sequences():
    held = {tuple(row) for row in privileged.held_out().tokens.tolist()}
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        for _ in range(20):
            assert held.isdisjoint(
                map(tuple, privileged.half_repeated(32, generator).tokens.tolist())
            )


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD", "Muon", "Muon everywhere"])
def test_the_rate_is_constant_and_the_same_for_all_matrices(optimizer):
    run = privileged.trainer(privileged.fresh_model(), optimizer, 0.02)
    for _ in range(3):
        run.step()
        rates = [group["lr"] for made in run.optimizers for group in made.param_groups]
        assert rates == pytest.approx([0.02] * len(rates), rel=1e-5)
    assert len(rates) == (2 if optimizer == "Muon" else 1)


@pytest.mark.parametrize(
    ("optimizer", "lr", "turn", "together"),
    [
        ("SGD", 0.1, "rotation", True),
        ("AdamW", 0.003, "rotation", False),
        ("AdamW", 0.003, "order", True),
        ("Muon", 0.003, "rotation", False),
        ("Muon everywhere", 0.003, "rotation", True),
    ],
)
def test_twins_stay_together_or_part(optimizer, lr, turn, together):
    found = privileged.twins(optimizer, lr, seed=11, steps=25, turn=turn)
    assert (
        len(found["losses"]) == len(found["gaps"]) == 25
        and found["losses"][-1] < found["losses"][0] - 0.1
    )
    if together:
        assert max(found["gaps"]) < 1e-5 and found["parameter_gap"] < 1e-3
    else:
        assert max(found["gaps"]) > 1e-3 and found["parameter_gap"] > 0.1


# ---- storing weights in other coordinates


@pytest.mark.parametrize("how", ["as used", "shared", "independent"])
def test_storing_changes_no_function(how):
    model, tokens = privileged.fresh_model(), privileged.held_out(4).tokens
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    logits = model(tokens)
    bases = privileged.store(model, how, torch.Generator().manual_seed(0))
    assert_close(model(tokens), logits, atol=1e-4, rtol=0)
    for name in ("W_E", "W_V", "W_O", "W_U"):
        assert_close(getattr(model, name), before[name], atol=1e-5, rtol=0)
        stored = dict(model.named_parameters())[
            name if how == "as used" else f"parametrizations.{name}.original"
        ]
        R, writes = bases[name], name in basis.WRITERS
        assert_close(stored, before[name] @ R if writes else R.mT @ before[name], atol=1e-5, rtol=0)
    assert torch.equal(bases["W_V"][0, 0], bases["W_U"]) == (how != "independent")
    assert torch.equal(bases["W_V"][0], bases["W_V"][1]) == (how != "independent")


def test_sgd_does_not_mind_where_weights_are_stored_and_adam_does():
    ends = {}
    for optimizer, lr in (("SGD", 0.1), ("AdamW", 0.003)):
        for how in ("as used", "independent"):
            model = privileged.fresh_model()
            privileged.store(model, how, torch.Generator().manual_seed(0))
            run = privileged.trainer(model, optimizer, lr)
            ends[optimizer, how] = [run.step() for _ in range(15)]
    assert ends["SGD", "as used"] == pytest.approx(ends["SGD", "independent"], abs=1e-5)
    assert ends["AdamW", "as used"] != pytest.approx(ends["AdamW", "independent"], abs=1e-3)


def test_a_run_records_loss_and_kurtosis_in_three_coordinates():
    record, weights = privileged.grow("AdamW", 0.01, seed=1, steps=4, stored="shared", every=2)
    assert [entry["step"] for entry in record["history"]] == [0, 2, 4]
    assert record["history"][-1]["loss"] < record["history"][0]["loss"]
    model, batch = privileged.fresh_model(1), privileged.held_out()
    x = privileged.stream(model, batch)
    first = record["history"][0]
    assert first["used"] == pytest.approx([basis.kurtosis(at) for at in x], abs=0.006)
    R = basis.random_rotation(64, torch.Generator().manual_seed(3001)).float()
    assert first["stored"] == pytest.approx([basis.kurtosis(at @ R) for at in x], abs=0.006)
    assert first["used"] != first["turned"] != first["stored"]
    assert set(weights) == {"W_E", "W_pos", "W_O", "W_Q", "W_K", "W_V", "W_U"}


def test_the_stream_is_read_without_bos():
    model, batch = privileged.fresh_model(), privileged.held_out(4)
    assert [x.shape for x in privileged.stream(model, batch)] == [(4, 47, 64)] * 3
    assert_close(privileged.stream(model, batch)[0], model.W_E[batch.tokens[:, 1:]].detach())


def test_rounding_costs_more_with_fewer_bits_and_nothing_with_many():
    model, batch = privileged.fresh_model(), privileged.held_out(16)
    exact = validation_loss(model, *batch[:2])
    costs = [abs(privileged.rounded_loss(model, batch, bits) - exact) for bits in (3, 8, 24)]
    assert costs[0] > 10 * costs[1] and costs[2] < 1e-5


def test_a_rounding_record_is_the_rise_of_the_loss_as_trained_and_over_rotations(monkeypatch):
    trained = privileged.model_of(SHIPPED, "AdamW", 0.01, seed=1)
    monkeypatch.setattr(
        trainings,
        "grow",
        lambda *_, **__: (
            dict(history=[dict(loss=2.13, used=[3.9, 37.6, 37.4])]),
            trained.state_dict(),
        ),
    )
    record, batch = privileged.rounding("AdamW", 0.01, seed=1, rotations=2), privileged.held_out()
    assert (record["loss"], record["kurtosis"], record["seed"]) == (2.13, 37.4, 1)
    exact, generator = validation_loss(trained, *batch[:2]), torch.Generator().manual_seed(4001)
    turned = [basis.rotate(trained, basis.random_rotation(64, generator)) for _ in range(2)]
    assert set(record["as_trained"]) == set(record["rotated"]) == set(map(str, BITS))
    for bits in (8, 3):
        assert record["as_trained"][str(bits)] == pytest.approx(
            privileged.rounded_loss(trained, batch, bits) - exact, abs=2e-4
        )
        after = sum(privileged.rounded_loss(one, batch, bits) for one in turned) / 2 - exact
        assert record["rotated"][str(bits)] == pytest.approx(after, abs=2e-4)
    assert record["as_trained"]["3"] > 2 * record["rotated"]["3"] > 0.1


# ---- what is shipped

SHIPPED = privileged.shipped()


def test_every_experiment_is_shipped_once():
    found = [
        {key: record[key] for key in ("kind", "optimizer", "lr", "seed")}
        for record in SHIPPED.results
    ]
    asked = [
        dict(kind=kind, **{key: s[key] for key in ("optimizer", "lr", "seed")})
        for kind, many in (("twins", TWINS), ("grow", GROWN), ("rounding", ROUNDED))
        for s in many
    ]
    assert found == asked
    for record, setting in zip(SHIPPED.results, TWINS + GROWN + ROUNDED, strict=True):
        assert record.get("turn", "rotation") == setting.get("turn", "rotation")
        assert record.get("stored", "as used") == setting.get("stored", "as used")


def test_the_rounding_seeds_were_used_for_nothing_else():
    used = {(setting["optimizer"], setting["seed"]) for setting in TWINS + GROWN}
    assert used.isdisjoint((setting["optimizer"], setting["seed"]) for setting in ROUNDED)
    assert len(ROUNDED) == 20


def test_the_shipped_twins_stay_together_for_sgd_and_part_for_adam():
    for optimizer, bound in (("SGD", 1e-5), ("AdamW", 1e-3)):
        gaps = [
            r["gaps"]
            for r in SHIPPED.results
            if r["kind"] == "twins" and (r["optimizer"], r["turn"]) == (optimizer, "rotation")
        ]
        assert len(gaps) >= 3 and {len(each) for each in gaps} == {300}
        assert all((max(each) < bound) == (optimizer == "SGD") for each in gaps)


def test_the_command_that_made_it_is_named():
    assert SHIPPED.command.startswith("python -m helpers.experiments.privileged")


@pytest.mark.parametrize(("optimizer", "lr"), KEPT)
def test_the_kept_weights_are_those_of_the_records(optimizer, lr):
    batch = privileged.held_out()
    for seed in range(3):
        model = privileged.model_of(SHIPPED, optimizer, lr, seed)
        (record,) = [
            r
            for r in SHIPPED.results
            if r["kind"] == "grow"
            and (r["optimizer"], r["lr"], r["seed"], r["stored"])
            == (optimizer, lr, seed, "as used")
        ]
        last = record["history"][-1]
        # kept in half precision
        assert validation_loss(model, *batch[:2]) == pytest.approx(last["loss"], abs=2e-3)
        assert [basis.kurtosis(x) for x in privileged.stream(model, batch)] == pytest.approx(
            last["used"], rel=0.01
        )


def test_training_again_gives_the_stored_beginning():
    twins = privileged.twins(**TWINS[0], steps=15)
    assert twins["losses"] == pytest.approx(SHIPPED.results[0]["losses"][:15], abs=2e-3)


def test_weights_that_were_not_kept_are_not_made_up():
    with pytest.raises(
        ValueError, match="no weights of AdamW 0.5 seed 0 were kept; there are: .*'SGD 0.3 seed 2'"
    ):
        privileged.model_of(SHIPPED, "AdamW", 0.5)


def test_the_shipped_folder_is_small():
    assert sum(path.stat().st_size for path in privileged.FOLDER.iterdir()) < 1_300_000
    assert len(POINTS) == 3 and runs.DATA in privileged.FOLDER.parents


def test_the_command_runs_everything_and_writes_a_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "TWINS", TWINS[:1])
    monkeypatch.setattr(records, "GROWN", GROWN[:1])
    monkeypatch.setattr(records, "ROUNDED", ROUNDED[:1])
    privileged.main(["--out", str(tmp_path / "again"), "--jobs", "1", "--steps", "2"])
    again = sweeps.load(tmp_path / "again")
    assert [record["kind"] for record in again.results] == ["twins", "grow", "rounding"]
    assert again.command.endswith("--jobs 1 --steps 2")
    assert privileged.model_of(again, "AdamW", 0.01).W_E.shape == (64, 64)


# ---- a sweep that was stopped


def test_a_sweep_that_died_goes_on_and_leaves_what_was_shipped_until_it_is_whole(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(records, "TWINS", TWINS[:1])
    monkeypatch.setattr(records, "GROWN", GROWN[:1])
    monkeypatch.setattr(records, "ROUNDED", ROUNDED[:1])
    sweeps.save(tmp_path, "shipped", [dict(seed=0)])
    words = ["--out", str(tmp_path), "--jobs", "1", "--steps", "2"]
    with monkeypatch.context() as patch:
        patch.setattr(records, "rounding", lambda **setting: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            privileged.main(words)
    assert sweeps.load(tmp_path).command == "shipped"
    with monkeypatch.context() as patch:
        patch.setattr(records, "twins", None)  # neither of these runs again
        patch.setattr(records, "grow", None)
        privileged.main(words)
    again = sweeps.load(tmp_path)
    assert [record["kind"] for record in again.results] == ["twins", "grow", "rounding"]
    _, weights = privileged.experiment("grow", **GROWN[0], steps=2)
    assert privileged.model_of(again, "AdamW", 0.01).W_E.equal(weights["W_E"].half().float())
    assert len(list(tmp_path.iterdir())) == 2  # the sweep and its weights
