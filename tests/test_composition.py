"""Composition scores are the paper's, see planted composers from the right side only, and know what
chance does."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from helpers import handmade
from helpers.instruments import basis, composition, virtual_weights
from helpers.instruments.composition import (
    composition_null,
    composition_scores,
    p_values,
    published_bug_scores,
    turned_readers,
)
from helpers.model import AttentionOnlyTransformer, ModelConfig

KINDS = ("Q", "K", "V")
LEVEL = 0.02  # p-values from here down count as composition, in 2% of models by chance
# the share of false alarms promised for 200 models: 2% and more than three standard deviations of
# luck
STATED = 0.05
WRITER, READER = (0, 2), (1, 5)  # where a composer is planted among 8 x 8 pairs


def random_model(seed: int = 0, **sizes) -> AttentionOnlyTransformer:
    shape = dict(n_layers=2, n_heads=8, d_model=64, d_head=8, n_ctx=4, d_vocab=3) | sizes
    return AttentionOnlyTransformer(ModelConfig(**shape, seed=seed)).requires_grad_(False)


def planted(kind: str, seed: int = 0, **sizes) -> AttentionOnlyTransformer:
    """Random, but WRITER writes into a subspace that READER's query, key or value reads, all of it
    and evenly."""
    model, generator = random_model(seed, **sizes), torch.Generator().manual_seed(seed)
    return handmade.planted_composer(model, kind, WRITER, READER, generator)


# ---- the score


def by_the_paper(
    model: AttentionOnlyTransformer, kind: str, h1: tuple[int, int], h2: tuple[int, int]
) -> float:
    """In columns, with d_model x d_model matrices, as printed."""
    W_Q, W_K, W_V, W_O = (
        getattr(model, name)[h2].double().T for name in ("W_Q", "W_K", "W_V", "W_O")
    )
    OV1 = model.W_O[h1].double().T @ model.W_V[h1].double().T
    left = {"Q": (W_Q.T @ W_K).T, "K": W_Q.T @ W_K, "V": W_O @ W_V}[kind]
    return ((left @ OV1).norm() / (left.norm() * OV1.norm())).item()


sizes = st.fixed_dictionaries(
    dict(
        n_layers=st.integers(2, 4),
        n_heads=st.integers(1, 3),
        d_model=st.integers(4, 12),
        d_head=st.integers(1, 9),
    )
)


@settings(max_examples=30)
@given(sizes, st.sampled_from(KINDS), st.integers(0, 99))
def test_the_scores_are_the_papers(shape, kind, seed):
    model = random_model(seed, **shape)
    writers, readers = composition.writing_heads(model), composition.reading_heads(model)
    found = composition_scores(model, kind)
    assert found.shape == (len(writers), len(readers))
    for row, h1 in enumerate(writers):
        for column, h2 in enumerate(readers):
            expected = by_the_paper(model, kind, h1, h2) if h1[0] < h2[0] else torch.nan
            assert found[row, column].item() == pytest.approx(
                expected, rel=1e-6, abs=1e-9, nan_ok=True
            )


def test_rows_and_columns_say_which_heads_they_are():
    model = random_model(n_layers=3, n_heads=2)
    assert composition.writing_heads(model) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert composition.reading_heads(model) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    pairs = ~composition_scores(model, "K").isnan()
    assert pairs.tolist() == [[True] * 4] * 2 + [[False, False, True, True]] * 2
    assert composition.writing_heads(random_model(n_layers=0)) == []


@pytest.mark.parametrize("planted_kind", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_composer_is_seen_from_its_own_side_only(planted_kind, kind):
    """A swap of Q for K, and a transposed factor, would see it elsewhere or nowhere."""
    scores = composition_scores(planted(planted_kind), kind)
    ceiling = composition.composition_ceiling(8)
    if kind == planted_kind:
        assert scores[WRITER[1], READER[1]].item() == pytest.approx(ceiling, rel=1e-6)
        scores[WRITER[1], READER[1]] = 0
    assert scores.max() < 0.6 * ceiling


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_orientations_miss_a_perfect_composer(kind):
    """OV1 transposed asks whether the reader reads what the writer reads; writer and reader
    exchanged, the reverse."""
    model = planted(kind)
    QK, OV = model.W_Q @ model.W_K.mT, model.W_V @ model.W_O
    right = dict(Q=QK, K=QK.mT, V=OV)[kind][READER]
    for product in (OV[WRITER].T @ right, right @ OV[WRITER], OV[WRITER] @ right.T):
        assert product.norm() / (
            OV[WRITER].norm() * right.norm()
        ) < 0.6 * composition.composition_ceiling(8)


@settings(max_examples=20)
@given(sizes, st.sampled_from(KINDS), st.integers(0, 99))
def test_no_choice_of_coordinates_changes_a_score(shape, kind, seed):
    model, generator = random_model(seed, **shape).double(), torch.Generator().manual_seed(seed)
    d_head = model.cfg.d_head
    turned = basis.rotate(model, basis.random_rotation(model.cfg.d_model, generator))
    A, B = (torch.randn(d_head, d_head, generator=generator) + 3 * torch.eye(d_head) for _ in "AB")
    gauged = basis.change_head_gauge(model, 1, 0, qk=A, vo=B)
    for other in (turned, gauged):
        for function in (composition_scores, composition.spectrum_ceiling):
            assert_close(
                function(other, kind), function(model, kind), equal_nan=True, atol=1e-6, rtol=1e-5
            )
    bug = published_bug_scores(model, kind)
    assert_close(published_bug_scores(turned, kind), bug, equal_nan=True, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "function",
    [composition_scores, published_bug_scores, composition.spectrum_ceiling]
    + [lambda model, kind: composition_null(model, kind, 2, torch.Generator())],
)
def test_another_kind_and_too_few_layers_are_refused(function, shapes_unchecked):
    with pytest.raises(ValueError, match="kind is 'k'; choose 'Q', 'K' or 'V'"):
        function(random_model(), "k")
    for n_layers in (0, 1):
        with pytest.raises(
            ValueError, match=f"a model of {n_layers} layers has no two heads to compose"
        ):
            function(random_model(n_layers=n_layers), "K")


# ---- the ceiling


def test_the_flat_ceiling():
    assert composition.composition_ceiling(64) == 0.125
    assert composition.composition_ceiling(1) == 1


@settings(max_examples=20)
@given(sizes, st.sampled_from(KINDS), st.integers(0, 99))
def test_no_score_is_above_its_ceiling(shape, kind, seed):
    model = random_model(seed, **shape)
    scores, ceiling = composition_scores(model, kind), composition.spectrum_ceiling(model, kind)
    real = ~scores.isnan()
    assert (real == ~ceiling.isnan()).all()
    assert (scores <= ceiling + 1e-9)[real].all() and (ceiling[real] <= 1 + 1e-9).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_ceiling_is_reached_by_a_fit_and_flat_spectra_have_the_flat_one(kind):
    model = planted(kind)
    ceiling = composition.spectrum_ceiling(model, kind)
    assert ceiling[WRITER[1], READER[1]].item() == pytest.approx(8**-0.5)
    strengths = torch.linspace(1, 0.1, 8)
    model.W_O[WRITER] = strengths[:, None] * model.W_O[WRITER]
    getattr(model, f"W_{kind}")[READER] *= strengths  # strong meets strong
    uneven = composition.spectrum_ceiling(model, kind)[WRITER[1], READER[1]].item()
    assert uneven > 1.2 * 8**-0.5
    assert composition_scores(model, kind)[WRITER[1], READER[1]].item() == pytest.approx(uneven)


# ---- the null


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d_model", [16, 64])
def test_the_root_mean_square_of_the_null_is_one_over_root_d(kind, d_model):
    null = composition_null(
        random_model(d_model=d_model), kind, 200, torch.Generator().manual_seed(0)
    )
    assert null.shape == (200, 8, 8)
    assert null.square().mean().sqrt().item() == pytest.approx(d_model**-0.5, rel=0.01)
    assert null.mean().item() == pytest.approx(d_model**-0.5, rel=0.02)


def uneven(seed: int = 0, decay: float = 0.5, **sizes) -> AttentionOnlyTransformer:
    """A random model whose heads' singular values fall off fast, each head's at another rate."""
    model = random_model(seed, **sizes)
    rates = decay * torch.rand(model.cfg.n_layers, model.cfg.n_heads, 1, model.cfg.d_head)
    for name in ("W_Q", "W_V"):
        weight = getattr(model, name)
        weight *= torch.exp(-rates * torch.arange(model.cfg.d_head))
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_the_null_is_what_turning_the_readers_weights_gives(kind):
    """The same by brute force: each reader's real matrices, turned by a rotation of its own."""
    model = uneven(decay=2.0, n_heads=2, d_model=20, d_head=6)
    generator = torch.Generator().manual_seed(0)
    null = composition_null(model, kind, 600, generator)
    brute = []
    for _ in range(300):
        turned = random_model(n_heads=2, d_model=20, d_head=6)
        turned.load_state_dict(model.state_dict())
        for head in range(2):
            R = basis.random_rotation(20, generator).float()
            for name in ("W_Q", "W_K", "W_V"):
                getattr(turned, name)[1, head] = R.T @ getattr(turned, name)[1, head]
        brute.append(composition_scores(turned, kind))
    brute = torch.stack(brute)
    assert ((null.mean(0) - brute.mean(0)).abs() < 5 * brute.std(0) / 300**0.5).all()
    assert_close(null.std(0), brute.std(0), rtol=0.2, atol=0)


