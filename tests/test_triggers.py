"""The probes find a memory where one was written, and only there."""

import math
from dataclasses import replace

import pytest
import torch

from helpers import handmade
from helpers.experiments import triggers
from helpers.experiments.triggers import MEMORIES, MODEL, Story
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import transition_matrix
from helpers.sequences.batch import seen_before

BIGRAMS, COPY, BACK, MATCH = range(len(MEMORIES))


def written_head():
    return handmade.induction_head(MODEL.d_vocab, MODEL.n_ctx)


def bigram_model() -> AttentionOnlyTransformer:
    """Its direct path is the known chain; its heads write nothing."""
    model = AttentionOnlyTransformer(replace(MODEL, d_model=MODEL.d_vocab)).requires_grad_(False)
    model.W_E[:] = torch.eye(MODEL.d_vocab)
    model.W_U[:] = transition_matrix(MODEL.d_vocab).clamp_min(1e-12).log()
    model.W_O[:] = 0
    return model


class Told(AttentionOnlyTransformer):
    """One layer, which answers with these logits, whatever it reads."""

    def __init__(self, logits: torch.Tensor):
        super().__init__(replace(MODEL, n_layers=1))
        self.logits = logits

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.logits


def test_a_written_induction_head_holds_all_that_a_head_can():
    assert triggers.memories(written_head())[[COPY, BACK, MATCH]].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "lost, spoil",
    [
        (COPY, lambda model: model.W_O[1].zero_()),
        (BACK, lambda model: model.W_pos.copy_(model.W_pos.flip(0))),
        (MATCH, lambda model: model.W_K[1].zero_()),
    ],
)
def test_what_is_spoilt_is_lost_and_nothing_else(lost, spoil):
    model = written_head()
    spoil(model)
    found = triggers.memories(model)
    assert found[lost] < 0.2
    assert all(found[other] == 1 for other in (COPY, BACK, MATCH) if other != lost)


def test_moving_something_else_than_the_token_leaves_nothing_to_match():
    model = written_head()
    model.W_O[0] = 0
    assert triggers.memories(model)[MATCH] < 0.2


def test_the_known_chain_stands_on_the_direct_path():
    assert triggers.memories(bigram_model())[BIGRAMS] == 1
    assert triggers.memories(written_head())[BIGRAMS] < 0.2


def test_one_layer_has_nothing_to_match_with():
    with pytest.raises(ValueError, match="no head 0 in layer 1"):
        triggers.memories(handmade.previous_token_head(MODEL.d_vocab, MODEL.n_ctx))


def test_who_knows_the_chain_loses_nothing_where_it_goes_on_and_all_after_triggers():
    found = triggers._measure()(bigram_model())
    assert found["chain"] == pytest.approx(0, abs=1e-4)
    assert found["triggers"] > math.log(MODEL.d_vocab)  # sure of the wrong token


def test_who_copies_after_triggers_knows_them_and_not_the_chain():
    found = triggers._measure()(written_head())
    assert found["triggers"] < 0.01 and found["chain"] > 1


def test_a_row_counts_as_chain_when_its_token_was_seen_and_is_no_trigger():
    """Where a token stands for the first time it may be a trigger, and no model can know."""
    tokens, targets, triggers_again = triggers.TASK(64, torch.Generator().manual_seed(10_000))
    law = transition_matrix(MODEL.d_vocab).clamp_min(1e-12)
    ordinary = seen_before(tokens) & ~triggers_again
    surprise = -law[tokens, targets].log() + (law * law.log()).sum(-1)[tokens]
    rest = surprise[ordinary].double()
    assert abs(rest.mean()) < 4 * rest.std() / len(rest) ** 0.5  # the chain's own law there
    told = torch.where(ordinary[..., None], law.log()[tokens], 0.0)
    found = triggers._measure()(Told(told))
    assert found["chain"] == pytest.approx(0, abs=1e-4)
    assert found["triggers"] == pytest.approx(math.log(MODEL.d_vocab))


def test_a_row_looks_back_only_among_what_it_may_see():
    """The key ahead has a higher score here, and every score is below zero."""
    shape = replace(MODEL, d_model=MODEL.n_ctx, d_head=MODEL.n_ctx)
    model = AttentionOnlyTransformer(shape).requires_grad_(False)
    model.W_pos[:] = model.W_Q[0, 0] = torch.eye(MODEL.n_ctx)
    back = torch.ones(MODEL.n_ctx - 1).diag(-1)
    model.W_K[0, 0] = (back + 3 * back.T - 5).T
    assert triggers.memories(model)[BACK] == 1


def test_half_way_is_told_by_what_is_there_in_the_end_and_by_what_is_a_memory():
    shares = torch.tensor([[0.0, 0.0, 0.0, 0.1], [0.3, 0.5, 0.1, 0.2], [0.4, 0.9, 0.9, 0.2]])
    story = Story([0, 10, 20], torch.zeros(1, 3), torch.zeros(1, 3), shares[None])
    assert story.half_way().nan_to_num(-1).tolist() == [[10, 10, 20, -1]]


def test_trainings_are_told_by_their_seeds_and_by_what_their_loss_counts():
    story = triggers.watch([0, 1], steps=[0, 3])
    assert story.steps == [0, 3] and story.memories.shape == (2, 2, 4)
    assert not torch.equal(story.triggers[0], story.triggers[1])
    again = triggers.watch([1], steps=[0, 3])
    assert torch.equal(story.triggers[1:], again.triggers)
    counted = triggers.watch([1], rows="determined", steps=[0, 3])
    assert torch.equal(counted.triggers[:, 0], again.triggers[:, 0])
    assert not torch.equal(counted.triggers[:, 1], again.triggers[:, 1])
    one_layer = triggers.watch([0], n_layers=1, steps=[0])
    assert one_layer.memories.isnan().all() and one_layer.triggers.isfinite().all()
