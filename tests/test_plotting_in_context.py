"""What the pictures of data say in words, which is the same on any machine."""

import torch

from helpers import plotting
from helpers.experiments import markov, triggers


def story(*steps_at_half: int, last_loss: float = 1.0) -> triggers.Story:
    """One training, in which each memory jumps at its step from 0 to 0.8; to 0.2 at step 0."""
    steps = list(range(0, 101, 10))
    rises = [[0.8 * (step >= half) if half else 0.2 for half in steps_at_half] for step in steps]
    losses = torch.full((1, len(steps)), last_loss)
    return triggers.Story(steps, losses, losses, torch.tensor([rises]))


def test_memories_are_told_in_their_order_and_close_ones_together():
    _, says = plotting.memories(story(10, 30, 80, 70), 2.8)
    assert "is there: bigrams, then copy, then look back and match. The loss" in says
    _, says = plotting.memories(story(0, 80, 20, 50), 2.8)
    assert "is there: look back, then copy and match; never stored: bigrams. The" in says


def test_a_loss_is_told_by_what_guessing_costs():
    _, says = plotting.memories(
        story(10, 30, 80, 70), 2.8, "", {"one layer": story(10, 10, 10, 10, last_loss=2.5)}
    )
    assert says.endswith("ends: two layers below guessing, one layer near guessing.")
    _, says = plotting.memories(story(0, 0, 0, 0, last_loss=9.0), 2.8)
    assert "is there: of nothing; never stored: bigrams and copy and look back and match." in says
    assert says.endswith("ends: two layers above guessing.")


def test_the_phases_of_every_training_are_told():
    near = torch.tensor([[0, 1, 2], [0, 2, 2], [0, 1, 2]])
    distance = 1 - torch.nn.functional.one_hot(near, 3).float()
    made = markov.Story([0, 1, 2], distance, torch.zeros(3, 3))
    _, says = plotting.nearest_rules({"two layers": made})
    assert says.endswith(
        "two layers: uniform, then unigram, then bigram in 2 of 3; uniform, then bigram in 1 of 3."
    )


def test_heads_that_form_are_counted_at_every_share():
    _, says = plotting.rarity({"repeats": {0.125: [0.1, 0.2], 1.0: [0.9, 0.4]}}, 0.04)
    assert says.endswith("repeats, 0.125 0 of 2, 1 1 of 2.")


def test_trainings_that_never_get_there_are_told():
    _, says = plotting.tokens_needed(
        {"as it is": [3.0, 2.0], "half as wide": [8.0, torch.inf], "one layer": [torch.inf]}, 9, {}
    )
    assert says.endswith("as it is 2 to 3; half as wide 8 to never; one layer never.")
