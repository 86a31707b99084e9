"""What the browser's trainer reads off a model, against the course's instruments: the scores of
heads on given sequences, copying and composition by the weights, and the two nulls."""

import math

import pytest
import torch

from helpers.explorables.discovery.scene import copying_band, null_limit
from helpers.instruments import circuits, composition, heads
from tests.browser.trainer import SEEDS, asked, farthest, moved, told

pytestmark = pytest.mark.browser

FOLDER = "discovery/trainer"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_scores_are_the_instruments(ask, seed):
    model = moved(seed)
    cfg = model.cfg
    tokens = heads.probe(cfg.d_vocab, cfg.n_ctx, 5, seed=seed)
    sent = dict(sequences=tokens.tolist(), simd=True)
    found = asked(ask, "scores", told(model) | sent)
    expected = heads.score(model, tokens)
    for name in ("prefix_matching", "previous_token"):
        flat = [score for layer in found[name] for score in layer]
        assert farthest(flat, getattr(expected, name)) < 1e-6, name
    for layer, copying in enumerate(found["copying"]):
        for head, score in enumerate(copying):
            assert abs(score - circuits.copying_statistic(model, layer, head)) < 1e-6
    assert found["repeats"] == heads.rows_with_a_target(tokens).flatten().int().tolist()
    if cfg.n_layers == 1:
        assert found["composition"] is None
        return
    pairs = composition.composition_scores(model, "K")
    scores = torch.tensor(
        [[math.nan if one is None else one for one in row] for row in found["composition"]],
        dtype=torch.float64,
    )
    assert torch.equal(scores.isnan(), pairs.isnan())
    assert (scores - pairs).nan_to_num(0).abs().max() < 1e-6


def test_eigenvalues_are_torchs(ask):
    """Of matrices that come in pairs of conjugates, that repeat one, and that have none but 0."""
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(n, n, generator=generator).double() for n in (1, 2, 3, 8, 16, 33, 64)]
    matrices += [torch.eye(5).double(), torch.zeros(4, 4).double()]
    matrices += [torch.eye(6).roll(1, 0).double(), torch.ones(7, 7).double()]
    for matrix in matrices:
        given = [matrix.flatten().tolist(), len(matrix)]
        found = ask(
            f"{FOLDER}/eigenvalues",
            "({ eigenvalues }, [values, rows]) => eigenvalues({ values, rows })",
            given,
        )
        left = [complex(*pair) for pair in zip(found["re"], found["im"], strict=True)]
        for value in torch.linalg.eigvals(matrix).tolist():
            nearest = min(left, key=lambda one: abs(one - value))
            assert abs(nearest - value) < 1e-8
            left.remove(nearest)


def test_the_nulls_are_those_of_the_instruments(ask):
    """Other draws, so as near as two estimates of a quantile from so few draws are."""
    model = moved(16)
    cfg = model.cfg
    limit, band = asked(ask, "nulls", told(model) | dict(seed=0))
    assert limit == pytest.approx(null_limit(model), rel=0.03)
    assert band == pytest.approx(copying_band(cfg.d_vocab, cfg.d_model, cfg.d_head), rel=0.2)
