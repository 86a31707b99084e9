"""The toy of the plateau does what is said of it, in every draw that the notebook shows; the
pull on the real first layer is a gradient; what is first is counted seed by seed."""

import copy

import pytest
import torch
from torch.testing import assert_close

from helpers import handmade, sequences
from helpers.experiments import births, plateau
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import runs


def half(curves: torch.Tensor) -> float:
    return (curves.median(0).values < 0.5).float().argmax().item()


def test_each_factor_that_is_given_shortens_the_plateau():
    waits = [half(plateau.fit_product(given)) for given in ((), ["match"], ["attend back", "copy"])]
    assert waits[0] > 200 and 20 < waits[1] < 100 and 0 < waits[2] < 20
    # all given: nothing to learn
    assert not plateau.fit_product(plateau.FACTORS, steps=3).abs().gt(1e-5).any()


@pytest.mark.parametrize("given", [(), ("match",), ("attend back", "copy")])
def test_the_loss_is_that_of_the_whole_tensor_and_what_is_given_stays(given):
    """By hand, entry by entry, for two draws and two steps."""
    generator = torch.Generator().manual_seed(0)
    right, start = (
        torch.randn(2, 3, 4, generator=generator),
        0.4 * torch.randn(2, 3, 4, generator=generator),
    )
    curves = plateau.fit_product(given, seeds=2, size=4, steps=2)
    for seed in range(2):
        held = [
            right[seed, i] if name in given else start[seed, i]
            for i, name in enumerate(plateau.FACTORS)
        ]
        factors = torch.stack(held).requires_grad_()
        target = torch.einsum("i,j,k->ijk", *right[seed])
        loss = (torch.einsum("i,j,k->ijk", *factors) - target).square().mean() / 2
        loss.backward()
        moved = [
            f if name in given else f - g
            for name, f, g in zip(plateau.FACTORS, factors.detach(), factors.grad, strict=True)
        ]
        after = (torch.einsum("i,j,k->ijk", *moved) - target).square().mean() / 2
        nothing = target.square().mean() / 2
        assert_close(
            curves[seed], torch.stack([loss.detach(), after]) / nothing, atol=1e-4, rtol=1e-4
        )


def test_an_unknown_factor_is_named():
    with pytest.raises(ValueError, match="'luck'.*choose among attend back, match, copy"):
        plateau.fit_product(["luck"])


# ---- the real first layer

MODEL = AttentionOnlyTransformer(ModelConfig(n_ctx=20, d_vocab=16, n_heads=2, init_weights=1.5))
BLOCKS = sequences.repeated_block(8, 20, 16, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("entry", [(5, 4), (9, 2), (14, 14)])
def test_the_pull_is_what_the_loss_falls_by_when_that_score_rises(entry):
    """By a small change of one score of all heads of the first layer, and of nothing else."""

    def loss(change: float) -> float:
        def add(scores, hook):
            scores = scores.clone()
            scores[:, :, entry[0], entry[1]] += change
            return scores

        model = copy.deepcopy(MODEL).double()
        logits = model.run_with_hooks(BLOCKS.tokens, [("blocks.0.attn.hook_attn_scores", add)])
        return sequences.cross_entropy(logits, BLOCKS.targets, BLOCKS.determined).item()

    slope = (loss(1e-4) - loss(-1e-4)) / 2e-4
    pull = plateau.pull_on_first_layer(MODEL, BLOCKS)
    assert abs(slope) > 1e-5 and pull[entry].item() == pytest.approx(-slope, rel=1e-2)
    assert not pull.triu(1).any()


@pytest.mark.parametrize(
    ("pull", "share"),
    [
        (torch.eye(8).roll(-1, 1).tril(), 1),
        (torch.eye(8), 0),
        (torch.zeros(8, 8), 0),
        (torch.eye(8).roll(-1, 1).tril() + 2 * torch.diag((torch.arange(8) >= 5).float()), 0.5),
        # the last row is pulled nowhere, and so it does not count
        (torch.eye(8).roll(-1, 1).tril() * (torch.arange(8) < 7)[:, None], 1),
        # what stands in the future cannot be attended to
        (torch.eye(8).roll(-1, 1).tril() + 2 * torch.ones(8, 8).triu(1), 1),
    ],
)
def test_rows_count_as_aimed_back_when_the_token_before_pulls_most(pull, share):
    assert plateau.aimed_back(pull) == share


def test_a_training_is_followed_by_its_weights_its_pull_and_its_attention():
    by_hand, blocks = handmade.induction_head(24, 32), sequences.repeated_block
    batch = blocks(8, 32, 24, torch.Generator().manual_seed(0))
    fresh = AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=24))
    found = plateau.along_a_training([fresh, by_hand], batch)
    assert {len(values) for values in found.values()} == {2}
    assert found["matching"][1] == pytest.approx(1) and found["matching"][0] < 0.9
    assert found["looking_back"][1] == pytest.approx(1) and found["looking_back"][0] < 0.2
    pull = plateau.aimed_back(plateau.pull_on_first_layer(fresh, batch))
    assert found["pull"][0] == pull


def test_the_pull_is_taken_at_the_steps_that_are_asked_for():
    blocks = sequences.repeated_block(8, 48, 64, torch.Generator().manual_seed(0))
    found = plateau.pull_while_training(5, (0, 2), blocks)
    trainer, expected = births.trainer("default", 5), []
    for steps in (0, 2):
        for _ in range(steps):
            trainer.step()
        expected.append(plateau.aimed_back(plateau.pull_on_first_layer(trainer.model, blocks)))
    assert found == expected


def test_the_real_first_layer_is_pulled_back_once_the_second_matches():
    run = runs.load(runs.DATA / "runs" / "two_layers")
    blocks = sequences.repeated_block(128, 48, 64, torch.Generator().manual_seed(0))
    found = plateau.along_a_training([run.model_at(8), run.model_at(49)], blocks)
    assert found["matching"][0] < 0.3 < 0.7 < found["matching"][1]
    assert found["pull"][0] < 0.2 and found["pull"][1] > 0.4
    assert max(found["looking_back"]) < 0.2


# ---- which is first?


def trainings(matching: list[list[float]], looking_back: list[list[float]]) -> births.History:
    """Seeds with one head a layer, looked at every ten steps."""
    flat, early = torch.tensor(matching)[..., None], torch.tensor(looking_back)[..., None, None]
    steps = [10 * at for at in range(len(matching[0]))]
    return births.History(steps, flat[..., 0], early, early, early, flat, flat, flat)


def test_first_is_counted_over_seeds_for_each_pair_of_thresholds():
    of_two_seeds = trainings(
        [[0.0, 0.6, 0.9, 0.9], [0.0, 0.2, 0.6, 0.6]], [[0.0, 0.2, 0.2, 0.9], [0.0, 0.2, 0.2, 0.2]]
    )
    shares = plateau.share_first(
        of_two_seeds, ("matching_weights", (0.1, 0.5, 0.8)), ("previous_token", (0.1, 0.5))
    )
    # above 0.1: 10 and 10, as looking back; above 0.5: 10 and 20 beside 30 and never;
    # above 0.8: 20 and never
    assert shares.tolist() == [[0, 1], [0, 1], [0, 0.5]]
    back = plateau.share_first(
        of_two_seeds, ("previous_token", (0.1, 0.5)), ("matching_weights", (0.1, 0.5, 0.8))
    )
    assert back.tolist() == [[0, 0.5, 1], [0, 0, 0]]
