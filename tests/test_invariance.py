"""What a change of coordinates leaves alone: the table holds over shapes, norms and seeds, in both
precisions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import handmade
from helpers.experiments import invariance
from helpers.instruments import basis, heads
from helpers.model import AttentionOnlyTransformer, ModelConfig

BEHAVIOUR = (
    "queries, keys, values",
    "patterns",
    "head scores",
    "OV eigenvalues",
    "Q-, K-, V-composition",
    "the uncorrected diagram",
    "logits",
)


def model_and_tokens(
    seed: int, n_layers: int, d_model: int, d_head: int, n_heads: int, norm: str | None
):
    shape = dict(
        n_layers=n_layers, d_model=d_model, d_head=d_head, n_heads=n_heads, normalization=norm
    )
    model = AttentionOnlyTransformer(
        ModelConfig(**shape, n_ctx=32, d_vocab=20, init_embed=1.0, seed=seed)
    ).requires_grad_(False)
    return model, heads.probe(d_vocab=20, n_ctx=32, sequences=3, seed=seed)


@settings(max_examples=12)
@given(
    st.integers(0, 999),
    st.integers(2, 3),
    st.integers(9, 40),
    st.integers(2, 7),
    st.integers(1, 3),
    st.sampled_from([None, "RMS"]),
)
@pytest.mark.parametrize(("precision", "same"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_a_rotation_moves_weights_and_stream_and_no_behaviour(
    precision, same, seed, n_layers, d_model, d_head, n_heads, norm
):
    model, tokens = model_and_tokens(seed, n_layers, d_model, d_head, n_heads, norm)
    model = model.to(precision)
    turned = basis.rotate(
        model, basis.random_rotation(d_model, torch.Generator().manual_seed(seed))
    )
    moved = invariance.compare(model, turned, tokens)
    assert set(moved) == {*BEHAVIOUR, "weights", "stream"}
    assert max(moved[name] for name in BEHAVIOUR) < same, moved
    assert min(moved["weights"], moved["stream"]) > 1e-1


@settings(max_examples=8)
@given(st.integers(0, 999), st.integers(9, 40), st.integers(2, 7))
def test_a_gauge_moves_what_is_inside_the_head_and_the_uncorrected_diagram(seed, d_model, d_head):
    model, tokens = model_and_tokens(seed, 2, d_model, d_head, 2, None)
    model, generator = model.double(), torch.Generator().manual_seed(seed)
    gauged = model
    for layer, head in ((0, 0), (0, 1), (1, 0), (1, 1)):
        A, B = (
            torch.randn(d_head, d_head, generator=generator).double() + 3 * torch.eye(d_head)
            for _ in "AB"
        )
        gauged = basis.change_head_gauge(gauged, layer, head, qk=A, vo=B)
    moved = invariance.compare(model, gauged, tokens)
    for name in ("queries, keys, values", "weights", "the uncorrected diagram"):
        assert moved[name] > 1e-2, name
    for name in (
        "stream",
        "patterns",
        "head scores",
        "OV eigenvalues",
        "Q-, K-, V-composition",
        "logits",
    ):
        assert moved[name] < 1e-8, name


def test_a_change_is_relative_to_the_largest_value():
    before = dict(a=torch.tensor([1.0, -4.0]), b=torch.zeros(2) + 2)
    after = dict(a=torch.tensor([2.0, -4.0]), b=torch.zeros(2) + 2)
    assert invariance.change(before, after) == dict(a=0.25, b=0.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_table_is_as_derived_on_every_seed(seed):
    table = invariance.table(seed + 100)
    kept, broke = invariance.as_promised([table])
    assert kept < 1e-10 and broke > 1e-1
    assert {name: len(row) for name, row in table.items()} == {
        name: 5 for name in invariance.PROMISED
    }


def test_a_table_that_breaks_its_promise_is_seen():
    table = invariance.table()
    table["RMS"]["another order"] = 0.5
    table["LayerNorm"]["any rotation"] = 1e-13
    assert invariance.as_promised([table]) == (0.5, 1e-13)


def test_the_maps_are_what_they_are_called():
    maps = invariance.maps(8, seed=1)
    eye, ones = torch.eye(8).double(), torch.ones(8).double()
    orthogonal = {name: bool((G.T @ G - eye).abs().max() < 1e-12) for name, G in maps.items()}
    keeps = {name: bool((ones @ G - ones).abs().max() < 1e-12) for name, G in maps.items()}
    assert list(orthogonal.values()) == [True, True, True, True, False]
    assert list(keeps.values()) == [False, True, True, False, False]
    assert (maps["another order"] == 1).sum() == 8
    signs = maps["some signs turned"]
    assert torch.equal(signs.abs(), eye) and set(signs.diag().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("seed", range(3))
def test_no_single_matrix_may_be_left_out(seed):
    model, tokens = model_and_tokens(seed, 2, 24, 5, 3, None)
    model = model.double()
    R = basis.random_rotation(24, torch.Generator().manual_seed(seed))
    moved = invariance.forgotten(model, R, tokens)
    assert {name: len(each) for name, each in moved.items()} == dict(
        W_E=1, W_pos=1, W_O=6, W_Q=6, W_K=6, W_V=6, W_U=1
    )
    assert min(map(min, moved.values())) > 1e-2
    assert (
        max(max(each) for each in invariance.forgotten(model, torch.eye(24), tokens).values()) == 0
    )


def test_leaving_out_a_matrix_is_turning_all_others():
    model, tokens = model_and_tokens(0, 2, 24, 5, 1, None)
    R, names = (
        basis.random_rotation(24, torch.Generator().manual_seed(0)),
        ("W_E", "W_pos", "W_O", "W_Q", "W_K", "W_V", "W_U"),
    )
    moved = invariance.forgotten(model.double(), R, tokens)
    for name in ("W_E", "W_U"):
        others = basis.rotate(model, R, only=[other for other in names if other != name])
        assert moved[name] == [
            pytest.approx(invariance.relative_change(model(tokens), others(tokens)))
        ]
    only_head = torch.func.functional_call(
        basis.rotate(model, R),
        {"W_Q": torch.stack([model.W_Q[0], (R.T @ model.W_Q[1])])},
        (tokens,),
    )
    assert moved["W_Q"][0] == pytest.approx(invariance.relative_change(model(tokens), only_head))


@settings(max_examples=8)
@given(st.integers(0, 999), st.integers(4, 40), st.integers(6, 50))
def test_a_hidden_layer_allows_order_and_positive_scales_only(seed, d_model, d_hidden):
    changes = invariance.hidden_layer(seed, d_model, d_hidden)
    for name in ("stream rotated", "another order", "positive scales", "order and positive scales"):
        assert changes[name] < 1e-10, name
    for name in ("signs turned", "hidden layer rotated"):
        assert changes[name] > 1e-1, name


@pytest.mark.parametrize("seed", range(3))
def test_heads_have_no_order_and_logits_no_zero(seed):
    model, tokens = model_and_tokens(seed, 2, 24, 5, 4, None)
    moved = invariance.small_gauges(model.double(), tokens, seed)
    assert (
        moved["heads in another order"] < 1e-10 and moved["one vector added for all tokens"] < 1e-10
    )
    assert moved["the same for one token"] > 1e-1


# ---- RoPE


def test_rotary_scores_depend_on_distance_alone():
    x = torch.randn(1, 12).double().expand(9, -1)  # the same token everywhere
    scores = invariance.rotary_scores(x, torch.randn(12, 6).double(), torch.randn(12, 6).double())
    for offset in range(-4, 5):
        diagonal = scores.diagonal(offset)
        assert (diagonal - diagonal[0]).abs().max() < 1e-12
    assert (scores[0] - scores[0, 0]).abs().max() > 1e-3


@pytest.mark.parametrize("d_head", [2, 6, 10, 16])
def test_rope_leaves_one_complex_number_a_frequency(d_head):
    assert invariance.rotary_freedom(d_head) == d_head
    gauge = invariance.rotary_gauge(d_head, seed=d_head)
    assert gauge["one complex number a pair"] < 1e-10
    assert gauge["any invertible A"] > 1e-1


def test_without_turns_all_of_the_gauge_is_left(monkeypatch):
    monkeypatch.setattr(invariance, "rope", lambda position, d_head: torch.eye(d_head).double())
    assert invariance.rotary_freedom(6) == 36


def test_the_hand_made_head_is_found_in_any_coordinates_and_lost_when_matrices_turn_apart():
    model, generator = handmade.induction_head(24, 40), torch.Generator().manual_seed(0)
    d = model.cfg.d_model
    assert heads.discover(
        basis.rotate(model, basis.random_rotation(d, generator))
    ).induction_heads == [(1, 0)]
    for name in ("W_E", "W_pos", "W_O", "W_Q", "W_K", "W_V", "W_U"):
        model = basis.rotate(model, basis.random_rotation(d, generator), only=[name])
    assert heads.discover(model).induction_heads == []
