"""What is shipped is what the code makes, and shows what the course says of it."""

import json
from dataclasses import asdict

import pytest
import torch

from helpers import sequences
from helpers.instruments import heads, paths
from helpers.training import runs
from helpers.training.recipes import RECIPES

# of this recipe the course ships what its trainings found (sweeps/phases), and no weights
WITHOUT_WEIGHTS = {"text_smeared_keys"}
SHIPPED = {name: runs.load(runs.DATA / "runs" / name) for name in {*RECIPES} - WITHOUT_WEIGHTS}


def test_the_manifest_is_that_of_the_files():
    assert json.loads((runs.DATA / "MANIFEST.json").read_text(encoding="utf-8")) == runs.manifest()


def test_nothing_else_lies_among_the_runs():
    named = {
        file
        for name, entry in runs.manifest().items()
        if "/" in name
        for file in map((name + "/").__add__, entry["sha256"])
    }
    assert {
        path.relative_to(runs.DATA).as_posix()
        for kind in ("runs", "sweeps")
        for path in runs.DATA.glob(f"{kind}/*/*")
    } == named


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_shipped_run_is_of_the_recipe_and_command_that_it_names(name):
    run, recipe = SHIPPED[name], RECIPES[name]
    assert (run.model, run.task, run.training) == (
        recipe.model,
        recipe.task,
        asdict(recipe.training),
    )
    assert run.command.startswith(f"python -m helpers.training {name} --out data/runs/{name}")
    assert len(run.losses) == recipe.training.steps == run.steps[-1]


@pytest.mark.parametrize("name", ["two_layers", "one_layer", "chain", "chain_one_layer"])
def test_training_again_gives_the_stored_losses(name):
    trainer = RECIPES[name].trainer()
    again = [trainer.step() for _ in range(40)]
    # the digits of sums differ between processors
    assert again == pytest.approx(SHIPPED[name].losses[:40], abs=2e-3)


def test_the_stored_scores_are_those_of_the_stored_weights():
    for name in ("two_layers", "one_layer"):
        run = SHIPPED[name]
        stored = run.history[-1]["prefix_matching"]
        assert torch.allclose(
            torch.tensor(RECIPES[name].measure()(run.model_at())["prefix_matching"]),
            torch.tensor(stored),
            atol=1e-4,
        )


def test_the_default_run_has_its_snapshots_in_even_ratios():
    steps = SHIPPED["two_layers"].steps
    assert len(steps) >= 40
    late = torch.tensor(steps[20:], dtype=torch.float)
    assert (late[1:] / late[:-1]).max() < 1.2


@pytest.mark.parametrize(
    "name, some",
    [("two_layers", True), ("one_layer", False), ("text", True), ("text_one_layer", False)],
)
def test_discover_names_heads_in_two_layers_and_none_in_one(name, some):
    run = SHIPPED[name]
    report = heads.discover(run.model_at(), ids=run.probe_ids)
    assert bool(report.induction_heads) == some
    assert all(layer == 1 for layer, _ in report.induction_heads)


def test_the_text_run_passes_the_papers_own_probe_by_a_margin():
    run = SHIPPED["text"]
    for seed in range(3):
        for ids in (run.probe_ids, torch.arange(1, 1024)):
            assert (
                heads.score(
                    run.model_at(), heads.repeated_tokens(ids, seed=seed)
                ).prefix_matching.max()
                > 0.55
            )


def test_two_heads_in_sequence_read_four_voters_and_two_side_by_side_do_not():
    votes = sequences.additive_chain(512, 32, 13, torch.Generator().manual_seed(7))
    law = sequences.additive_log_probs(votes.tokens, 13)
    floor = torch.nn.functional.nll_loss(
        law[votes.determined], votes.targets[votes.determined]
    ).item()
    chain, flat = (
        paths.term_importance(SHIPPED[name].model_at(), *votes)
        for name in ("chain", "chain_one_layer")
    )
    # the third distance is the virtual head's
    assert abs(chain[2] - floor) < 0.03 and chain[1] > floor + 0.2
    assert flat[1] > floor + 0.1


def test_the_chain_runs_are_tiny():
    assert sum(path.stat().st_size for path in runs.DATA.glob("runs/chain*/*")) < 200_000
