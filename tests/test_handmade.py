"""The handmade circuits pass every test that a trained one must pass, and still do in other
coordinates."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from helpers import handmade
from helpers.instruments import basis, heads
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import BOS, repeated_block

SIZES = [(12, 32), (24, 48), (33, 100)]
INDUCTION = {
    "K-composition": handmade.induction_head,
    "K-composition, standard": lambda d_vocab, n_ctx: handmade.induction_head(
        d_vocab, n_ctx, "standard"
    ),
    "pointer arithmetic": handmade.pointer_arithmetic,
}


def repeats(d_vocab: int, n_ctx: int, seed: int = 0):
    return repeated_block(24, n_ctx, d_vocab, torch.Generator().manual_seed(seed))


def turned(model: AttentionOnlyTransformer, seed: int = 0) -> AttentionOnlyTransformer:
    return basis.rotate(
        model, basis.random_rotation(model.cfg.d_model, torch.Generator().manual_seed(seed))
    )


def pattern(model: AttentionOnlyTransformer, tokens: Tensor, layer: int) -> Tensor:
    return model.run_with_cache(tokens)[1]["pattern", layer][:, 0]


def shift(n_ctx: int, steps: int) -> Tensor:
    """The pattern that looks so many steps back, or as far back as there is anything."""
    places = torch.arange(n_ctx)
    return torch.eye(n_ctx)[(places - steps).clamp_min(0)]


@pytest.mark.parametrize("hidden", [False, True], ids=["as written", "rotated"])
@pytest.mark.parametrize(("d_vocab", "n_ctx"), SIZES)
@pytest.mark.parametrize("make", INDUCTION.values(), ids=INDUCTION)
def test_discover_names_the_induction_head_by_what_it_does(make, d_vocab, n_ctx, hidden):
    model = make(d_vocab, n_ctx)
    report = heads.discover(turned(model) if hidden else model)
    first, second = report.rows
    assert report.induction_heads == [(1, 0)]
    assert second.prefix_matching == pytest.approx(1, abs=1e-3)
    assert second.copying == pytest.approx(1, abs=1e-3)
    assert first.prefix_matching < 0.01
    assert min(first.ablation_effect, second.ablation_effect) > 2


@pytest.mark.parametrize("hidden", [False, True], ids=["as written", "rotated"])
@pytest.mark.parametrize(("d_vocab", "n_ctx"), SIZES)
@pytest.mark.parametrize("make", INDUCTION.values(), ids=INDUCTION)
def test_repeated_random_tokens_are_continued_without_a_mistake(make, d_vocab, n_ctx, hidden):
    model = make(d_vocab, n_ctx)
    batch = repeats(d_vocab, n_ctx)
    answers = (turned(model) if hidden else model)(batch.tokens).argmax(-1)
    assert (answers == batch.targets)[batch.determined].all()


def test_the_two_algorithms_differ_in_the_first_layer():
    """One has a previous-token head, the other none: behaviour alone does not tell how."""
    tokens = heads.probe(24, 48)
    by_keys, by_pointers = handmade.induction_head(24, 48), handmade.pointer_arithmetic(24, 48)
    assert heads.score(by_keys, tokens).previous_token[0, 0] == pytest.approx(1, abs=1e-3)
    assert heads.score(by_pointers, tokens).previous_token.max() < 0.01
    assert_close(pattern(by_keys, tokens, 1), pattern(by_pointers, tokens, 1), atol=1e-3, rtol=0)


@pytest.mark.parametrize("make", INDUCTION.values(), ids=INDUCTION)
def test_an_induction_head_rests_on_bos_and_says_nothing_when_nothing_recurs(make):
    model = make(40, 32)
    tokens = torch.cat([torch.tensor([BOS]), torch.randperm(39)[:31] + 1])[None]
    assert pattern(model, tokens, 1)[0, :, 0].min() > 1 - 1e-3
    assert model(tokens).abs().max() < 0.02


@pytest.mark.parametrize("make", INDUCTION.values(), ids=INDUCTION)
def test_several_copies_share_the_attention(make):
    tokens = torch.tensor([[BOS, 7, 1, 7, 2, 7, 1, 7]])
    assert_close(
        pattern(make(12, 16), tokens, 1)[0, 7],
        torch.tensor([0, 0, 1, 0, 1, 0, 1, 0]) / 3,
        atol=1e-3,
        rtol=0,
    )


def test_pointers_go_to_the_copies_and_not_to_the_token_itself():
    tokens = heads.probe(24, 48)
    found = pattern(handmade.pointer_arithmetic(24, 48), tokens, 0)
    copies = (tokens[:, :, None] == tokens[:, None, :]).tril(-1)
    assert_close((found * copies).sum(-1), copies.any(-1).float(), atol=1e-3, rtol=0)
    # the others rest on BOS
    assert_close(found[:, 1:, 0], 1 - copies.any(-1)[:, 1:].float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("positions", ["shortformer", "standard"])
@pytest.mark.parametrize(("d_vocab", "n_ctx"), [(5, 1), (5, 2), (7, 64), (9, 300)])
def test_the_previous_token_head_looks_one_back_and_names_what_is_there(d_vocab, n_ctx, positions):
    model = handmade.previous_token_head(d_vocab, n_ctx, positions)
    tokens = torch.randint(d_vocab, (4, n_ctx))
    for each in (model, turned(model)):
        assert_close(pattern(each, tokens, 0), shift(n_ctx, 1).expand(4, -1, -1), atol=1e-3, rtol=0)
        assert torch.equal(each(tokens).argmax(-1)[:, 1:], tokens[:, :-1])
    if n_ctx == 64:
        assert heads.score(model, tokens).previous_token[0, 0] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("positions", ["shortformer", "standard"])
def test_two_heads_that_look_one_back_make_a_virtual_head_that_looks_two_back(positions):
    model = handmade.two_back_virtual_head(13, 40, positions)
    tokens = heads.probe(13, 40)
    for each in (model, turned(model)):
        one, two = (pattern(each, tokens, layer) for layer in (0, 1))
        for A in (one, two):
            assert_close(A, shift(40, 1).expand_as(A), atol=1e-3, rtol=0)
        assert_close(two @ one, shift(40, 2).expand_as(two), atol=1e-3, rtol=0)
        assert torch.equal(each(tokens).argmax(-1)[:, 2:], tokens[:, :-2])
        assert heads.discover(each).induction_heads == []
    assert heads.score(model, tokens).previous_token.flatten().tolist() == pytest.approx(
        [1, 1], abs=1e-3
    )


MODELS = {
    **INDUCTION,
    "previous token": handmade.previous_token_head,
    "two back": handmade.two_back_virtual_head,
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_rotation_hides_the_weights_and_changes_no_logit(make):
    model = make(13, 40)
    tokens = heads.probe(13, 40)
    hidden = turned(model)
    # a half stays unused
    assert (model.W_V == 0).double().mean() > 0.9 and (hidden.W_V == 0).double().mean() < 0.8
    assert_close(hidden(tokens), model(tokens), atol=1e-4, rtol=0)
    assert_close(turned(model.double())(tokens), model(tokens), atol=1e-10, rtol=0)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_each_model_is_an_ordinary_one(make):
    model = make(13, 40)
    assert isinstance(model, AttentionOnlyTransformer)
    assert (model.cfg.d_vocab, model.cfg.n_ctx, model.cfg.n_heads) == (13, 40, 1)
    assert not any(weight.requires_grad for weight in model.parameters())
