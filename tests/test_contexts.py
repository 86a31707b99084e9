"""Losses by what a context holds."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from helpers import handmade
from helpers.instruments import contexts, heads
from helpers.model import AttentionOnlyTransformer, ModelConfig

#                        BOS      right      wrong, for the latest says 6
TEXT = torch.tensor([[0, 5, 6, 7, 5, 6, 9, 5, 8]])


def test_each_row_is_told_by_its_latest_earlier_copy():
    right, earlier, wrong, none = kinds = contexts.copies(TEXT)
    assert right[0].nonzero().flatten().tolist() == [4]  # 5, then 6 as before
    assert wrong[0].nonzero().flatten().tolist() == [5, 7]  # 6, then 9; 5, then 8
    assert not earlier.any() and none[0, 0]
    assert torch.equal(sum(kind.int() for kind in kinds), torch.ones_like(right).int())


def test_the_latest_copy_counts_and_not_the_first():
    text = torch.tensor([[0, 5, 6, 5, 7, 5, 7, 5, 6]])
    right, earlier, wrong, _ = contexts.copies(text)
    assert right[0].nonzero().flatten().tolist() == [5, 6]
    assert earlier[0].nonzero().flatten().tolist() == [7]  # the latest says 7, the first said 6
    assert wrong[0].nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize("kinds", [3, 12])
def test_each_row_is_told_by_what_followed_its_copies(kinds):
    """All earlier copies one by one, padding at the end of a row included."""
    tokens = torch.randint(kinds, (6, 25), generator=torch.Generator().manual_seed(0))
    tokens[0, 15:] = heads.PAD
    found = contexts.copies(tokens)
    for number, words in enumerate(tokens.tolist()):
        for row, following in enumerate(words[1:]):
            earlier = [at for at in range(1, row) if words[at] == words[row] != heads.PAD]
            said = [words[at + 1] for at in earlier]
            right = bool(said) and said[-1] == following
            told = dict(
                right=right,
                earlier=not right and following in said,
                wrong=bool(said) and following not in said,
                none=not said,
            )
            assert {
                name: kind[number, row].item() for name, kind in found._asdict().items()
            } == told


def test_bos_is_no_copy_even_where_it_stands_again():
    *_, none = contexts.copies(torch.tensor([[0, 3, 0, 3, 4]]))
    assert none[0, 0] and none[0, 2]  # a 0 inside a text, before which 0 stood as BOS alone


def test_a_kind_that_does_not_occur_has_no_number():
    means = contexts.by_copies(torch.arange(3.0)[None], torch.tensor([[0, 1, 2, 3]]))
    assert means["none"] == 1 and torch.tensor([means["right"], means["wrong"]]).isnan().all()


def test_losses_are_those_of_the_logits():
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=16, d_vocab=12))
    tokens = torch.randint(12, (3, 16))
    found = contexts.losses(model, tokens)
    right = F.cross_entropy(model(tokens)[1, 6:7], tokens[1, 7:8])
    assert found.shape == (3, 15) and found[1, 6].item() == pytest.approx(right.item(), abs=1e-5)


def test_what_heads_save_is_what_their_output_matrices_save():
    model = AttentionOnlyTransformer(ModelConfig(n_layers=2, n_heads=2, n_ctx=16, d_vocab=12))
    model.requires_grad_(False)
    tokens, cut = torch.randint(12, (3, 16)), copy.deepcopy(model)
    cut.W_O[0, 1] = cut.W_O[1, 0] = 0
    found = contexts.savings(model, tokens, [(0, 1), (1, 0)])
    assert_close(found, contexts.losses(cut, tokens) - contexts.losses(model, tokens))
    assert found.abs().max() > 0.01


def test_a_perfect_head_is_worth_all_where_a_copy_is_right_and_nothing_without_it():
    model, tokens = handmade.induction_head(d_vocab=24, n_ctx=48), heads.probe(24, 48)
    whole = contexts.losses(model, tokens)
    cut = contexts.losses(model, tokens, heads.zero_heads(model, [(1, 0)]))
    with_it, without = (contexts.by_copies(one, tokens) for one in (whole, cut))
    assert with_it["right"] < 0.1 and without["right"] > 2
    assert with_it["none"] == pytest.approx(without["none"], abs=0.5)
    early, late = range(0, 5), range(40, 47)
    assert (contexts.worth(whole, early, late) < -2).all()
    assert contexts.worth(cut, early, late).abs().max() < 0.5


def test_rows_that_are_not_there_are_refused_in_words():
    with pytest.raises(ValueError, match="late rows 3 to 9; these losses have rows 0 to 4"):
        contexts.worth(torch.zeros(1, 4), range(0, 2), range(3, 9))
