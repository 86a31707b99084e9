"""The attention explorable without a browser: what it sends, and what it refuses."""

import asyncio
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from helpers import handmade
from helpers.explorables import attention as module
from helpers.explorables.attention import Attention
from helpers.model import AttentionOnlyTransformer, ModelConfig
from tests.patience import soon

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
    shape = len(scene["heads"]) // scene["columns"], scene["columns"], scene["pos"]
    pattern = np.frombuffer(scene["pattern"], "<u2").reshape(*shape, scene["pos"]) / 65535
    lengths = np.frombuffer(scene["v_norm"], "<f4").reshape(shape)
    return torch.tensor(pattern), torch.tensor(lengths)


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
    [
        ((3, 0), "no head 0 in layer 3: the model has 3 layers of 2 heads"),
        ((0, -1), "no head -1 in layer 0"),
        ((0, 0, 9), "no position 9; .* 0 to 8"),
    ],
)
def test_look_refuses_what_does_not_exist(model, tokens, place, says):
    with pytest.raises(ValueError, match=says):
        Attention(model, tokens).look(*place)


# ---- some of the heads

CHOSEN = [(2, 1), (0, 0), (2, 0)]


def test_the_heads_that_are_asked_for_come_in_this_order_and_no_other(model, tokens):
    every, some = Attention(model, tokens).scene, Attention(model, tokens, heads=CHOSEN).scene
    assert every["heads"] == [(layer, head) for layer in range(3) for head in range(2)]
    assert (every["columns"], every["out_of"], every["heads"][every["opens"]]) == (2, 0, (2, 0))
    assert (some["heads"], some["columns"], some["out_of"], some["opens"]) == (CHOSEN, 5, 6, 0)
    for name, kind in (("pattern", "<u2"), ("v_norm", "<f4")):
        sent, right = (np.frombuffer(scene[name], kind) for scene in (some, every))
        right = right.reshape(6, -1)[[every["heads"].index(head) for head in CHOSEN]]
        assert (sent == right.ravel()).all()


def test_of_no_other_layer_anything_is_kept(model, tokens, monkeypatch):
    kept, run = [], model.run_with_cache
    monkeypatch.setattr(
        model,
        "run_with_cache",
        lambda *given, **named: kept.append(run(*given, **named)) or kept[-1],
    )
    Attention(model, tokens, heads=CHOSEN)
    parts = [f"blocks.{at}.attn.hook_{part}" for at in (0, 2) for part in ("v", "pattern")]
    assert list(kept[0][1]) == parts


@pytest.mark.parametrize(("heads", "columns"), [(1, 5), (9, 5), (15, 5), (20, 6), (24, 7), (30, 8)])
def test_many_heads_stand_in_more_columns(tokens, heads, columns):
    large = AttentionOnlyTransformer(replace(CONFIG, n_layers=15))
    every = [(layer, head) for layer in range(15) for head in range(2)]
    assert Attention(large, tokens, heads=every[:heads]).scene["columns"] == columns


