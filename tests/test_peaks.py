"""Whose term makes the peak of an induction head: known where the heads are written by hand."""

import pytest
import torch

from helpers import handmade
from helpers.experiments.peaks import peak_shares
from helpers.instruments import heads, paths
from helpers.model import AttentionOnlyTransformer, ModelConfig

TOKENS = heads.probe(24, 32)
MADE = {
    "K": handmade.induction_head(24, 32),
    "Q": handmade.pointer_arithmetic(24, 32),
}


@pytest.mark.parametrize("kind", MADE)
def test_one_term_makes_the_peak_of_a_written_head(kind):
    shares = peak_shares(MADE[kind], TOKENS, (1, 0))
    assert max(shares, key=shares.get) == kind and shares[kind] == pytest.approx(1, abs=0.05)
    assert all(abs(share) < 0.05 for name, share in shares.items() if name != kind)


def test_the_shares_are_those_of_the_whole_peak_by_hand():
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=24, seed=2))
    terms, targets = paths.score_expansion(model, TOKENS, 1, 3), heads.induction_targets(TOKENS)
    at, other = ({name: [] for name in terms} for _ in range(2))
    for sequence, query in targets.any(-1).nonzero().tolist():
        for key in range(query + 1):
            group = at if targets[sequence, query, key] else other
            for name, term in terms.items():
                group[name].append(term[sequence, query, key].item())
    height = {n: sum(at[n]) / len(at[n]) - sum(other[n]) / len(other[n]) for n in terms}
    expected = {name: part / sum(height.values()) for name, part in height.items()}
    assert peak_shares(model, TOKENS, (1, 3)) == pytest.approx(expected, rel=1e-3)


def test_without_a_repeat_there_is_no_peak():
    with pytest.raises(ValueError, match="no token occurs twice"):
        peak_shares(MADE["K"], torch.arange(20)[None], (1, 0))
