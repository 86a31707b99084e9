"""What is taken out, cut or replaced is that and nothing else; each measure is 0 where nothing is
done, and not elsewhere."""

import copy
from itertools import product

import pytest
import torch
from torch.testing import assert_close

from helpers import handmade
from helpers.instruments import heads, interventions
from helpers.instruments.interventions import Edge
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import runs

BY_HAND = handmade.induction_head(24, 48)  # 0.0 looks back, 1.0 matches and copies
PROBE = heads.probe(24, 48)
TRAINED = runs.load(runs.DATA / "runs" / "two_layers").model_at().requires_grad_(False)
TOKENS = heads.probe(64, 48)


def random_model(seed: int = 0, **options) -> AttentionOnlyTransformer:
    shape = dict(
        n_heads=3, d_model=20, d_head=6, n_ctx=32, d_vocab=16, init_weights=1.5, init_embed=1.0
    )
    return AttentionOnlyTransformer(ModelConfig(**(shape | options), seed=seed)).requires_grad_(
        False
    )


def small_probe(model) -> torch.Tensor:
    return heads.probe(model.cfg.d_vocab, model.cfg.n_ctx, sequences=4)


# ---- ablations


@pytest.mark.parametrize("to", ["zero", "mean"])
@pytest.mark.parametrize("keep", [False, True])
def test_ablating_nothing_costs_nothing(to, keep):
    model = random_model()
    assert interventions.ablation(model, small_probe(model), [], to, keep) == pytest.approx(
        0, abs=1e-6
    )


@pytest.mark.parametrize("at", [(0, 1), (1, 2)])
def test_a_silenced_head_is_a_head_whose_weights_are_zero(at):
    model = random_model()
    tokens, without = small_probe(model), copy.deepcopy(model)
    without.W_O[at] = 0
    expected = heads.repeat_loss(without, tokens) - heads.repeat_loss(model, tokens)
    assert interventions.ablation(model, tokens, [at]) == pytest.approx(expected, abs=1e-5)
    assert abs(expected) > 1e-3


def test_the_mean_is_of_that_head_over_all_positions():
    model = random_model()
    tokens, seen = small_probe(model), {}
    z = model.run_with_cache(tokens)[1]["z", 0]
    hooks = interventions.mean_heads(model, tokens, [(0, 1)])
    model.run_with_hooks(
        tokens, [*hooks, ("blocks.0.attn.hook_z", lambda z, hook: seen.update(z=z))]
    )
    assert_close(seen["z"][:, :, 1], z[:, :, 1].mean((0, 1)).expand_as(z[:, :, 1]))
    assert_close(seen["z"][:, :, [0, 2]], z[:, :, [0, 2]])


def test_a_head_that_always_writes_the_same_is_missed_by_zero_and_not_by_mean():
    model = random_model()
    tokens, constant = small_probe(model), torch.ones(6)
    always = [
        (
            "blocks.1.attn.hook_z",
            lambda z, hook: z.index_copy(2, torch.tensor([0]), constant.expand(*z.shape[:2], 1, 6)),
        )
    ]
    made = interventions.Hooked(model.cfg, always)
    made.load_state_dict(model.state_dict())
    made.requires_grad_(False)
    assert abs(interventions.ablation(made, tokens, [(1, 0)], "zero")) > 0.01
    assert interventions.ablation(made, tokens, [(1, 0)], "mean") == pytest.approx(0, abs=1e-6)


def test_kept_patterns_are_what_they_were():
    model = random_model()
    tokens = small_probe(model)
    before = model.run_with_cache(tokens)[1]["pattern", 1]
    silence, seen = heads.zero_heads(model, [(0, 0)]), []
    watch = ("blocks.1.attn.hook_pattern", lambda pattern, hook: seen.append(pattern))
    model.run_with_hooks(tokens, [*silence, watch])
    model.run_with_hooks(tokens, [*interventions.frozen_patterns(model, tokens), *silence, watch])
    assert not torch.allclose(seen[0], before, atol=1e-2)
    assert_close(seen[1], before)


