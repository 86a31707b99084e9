"""The paths explorable without a browser: its terms and losses, and what it refuses."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from helpers import handmade
from helpers.explorables import paths as module
from helpers.explorables.paths import Paths
from helpers.instruments import heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import repeated_block

CONFIG = ModelConfig(n_layers=2, n_heads=3, d_model=12, d_head=5, n_ctx=11, d_vocab=17, seed=3)


@pytest.fixture
def model():
    return AttentionOnlyTransformer(CONFIG)


@pytest.fixture
def batch():
    """Tokens, targets and rows of one sequence, [1, pos]."""
    tokens, targets = torch.randint(1, 17, (2, 1, 9))
    return tokens, targets, torch.rand(1, 9) < 0.6


@pytest.fixture
def explorable(model, batch):
    return Paths(model, *batch)


def test_all_terms_give_the_models_loss_and_none_that_of_a_guess(explorable, model, batch):
    tokens, targets, rows = batch
    true = F.cross_entropy(model(tokens)[rows], targets[rows]).item()
    assert explorable.loss_of(explorable.terms) == pytest.approx(true, abs=1e-6)
    assert explorable.loss_of([]) == pytest.approx(math.log(17), abs=1e-12)


def test_the_direct_path_alone_is_a_table_of_bigrams(explorable, model, batch):
    tokens, targets, rows = batch
    bigrams = (model.W_E @ model.W_U)[tokens]
    assert explorable.loss_of("direct") == pytest.approx(
        F.cross_entropy(bigrams[rows], targets[rows]).item(), abs=1e-6
    )


def test_without_rows_every_position_counts(model, batch):
    tokens, targets, _ = batch
    true = F.cross_entropy(model(tokens)[0], targets[0]).item()
    everywhere = Paths(model, tokens[0], targets[0])
    assert everywhere.loss_of(everywhere.terms) == pytest.approx(true, abs=1e-6)


def test_it_sends_every_terms_logits_in_the_order_of_their_names(explorable, model, batch):
    scene = explorable.scene
    sent = torch.tensor(np.frombuffer(scene["logits"], "<f4")).view(1 + 3 + 3 + 9, 9, 17)
    assert (
        scene["terms"][:4] == ["direct", "0.0", "0.1", "0.2"] and scene["terms"][-1] == "0.2 -> 1.2"
    )
    assert scene["orders"] == [0] + 6 * [1] + 9 * [2]
    assert_close(sent.sum(0), model(batch[0])[0].detach(), atol=1e-5, rtol=1e-5)
    _, cache = model.run_with_cache(batch[0])
    assert_close(sent[2], (cache["result", 0][0, :, 1] @ model.W_U).detach(), atol=1e-5, rtol=1e-5)
    assert (scene["targets"], scene["rows"]) == (batch[1][0].tolist(), batch[2][0].tolist())


def test_a_head_that_is_off_still_steers():
    """What the view says of frozen patterns. The induction head finds its place through what 0.0
    brings to its keys. With the terms of 0.0 off, nothing changes; with 0.0 really removed, the
    model is lost."""
    model = handmade.induction_head(d_vocab=16, n_ctx=24)
    batch = repeated_block(1, 24, 16, torch.Generator().manual_seed(0), periods=[7])
    explorable = Paths(model, *batch)
    assert explorable.loss_of(["1.0"]) == pytest.approx(
        explorable.loss_of(explorable.terms), abs=1e-6
    )
    with torch.no_grad():
        removed = model.run_with_hooks(batch.tokens, heads.zero_heads(model, [(0, 0)]))
    rows = batch.determined
    assert (
        explorable.loss_of(["1.0"]) < 0.01 < 1 < F.cross_entropy(removed[rows], batch.targets[rows])
    )


def test_all_terms_are_on_until_python_switches(explorable):
    assert explorable.on == list(explorable.terms)
    explorable.switch(["1.2", "direct"])
    assert explorable.on == ["direct", "1.2"]
    explorable.switch("0.1")
    assert explorable.on == ["0.1"]


def test_an_unknown_term_is_refused_and_the_switches_stay(explorable):
    with pytest.raises(ValueError, match=r"no term is called '1.3'; choose among direct, 0.0"):
        explorable.switch(["0.1", "1.3"])
    with pytest.raises(ValueError, match="no term is called 'Direct'"):
        explorable.loss_of("Direct")
    assert explorable.on == list(explorable.terms)


def test_labels_and_vocabulary(model, batch):
    ids = batch[0][0].tolist()
    letters = list("_abcdefghijklmnop")
    named = Paths(model, *batch, vocabulary=letters).scene
    assert named["labels"] == [letters[token] for token in ids] and named["vocabulary"] == letters
    plain = Paths(model, *batch, labels=list("ninewords")).scene
    assert plain["labels"] == list("ninewords") and plain["vocabulary"][:3] == ["BOS", "1", "2"]


@pytest.mark.usefixtures("shapes_unchecked")
def test_tokens_and_targets_may_be_lists_and_arrays(model, batch):
    tokens, targets, *_ = batch
    expected = Paths(model, tokens, targets).scene
    assert Paths(model, tokens.tolist(), targets.float()).scene == expected
    assert Paths(model, tokens[0].numpy(), targets.int()).scene == expected


def test_repr_says_the_settings_alone(model, batch):
    rows = torch.zeros(1, 9, dtype=torch.bool)
    rows[0, 4:6] = True
    assert repr(Paths(model, *batch[:2], rows)) == "Paths(terms=16, pos=9, rows=2)"


@pytest.mark.parametrize(
    "change, says",
    [
        (
            dict(tokens=torch.ones(2, 9, dtype=torch.long)),
            r"tokens has shape \(2, 9\); expected one sequence",
        ),
        (dict(targets=torch.ones(8, dtype=torch.long)), "targets has 8 positions and tokens has 9"),
        (dict(tokens=torch.ones(9) / 2), "tokens holds torch.float32"),
        (dict(targets=torch.ones(9) / 2), "targets holds torch.float32"),
        (dict(targets=torch.full((9,), 17)), "targets run from 17 to 17; the model knows 0 to 16"),
        (dict(rows=torch.ones(1, 3, dtype=torch.bool)), "rows has 3 positions and tokens has 9"),
        (
            dict(rows=torch.zeros(1, 9, dtype=torch.bool)),
            "with 0 of 9 marked; expected a bool mask that marks a row",
        ),
        (dict(rows=torch.ones(1, 9)), "rows is torch.float32"),
        (dict(labels=["a"]), "1 labels for 9 tokens"),
        (dict(vocabulary=["a"]), "1 labels for 17 tokens"),
        (dict(model="a model"), "the model is a str; the path expansion takes the course's"),
        (dict(most_terms=15), "have 16 paths, more than most_terms = 15"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_bad_input_is_refused_in_words(model, batch, change, says):
    given = dict(zip(("model", "tokens", "targets", "rows"), (model, *batch), strict=True))
    with pytest.raises(ValueError, match=says):
        Paths(**given | change)


def test_too_much_for_a_browser_is_refused_before_it_is_computed(model, batch, monkeypatch):
    monkeypatch.setattr(module, "MOST_ENTRIES", 16 * 9 * 17 - 1)
    monkeypatch.setattr(module, "path_expansion", None)
    with pytest.raises(
        ValueError,
        match="2,448 logits in all terms together are more than 2,447; give fewer tokens",
    ):
        Paths(model, *batch)
