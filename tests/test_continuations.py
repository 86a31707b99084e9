"""What a model writes is its likeliest token, again and again; what it takes up is counted pair by
pair."""

import pytest
import torch

from helpers import handmade
from helpers.instruments import heads
from helpers.instruments.continuations import continuation, taken_up
from helpers.model import AttentionOnlyTransformer, ModelConfig

SHAPE = dict(n_ctx=12, d_vocab=9, init_weights=1.5, init_embed=1.0)
BLOCK = torch.tensor([[0, 5, 3, 9, 7, 5, 3], [0, 8, 2, 4, 6, 8, 2]])


def test_a_head_written_by_hand_recites_the_block_and_without_it_nobody_does():
    model = handmade.induction_head(d_vocab=12, n_ctx=16)
    assert continuation(model, BLOCK, 6).tolist() == [[9, 7, 5, 3, 9, 7], [4, 6, 8, 2, 4, 6]]
    without = continuation(model, BLOCK, 6, heads.zero_heads(model, [(1, 0)]))
    assert (without != torch.tensor([[9, 7, 5, 3, 9, 7], [4, 6, 8, 2, 4, 6]])).any(1).all()


def test_each_token_is_the_likeliest_after_all_before_it():
    model = AttentionOnlyTransformer(ModelConfig(**SHAPE, seed=4))
    more = continuation(model, BLOCK[:1] % 9, 5)
    whole = torch.cat([BLOCK[:1] % 9, more], 1)
    for at in range(7, 12):
        assert whole[0, at] == model(whole[:, :at])[0, -1].argmax()
    assert len(set(more[0].tolist())) > 1


def test_what_does_not_fit_is_refused():
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=12, d_vocab=12))
    assert continuation(model, BLOCK, 5).shape == (2, 5)
    with pytest.raises(ValueError, match="7 tokens and 6 more are 13, .* at most 12"):
        continuation(model, BLOCK, 6)


@pytest.mark.parametrize(
    ("more", "share"),
    [
        ([9, 7, 5, 3], 1),  # as it went before
        ([1, 1, 1, 1], 0.5),  # new; (1, 1) is new once, and then twice old
        ([4, 9, 4, 9], 0.25),  # the last pair alone stood before
        ([3, 5, 9, 1], 0),  # both ends of a pair have stood there, but not together
    ],
)
def test_a_token_is_taken_up_when_its_pair_stood_there_before(more, share):
    rows = BLOCK[:1], torch.tensor([more])
    assert taken_up(*rows).tolist() == [share]
    ids = [*BLOCK[0].tolist(), *more]
    by_hand = [
        (ids[i - 1], ids[i]) in zip(ids[: i - 1], ids[1:i], strict=True) for i in range(7, 11)
    ]
    assert sum(by_hand) / 4 == share


def test_of_nothing_no_share_is_taken_up():
    with pytest.raises(ValueError, match="no tokens follow these"):
        taken_up(BLOCK, BLOCK[:, :0])


def test_rows_do_not_see_each_other():
    both = taken_up(BLOCK, torch.tensor([[4, 6], [4, 6]]))
    assert both.tolist() == [0, 1]