def test_the_previous_token_head_acts_through_patterns_and_the_induction_head_does_not():
    """By hand the first writes into a block that only keys read, so with patterns kept it is not
    missed at all."""
    for model, tokens, previous, induction in (
        (BY_HAND, PROBE, [(0, 0)], [(1, 0)]),
        (TRAINED, TOKENS, [(0, 0), (0, 1), (0, 2)], [(1, h) for h in range(4)]),
    ):
        assert interventions.ablation(model, tokens, previous) > 2
        assert abs(interventions.ablation(model, tokens, previous, keep_patterns=True)) < 0.02
        for keep in (False, True):
            assert interventions.ablation(model, tokens, induction, keep_patterns=keep) > 2


def test_another_kind_of_ablation_is_refused(shapes_unchecked):
    with pytest.raises(ValueError, match="'noise'; choose 'zero' or 'mean'"):
        interventions.ablation(BY_HAND, PROBE, [(0, 0)], "noise")
    with pytest.raises(ValueError, match="no head 3 in layer 0"):
        interventions.ablation(BY_HAND, PROBE, [(0, 3)], "mean")


# ---- path patching


def test_patching_with_the_clean_value_changes_nothing():
    model = random_model()
    tokens = small_probe(model)
    clean = interventions.head_outputs(model, tokens)
    for writer, reader, side in product(range(model.cfg.n_heads), range(model.cfg.n_heads), "qkv"):
        edge = Edge((0, writer), (1, reader), side)
        effect = interventions.patch_effect(model, tokens, [edge], clean)
        assert effect.loss == pytest.approx(
            0, abs=1e-6
        ) and effect.prefix_matching == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("side", ["q", "k", "v"])
def test_a_patch_reaches_one_side_of_one_reader_and_the_rest_of_the_layer_nothing(side):
    model = random_model()
    tokens = small_probe(model)
    clean, seen = interventions.head_outputs(model, tokens), {}
    other = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    before = model.run_with_cache(tokens)[1]
    watch = [
        (f"blocks.1.attn.hook_{s}", lambda x, hook: seen.update({hook.name[-1]: x})) for s in "qkv"
    ]
    model.run_with_hooks(
        tokens, [*interventions.patch([Edge((0, 2), (1, 1), side)], clean, other), *watch]
    )
    change = (other - clean)[0, :, :, 2] @ getattr(model, f"W_{side.upper()}")[1, 1]
    for s in "qkv":
        expected = before[s, 1].clone()
        if s == side:
            expected[:, :, 1] += change
        assert_close(seen[s], expected, atol=1e-4, rtol=1e-4)
    assert change.abs().max() > 0.1


def test_by_hand_one_edge_of_three_carries_everything():
    effect = {
        side: interventions.patch_effect(BY_HAND, PROBE, [Edge((0, 0), (1, 0), side)])
        for side in "qkv"
    }
    assert effect["k"].loss > 2 and effect["k"].prefix_matching > 0.8
    for side in "qv":
        assert (
            effect[side].loss == pytest.approx(0, abs=1e-5)
            and abs(effect[side].prefix_matching) < 1e-5
        )


def test_edges_to_two_readers_cost_each_what_it_costs_alone():
    edges = [Edge((0, 0), (1, 0), "k"), Edge((0, 1), (1, 1), "k")]
    alone = [interventions.patch_effect(TRAINED, TOKENS, [edge]).prefix_matching for edge in edges]
    assert abs(alone[0] - alone[1]) > 0.1
    both = interventions.patch_effect(TRAINED, TOKENS, edges).prefix_matching
    assert both == pytest.approx(sum(alone) / 2, abs=1e-4)


def test_values_never_move_the_pattern_of_their_own_layer():
    for reader in range(4):
        assert (
            interventions.patch_effect(
                TRAINED, TOKENS, [Edge((0, 0), (1, reader), "v")]
            ).prefix_matching
            == 0
        )


