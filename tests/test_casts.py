"""Who plays which part is told from what the heads do; what the story is worth, from the loss."""

import pytest
import torch

from helpers import handmade
from helpers.experiments import casts, stories
from helpers.instruments import circuits, heads, interventions
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import cross_entropy
from helpers.training import runs

BY_HAND = casts.of(handmade.induction_head(24, 48))
PROBE = heads.probe(24, 48)
TRAINED = casts.of(runs.load(runs.DATA / "runs" / "two_layers").model_at())
TOKENS = heads.probe(64, 48)


def random_cast(**options) -> casts.Cast:
    shape = dict(n_ctx=32, d_vocab=16, n_heads=3)
    return casts.of(AttentionOnlyTransformer(ModelConfig(**(shape | options))))


# ---- parts


def test_the_head_written_by_hand_has_one_head_a_part():
    assert BY_HAND.strongest == (0, 0) and BY_HAND.previous == [(0, 0)]
    assert BY_HAND.induction == [(1, 0)] and BY_HAND.others == []
    assert BY_HAND.weaker == [] and BY_HAND.beside == []


def test_the_parts_of_a_trained_model_are_all_its_heads_and_go_by_the_scores():
    rows = {row.at: row for row in TRAINED.report.rows}
    parts = [*TRAINED.previous, *TRAINED.induction, *TRAINED.others]
    assert sorted(parts) == sorted(rows)
    assert all(rows[at].previous_token > heads.LOOKING_BACK for at in TRAINED.previous)
    assert all(rows[at].previous_token <= heads.LOOKING_BACK for at in TRAINED.others)
    best = max(row.previous_token for row in rows.values())
    assert rows[TRAINED.strongest].previous_token == best
    assert [TRAINED.strongest, *TRAINED.weaker] == TRAINED.previous


def test_a_model_that_knows_nothing_still_has_its_strongest_of_each():
    cast = random_cast()
    assert cast.report.induction_heads == [] and cast.report.previous_token_heads == []
    assert cast.previous == [cast.strongest] and cast.strongest[0] == 0
    assert cast.induction == [cast.report.best("prefix_matching").at]


def test_a_head_of_the_last_layer_that_looks_back_is_not_the_strongest():
    """Nothing can read what it writes."""
    hooks = interventions.clamp([(1, 2)])
    cast = casts.of(interventions.Hooked(ModelConfig(n_ctx=32, d_vocab=16, n_heads=3), hooks))
    assert (1, 2) in cast.previous and cast.strongest[0] == 0


def test_beside_are_the_other_heads_of_the_induction_heads_layer():
    cast = random_cast()
    layer, head = cast.induction[0]
    assert cast.beside == [(layer, other) for other in range(3) if other != head]


def test_the_probe_is_drawn_from_the_ids_that_are_given():
    model = TRAINED.model
    given = casts.of(model, ids=range(1, 30)).report.best("prefix_matching")
    expected = heads.discover(model, ids=range(1, 30), ablate=False).best("prefix_matching")
    assert given == expected != TRAINED.report.best("prefix_matching")


@pytest.mark.parametrize("n_layers", [0, 1])
def test_one_layer_has_no_head_before_another(n_layers):
    with pytest.raises(ValueError, match=f"has {n_layers} layers; give one of 2 or more"):
        random_cast(n_layers=n_layers)


# ---- corners


def test_corners_are_of_each_writer_with_the_induction_heads_behind_it():
    assert min(casts.corners([BY_HAND, BY_HAND], lambda cast: [cast.strongest])[1]) > 0.99
    found = casts.corners([TRAINED], lambda cast: [cast.strongest, *cast.induction])
    assert found == [
        circuits.corner(TRAINED.model, TRAINED.strongest, head) for head in TRAINED.induction
    ]


def test_corners_of_random_models_are_of_every_pair_of_two_layers():
    models = [random_cast(seed=seed).model for seed in (1, 2)]
    found = casts.corners_of_random(models)
    assert len(found) == 2 * 9 and found[9 + 3 + 2] == circuits.corner(models[1], (0, 1), (1, 2))


# ---- stories


def test_the_story_is_all_of_a_head_written_by_hand_and_the_wrong_ones_are_none_of_it():
    found = stories.recovered([BY_HAND, BY_HAND], PROBE)
    assert [*found][:4] == ["exact shift", "exact match", "exact copy", "all three"]
    assert [*found][4:] == [*stories.WRONG] and {len(shares) for shares in found.values()} == {2}
    for story, shares in found.items():
        right = story not in stories.WRONG
        assert all(share > 0.9 if right else share < 0.2 for share in shares), (story, shares)


def test_all_three_are_the_three_together():
    hooks = stories.told(TRAINED, TOKENS)
    parts = [hook for name in [*hooks][:3] for hook in hooks[name]]
    assert [name for name, _ in hooks["all three"]] == [name for name, _ in parts]
    shares = stories.recovered([TRAINED], TOKENS)
    together = interventions.loss_recovered(
        TRAINED.model, TOKENS, {"parts": parts}, without=TRAINED.induction
    )
    assert shares["all three"] == pytest.approx([together["parts"]], abs=1e-6)


def test_nats_are_lost_group_by_group_in_every_model():
    def each(cast):
        return [[head] for head in cast.induction]

    found = stories.nats_lost([BY_HAND, TRAINED], TOKENS % 24, each)
    assert found == [
        interventions.ablation(cast.model, TOKENS % 24, [head])
        for cast in (BY_HAND, TRAINED)
        for head in cast.induction
    ]
    kept = stories.nats_lost([TRAINED], TOKENS, lambda cast: [cast.previous], keep_patterns=True)
    out = stories.nats_lost([TRAINED], TOKENS, lambda cast: [cast.previous])
    assert abs(kept[0]) < 0.1 and out[0] > 3


def test_a_head_costs_what_the_loss_rises_by_without_its_group():
    rows = heads.induction_targets(TOKENS).any(-1)
    for group in (TRAINED.induction, TRAINED.previous):
        whole = interventions.ablation(TRAINED.model, TOKENS, group, "mean")
        each = stories.nats_lost_per_head(TRAINED.model, TOKENS, group, rows)
        assert each == pytest.approx(whole / len(group), abs=1e-5) and whole > 1


def test_it_looks_at_the_rows_that_it_is_given():
    model, group = TRAINED.model, TRAINED.induction
    rows = torch.zeros_like(TOKENS, dtype=torch.bool)
    rows[2, 30] = rows[5, 41] = rows[:, -1] = True  # the last ask for nothing
    hooks = interventions.mean_heads(model, TOKENS, group)
    losses = []
    for logits in (model(TOKENS), model.run_with_hooks(TOKENS, hooks)):
        asked = torch.stack([logits[2, 30], logits[5, 41]])
        losses.append(cross_entropy(asked, torch.stack([TOKENS[2, 31], TOKENS[5, 42]])))
    expected = (losses[1] - losses[0]).item() / len(group)
    found = stories.nats_lost_per_head(model, TOKENS, group, rows)
    assert found == pytest.approx(expected, abs=1e-5)


def test_no_head_and_no_row_are_refused_in_words():
    rows = torch.ones_like(TOKENS, dtype=torch.bool)
    with pytest.raises(ValueError, match="no head to take out"):
        stories.nats_lost_per_head(TRAINED.model, TOKENS, [], rows)
    with pytest.raises(ValueError, match="marks no row"):
        stories.nats_lost_per_head(TRAINED.model, TOKENS, [(0, 0)], ~rows)
