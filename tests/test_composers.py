"""Scores beside their null, and the edges that they single out."""

import pytest
import torch

from helpers import handmade
from helpers.experiments import composers
from helpers.instruments import composition, heads
from helpers.instruments.interventions import Edge, patch_effect
from helpers.model import AttentionOnlyTransformer, ModelConfig

SHAPE = ModelConfig(n_heads=8, d_model=64, d_head=8, n_ctx=4, d_vocab=3)


def planted(kind: str, seed: int = 0, directions: int | None = None) -> AttentionOnlyTransformer:
    generator = torch.Generator().manual_seed(seed)
    random = AttentionOnlyTransformer(SHAPE)
    return handmade.planted_composer(random, kind, (0, 2), (1, 5), generator, directions)


@pytest.mark.parametrize("kind", "QKV")
def test_only_the_planted_pair_of_the_planted_kind_is_above_chance(kind):
    for by, board in composers.judge_all(planted(kind), draws=199).items():
        assert board.above.nonzero().tolist() == ([[2, 5]] if by == kind else [])


def test_what_it_is_judged_by_is_the_instruments():
    model = planted("K")
    board = composers.judge(model, "K", draws=50, seed=3)
    null = composition.composition_null(model, "K", 50, torch.Generator().manual_seed(3))
    assert board.null.equal(null)
    assert board.over_mean.equal(composition.composition_scores(model, "K") - null.mean(0))
    assert board.p.equal(composition.p_values(board.scores, null))
    assert board.ceiling.equal(composition.spectrum_ceiling(model, "K"))


def test_three_kinds_are_three_tests():
    model = planted("Q")
    alone, together = composers.judge(model, "Q", 50), composers.judge_all(model, 50)["Q"]
    assert together.p.equal((3 * alone.p).clamp_max(1)) and together.p.max() == 1


def test_every_edge_is_above_chance_or_one_of_the_rest():
    model = planted("V")
    above, rest = composers.edges(model, composers.judge_all(model, draws=199))
    assert above == [Edge((0, 2), (1, 5), "v")]
    assert len(rest) == 3 * 64 - 1 and not set(above) & set(rest)


def test_no_edge_runs_within_a_layer_or_back():
    model = AttentionOnlyTransformer(ModelConfig(n_layers=3, n_heads=2, n_ctx=4, d_vocab=3))
    above, rest = composers.edges(model, composers.judge_all(model, draws=20))
    assert len(above) + len(rest) == 3 * (2 * 4 + 2 * 2)
    assert all(edge.writer[0] < edge.reader[0] for edge in [*above, *rest])


def test_what_scores_in_a_written_circuit_is_what_it_works_by():
    model, tokens = handmade.induction_head(32, 48), heads.probe(32, 48)
    above, rest = composers.edges(model, composers.judge_all(model, draws=99))
    assert above == [Edge((0, 0), (1, 0), "k")]
    assert patch_effect(model, tokens, above).loss > 1 > 1e-4 > patch_effect(model, tokens, rest)[0]


@pytest.mark.parametrize("kind", "QKV")
def test_in_the_wrong_order_a_perfect_composer_is_missed(kind):
    model = planted(kind)
    right = composition.composition_scores(model, kind)[2, 5].item()
    assert composers.score_in_wrong_order(model, kind, (0, 2), (1, 5)) < 0.6 * right


@pytest.mark.parametrize("directions", [0, 2, 4, 8])
def test_a_weaker_composer_scores_by_the_directions_it_reads(directions):
    """Each direction that is read counts fully, each other one like chance."""
    expected = ((directions + (8 - directions) * 8 / 64) / 64) ** 0.5
    scores = [
        composition.composition_scores(planted("K", seed, directions), "K")[2, 5].item()
        for seed in range(5)
    ]
    assert sum(scores) / 5 == pytest.approx(expected, abs=0.015)


def test_directions_that_are_not_there_are_refused():
    for directions in (-1, 9):
        with pytest.raises(ValueError, match=f"{directions} directions .* give 0 to d_head, 8"):
            planted("K", directions=directions)


def test_planted_pairs_are_found_and_none_where_none_are():
    models = [
        AttentionOnlyTransformer(ModelConfig(n_heads=8, d_head=8, n_ctx=4, d_vocab=3, seed=seed))
        for seed in range(8)
    ]
    found = [composers.times_found(models, directions, seed=1000) for directions in (8, 4, 0)]
    assert found == [8, 8, 0]


def test_random_models_are_calibrated_and_a_planted_one_is_an_alarm():
    shape = ModelConfig(n_heads=8, d_head=8, n_ctx=4, d_vocab=3, seed=5)
    plain = AttentionOnlyTransformer(shape)
    generator = torch.Generator().manual_seed(1000)
    loud = handmade.planted_composer(plain, "K", (0, 2), (1, 5), generator)
    alarms, off = composers.calibrated([plain, loud])
    null = composers.judge(plain, "K", draws=99).null
    assert alarms == 1 and len(off) == 2 and max(off) < 0.05
    assert off[0] == pytest.approx(abs(null.square().mean().item() / (1 / 64) - 1))