def test_relabelled_tokens_repeat_as_before_and_are_others():
    other = interventions.relabelled(TOKENS, 64)
    assert (heads.induction_targets(other) == heads.induction_targets(TOKENS)).all()
    assert (other[:, 0] == 0).all() and (other[:, 1:] > 0).all() and (other < 64).all()
    assert (other == TOKENS)[:, 1:].float().mean() < 0.1
    assert not torch.equal(other, interventions.relabelled(TOKENS, 64, seed=1))
    twins = interventions.relabelled(TOKENS[:1].repeat(2, 1), 64)
    assert not torch.equal(twins[0], twins[1])  # each sequence in another way


def test_edges_that_run_backward_and_normalized_models_are_refused():
    with pytest.raises(ValueError, match="cannot read what head"):
        interventions.patch_effect(TRAINED, TOKENS, [Edge((1, 0), (0, 0), "k")])
    normalized = random_model(normalization="RMS")
    with pytest.raises(ValueError, match="without normalization"):
        interventions.patch_effect(normalized, small_probe(normalized), [Edge((0, 0), (1, 0), "k")])


def test_what_is_made_of_all_sequences_meets_all_of_them_however_few_go_at_once(monkeypatch):
    model = random_model()
    tokens, edges = heads.probe(16, 32, sequences=5), [Edge((0, 0), (1, 1), "k")]

    def measured() -> list[float]:
        told = ideals(model, tokens, [(0, 0)], [(1, 1)])
        return [
            interventions.ablation(model, tokens, [(0, 0)], keep_patterns=True),
            interventions.patch_effect(model, tokens, edges).loss,
            *interventions.loss_recovered(model, tokens, told, [(1, 1)]).values(),
        ]

    whole = measured()
    monkeypatch.setattr(heads, "MOST_LOGITS", 2 * 32 * 16)
    assert measured() == pytest.approx(whole, rel=1e-2, abs=1e-5)


# ---- what is held fixed, and ideals


def test_the_shift_looks_back_so_far_and_rests_on_bos_before():
    assert interventions.shift_pattern(4).argmax(1).tolist() == [0, 0, 1, 2]
    assert interventions.shift_pattern(4, back=2).argmax(1).tolist() == [0, 0, 0, 1]
    assert (interventions.shift_pattern(4, back=2).sum(1) == 1).all()


def test_a_clamped_model_trains_scores_and_is_seen_by_other_hooks_as_clamped():
    config = ModelConfig(n_heads=2, n_ctx=24, d_vocab=16)
    model, plain = (
        interventions.Hooked(config, interventions.clamp([(0, 1)])),
        AttentionOnlyTransformer(config),
    )
    tokens = heads.probe(16, 24)
    assert heads.score(model, tokens).previous_token[0].tolist() == [
        pytest.approx(0.08, abs=0.05),
        1,
    ]
    assert_close(model(tokens), plain.run_with_hooks(tokens, interventions.clamp([(0, 1)])))
    model(tokens).sum().backward()
    assert not model.W_Q.grad[0, 1].any() and not model.W_K.grad[0, 1].any()
    assert model.W_Q.grad[0, 0].any() and model.W_V.grad[0, 1].any()


@pytest.mark.parametrize("at", [(0, -1), (0, 3), (-1, 0), (2, 0)])
def test_heads_that_do_not_exist_are_not_held_fixed(at, shapes_unchecked):
    model = random_model()
    tokens = small_probe(model)
    for hooks in (interventions.clamp([at]), interventions.match_exactly([at], tokens)):
        with pytest.raises(ValueError, match=f"there is no head {at[1]} in|no hook is called"):
            model.run_with_hooks(tokens, hooks)


def ideals(model, tokens, previous, induction) -> dict:
    shift, match = interventions.clamp(previous), interventions.match_exactly(induction, tokens)
    copied = interventions.copy_exactly(model, induction, tokens)
    return dict(shift=shift, match=match, copy=copied, everything=shift + match + copied)


