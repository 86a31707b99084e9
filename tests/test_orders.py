"""What each order saves, read off the losses by hand."""

import math

import pytest
import torch

from helpers.experiments import orders
from helpers.instruments import paths
from helpers.model import AttentionOnlyTransformer, ModelConfig

LOSSES = torch.tensor([3.0, 1.0, 0.5])
MODEL = AttentionOnlyTransformer(ModelConfig(n_heads=2, n_ctx=12, d_vocab=9, init_weights=1.5))
TOKENS, TARGETS = torch.randint(9, (2, 3, 12), generator=torch.Generator().manual_seed(0))


def test_each_order_saves_over_the_one_before_and_the_first_over_guessing():
    assert orders.saved(LOSSES, 64) == pytest.approx([math.log(64) - 3, 2, 0.5])


def test_virtual_heads_are_measured_in_single_heads():
    assert orders.virtual_over_single(LOSSES) == pytest.approx(0.25)


@pytest.mark.parametrize("rows", [None, torch.arange(12).expand(3, -1) > 4])
def test_layers_are_those_of_their_paths(rows):
    """By the paths themselves: the direct one and those through one head of the layer."""
    data = (TOKENS, TARGETS) if rows is None else (TOKENS, TARGETS, rows)
    terms = paths.path_expansion(MODEL, TOKENS)

    def loss(*names: str) -> float:
        logits = sum(terms[name] for name in names)
        log_probs = logits.log_softmax(-1).gather(2, TARGETS[..., None])[..., 0]
        return -(log_probs if rows is None else log_probs[rows]).mean().item()

    direct, first, second = loss("direct"), ("0.0", "0.1"), ("1.0", "1.1")
    found = orders.by_layer(MODEL, data, paths.term_importance(MODEL, *data))
    assert found.first == pytest.approx(direct - loss("direct", *first), abs=1e-5)
    assert found.second == pytest.approx(direct - loss("direct", *second), abs=1e-5)
    together = direct - loss("direct", *first, *second)
    assert found.twice == pytest.approx(found.first + found.second - together, abs=1e-5)
