"""The savings explorable without a browser: what it sends, and what it refuses."""

import copy
import math

import pytest
import torch
from torch.testing import assert_close

from helpers import handmade
from helpers.explorables.savings import KINDS, Savings
from helpers.instruments import heads
from helpers.model import AttentionOnlyTransformer, ModelConfig

CONFIG = ModelConfig(
    n_layers=2, n_heads=3, d_model=12, d_head=5, n_ctx=11, d_vocab=17, positions="standard"
)
WITHOUT = [(1, 2), (0, 1)]
TEXT = torch.tensor([0, 5, 6, 5, 7, 5, 7, 5, 6, 9])


class Letters:
    """A tokenizer in which token 5 is `e`."""

    def encode(self, text):
        return [ord(letter) - 96 for letter in text]

    def token_strings(self, ids):
        return [chr(96 + token) for token in ids]


@pytest.fixture
def model():
    return AttentionOnlyTransformer(CONFIG).requires_grad_(False)


@pytest.fixture
def cut(model):
    """The same, in which these heads write nothing: their matrices are zero."""
    cut = copy.deepcopy(model)
    for at in WITHOUT:
        cut.W_O[at] = 0
    return cut


def test_losses_and_answers_are_those_of_the_model_and_of_one_that_lacks_the_heads(model, cut):
    scene = Savings(model, TEXT, without=WITHOUT).scene
    for side, read in ((scene["whole"], model), (scene["without"], cut)):
        logits = read(TEXT[None])[0].tolist()
        for row, right in enumerate(TEXT[1:].tolist()):
            shares = torch.tensor(logits[row]).exp()
            shares = (shares / shares.sum()).tolist()
            order = sorted(range(17), key=lambda token: -shares[token])  # noqa: B023
            assert side["best"][row] == order[:3]
            assert side["probability"][row] == pytest.approx([shares[i] for i in order[:3]])
            assert side["place"][row] == 1 + order.index(right)
            assert side["loss"][row] == pytest.approx(-math.log(shares[right]), abs=1e-5)
    assert scene["whole"]["loss"] != pytest.approx(scene["without"]["loss"], abs=0.01)


def test_where_they_looked_is_the_mean_of_their_patterns_as_the_whole_model_has_them(model):
    model.W_Q *= 9  # so that some keys get next to nothing
    looks = Savings(model, TEXT, without=WITHOUT).scene["looks"]
    assert sum(map(len, looks)) < sum(range(1, 10))
    _, cache = model.run_with_cache(TEXT[None])
    for row in range(9):
        mean = (cache["pattern", 1][0, 2, row] + cache["pattern", 0][0, 1, row]) / 2
        told = dict(looks[row])
        assert set(told) == {key for key in range(row + 1) if mean[key] >= 0.05}
        assert all(weight == pytest.approx(mean[key].item()) for key, weight in told.items())
        assert list(told.values()) == sorted(told.values(), reverse=True)


def test_each_token_is_of_the_kind_that_the_passage_makes_it(model):
    right, wrong, none = KINDS
    kinds = Savings(model, TEXT, without=WITHOUT).scene["kinds"]
    #        5     6     5     7      5     7      5      6 as at first, 9
    assert kinds == [none, none, none, wrong, none, right, right, right, wrong]


def test_a_perfect_head_saves_most_where_a_copy_is_right():
    model, tokens = handmade.induction_head(d_vocab=24, n_ctx=48), heads.probe(24, 48)[0]
    scene = Savings(model, tokens, without=[(1, 0)]).scene
    rows = [row for row, kind in enumerate(scene["kinds"]) if kind == KINDS[0]]
    assert len(rows) > 20
    for row in rows:
        assert scene["without"]["loss"][row] - scene["whole"]["loss"][row] > 1
        assert scene["whole"]["place"][row] == 1
        keys, weights = zip(*scene["looks"][row], strict=True)
        assert sum(weights) > 0.9 and all(tokens[key - 1] == tokens[row] for key in keys)


def test_tokens_are_called_by_their_ids_or_as_the_tokenizer_says(model):
    scene = Savings(model, TEXT, without=WITHOUT).scene
    assert not scene["named"] and all(name in ("BOS", i) for i, name in scene["vocabulary"].items())
    scene = Savings(model, TEXT, without=WITHOUT, tokenizer=Letters()).scene
    assert scene["named"] and scene["vocabulary"]["5"] == "e"
    told = {*scene["tokens"], *sum(scene["whole"]["best"] + scene["without"]["best"], [])}
    assert set(scene["vocabulary"]) == {str(token) for token in told}


def test_a_model_of_transformer_lens_gives_the_same_scene(model):
    from helpers.lens import to_transformer_lens

    ours, theirs = (
        Savings(one, TEXT, without=WITHOUT).scene for one in (model, to_transformer_lens(model))
    )
    for side in ("whole", "without"):
        assert_close(ours[side]["loss"], theirs[side]["loss"], atol=2e-5, rtol=1e-4)
        assert ours[side]["best"] == theirs[side]["best"]
    assert [dict(row).keys() for row in ours["looks"]] == [
        dict(row).keys() for row in theirs["looks"]
    ]


def test_repr_says_the_settings_alone(model):
    assert repr(Savings(model, TEXT, without=WITHOUT)) == "Savings(pos=10, without=2)"


@pytest.mark.parametrize(
    "tokens, without, says",
    [
        (TEXT[:1], WITHOUT, "1 token predicts nothing"),
        (TEXT.expand(3, -1), WITHOUT, r"tokens has shape \(3, 10\); expected one sequence"),
        (TEXT, [], r"heads is \[\]; expected one or more pairs"),
        (TEXT, [(2, 0)], r"of these are none: \[\(2, 0\)\]"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_what_cannot_be_shown_is_refused_in_words(model, tokens, without, says):
    with pytest.raises(ValueError, match=says):
        Savings(model, tokens, without=without)


def test_a_model_that_has_diverged_is_refused(model):
    model.W_U[0, 0] = torch.nan
    with pytest.raises(ValueError, match="the model has diverged; give an earlier snapshot"):
        Savings(model, TEXT, without=WITHOUT)