def test_the_head_by_hand_is_its_own_ideal():
    clean = BY_HAND(PROBE).log_softmax(-1)
    rows = heads.induction_targets(PROBE).any(-1)
    for hooks in ideals(BY_HAND, PROBE, [(0, 0)], [(1, 0)]).values():
        assert_close(
            BY_HAND.run_with_hooks(PROBE, hooks).log_softmax(-1)[rows],
            clean[rows],
            atol=2e-3,
            rtol=0,
        )


def test_wrong_ideals_lose_what_the_head_is_worth():
    wrong = dict(
        two_back=interventions.clamp([(0, 0)], back=2),
        copy_itself=interventions.match_exactly([(1, 0)], PROBE, after=0),
        nothing=heads.zero_heads(BY_HAND, [(1, 0)]),
    )
    assert max(interventions.loss_recovered(BY_HAND, PROBE, wrong, [(1, 0)]).values()) < 0.1


def test_the_share_is_one_for_the_model_itself_and_zero_without_the_heads():
    induction = [(1, h) for h in range(4)]
    told = dict(itself=[], without=interventions.mean_heads(TRAINED, TOKENS, induction))
    share = interventions.loss_recovered(TRAINED, TOKENS, told, induction)
    assert share == dict(itself=pytest.approx(1, abs=1e-5), without=pytest.approx(0, abs=1e-5))


@pytest.mark.parametrize("without", [[], [(0, 1)]])
def test_of_heads_that_are_worth_nothing_no_share_is_told(without):
    model = copy.deepcopy(TRAINED)
    model.W_O[0, 1] = 0
    with pytest.raises(ValueError, match=r"the heads \[.*\] are worth 0 nats here.*; give heads"):
        interventions.loss_recovered(model, TOKENS, dict(itself=[]), without)


def test_an_exact_match_leaves_rows_without_a_target_and_other_heads_as_they_are():
    model = random_model()
    tokens, seen = small_probe(model), []
    before = model.run_with_cache(tokens)[1]["pattern", 1]
    watch = ("blocks.1.attn.hook_pattern", lambda pattern, hook: seen.append(pattern))
    model.run_with_hooks(tokens, [*interventions.match_exactly([(1, 2)], tokens), watch])
    rows = heads.induction_targets(tokens).any(-1)
    assert heads.prefix_matching(seen[0], tokens)[2] == pytest.approx(1)
    assert_close(seen[0][:, 2][~rows], before[:, 2][~rows])
    assert_close(seen[0][:, :2], before[:, :2])
    assert_close(seen[0].sum(-1), torch.ones_like(seen[0].sum(-1)))


def test_an_exact_copy_raises_what_it_attends_to_and_nothing_else():
    model = random_model(d_model=40, d_vocab=12)  # room for every logit by itself
    tokens = small_probe(model)
    hooks, seen = interventions.copy_exactly(model, [(1, 0)], tokens), []
    watch = ("blocks.1.attn.hook_result", lambda result, hook: seen.append(result[:, :, 0]))
    pattern = model.run_with_cache(tokens)[1]["pattern", 1][:, 0]
    model.run_with_hooks(tokens, [*hooks, watch])
    one_hot = torch.nn.functional.one_hot(tokens, 12).float()
    one_hot[..., 0] = 0
    raised, expected = seen[0] @ model.W_U, pattern @ one_hot
    strength = (raised * expected).sum() / (expected * expected).sum()
    assert_close(raised, strength * expected, atol=1e-3, rtol=1e-3)
    circuit = model.W_E @ model.W_V[1, 0] @ model.W_O[1, 0] @ model.W_U
    own = (
        circuit[1:, 1:].diagonal().mean() - circuit[1:, 1:][~torch.eye(11, dtype=torch.bool)].mean()
    )
    assert strength == pytest.approx(own.item(), rel=1e-3)
