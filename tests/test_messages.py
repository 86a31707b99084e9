"""A head says more at one position, and a later head hears that and nothing else."""

import pytest
import torch

from helpers.experiments import messages
from helpers.instruments.virtual_weights import virtual_weights
from helpers.model import AttentionOnlyTransformer, ModelConfig

MODEL = AttentionOnlyTransformer(ModelConfig(n_ctx=12, d_vocab=9, seed=1))
TOKENS = torch.randint(1, 9, (2, 12), generator=torch.Generator().manual_seed(0))
MESSAGE = torch.randn(16, generator=torch.Generator().manual_seed(1))


def moved(writer, reader) -> dict[str, torch.Tensor]:
    before = messages.heard(MODEL, TOKENS, reader)
    after = messages.heard(MODEL, TOKENS, reader, [messages.push(writer, 5, MESSAGE)])
    return {side: after[side] - before[side] for side in "QKV"}


def test_what_is_heard_is_query_key_and_value_of_that_head():
    _, cache = MODEL.run_with_cache(TOKENS)
    for side, values in messages.heard(MODEL, TOKENS, (1, 2)).items():
        assert values.equal(cache[side.lower(), 1][:, :, 2])


@pytest.mark.parametrize("side", "QKV")
def test_the_message_arrives_through_the_virtual_weights_at_its_position_only(side):
    change = moved((0, 3), (1, 2))[side]
    weights = virtual_weights(MODEL, (0, 3), (1, 2, side))
    assert torch.allclose(change[:, 5], (MESSAGE @ weights).expand(2, -1), atol=1e-5)
    change[:, 5] = 0
    assert not change.any()


def test_no_head_of_the_same_layer_hears_it():
    assert not any(change.any() for change in moved((0, 3), (0, 2)).values())


def test_a_head_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="there is no head 7 in layer 1"):
        messages.heard(MODEL, TOKENS, (1, 7))
    with pytest.raises(ValueError, match="there is no head -1 in layer 0: it has 4"):
        moved((0, -1), (1, 2))
