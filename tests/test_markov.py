"""The three rules are those of the paper, counted token by token, and a model that follows one is
at no distance from it."""

import math
from collections import Counter

import pytest
import torch

from helpers.experiments import markov
from helpers.experiments.markov import MODEL, RULES, TASK, Story
from helpers.sequences import BOS

K = MODEL.d_vocab - 1
BATCH = TASK(6, torch.Generator().manual_seed(3))
EXPECTED = markov.rules(BATCH.tokens, MODEL.d_vocab)


def counted(rule: str, seen: list[int]) -> list[float]:
    """A rule's expectation after these tokens, BOS among them."""
    pairs = list(zip(seen, seen[1:], strict=False))
    came = {
        "uniform": [],
        "unigram": [token for token in seen if token != BOS],
        "bigram": [after for before, after in pairs if before == seen[-1]],
    }[rule]
    counts = Counter(came)
    return [(counts[symbol] + 1) / (len(came) + K) for symbol in range(1, K + 1)]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_its_counts(rule):
    for tokens, expected in zip(BATCH.tokens.tolist(), EXPECTED[rule], strict=True):
        right = [counted(rule, tokens[: row + 1]) for row in range(len(tokens))]
        assert torch.allclose(expected, torch.tensor(right))


def test_the_bigram_rule_foretells_best_and_the_uniform_one_worst():
    batch = TASK(256, torch.Generator().manual_seed(4))
    right = (batch.targets - 1)[batch.determined][:, None]
    losses = [
        -rule[batch.determined].gather(1, right).log().mean().item()
        for rule in markov.rules(batch.tokens, MODEL.d_vocab).values()
    ]
    assert losses[0] == pytest.approx(math.log(K)) and losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("rule", RULES)
def test_who_follows_a_rule_is_at_no_distance_from_it_whatever_is_said_of_bos(rule):
    logits = torch.cat([torch.full((*BATCH.tokens.shape, 1), 5.0), EXPECTED[rule].log()], -1)
    found = markov.distances(logits, EXPECTED, BATCH.determined)
    assert found[rule] == pytest.approx(0, abs=1e-5)
    assert min(found[other] for other in RULES if other != rule) > 0.02


def test_the_distance_is_what_the_models_code_costs_beyond_the_rules_own():
    logits = torch.randn(*BATCH.tokens.shape, MODEL.d_vocab, generator=torch.Generator())
    found = markov.distances(logits, EXPECTED, BATCH.determined)
    costs = []
    for at in BATCH.determined.nonzero().tolist():
        p = EXPECTED["bigram"][*at].tolist()
        q = logits[*at, 1:].softmax(-1).tolist()
        costs.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    assert found["bigram"] == pytest.approx(sum(costs) / len(costs), rel=1e-4)


def test_phases_are_the_nearest_rules_in_the_order_in_which_they_come():
    near = torch.tensor([[0, 1, 1, 0, 2], [1, 1, 1, 1, 1]])
    distance = 1 - torch.nn.functional.one_hot(near, 3).float()
    story = Story([0, 1, 2, 3, 4], distance, torch.zeros(2, 5))
    assert story.phases() == [["uniform", "unigram", "bigram"], ["unigram"]]


def test_a_model_begins_as_the_uniform_rule_and_trainings_are_told_by_their_seeds():
    story = markov.watch([0, 1], steps=[0, 3])
    assert story.distance.shape == (2, 2, 3) and (story.distance[:, 0, 0] < 0.01).all()
    assert [phases[0] for phases in story.phases()] == ["uniform"] * 2
    assert not torch.equal(story.distance[0], story.distance[1])
    assert torch.equal(story.distance[1:], markov.watch([1], steps=[0, 3]).distance)
    assert markov.watch([0], n_layers=1, steps=[0]).matching.shape == (1, 1)
