"""The questions of notebook 02, put to models whose answers are known."""

import pytest
import torch

from helpers import handmade
from helpers.experiments.studies import Study
from helpers.instruments import composition, heads, virtual_weights
from helpers.instruments.basis import change_head_gauge
from helpers.instruments.interventions import Edge, patch_effect
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import runs

TOKENS = heads.probe(32, 48)
WRITTEN = Study(handmade.induction_head(32, 48), TOKENS)
RANDOM = Study(AttentionOnlyTransformer(ModelConfig(n_ctx=48, d_vocab=32, seed=1)), TOKENS)


def test_the_heads_are_those_that_the_report_puts_first():
    assert (WRITTEN.previous, WRITTEN.induction) == ((0, 0), (1, 0))
    rows = RANDOM.report.rows
    assert RANDOM.induction == max(rows, key=lambda row: row.prefix_matching).at
    assert RANDOM.previous == max(rows, key=lambda row: row.previous_token).at


def test_a_written_circuit_is_read_by_its_key_alone():
    """But for one direction of 32: the key of BOS, half a match for all."""
    shares = {side: WRITTEN.share_read(side) for side in "QKV"}
    assert shares == pytest.approx(dict(Q=0, K=1, V=0), abs=1 / 32)
    expected = virtual_weights.share_read(RANDOM.model, RANDOM.previous, (*RANDOM.induction, "Q"))
    assert RANDOM.share_read("Q") == expected.read


def test_unrelated_readers_take_what_chance_gives():
    drawn = RANDOM.unrelated_shares("K", 400)
    assert drawn.mean().item() == pytest.approx(16 / 64, rel=0.05) and drawn.std() > 0.01


def test_a_gauge_changes_only_the_score_that_should_not_be_there():
    trained = Study(runs.load(runs.DATA / "runs" / "two_layers").model_at(), heads.probe(64, 48))
    A = torch.diag(torch.linspace(1, 4, 16))
    gauged = change_head_gauge(trained.model, *trained.induction, qk=A)
    right, bug = composition.composition_scores, composition.published_bug_scores
    assert trained.key_scores_change(gauged, right) < 1e-4
    ratio = (bug(gauged, "K") / bug(trained.model, "K"))[:, trained.induction[1]]
    changed = trained.key_scores_change(gauged, bug)
    assert changed == pytest.approx((ratio - 1).abs().max().item()) and changed > 0.05


def test_the_pairs_of_a_written_circuit():
    assert [WRITTEN.pairs_above(kinds) for kinds in ("K", "QV", "QKV")] == [1, 0, 1]
    assert WRITTEN.share_below("QV") == 1 and WRITTEN.share_below("K") == 0
    assert WRITTEN.p_by_keys().tolist() == pytest.approx([3 / 500])


def test_what_is_counted_is_what_the_boards_say():
    over = {kind: RANDOM.boards[kind].over_mean for kind in "QKV"}
    below = sum((over[kind] < 0).sum().item() for kind in "QV")
    assert RANDOM.share_below("QV") == below / 32
    _, previous = RANDOM.previous
    at_key = over["K"][:, RANDOM.induction[1]].tolist()
    assert RANDOM.next_head() == max(x for head, x in enumerate(at_key) if head != previous)
    assert RANDOM.p_by_keys().tolist() == [
        RANDOM.boards["K"].p[previous, RANDOM.induction[1]].item()
    ]


def test_the_next_head_is_not_the_previous_token_head():
    trained = Study(runs.load(runs.DATA / "runs" / "two_layers").model_at(), heads.probe(64, 48))
    over = trained.boards["K"].over_mean[:, trained.induction[1]].sort(descending=True)
    assert over.indices[0] == trained.previous[1] and trained.next_head() == over.values[1]


def test_cutting_what_scores_costs_what_cutting_that_edge_costs():
    above, rest = WRITTEN.cost_of_cutting()
    edge = Edge((0, 0), (1, 0), "k")
    assert above == patch_effect(WRITTEN.model, TOKENS, [edge]).loss and above > 1
    assert rest == pytest.approx(0, abs=1e-4)
