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
    """By the paths themselves: the direct one, those through one head, and the whole."""
    terms = paths.path_expansion(MODEL, TOKENS)
    singles = {name: term for name, term in terms.items() if name == "direct" or len(name) == 3}
    assert len(singles) == 5

    def loss(logits: torch.Tensor) -> float:
        return -logits.log_softmax(-1).gather(2, TARGETS[..., None]).mean().item()

    direct, single, both = map(loss, (terms["direct"], sum(singles.values()), MODEL(TOKENS)))
    found = orders.virtual_over_single([MODEL, MODEL], (TOKENS, TARGETS))
    assert found == pytest.approx([(single - both) / (direct - single)] * 2, rel=1e-3)