def test_a_turned_reader_keeps_its_singular_values():
    strengths = torch.tensor([3.0, 1.0, 0.2])
    turned = turned_readers(strengths, 5, 20, torch.Generator().manual_seed(0))
    assert_close(torch.linalg.svdvals(turned), strengths.expand(20, 3))


def test_uneven_spectra_have_a_wider_null():
    generator = torch.Generator().manual_seed(0)
    wide, narrow = (
        composition_null(model, "K", 100, generator)
        for model in (uneven(decay=4.0), uneven(decay=0.0))
    )
    assert wide.mean().item() == pytest.approx(narrow.mean().item(), rel=0.1)
    assert wide.std(0).max() > 3 * narrow.std(0).max()


def test_the_null_comes_from_its_generator_alone():
    model = random_model(n_heads=2)
    one, same, other = (
        composition_null(model, "Q", 3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_readers_are_turned_one_by_one():
    """One rotation for all would leave twins equal in every draw."""
    model = random_model(n_heads=2)
    for name in ("W_Q", "W_K"):
        getattr(model, name)[1, 1] = getattr(model, name)[1, 0]
    null = composition_null(model, "Q", 50, torch.Generator().manual_seed(0))
    together = torch.corrcoef(null[:, 0].T)[0, 1]
    assert abs(together) < 0.5


def test_pairs_out_of_order_stay_out():
    model = random_model(n_layers=3, n_heads=2)
    scores, null = (
        composition_scores(model, "K"),
        composition_null(model, "K", 50, torch.Generator().manual_seed(0)),
    )
    p = p_values(scores, null)
    stay_out = [[False] * 4] * 2 + [[True] * 2 + [False] * 2] * 2  # within the middle layer
    assert scores.isnan().tolist() == p.isnan().tolist() == stay_out
    assert (null.isnan() == scores.isnan()).all()
    assert p.nan_to_num(1).min() > 0


# ---- p-values


def test_a_p_value_counts_the_draws_whose_largest_pair_is_as_large():
    scores = torch.tensor([[0.0, 5.0]])
    null = torch.tensor([[[1.0, 0.0]], [[-1.0, 0.0]], [[0.0, 1.0]], [[0.0, -1.0]]])
    p = p_values(scores, null)
    assert p[0, 1].item() == pytest.approx(1 / 5)
    assert p[0, 0].item() == pytest.approx(4 / 5)  # only the draw that is low in both is below


def test_a_p_value_counts_draws_in_which_another_pair_is_as_large():
    scores = torch.tensor([[3.0, 0.0]])
    null = torch.tensor([[[1.0, 0.0]], [[-1.0, 0.0]], [[1.0, 0.0]], [[-1.0, 5.0]]])
    assert p_values(scores, null)[0, 0].item() == pytest.approx(2 / 5)  # itself, and the last draw


def test_a_wide_pair_does_not_drown_a_narrow_one():
    generator = torch.Generator().manual_seed(0)
    null = torch.randn(199, 1, 2, generator=generator) * torch.tensor([100.0, 1.0])
    p = p_values(torch.tensor([[0.0, 8.0]]), null)
    assert p[0, 1].item() == pytest.approx(1 / 200)
    assert p[0, 0] > 0.3


def test_a_reader_that_no_rotation_changes_has_no_small_p_value():
    """Of rank d_model and flat: every score is 1 / sqrt(d_model) however it is turned."""
    model = random_model(n_heads=2, d_model=8)
    for name in ("W_Q", "W_K"):
        getattr(model, name)[1, 0] = torch.linalg.qr(torch.randn(8, 8)).Q
    null = composition_null(model, "Q", 99, torch.Generator().manual_seed(0))
    scores = composition_scores(model, "Q")
    assert null[:, :, 0].std() < 1e-6 and p_values(scores, null)[:, 0].min() > 0.2
    scores[:, 0] = null[:, :, 0].max() + 1e-8  # the largest of all, by rounding
    assert p_values(scores, null)[:, 0].min() > 0.2


def p_of(model: AttentionOnlyTransformer, kind: str, generator: torch.Generator) -> Tensor:
    return p_values(composition_scores(model, kind), composition_null(model, kind, 99, generator))


def test_a_planted_composer_is_found_among_64_pairs_in_100_of_100_draws(uncheck_shapes):
    generator, found = torch.Generator().manual_seed(0), 0
    for seed in range(100):
        p = p_of(planted("K", seed), "K", generator)
        below = (p <= LEVEL).nonzero().tolist()
        found += [WRITER[1], READER[1]] in below and p.argmin() == 8 * WRITER[1] + READER[1]
        uncheck_shapes()
    assert found == 100


@pytest.mark.parametrize(("decay", "n_heads"), [(0.0, 8), (2.0, 4)])
def test_random_models_give_a_false_alarm_in_no_more_than_the_stated_share_of_200(
    decay, n_heads, uncheck_shapes
):
    """And p-values are as often small as they say: one that never is, would be no p-value
    either."""
    generator, smallest = torch.Generator().manual_seed(0), []
    for seed in range(200):
        model = uneven(seed, decay, n_heads=n_heads)
        smallest.append(p_of(model, KINDS[seed % 3], generator).min())
        uncheck_shapes()
    smallest = torch.stack(smallest)
    assert (smallest <= LEVEL).sum() <= STATED * 200
    for share in (0.1, 0.5, 0.9):
        luck = 3.5 * (share * (1 - share) / 200) ** 0.5
        assert (smallest <= share + 1e-9).double().mean().item() == pytest.approx(share, abs=luck)


# ---- the published bug


@settings(max_examples=20)
@given(sizes, st.sampled_from(KINDS), st.integers(0, 99))
def test_the_bug_is_a_factor_that_moved_to_the_other_end(shape, kind, seed):
    model = random_model(seed, **shape)
    found = published_bug_scores(model, kind)
    for row, h1 in enumerate(composition.writing_heads(model)):
        for column, h2 in enumerate(composition.reading_heads(model)):
            if h1[0] < h2[0]:
                W_Q, W_K, W_V, W_O = (
                    getattr(model, name)[h2].double().T for name in ("W_Q", "W_K", "W_V", "W_O")
                )
                OV1 = model.W_O[h1].double().T @ model.W_V[h1].double().T
                moved = {"Q": W_Q @ OV1 @ W_K.T, "K": W_K @ OV1 @ W_Q.T, "V": W_V @ OV1 @ W_O}[kind]
                whole = W_O @ W_V if kind == "V" else W_Q.T @ W_K
                expected = (moved.norm() / (whole.norm() * OV1.norm())).item()
                assert found[row, column].item() == pytest.approx(expected, rel=1e-6)
    assert (found.isnan() == composition_scores(model, kind).isnan()).all()


def test_the_bug_depends_on_coordinates_that_mean_nothing():
    model = random_model()
    gauged = basis.change_head_gauge(model, 1, 5, qk=torch.diag(torch.linspace(1, 4, 8)))
    before, after = (published_bug_scores(each, "K")[:, 5] for each in (model, gauged))
    assert ((after / before - 1).abs() > 0.1).all()
    assert_close(
        composition_scores(gauged, "K"), composition_scores(model, "K"), atol=1e-6, rtol=1e-5
    )


def test_the_bug_keeps_traces_and_not_norms():
    """Why it went unnoticed: eigenvalues, which the same code computed, do not mind."""
    A, B = torch.randn(6, 3).double(), torch.randn(3, 6).double()
    assert_close((A @ B).trace(), (B @ A).trace())
    assert abs((A @ B).norm() - (B @ A).norm()) > 0.1


def test_the_bug_sees_induction_and_is_blind_to_other_perfect_composers():
    """It asks whether the reader's other side reads what the writer reads; so it is in induction,
    by its design."""
    induction, two_back = handmade.induction_head(13, 32), handmade.two_back_virtual_head(13, 32)
    assert published_bug_scores(induction, "K").item() == pytest.approx(
        composition_scores(induction, "K").item()
    )
    assert composition_scores(induction, "K").item() > 0.8 * composition.composition_ceiling(13)
    assert composition_scores(two_back, "V").item() == pytest.approx(
        composition.composition_ceiling(13)
    )
    assert published_bug_scores(two_back, "V").item() == 0
    model = planted("K")
    right, bug = (
        function(model, "K")[WRITER[1], READER[1]]
        for function in (composition_scores, published_bug_scores)
    )
    assert right.item() == pytest.approx(8**-0.5) and bug < 0.6 * right


# ---- everybody with everybody


def test_virtual_strengths_cover_every_pair_that_can_talk():
    model = random_model(n_heads=3, d_model=20, d_head=4, n_ctx=6, d_vocab=11)
    writers, readers = virtual_weights.writers(model), virtual_weights.readers(model)
    strengths = virtual_weights.virtual_strengths(model)
    assert strengths.shape == (len(writers), len(readers)) == (8, 19)
    talking = strengths.isfinite()
    assert talking[0].all()  # the embedding reaches everyone
    # shortformer positions do not
    assert talking[1].tolist() == [reader[-1] in ("Q", "K") for reader in readers]
    for row, (layer, _) in enumerate(writers[2:], start=2):
        assert talking[row].tolist() == [
            reader == "unembed" or reader[0] > layer for reader in readers
        ]
    row, column = writers.index((0, 1)), readers.index((1, 2, "V"))
    W_O, W_V = model.W_O[0, 1], model.W_V[1, 2]
    assert strengths[row, column].item() == pytest.approx(
        ((W_O @ W_V).norm() / (W_O.norm() * W_V.norm())).item()
    )


def test_virtual_strengths_of_strangers_are_one_over_root_d():
    strengths = virtual_weights.virtual_strengths(random_model(d_vocab=40, n_ctx=16))
    assert strengths.nanmean().item() == pytest.approx(64**-0.5, rel=0.06)


def test_a_shared_subspace_is_the_strongest_voice():
    model = planted("K", d_vocab=40, n_ctx=16)
    writers, readers = virtual_weights.writers(model), virtual_weights.readers(model)
    strengths = virtual_weights.virtual_strengths(model).nan_to_num(0)
    assert divmod(strengths.argmax().item(), len(readers)) == (
        writers.index(WRITER),
        readers.index((*READER, "K")),
    )
    assert strengths.max().item() == pytest.approx(8**-0.5)
    assert virtual_weights.virtual_weights(model, WRITER, (*READER, "K")).allclose(
        torch.eye(8), atol=1e-5
    )


# ---- the handmade circuits


@pytest.mark.parametrize(
    ("kind", "writer", "reader", "says"),
    [
        ("k", (0, 0), (1, 0), "kind is 'k'; choose 'Q', 'K' or 'V'"),
        ("K", (0, 0), (0, 1), "give a head of an earlier layer first"),
        ("K", (-1, 0), (1, 0), "there is no head 0 in layer -1"),
        ("K", (0, 99), (1, 0), "there is no head 99 in layer 0"),
        ("K", (0, 0), (1, -1), "there is no head -1 in layer 1"),
    ],
)
def test_what_cannot_be_planted_is_refused(kind, writer, reader, says, shapes_unchecked):
    with pytest.raises(ValueError, match=says):
        handmade.planted_composer(random_model(), kind, writer, reader, torch.Generator())


@pytest.mark.parametrize(
    ("model", "composed"),
    [
        (handmade.induction_head(13, 32), "K"),
        (handmade.pointer_arithmetic(13, 32), "Q"),
        (handmade.two_back_virtual_head(13, 32), "V"),
    ],
    ids=["induction", "pointer arithmetic", "two back"],
)
def test_the_handmade_circuits_compose_as_they_were_built_to(model, composed):
    generator = torch.Generator().manual_seed(0)
    for kind in KINDS:
        score, p = composition_scores(model, kind).item(), p_of(model, kind, generator).item()
        if kind == composed:
            assert score > 0.8 * composition.spectrum_ceiling(
                model, kind
            ).item() and p == pytest.approx(0.01)
        else:
            assert score < 1e-6 and p > LEVEL
