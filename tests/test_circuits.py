"""Circuits are what the forward pass does, and sums over paths are its logits and scores."""

from itertools import combinations, product
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from helpers import handmade
from helpers.instruments import circuits, paths, virtual_weights, weights
from helpers.instruments.heads import induction_targets, probe
from helpers.model import AttentionOnlyTransformer, ModelConfig
from tests.oracles import full_matching

# ---- random models, all of whose sizes differ, so that a transposed answer has another shape


def lively(seed: int = 0, **config) -> AttentionOnlyTransformer:
    """Random weights, loud enough for uneven patterns, and gains, biases and smears that are not
    trivial."""
    model = AttentionOnlyTransformer(
        ModelConfig(seed=seed, init_embed=1.0, init_weights=1.0, **config)
    )
    generator = torch.Generator().manual_seed(seed)
    for name in ("norm_gain", "norm_bias", "smear"):
        weight = getattr(model, name, None)
        if weight is not None:
            weight.data += torch.randn(weight.shape, generator=generator) / 2
    return model.requires_grad_(False)


def some_tokens(model: AttentionOnlyTransformer, batch: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(model.cfg.d_vocab, (batch, model.cfg.n_ctx), generator=generator)


@st.composite
def models(
    draw, least_layers: int = 0, most_layers: int = 3, kinds=(None, "RMS", "LN")
) -> AttentionOnlyTransformer:
    sizes = draw(st.lists(st.integers(4, 11), min_size=4, max_size=4, unique=True))
    return lively(
        draw(st.integers(0, 999)),
        n_layers=draw(st.integers(least_layers, most_layers)),
        n_heads=draw(st.integers(1, 3)),
        **dict(zip(("d_model", "d_head", "n_ctx", "d_vocab"), sizes, strict=True)),
        positions=draw(st.sampled_from(["shortformer", "standard"])),
        normalization=draw(st.sampled_from(kinds)),
        smeared_keys=draw(st.booleans()),
    )


SMALL = dict(n_layers=2, n_heads=3, d_model=10, d_head=4, n_ctx=7, d_vocab=9)
quick = settings(max_examples=20)


def all_heads(model: AttentionOnlyTransformer) -> list[tuple[int, int]]:
    return [
        (layer, head) for layer in range(model.cfg.n_layers) for head in range(model.cfg.n_heads)
    ]


def test_all_heads_are_those_of_the_layers_that_attend():
    model = AttentionOnlyTransformer(ModelConfig(n_layers=2, n_heads=3))
    assert weights.all_heads(model) == all_heads(model)
    hybrid = SimpleNamespace(
        cfg=SimpleNamespace(n_layers=4, n_heads=2), blocks_with=lambda part: [(1, None), (3, None)]
    )
    assert weights.all_heads(hybrid) == [(1, 0), (1, 1), (3, 0), (3, 1)]


# ---- QK and OV


def test_full_qk_is_the_score_of_tokens_without_positions():
    model = lively(**SMALL)
    model.W_pos.zero_()
    tokens = some_tokens(model)
    _, cache = model.run_with_cache(tokens)
    for head in range(3):
        table = circuits.full_qk(model, 0, head)
        expected = table[tokens[:, :, None], tokens[:, None, :]]  # [batch, query, key]
        assert_close(
            expected.tril(),
            cache["attn_scores", 0][:, head].nan_to_num(neginf=0),
            atol=1e-5,
            rtol=1e-5,
        )


def test_full_ov_is_what_full_attention_adds_to_the_logits():
    model = lively(**SMALL | dict(n_layers=1, n_heads=2))
    tokens = some_tokens(model)

    def to_the_first(pattern, hook):
        pattern[:] = 0
        pattern[:, 1, :, 0] = 1  # head 1 attends to position 0, head 0 to nothing
        return pattern

    logits = model.run_with_hooks(tokens, [("blocks.0.attn.hook_pattern", to_the_first)])
    added = logits - model.W_E[tokens] @ model.W_U
    expected = circuits.full_ov(model, 0, 1)[tokens[:, :1]].expand_as(added)
    assert_close(added, expected, atol=1e-5, rtol=1e-5)


@quick
@given(models(1))
def test_the_full_circuits_are_the_papers(model):
    """Written in the paper's columns, from which rows come back by transposing."""
    W_E, W_U = model.W_E.T, model.W_U.T
    for at in all_heads(model):
        W_Q, W_K, W_V, W_O = (getattr(model, name)[at].T for name in ("W_Q", "W_K", "W_V", "W_O"))
        scale = model.cfg.d_head**0.5
        assert_close(circuits.QK(model, *at), W_Q.T @ W_K, atol=1e-4, rtol=1e-4)
        assert_close(circuits.OV(model, *at), (W_O @ W_V).T, atol=1e-4, rtol=1e-4)
        assert_close(
            circuits.full_qk(model, *at), W_E.T @ W_Q.T @ W_K @ W_E / scale, atol=1e-4, rtol=1e-4
        )
        assert_close(circuits.full_ov(model, *at), (W_U @ W_O @ W_V @ W_E).T, atol=1e-4, rtol=1e-4)


@quick
@given(models(1))
def test_the_circuits_have_at_most_the_rank_of_the_head(model):
    for circuit in (circuits.QK, circuits.OV, circuits.full_qk, circuits.full_ov):
        assert torch.linalg.matrix_rank(circuit(model, 0, 0), rtol=1e-5) <= model.cfg.d_head


@pytest.mark.parametrize("at", [(2, 0), (0, 3), (-1, 0), (0, -1)])
@pytest.mark.parametrize(
    "function",
    [
        circuits.QK,
        circuits.OV,
        circuits.full_qk,
        circuits.full_ov,
        circuits.copying_eigenvalues,
        circuits.copying_statistic,
        circuits.diagonal_copying,
        circuits.top1_copying,
        lambda model, *at: paths.score_terms(model, some_tokens(model), *at),
        lambda model, *at: paths.score_expansion(model, some_tokens(model), *at),
        lambda model, *at: circuits.matching_eigenvalues(model, (0, 0), at),
        lambda model, *at: circuits.matching_eigenvalues(model, at, (1, 0)),
        lambda model, *at: virtual_weights.virtual_weights(model, at, "unembed"),
        lambda model, *at: virtual_weights.virtual_weights(model, "embed", (*at, "Q")),
        lambda model, *at: paths.term_importance(
            model, some_tokens(model), some_tokens(model), heads=[at]
        ),
    ],
)
def test_a_head_that_does_not_exist_is_named(function, at):
    with pytest.raises(
        ValueError, match=f"no head {at[1]} in layer {at[0]}: the model has 2 layers of 3 heads"
    ):
        function(lively(**SMALL), *at)


def test_every_heads_copying_at_once_is_that_of_each():
    model = lively(**SMALL)
    every = circuits.copying_statistics(model)
    assert every.shape == (2, 3)
    for layer, head in product(range(2), range(3)):
        assert every[layer, head] == pytest.approx(circuits.copying_statistic(model, layer, head))


def test_whatever_has_transformer_lens_names_will_do():
    model = lively(**SMALL)
    names = ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U")
    shape = SimpleNamespace(n_layers=2, n_heads=3)
    stranger = SimpleNamespace(cfg=shape, **{name: getattr(model, name) for name in names})
    assert torch.equal(circuits.full_qk(stranger, 1, 2), circuits.full_qk(model, 1, 2))
    assert torch.equal(circuits.full_ov(stranger, 1, 2), circuits.full_ov(model, 1, 2))
    assert circuits.copying_statistic(stranger, 1, 2) == circuits.copying_statistic(model, 1, 2)
    # positions stand in its stream
    assert virtual_weights.virtual_weights(stranger, "pos", "unembed").shape == (
        7,
        9,
    )


# ---- copying


def model_with_ov(circuit: Tensor, n_heads: int = 1) -> AttentionOnlyTransformer:
    """One layer, whose head 0 has this full OV circuit [source, output]."""
    size = len(circuit)
    model = lively(n_layers=1, n_heads=n_heads, d_model=size, d_head=size, n_ctx=4, d_vocab=size)
    model.W_E[:] = model.W_V[0, 0] = model.W_U[:] = torch.eye(size)
    model.W_O[0, 0] = circuit
    return model


def assert_eigenvalues(found: Tensor, matrix: Tensor) -> None:
    """Found are the eigenvalues of the matrix but for zeros: their power sums, which settle them,
    are its traces. (Its own zeros are no help: rounding moves multiple zeros far.)"""
    scale = torch.linalg.matrix_norm(matrix, 2)
    powers = range(1, len(found) + 1)
    sums = torch.stack([(found / scale).pow(k).sum() for k in powers])
    traces = torch.stack([torch.linalg.matrix_power(matrix / scale, k).trace() for k in powers])
    assert_close(sums, traces.to(sums), atol=1e-10, rtol=1e-8)


@quick
@given(models(1))
def test_the_small_matrix_has_the_eigenvalues_of_the_vocabulary_sized_one(model):
    model.double()
    found = circuits.copying_eigenvalues(model, 0, 0)
    assert found.shape == (model.cfg.d_head,)
    assert_eigenvalues(found, circuits.full_ov(model, 0, 0))


@pytest.mark.parametrize(
    ("circuit", "statistic", "diagonal", "top1"),
    [
        (torch.eye(5), 1, 1, 1),
        (-torch.eye(5), -1, 0, 0),
        (torch.eye(5).roll(1, 1), 0, 0, 0),  # the roots of unity
        (torch.diag(torch.tensor([1.0, 1.0, 1.0, -1.0])), 0.5, 0.75, 0.75),
        (torch.tensor([[1.0, 2.0], [0.0, 1.0]]), 1, 1, 0.5),  # its own logit up, another more
        (torch.zeros(3, 3), 0, 0, 1 / 3),
    ],
)
def test_copying_of_circuits_one_can_see(circuit, statistic, diagonal, top1):
    model = model_with_ov(circuit, n_heads=2)
    assert circuits.copying_statistic(model, 0, 0) == pytest.approx(statistic, abs=1e-6)
    assert circuits.diagonal_copying(model, 0, 0) == pytest.approx(diagonal)
    assert circuits.top1_copying(model, 0, 0) == pytest.approx(top1)


def test_the_papers_caveat_positive_eigenvalues_and_a_token_that_lowers_itself():
    matrix = torch.tensor([[1.0, 3.0], [-0.1, -0.2]])
    model = model_with_ov(matrix.T)  # columns there, rows here
    found = circuits.copying_eigenvalues(model, 0, 0)
    assert (
        sorted(found.real.tolist()) == pytest.approx([0.155, 0.645], abs=5e-4)
        and not found.imag.any()
    )
    assert circuits.copying_statistic(model, 0, 0) == pytest.approx(1)
    assert circuits.diagonal_copying(model, 0, 0) == 0.5
    assert circuits.top1_copying(model, 0, 0) == 0.5


def test_the_transposed_circuit_brings_others_to_the_top():
    """Token 0 raises tokens 1 and 2 more than itself, and is itself raised by no other."""
    matrix = torch.tensor([[1.0, 2.0, 2.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]])
    assert circuits.top1_copying(model_with_ov(matrix), 0, 0) == pytest.approx(2 / 3)
    assert circuits.top1_copying(model_with_ov(matrix.T), 0, 0) == 1


@pytest.mark.parametrize("d_head", [8, 16])
def test_the_null_is_centred_and_as_wide_as_the_facts_say(d_head):
    null = circuits.copying_null(64, 64, d_head, 300, torch.Generator().manual_seed(0))
    assert null.shape == (300,)
    assert abs(null.mean()) < 4 * null.std() / 300**0.5
    assert null.std().item() * d_head == pytest.approx(1.7, rel=0.15)


def test_the_null_is_that_of_random_models():
    null = circuits.copying_null(20, 12, 6, 300, torch.Generator().manual_seed(0))
    shape = dict(n_layers=1, n_heads=300, d_model=12, d_head=6, n_ctx=4, d_vocab=20)
    model = AttentionOnlyTransformer(ModelConfig(**shape, init_weights=3.0))
    found = torch.tensor([circuits.copying_statistic(model, 0, head) for head in range(300)])
    assert found.std().item() == pytest.approx(null.std().item(), rel=0.2)


def test_positivity_takes_draws_together():
    eigenvalues = torch.tensor([[1 + 1j, 1 - 1j], [-2, 0], [0, 0]])
    assert circuits.positivity(eigenvalues).tolist() == pytest.approx([0.5**0.5, -1, 0])


# ---- matching


@quick
@given(models(2))
def test_the_matching_eigenvalues_are_those_of_the_papers_product(model):
    model.double()
    previous, induction = (0, model.cfg.n_heads - 1), (model.cfg.n_layers - 1, 0)
    found = circuits.matching_eigenvalues(model, previous, induction)
    assert found.shape == (model.cfg.d_head,)
    assert_eigenvalues(found, full_matching(model, previous, induction))


def test_a_handmade_induction_head_matches_and_copies():
    model = handmade.induction_head(13, 32)
    assert_close(full_matching(model, (0, 0), (1, 0)), handmade.SHARP * torch.eye(13))
    assert circuits.positivity(
        circuits.matching_eigenvalues(model, (0, 0), (1, 0))
    ) == pytest.approx(1)
    assert circuits.copying_statistic(model, 1, 0) == pytest.approx(1)
    assert circuits.top1_copying(model, 1, 0) == pytest.approx(1)  # BOS's row is all zero


def test_matching_is_not_symmetric():
    """Query token i, moved token i + 1: a head that looks for the token after the present one in
    the alphabet."""
    model = handmade.induction_head(13, 32)
    model.W_Q[1, 0, :, :13] = model.W_Q[1, 0, :, :13].roll(1, 1)
    looked_for = virtual_weights.chain(model, (0, 0), (1, 0, "K")).product.T
    assert_close(looked_for, handmade.SHARP * torch.eye(13).roll(1, 1))


def test_the_corner_is_matching_against_that_head_and_copying_of_the_later_one():
    model = handmade.induction_head(13, 32)
    assert circuits.corner(model, (0, 0), (1, 0)) == pytest.approx((1, 1))
    model.W_Q[1, 0] *= -1
    assert circuits.corner(model, (0, 0), (1, 0)) == pytest.approx((-1, 1))
    model.W_O[1, 0] *= -1
    assert circuits.corner(model, (0, 0), (1, 0)) == pytest.approx((-1, -1))


@pytest.mark.parametrize("pair", [((1, 0), (0, 0)), ((0, 0), (0, 1))])
def test_matching_needs_an_earlier_head_first(pair):
    with pytest.raises(ValueError, match="earlier layer first"):
        circuits.matching_eigenvalues(lively(**SMALL), *pair)


# ---- virtual weights


@quick
@given(models(0))
def test_virtual_weights_are_writer_times_reader_for_every_pair_in_order(model):
    cfg = model.cfg
    writers = {"embed": (model.W_E, -1), "pos": (model.W_pos, -1)}
    readers = {"unembed": (model.W_U, cfg.n_layers)}
    for layer, head in all_heads(model):
        writers[layer, head] = model.W_O[layer, head], layer
        for side, W in dict(Q=model.W_Q, K=model.W_K, V=model.W_V).items():
            readers[layer, head, side] = W[layer, head], layer
    for writer, (written, writes_in) in writers.items():
        for reader, (read, reads_in) in readers.items():
            blind = (
                writer == "pos" and cfg.positions == "shortformer" and reader[-1] not in ("Q", "K")
            )
            if writes_in < reads_in and not blind:
                found = virtual_weights.virtual_weights(model, writer, reader)
                assert_close(found, written @ read)
                assert torch.linalg.matrix_rank(found, rtol=1e-5) <= min(
                    len(written), cfg.d_model, read.shape[1]
                )
            else:
                with pytest.raises(
                    ValueError, match="never sees the positions" if blind else "in a later layer"
                ):
                    virtual_weights.virtual_weights(model, writer, reader)


@pytest.mark.parametrize("side", ["Q", "K", "V"])
def test_what_a_head_writes_arrives_at_a_later_head_by_the_virtual_weights(side):
    model = lively(**SMALL)
    tokens, step = some_tokens(model), torch.randn(4)
    name = f"blocks.1.attn.hook_{side.lower()}"

    def push(z, hook):
        z[:, 3, 1] += step

    kept = {}
    for pushed in (False, True):
        record = (
            name,
            lambda value, hook, pushed=pushed: kept.update({pushed: value[:, 3, 2].clone()}),
        )
        model.run_with_hooks(tokens, [record] + [("blocks.0.attn.hook_z", push)] * pushed)
    expected = (step @ virtual_weights.virtual_weights(model, (0, 1), (1, 2, side))).expand(3, -1)
    assert_close(kept[True] - kept[False], expected, atol=1e-5, rtol=1e-5)


def test_embedding_to_unembedding_is_the_direct_path():
    model = lively(**SMALL)
    tokens = some_tokens(model)
    direct = paths.path_expansion(model, tokens)["direct"]
    assert_close(virtual_weights.virtual_weights(model, "embed", "unembed")[tokens], direct)


@pytest.mark.parametrize(
    ("writer", "reader", "says"),
    [
        ("embedding", "unembed", "no writer is called 'embedding'"),
        ((0, 0, "V"), "unembed", "no writer is called"),
        ("embed", "logits", "no reader is called 'logits'"),
        ("embed", (1, 0), "no reader is called"),
        ("embed", (1, 0, "O"), "no reader is called"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_a_writer_or_reader_by_another_name_is_refused(writer, reader, says):
    with pytest.raises(ValueError, match=says):
        virtual_weights.virtual_weights(lively(**SMALL), writer, reader)


# ---- path expansion


@quick
@given(models(), st.integers(0, 99))
def test_the_paths_sum_to_the_logits(model, seed):
    tokens = some_tokens(model, seed=seed)
    terms = paths.path_expansion(model, tokens)
    assert len(terms) == (1 + model.cfg.n_heads) ** model.cfg.n_layers
    assert_close(sum(terms.values()), model(tokens), atol=1e-4, rtol=1e-4)


def test_the_terms_are_named_and_the_shortest_come_first():
    model = lively(**SMALL | dict(n_layers=3, n_heads=2))
    names = list(paths.path_expansion(model, some_tokens(model)))
    assert names[:7] == ["direct", "0.0", "0.1", "1.0", "1.1", "2.0", "2.1"]
    assert names[7:9] == ["0.0 -> 1.0", "0.1 -> 1.0"]
    assert names[-1] == "0.1 -> 1.1 -> 2.1"
    assert [name.count(">") for name in names] == sorted(name.count(">") for name in names)


def test_each_term_is_the_kronecker_product_of_the_paper():
    """Two layers: A^h (x) W_U W_OV^h W_E, and A^h2 A^h1 (x) W_U W_OV^h2 W_OV^h1 W_E."""
    model = lively(**SMALL).double()
    tokens = some_tokens(model)
    terms = paths.path_expansion(model, tokens)
    _, cache = model.run_with_cache(tokens)
    one_hot = F.one_hot(tokens, model.cfg.d_vocab).double()

    def term(*path: tuple[int, int]) -> Tensor:
        A, W = torch.eye(tokens.shape[1]).double(), model.W_E.T
        for layer, head in path:
            A = cache["pattern", layer][:, head] @ A
            W = (model.W_V[layer, head] @ model.W_O[layer, head]).T @ W
        return A @ one_hot @ (model.W_U.T @ W).T

    assert_close(terms["direct"], term().expand_as(terms["direct"]))
    for h in range(3):
        assert_close(terms[f"0.{h}"], term((0, h)))
        assert_close(terms[f"1.{h}"], term((1, h)))
        for g in range(3):
            assert_close(terms[f"0.{h} -> 1.{g}"], term((0, h), (1, g)))


def frozen_logits(
    model: AttentionOnlyTransformer, tokens: Tensor, heads: set[tuple[int, int]]
) -> Tensor:
    """The logits with patterns and norm scales as in the whole model, and only these heads
    writing."""
    _, cache = model.run_with_cache(tokens)

    def keep(result, hook):
        layer = int(hook.name.split(".")[1])
        for head in range(model.cfg.n_heads):
            if (layer, head) not in heads:
                result[:, :, head] = 0

    force = (lambda name: name.endswith(("pattern", "scale")), lambda value, hook: cache[hook.name])
    return model.run_with_hooks(tokens, [force, (lambda name: name.endswith("result"), keep)])


@quick
@given(models(1), st.data())
def test_the_paths_through_some_heads_are_what_only_these_heads_give(model, data):
    tokens = some_tokens(model)
    heads = set(data.draw(st.lists(st.sampled_from(all_heads(model)), unique=True)))
    names = {f"{layer}.{head}" for layer, head in heads} | {"direct"}
    terms = paths.path_expansion(model, tokens)
    through = [term for name, term in terms.items() if set(name.split(" -> ")) <= names]
    assert_close(sum(through), frozen_logits(model, tokens, heads), atol=1e-4, rtol=1e-4)


def test_a_model_that_is_no_sum_of_paths_is_caught():
    class Louder(AttentionOnlyTransformer):
        def run_with_cache(self, tokens, names_filter=None):
            logits, cache = super().run_with_cache(tokens, names_filter)
            cache["blocks.1.attn.hook_attn_scores"] = cache["attn_scores", 1] + 0.01
            return logits + 0.01, cache

        def run_with_hooks(self, tokens, fwd_hooks=()):
            return super().run_with_hooks(tokens, fwd_hooks) * torch.ones(self.cfg.d_vocab).cumsum(
                0
            )

    model = Louder(ModelConfig(**SMALL))
    tokens = some_tokens(model)
    with pytest.raises(AssertionError, match="differ from the logits by [0-9.e+-]+"):
        paths.path_expansion(model, tokens)
    with pytest.raises(AssertionError, match=r"differ from the scores by 1.0e-02"):
        paths.score_terms(model, tokens, 1, 0)


def test_what_is_not_a_number_is_not_a_sum():
    model = lively(**SMALL)
    model.W_U[0, 0] = torch.nan
    with pytest.raises(AssertionError, match="by nan"):
        paths.path_expansion(model, some_tokens(model))


def test_too_many_paths_are_refused_with_their_number():
    model = lively(**SMALL | dict(n_layers=6))
    with pytest.raises(
        ValueError, match="6 layers of 3 heads have 4096 paths, more than most_terms = 1000"
    ):
        paths.path_expansion(model, some_tokens(model))
    assert len(paths.path_expansion(model, some_tokens(model, 1), most_terms=4096)) == 4096


# ---- virtual heads


def test_two_steps_of_one_are_one_of_two():
    model, tokens = handmade.two_back_virtual_head(13, 40), probe(13, 40)
    found = circuits.virtual_head_pattern(model, tokens, (0, 0), (1, 0))
    assert found.diagonal(-2, 1, 2).min() > 0.99 and found.diagonal(-1, 1, 2)[:, 1:].max() < 0.01
    moved = circuits.virtual_head_ov(model, (0, 0), (1, 0))
    # names what it moved
    assert_close(model.W_E @ moved @ model.W_U, handmade.LOGIT * torch.eye(13))


def test_a_virtual_head_is_its_path():
    """Pattern and OV together give the path's term, to the left and to the right of the
    embedding."""
    model = lively(**SMALL)
    tokens = some_tokens(model)
    by_path = paths.path_expansion(model, tokens)
    for first, second in (((0, 0), (1, 2)), ((0, 2), (1, 1))):
        A = circuits.virtual_head_pattern(model, tokens, first, second)
        assert_close(A.sum(-1), torch.ones(A.shape[:2])) and (A >= 0).all() and not A.triu(1).any()
        found = A @ model.W_E[tokens] @ circuits.virtual_head_ov(model, first, second) @ model.W_U
        assert_close(found, by_path[f"0.{first[1]} -> 1.{second[1]}"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("pair", [((1, 0), (0, 0)), ((0, 0), (0, 1))])
def test_a_virtual_head_needs_an_earlier_head_first(pair):
    model = lively(**SMALL)
    for call in (
        lambda: circuits.virtual_head_ov(model, *pair),
        lambda: circuits.virtual_head_pattern(model, some_tokens(model), *pair),
    ):
        with pytest.raises(ValueError, match="earlier layer first"):
            call()


# ---- scores


@quick
@given(models(1), st.data())
def test_the_score_terms_sum_to_the_scores(model, data):
    tokens = some_tokens(model)
    layer, head = data.draw(st.sampled_from(all_heads(model)))
    _, cache = model.run_with_cache(tokens)
    scores = cache["attn_scores", layer][:, head].nan_to_num(neginf=0)
    terms = paths.score_terms(model, tokens, layer, head)
    assert len(terms) == (2 + layer * model.cfg.n_heads) ** 2
    assert_close(sum(terms.values()), scores, atol=1e-4, rtol=1e-4)
    four = paths.score_expansion(model, tokens, layer, head)
    assert list(four) == ["direct", "Q", "K", "both"]
    assert_close(sum(four.values()), scores, atol=1e-4, rtol=1e-4)
    if layer == 0:
        assert not any(four[name].any() for name in ("Q", "K", "both"))


def test_the_score_terms_are_those_of_the_paper():
    """Second layer: the query side moved by A_q, the key side by A_k, joined by W (FACTS 1.8)."""
    model = lively(**SMALL).double()
    tokens = some_tokens(model)
    _, cache = model.run_with_cache(tokens)
    terms, four = paths.score_terms(model, tokens, 1, 2), paths.score_expansion(model, tokens, 1, 2)
    x = model.W_E[tokens]
    W = model.W_Q[1, 2] @ model.W_K[1, 2].T / 2
    moved = {f"0.{h}": cache["pattern", 0][:, h] @ x @ circuits.OV(model, 0, h) for h in range(3)}
    moved |= {"embed": x, "pos": model.W_pos.expand_as(x)}
    assert set(terms) == {(q, k) for q in moved for k in moved}
    for (of_query, of_key), found in terms.items():
        assert_close(found, (moved[of_query] @ W @ moved[of_key].mT).tril())
    start, heads = ("embed", "pos"), ("0.0", "0.1", "0.2")
    groups = dict(direct=(start, start), Q=(heads, start), K=(start, heads), both=(heads, heads))
    for name, (of_query, of_key) in groups.items():
        assert_close(four[name], sum(terms[q, k] for q in of_query for k in of_key))


def test_the_k_term_carries_the_peak_of_an_induction_head():
    tokens = probe(13, 40)
    targets = induction_targets(tokens)
    rows = targets.any(-1)
    four = paths.score_expansion(handmade.induction_head(13, 40), tokens, 1, 0)
    best = four["K"].argmax(-1, keepdim=True)
    assert targets.gather(2, best)[rows].all()
    assert_close(
        four["K"][targets],
        torch.full_like(four["K"][targets], handmade.SHARP),
        atol=1e-3,
        rtol=1e-4,
    )
    assert four["Q"].abs().max() < 1e-3 and four["both"].abs().max() < 1e-3
    assert four["direct"].max() == pytest.approx(handmade.SHARP / 2)  # half a match in BOS


def test_the_q_term_carries_the_peak_of_pointer_arithmetic():
    tokens = probe(13, 40)
    targets = induction_targets(tokens)
    four = paths.score_expansion(handmade.pointer_arithmetic(13, 40), tokens, 1, 0)
    best = four["Q"].argmax(-1, keepdim=True)
    assert targets.gather(2, best)[targets.any(-1)].all()
    assert four["K"].abs().max() < 1e-3 and four["both"].abs().max() < 1e-3


# ---- term importance


@quick
@given(models(), st.integers(0, 99))
def test_each_order_is_the_loss_of_the_paths_up_to_that_length(model, seed):
    tokens, targets = some_tokens(model, seed=seed), some_tokens(model, seed=seed + 1)
    rows = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    rows[0, 0] = True
    found = paths.term_importance(model, tokens, targets, rows)
    assert found.shape == (model.cfg.n_layers + 1,)
    terms = paths.path_expansion(model, tokens)
    for order, loss in enumerate(found):
        length = {name: 0 if name == "direct" else 1 + name.count("->") for name in terms}
        logits = sum(term for name, term in terms.items() if length[name] <= order)
        assert loss.item() == pytest.approx(
            F.cross_entropy(logits[rows], targets[rows]).item(), abs=1e-4, rel=1e-4
        )
    true = F.cross_entropy(model(tokens)[rows], targets[rows])
    assert found[-1].item() == pytest.approx(true.item(), abs=1e-5, rel=1e-5)


def test_all_rows_count_by_default():
    model = lively(**SMALL)
    tokens, targets = some_tokens(model), some_tokens(model, seed=1)
    everywhere = torch.ones_like(tokens, dtype=torch.bool)
    first = paths.term_importance(model, tokens, targets)
    assert torch.equal(first, paths.term_importance(model, tokens, targets, everywhere))


def test_one_layer_alone_and_one_after_another():
    """The orders of a layer by itself, from the paths that stay in it: FACTS' marginal effects of
    layers."""
    model = lively(**SMALL)
    tokens, targets = some_tokens(model), some_tokens(model, seed=1)
    terms = paths.path_expansion(model, tokens)
    second = paths.term_importance(model, tokens, targets, heads=[(1, h) for h in range(3)])
    logits = terms["direct"] + sum(terms[f"1.{h}"] for h in range(3))
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten()).item()
    assert second[1:].tolist() == pytest.approx([loss, loss], abs=1e-5)
    nothing = paths.term_importance(model, tokens, targets, heads=[])
    assert nothing.tolist() == pytest.approx(3 * [second[0].item()])


def test_without_a_row_there_is_no_loss():
    model = lively(**SMALL)
    tokens = some_tokens(model)
    with pytest.raises(ValueError, match="marks no row"):
        paths.term_importance(model, tokens, tokens, torch.zeros_like(tokens, dtype=torch.bool))


def test_l_layers_need_l_plus_2_passes(monkeypatch):
    model = lively(**SMALL | dict(n_layers=3))
    passes, forward = [], model._explicit_forward
    monkeypatch.setattr(
        model, "_explicit_forward", lambda *given: passes.append(1) or forward(*given)
    )
    paths.term_importance(model, some_tokens(model), some_tokens(model))
    assert len(passes) == 5


def test_the_handmade_circuits_need_the_order_they_were_built_with():
    """Induction is one term of order 1: its composition is in the pattern. Two steps back are a
    term of order 2."""
    tokens = probe(13, 40)
    rows = induction_targets(tokens).any(-1)[:, :-1]
    induction = paths.term_importance(
        handmade.induction_head(13, 40),
        tokens[:, :-1].contiguous(),
        tokens[:, 1:].contiguous(),
        rows,
    )
    assert induction[0] > 2 and induction[1] < 1e-4 and induction[2] < 1e-4
    model, two_back = handmade.two_back_virtual_head(13, 40), tokens.roll(2, 1)
    rows = torch.ones_like(tokens, dtype=torch.bool)
    rows[:, :2] = False
    virtual = paths.term_importance(model, tokens, two_back, rows)
    assert virtual[0] > 2 and virtual[1] > 2 and virtual[2] < 1e-4


def test_an_order_that_misses_the_true_loss_is_caught(monkeypatch):
    model = lively(**SMALL)
    tokens = some_tokens(model)
    original = model.run_with_cache
    monkeypatch.setattr(
        model, "run_with_cache", lambda *given: (original(*given)[0] * 1.01, original(*given)[1])
    )
    with pytest.raises(AssertionError, match="differ from the true loss"):
        paths.term_importance(model, tokens, tokens)


def test_nothing_keeps_gradients():
    model = lively(**SMALL).requires_grad_(True)
    tokens = some_tokens(model)
    for of_weights in (
        circuits.QK,
        circuits.OV,
        circuits.full_qk,
        circuits.full_ov,
        circuits.copying_eigenvalues,
    ):
        assert not of_weights(model, 0, 0).requires_grad
    assert not circuits.matching_eigenvalues(model, (0, 0), (1, 0)).requires_grad
    assert not virtual_weights.virtual_weights(model, "embed", "unembed").requires_grad
    assert not paths.path_expansion(model, tokens)["direct"].requires_grad
    assert not paths.score_expansion(model, tokens, 1, 0)["K"].requires_grad
    assert not paths.term_importance(model, tokens, tokens).requires_grad


def test_the_sizes_of_the_random_models_differ():
    """Or a transposed answer would pass."""
    sizes = [SMALL[name] for name in ("n_heads", "d_model", "d_head", "n_ctx", "d_vocab")]
    assert all(one != other for one, other in combinations(sizes, 2))
