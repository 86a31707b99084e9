"""Replicas are the shipped runs from other seeds, and trained again they are what is stored."""

import math

import pytest
import torch

from helpers.instruments import heads
from helpers.training import replicas, runs, sweeps
from helpers.training.recipes import RECIPES

SHORT = {"steps": 3}


@pytest.fixture(scope="module")
def stored() -> dict[str, sweeps.Sweep]:
    return {name: sweeps.load(replicas.FOLDER / name) for name in replicas.COUNT}


@pytest.mark.parametrize("recipe", replicas.COUNT)
def test_the_shipped_run_is_the_first_of_as_many_seeds_as_are_promised(recipe):
    models = replicas.models(recipe)
    shipped = runs.load(runs.DATA / "runs" / recipe)
    assert list(models) == list(range(replicas.COUNT[recipe]))
    for name, weight in shipped.model_at().named_parameters():
        assert models[shipped.model.seed].get_parameter(name).equal(weight)
    embeddings = [model.W_E for model in models.values()]
    assert not any(a.equal(b) for a, b in zip(embeddings, embeddings[1:], strict=False))
    assert [model.cfg.seed for model in models.values()] == list(models)
    assert not any(weight.requires_grad for weight in models[1].parameters())


def test_every_toy_replica_has_the_heads_and_no_one_layer_model_on_text_has(stored):
    for model in replicas.models("two_layers").values():
        assert heads.discover(model, ablate=False).induction_heads
    ids = runs.load(runs.DATA / "runs" / "text").probe_ids
    for recipe, named in (("text", True), ("text_one_layer", False)):
        for model in replicas.models(recipe).values():
            assert bool(heads.discover(model, ids=ids, ablate=False).induction_heads) == named
    assert all(math.isfinite(one["loss"]) for sweep in stored.values() for one in sweep.results)


@pytest.mark.parametrize("recipe", ["two_layers", "chain", "chain_one_layer"])
def test_training_a_replica_again_begins_as_the_stored_one_did(recipe, stored):
    """What is stored has moved from the seed's own first weights, and from no others."""
    seed = stored[recipe].results[0]["seed"]
    start = RECIPES[recipe].seeded(seed).trainer().model
    other = RECIPES[recipe].seeded(seed + 1).trainer().model
    end = replicas.models(recipe)[seed]
    moved = [(end.W_pos - model.W_pos).norm() for model in (start, other)]
    assert moved[0] == moved[1]  # positions start the same for all
    assert (end.W_E - start.W_E).norm() < 0.9 * (end.W_E - other.W_E).norm()


def test_a_replica_is_trained_and_kept(tmp_path, monkeypatch):
    recipe = RECIPES["chain"]
    short = replicas.replace(recipe, training=replicas.replace(recipe.training, **SHORT))
    monkeypatch.setitem(replicas.RECIPES, "chain", short)
    replicas.main(["chain", "--count", "3", "--jobs", "1", "--out", str(tmp_path)])
    kept = sweeps.load(tmp_path / "chain")
    assert [record["seed"] for record in kept.results] == [1, 2]
    assert kept.command == (
        f"python -m helpers.training.replicas chain --count 3 --jobs 1 --out {tmp_path}"
    )
    _, weights = replicas.train("chain", 2)
    assert torch.equal(kept.tensors["2/W_E"], weights["W_E"].half())


def test_a_count_that_leaves_nothing_to_train_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        replicas.main(["chain", "--count", "1", "--out", str(tmp_path)])
    assert "the shipped seed alone" in capsys.readouterr().err and not [*tmp_path.iterdir()]


def test_what_is_not_stored_is_named(capsys):
    with pytest.raises(ValueError, match="no seeds of 'one_layer' are stored; there are: two_lay"):
        replicas.models("one_layer")
    with pytest.raises(SystemExit):
        replicas.main(["chains"])
    assert "no recipe is called chains; choose of two_layers" in capsys.readouterr().err
