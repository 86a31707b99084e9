"""Whose term makes the peak of an induction head: known where the heads are written by hand."""

import pytest
import torch

from helpers import handmade
from helpers.experiments.peaks import peak_shares, through_present
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


def test_pairs_of_writers_add_up_to_the_four_terms():
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=24, seed=2))
    by_pair = peak_shares(model, TOKENS, (1, 0), paths.score_terms)
    heard = [share for (query, key), share in by_pair.items() if "." in key and "." not in query]
    assert sum(by_pair.values()) == pytest.approx(1)
    assert sum(heard) == pytest.approx(peak_shares(model, TOKENS, (1, 0))["K"], rel=1e-3)


def test_without_a_repeat_there_is_no_peak():
    with pytest.raises(ValueError, match="no token occurs twice"):
        peak_shares(MADE["K"], torch.arange(20)[None], (1, 0))


def test_the_query_passes_through_no_present_token_head_where_there_is_none():
    """The written head's query is the bare token: nothing passes through its previous-token
    head, which attends to itself nowhere."""
    assert through_present(MADE["K"], TOKENS, (1, 0)) == pytest.approx((0, 0), abs=1e-4)


def test_a_present_token_head_is_known_by_its_pattern_and_its_share_is_the_terms():
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=24, seed=2))
    model.requires_grad_(False).W_K[0, 2] = model.W_Q[0, 2]  # tokens and places look for themselves
    model.W_Q[0, 2] *= 40
    attention, share = through_present(model, TOKENS, (1, 1))
    terms = peak_shares(model, TOKENS, (1, 1), paths.score_terms)
    assert attention > 0.8
    assert share == pytest.approx(sum(terms["0.2", f"0.{key}"] for key in range(4)))