@pytest.mark.parametrize(
    ("heads", "says"),
    [
        ([(0, 0), (3, 0)], r"from \(0, 0\) to \(2, 1\), and of these are none: \[\(3, 0\)\]"),
        ([(0, -1)], r"of these are none: \[\(0, -1\)\]"),
        ((2, 1), r"expected one or more pairs \(layer, head\).* are none: \[2, 1\]"),
        ([[2, 1]], r"expected one or more pairs \(layer, head\).* are none: \[\[2, 1\]\]"),
        ([(0, 0), (0, 0)], r"heads is \[\(0, 0\), \(0, 0\)\]; expected .* each once"),
        ([], r"heads is \[\]; expected one or more"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_heads_that_cannot_be_shown_are_refused_in_words(model, tokens, heads, says):
    with pytest.raises(ValueError, match=says):
        Attention(model, tokens, heads=heads)


def test_look_refuses_a_head_that_is_not_shown(model, tokens):
    explorable = Attention(model, tokens, heads=CHOSEN)
    explorable.look(0, 0)
    with pytest.raises(ValueError, match=r"2\.1, 0\.0, 2\.0"):
        explorable.look(1, 1)
    assert explorable.opens_at == dict(layer=0, head=0, position=8)


def test_repr_and_still_know_the_heads_that_are_shown(model, tokens):
    explorable = Attention(model, tokens, heads=CHOSEN)
    assert repr(explorable) == "Attention(n_layers=3, n_heads=2, shown=3, pos=9)"
    pattern = model.run_with_cache(tokens)[1]["pattern", 2][0]
    for head, look in ((1, None), (0, (2, 0))):
        if look:
            explorable.look(*look)
        fig, says = explorable.picture()
        assert f"head 2.{head} " in fig.axes[0].get_title(loc="left")
        assert f"most attention, {pattern[head, 8].max():.2f}, goes to" in says


def test_the_still_forgets_a_place_that_is_no_more(model, tokens):
    """As the view does: other tokens may be fewer, and another model may have other heads."""
    explorable = Attention(model, tokens)
    explorable.look(2, 1, 8)
    explorable.show(model, tokens[:, :4])
    fig, says = explorable.picture()
    assert "position 3" in says and "head 2.0 " in fig.axes[0].get_title(loc="left")


def test_other_tokens_and_texts_are_seen_by_the_same_heads(model, tokens, monkeypatch):
    explorable = Attention(model, text="badge", tokenizer=Letters(), heads=CHOSEN)
    explorable.show(model, tokens)
    assert explorable.scene == Attention(model, tokens, heads=CHOSEN).scene
    with pytest.raises(ValueError, match="of these are none"):
        explorable.show(AttentionOnlyTransformer(replace(CONFIG, n_layers=2)), tokens)
    monkeypatch.setattr(module, "MOST_ENTRIES", 3 * 7**2)  # of six heads it were fewer tokens
    explorable.read("badgef")
    assert (explorable.scene["heads"], explorable.most) == (CHOSEN, 7)
    with pytest.raises(ValueError, match="3 patterns of 9 x 9 are more than 147 entries"):
        explorable.show(model, tokens)


# ---- a text of one's own


class Letters:
    """A tokenizer of twelve letters, a token each."""

    def encode(self, text: str) -> list[int]:
        text.encode()  # fails on half a pair, as a corpus does
        unknown = sorted(set(text) - set("abcdefghijkl"))
        if unknown:
            raise ValueError(f"no token is called {unknown[0]!r}")
        return [ord(letter) - 96 for letter in text]

    def token_strings(self, ids) -> list[str]:
        return [chr(96 + token) for token in ids]


def test_a_text_is_read_behind_bos_and_labelled(model):
    explorable = Attention(model, text="badge", tokenizer=Letters())
    assert explorable.scene == Attention(model, [0, 2, 1, 4, 7, 5], ["BOS", *"badge"]).scene
    assert (explorable.text, explorable.most, explorable.trouble) == ("badge", 11, "")
    explorable.read("face")
    assert explorable.scene["labels"] == ["BOS", *"face"] and explorable.text == "face"
    without = Attention(model, text="badge", tokenizer=Letters(), bos=None)
    assert without.scene["tokens"] == [2, 1, 4, 7, 5]
    other = Attention(model, text="badge", tokenizer=Letters(), bos=16)
    assert other.scene["tokens"][0] == 16 and other.scene["labels"][0] == "BOS"


@pytest.mark.parametrize("own", [16, None])
def test_a_text_opens_with_the_models_own_bos_unless_another_is_given(model, own):
    model.tokenizer = SimpleNamespace(bos_token_id=own)  # as a language model has one
    tokens = Attention(model, text="badge", tokenizer=Letters()).scene["tokens"]
    assert tokens == [*([] if own is None else [own]), 2, 1, 4, 7, 5]
    given = Attention(model, text="badge", tokenizer=Letters(), bos=0)
    assert given.scene["tokens"][0] == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no text to read; type a line or two"),
        ("abcdefghijka", "13 tokens with BOS, and at most 11 can be read here; take 2 or more"),
        ("ab\ud83dc", "character 3 of this text is half of a pair"),
        ("box", "no token is called 'o'"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_and_the_old_one_stays(model, text, says):
    explorable, sent = Attention(model, text="badge", tokenizer=Letters()), []
    before = explorable.scene
    with pytest.raises(ValueError, match=says):
        explorable.read(text)
    explorable.send = sent.append
    explorable._hear(None, dict(do="read", text=text), [])  # as the text box asks
    assert says in explorable.trouble and sent == [dict(type="answered")]
    assert explorable.scene is before and explorable.text == "badge"
    explorable._hear(None, dict(do="read", text="face"), [])
    assert explorable.trouble == "" and explorable.text == "face"


def test_what_fails_in_the_model_is_said_too_and_raised(model):
    explorable, sent = Attention(model, text="badge", tokenizer=Letters()), []
    explorable.send = sent.append
    explorable._model = None
    with pytest.raises(AttributeError):
        explorable._hear(None, dict(do="read", text="face"), [])
    assert explorable.trouble.startswith("AttributeError: ") and sent == [dict(type="answered")]


def test_a_text_may_be_as_long_as_the_view_can_show(model, monkeypatch):
    monkeypatch.setattr(module, "MOST_ENTRIES", 6 * 7**2)
    with pytest.raises(ValueError, match="8 tokens with BOS, and at most 7 can be read here"):
        Attention(model, text="badgefa", tokenizer=Letters())
    assert Attention(model, text="badgef", tokenizer=Letters()).scene["pos"] == 7


def test_the_next_text_is_read_by_the_model_that_was_shown_last(model):
    explorable = Attention(model, text="badge", tokenizer=Letters())
    other = handmade.previous_token_head(d_vocab=17, n_ctx=6)
    explorable.show(other, [0, 3, 4])
    explorable.read("face")
    assert explorable.scene == Attention(other, [0, 6, 1, 3, 5], ["BOS", *"face"]).scene


def test_tokens_or_a_text_with_its_tokenizer(model, tokens):
    for given in (
        {},
        dict(text="badge"),
        dict(tokenizer=Letters()),
        dict(tokens=tokens, text="badge", tokenizer=Letters()),
    ):
        with pytest.raises(ValueError, match="expected either tokens, or a text and its tokenizer"):
            Attention(model, **given)
    with pytest.raises(RuntimeError, match="no tokenizer was given"):
        Attention(model, tokens).read("badge")
    assert Attention(model, tokens).most == 0


def test_what_the_view_asks_is_done_where_the_cells_run(model):
    """JupyterLab lets widgets speak in a thread of their own."""

    async def cell():
        explorable = Attention(model, text="badge", tokenizer=Letters())
        readers = []
        read = explorable.read
        explorable.read = lambda text: (readers.append(threading.get_ident()), read(text))
        ask = dict(do="read", text="face")
        await asyncio.to_thread(explorable._hear, None, ask, [])
        await soon(lambda: explorable.text == "face")
        assert readers == [threading.get_ident()]

    asyncio.run(cell())
