"""The attention explorable without a browser: what it sends, and what it refuses."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from helpers import handmade
from helpers.explorables import attention as module
from helpers.explorables.attention import Attention
from helpers.model import AttentionOnlyTransformer, ModelConfig

CONFIG = ModelConfig(
    n_layers=3, n_heads=2, d_model=12, d_head=5, n_ctx=11, d_vocab=17, positions="standard"
)


@pytest.fixture
def model():
    return AttentionOnlyTransformer(CONFIG)


@pytest.fixture
def tokens():
    return torch.cat([torch.zeros(1, 1, dtype=torch.long), torch.randint(1, 17, (1, 8))], 1)


def received(scene) -> tuple[torch.Tensor, torch.Tensor]:
    """The patterns [layer, head, query, key] and the lengths of v [layer, head, key], as JavaScript
    reads them."""
    shape = scene["n_layers"], scene["n_heads"], scene["pos"], scene["pos"]
    pattern = np.frombuffer(scene["pattern"], "<u2").reshape(shape) / 65535
    return torch.tensor(pattern), torch.tensor(np.frombuffer(scene["v_norm"], "<f4")).view(
        shape[:3]
    )


def test_it_sends_every_heads_pattern_and_the_lengths_of_its_values(model, tokens):
    pattern, lengths = received(Attention(model, tokens).scene)
    _, cache = model.run_with_cache(tokens)
    for layer in range(3):
        assert_close(pattern[layer], cache["pattern", layer][0].double(), atol=1e-5, rtol=0)
        for head in range(2):
            v = cache["v", layer][0, :, head]
            assert_close(lengths[layer, head], (v * v).sum(-1).sqrt())


def test_a_model_of_transformer_lens_gives_the_same_scene(model, tokens):
    from helpers.lens import to_transformer_lens

    ours, theirs = (
        received(Attention(each, tokens).scene) for each in (model, to_transformer_lens(model))
    )
    assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


def test_a_head_written_by_hand_looks_where_it_was_told():
    """0.0 looks one position back: every row of what is sent has its one light there."""
    model = handmade.induction_head(d_vocab=9, n_ctx=7)
    pattern, _ = received(Attention(model, torch.tensor([0, 4, 2, 7, 4, 2])).scene)
    assert pattern[0, 0].argmax(-1).tolist()[1:] == [0, 1, 2, 3, 4]
    assert pattern[1, 0].argmax(-1).tolist()[4:] == [2, 3]


def test_one_sequence_may_come_with_or_without_a_batch(model, tokens):
    assert Attention(model, tokens).scene == Attention(model, tokens[0]).scene


@pytest.mark.parametrize("written", [Tensor.tolist, Tensor.numpy, Tensor.int, Tensor.float])
def test_tokens_may_be_written_in_any_way(model, tokens, written):
    assert Attention(model, written(tokens)).scene == Attention(model, tokens).scene


def test_two_positions_are_enough_to_look_at(model, tokens):
    pattern, _ = received(Attention(model, tokens[:, :2]).scene)
    assert pattern.shape[-2:] == (2, 2)


def test_labels_are_the_ids_unless_given(model, tokens):
    ids = tokens[0].tolist()
    assert Attention(model, tokens).scene["labels"] == ["BOS", *map(str, ids[1:])]
    letters = list("abcdefghi")
    assert Attention(model, tokens, letters).scene["labels"] == letters


def test_repr_says_the_settings_alone(model, tokens):
    assert repr(Attention(model, tokens)) == "Attention(n_layers=3, n_heads=2, pos=9)"


def test_another_model_takes_the_place(model, tokens):
    explorable = Attention(model, tokens)
    other = handmade.previous_token_head(d_vocab=17, n_ctx=6)
    explorable.show(other, tokens[:, :6])
    assert explorable.scene == Attention(other, tokens[:, :6]).scene


@pytest.mark.parametrize(
    "arguments, says",
    [
        (
            lambda tokens: (tokens.expand(3, -1),),
            r"tokens has shape \(3, 9\); expected one sequence",
        ),
        (lambda tokens: (tokens[:, :0],), r"tokens has shape \(1, 0\); expected one sequence"),
        (lambda tokens: (tokens + 0.5,), "tokens holds torch.float32.*; expected whole numbers"),
        (lambda tokens: (tokens, ["a", "b"]), "2 labels for 9 tokens"),
        (
            lambda tokens: (tokens, "nine long"),
            "9 labels for 9 tokens; expected a list with one string a token",
        ),
        (lambda tokens: (tokens + 20,), "token ids run from 20"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_bad_input_is_refused_in_words_and_the_old_scene_stays(model, tokens, arguments, says):
    explorable = Attention(model, tokens)
    before = explorable.scene
    with pytest.raises(ValueError, match=says):
        explorable.show(model, *arguments(tokens))
    assert explorable.scene is before


def test_a_model_without_heads_is_refused(tokens):
    with pytest.raises(ValueError, match="a model of 0 layers has no heads"):
        Attention(AttentionOnlyTransformer(ModelConfig(n_layers=0, d_vocab=17)), tokens)


def test_a_model_that_diverged_is_refused(model, tokens):
    with torch.no_grad():
        model.W_Q[1].fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite: the model has diverged"):
        Attention(model, tokens)


def test_too_much_for_a_browser_is_refused_before_it_is_computed(model, tokens, monkeypatch):
    monkeypatch.setattr(module, "MOST_ENTRIES", 6 * 81 - 1)
    monkeypatch.setattr(model, "run_with_cache", None)
    with pytest.raises(
        ValueError, match="6 patterns of 9 x 9 are more than 485 entries; give fewer tokens"
    ):
        Attention(model, tokens)


def test_look_turns_the_views(model, tokens):
    explorable = Attention(model, tokens)
    explorable.look(2, 1)
    assert explorable.opens_at == dict(layer=2, head=1, position=8)
    explorable.look(0, 1, position=4)
    assert explorable.opens_at == dict(layer=0, head=1, position=4)


@pytest.mark.parametrize(
    "place, says",
    [((3, 0), "no layer 3"), ((0, -1), "no head -1"), ((0, 0, 9), "no position 9; .* 0 to 8")],
)
def test_look_refuses_what_does_not_exist(model, tokens, place, says):
    with pytest.raises(ValueError, match=says):
        Attention(model, tokens).look(*place)


def test_the_view_is_what_all_share_then_its_parts_then_its_own():
    starts = [
        "// What every explorable's view shares",
        "// A strip of tokens",
        "// The view of Attention",
    ]
    places = [Attention._esm.index(start) for start in starts]
    assert places == sorted(places)
    assert Attention._css.index(".explorable .tokens") < Attention._css.index(".attention .board")
