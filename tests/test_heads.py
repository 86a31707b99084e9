"""The scorers say what they should of ideal heads, and `discover` names planted induction heads and
no others."""

import math
from collections.abc import Callable
from statistics import mean
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from helpers.instruments import heads, patterns, probes
from helpers.model import AttentionOnlyTransformer, ModelConfig

PREVIOUS, INDUCTION = (0, 1), (1, 1)  # where `planted` puts its two heads


# ---- ideal patterns, written down row by row


def earlier_copies(sequence: list[int], row: int) -> list[int]:
    return [at for at in range(1, row) if sequence[at] == sequence[row]]


def successors(sequence: list[int], row: int) -> list[int]:
    return [at + 1 for at in earlier_copies(sequence, row)]


LOOKS_AT = {
    "induction": successors,
    "induction, latest copy": lambda sequence, row: successors(sequence, row)[-1:],
    "induction, first copy": lambda sequence, row: successors(sequence, row)[:1],
    "BOS sink": lambda sequence, row: [],
    "previous token": lambda sequence, row: [max(row - 1, 0)],
    "present token": lambda sequence, row: [row],
    "duplicate token": earlier_copies,
    "one too late": lambda sequence, row: [at + 1 for at in successors(sequence, row) if at < row],
    "the key after BOS": lambda sequence, row: [1] if row > 2 else [],
}


def pattern_of(tokens: Tensor, looks_at: Callable) -> Tensor:
    """The pattern of one head: attention spread evenly over the keys it looks at, all on BOS where
    it looks at none."""
    pattern = torch.zeros(len(tokens), 1, tokens.shape[1], tokens.shape[1])
    for number, sequence in enumerate(tokens.tolist()):
        for row in range(len(sequence)):
            keys = looks_at(sequence, row) or [0]
            pattern[number, 0, row, keys] = 1 / len(keys)
    return pattern


def random_pattern(tokens: Tensor, n_heads: int) -> Tensor:
    scores = torch.randn(len(tokens), n_heads, tokens.shape[1], tokens.shape[1])
    return scores.masked_fill(
        torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf
    ).softmax(-1)


PROBE = heads.probe(64, 101)


@pytest.mark.parametrize(
    ("name", "prefix_matching", "previous_token"),
    [
        ("induction", 1, 0),
        ("induction, latest copy", 1, 0),
        ("induction, first copy", 1, 0),
        ("BOS sink", 0, 0),
        ("previous token", 0, 1),
        ("present token", 0, 0),
        ("duplicate token", 0, 0),
        ("one too late", 0, 0),
        ("the key after BOS", 0, 0),
    ],
)
def test_ideal_heads_score_one_and_others_zero(name, prefix_matching, previous_token):
    pattern = pattern_of(PROBE, LOOKS_AT[name])
    assert heads.prefix_matching(pattern, PROBE).item() == pytest.approx(prefix_matching, abs=5e-4)
    assert heads.previous_token(pattern).item() == pytest.approx(previous_token, abs=5e-4)


def test_the_ideal_patterns_of_the_course_are_these():
    ideal = heads.ideal_patterns(PROBE)
    names = {
        "induction": "induction",
        "previous token": "previous token",
        "present token": "present token",
    }
    assert set(ideal) == {*names, "rest on BOS"}
    for theirs, ours in (names | {"rest on BOS": "BOS sink"}).items():
        assert torch.equal(ideal[theirs], pattern_of(PROBE, LOOKS_AT[ours]))


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_a_head_that_rests_on_bos_part_of_the_time_scores_the_other_part(share):
    ideal, sink = (pattern_of(PROBE, LOOKS_AT[name]) for name in ("induction", "BOS sink"))
    assert heads.prefix_matching(share * ideal + (1 - share) * sink, PROBE).item() == pytest.approx(
        share, abs=5e-4
    )


@given(st.lists(st.lists(st.integers(0, 4), min_size=12, max_size=12), min_size=1, max_size=4))
def test_the_targets_are_the_keys_after_earlier_copies_and_leave_bos_and_row_0_out(sequences):
    targets = heads.induction_targets(torch.tensor(sequences))
    for found, sequence in zip(targets.tolist(), sequences, strict=True):
        for row, keys in enumerate(found):
            assert [key for key, is_target in enumerate(keys) if is_target] == successors(
                sequence, row
            )


def test_bos_and_row_0_never_count():
    targets = heads.induction_targets(PROBE)
    assert not targets[:, 0].any() and not targets[:, :, :2].any()


def test_each_row_counts_once_however_many_copies_it_has():
    """Row 3 has one target, row 5 two: attending to the first target alone is still a whole row."""
    tokens = torch.tensor([[0, 7, 8, 7, 9, 7]])
    assert heads.induction_targets(tokens)[0, 5].nonzero().flatten().tolist() == [2, 4]
    pattern = torch.zeros(1, 1, 6, 6)
    pattern[..., 0] = 1
    assert heads.prefix_matching(pattern, tokens).item() == 0
    pattern[0, 0, 5] = torch.eye(6)[2]
    assert heads.prefix_matching(pattern, tokens).item() == 0.5


def test_text_without_a_repeat_has_no_prefix_matching():
    with pytest.raises(ValueError, match="no token occurs twice in any of .*heads.probe"):
        heads.prefix_matching(torch.zeros(1, 1, 9, 9), torch.arange(9)[None])


# ---- chance


def test_the_chance_line_is_what_evenly_spread_attention_gets():
    by_hand = [
        len(successors(sequence, row)) / (row + 1)
        for sequence in PROBE.tolist()
        for row in range(len(sequence))
        if successors(sequence, row)
    ]
    distinct = mean(len(set(sequence)) - 1 for sequence in PROBE.tolist())
    chance = heads.chance_lines(PROBE)
    assert chance["prefix_matching"] == pytest.approx(mean(by_hand), abs=1e-6)
    assert chance["previous_token"] == pytest.approx(
        mean(1 / (row + 1) for row in range(2, 101)), abs=1e-6
    )
    assert chance["copying"] == pytest.approx(2 / distinct - 1, abs=1e-6)
    assert chance["ablation_effect"] == 0


@pytest.mark.parametrize(
    ("block", "repeats", "chance"), [(25, 4, 0.031), (16, 2, 0.041), (25, 2, 0.027), (50, 2, 0.014)]
)
def test_the_papers_own_probe_has_its_rows_and_its_chance_line(block, repeats, chance):
    tokens = heads.repeated_tokens(range(1, 200), block, repeats)
    assert tokens.shape == (10, block * repeats + 1)
    assert (heads.induction_targets(tokens).any(-1).sum(1) == block * (repeats - 1)).all()
    assert heads.chance_lines(tokens)["prefix_matching"] == pytest.approx(chance, abs=5e-4)


def test_the_papers_probe_repeats_distinct_tokens_of_those_given():
    tokens = heads.repeated_tokens([3, 5, 7, 11, 13], block=4, repeats=3, sequences=6)
    first = tokens[:, 1:5]
    assert set(first.flatten().tolist()) <= {3, 5, 7, 11, 13}
    assert all(len(set(block)) == 4 for block in first.tolist())
    assert torch.equal(tokens[:, 1:], torch.cat([first] * 3, 1)) and not tokens[:, 0].any()
    assert len(first.unique(dim=0)) > 1


def test_the_papers_probe_needs_enough_ids():
    with pytest.raises(ValueError, match="25 distinct tokens.*10 ids"):
        heads.repeated_tokens(range(10))
    tokens = heads.repeated_tokens(range(1, 11), block=10)  # just enough
    assert tokens[0, 1:11].sort().values.tolist() == [*range(1, 11)]


# ---- copying


def copying_of(pattern: Tensor, tokens: Tensor, circuit: Tensor) -> Tensor:
    """The score of heads whose values are one-hot tokens and whose W_O is `circuit` [head, token,
    token]."""
    d_vocab = circuit.shape[-1]
    v = torch.nn.functional.one_hot(tokens, d_vocab).float()
    z = torch.einsum("bhqk,bkd->bqhd", pattern, v)
    return heads.copying(pattern, z, circuit, torch.eye(d_vocab), tokens)


def test_a_copier_scores_one_and_a_suppressor_minus_one():
    pattern = pattern_of(PROBE, successors)
    score = copying_of(
        pattern.expand(-1, 2, -1, -1), PROBE, torch.stack([torch.eye(64), -torch.eye(64)])
    )
    assert score.tolist() == pytest.approx([1, -1], abs=5e-4)


def test_a_head_that_raises_half_as_much_elsewhere_scores_between():
    """Raised: the attended token by 1, the one after it in the block by 1/2, so two thirds of the
    raise are copied."""
    tokens = torch.tensor([[0, *range(1, 11), *range(1, 11)]])
    circuit = torch.eye(200) + 0.5 * torch.eye(200).roll(1, 1)
    circuit[10, 11], circuit[10, 1] = 0, 0.5
    score = copying_of(pattern_of(tokens, successors), tokens, circuit[None]).item()
    mean_logit = 1.5 / 200
    assert score == pytest.approx(2 * (1 - mean_logit) / (1.5 - 2 * mean_logit) - 1, abs=1e-4)


def test_a_head_that_raises_tokens_of_other_rows_does_not_copy():
    """Attends to the successor, raises the successor's successor."""
    tokens = torch.tensor([[0, *range(1, 11), *range(1, 11)]])
    after = torch.zeros(12, 12)
    after[range(1, 11), [*range(2, 11), 1]] = 1
    score = copying_of(pattern_of(tokens, successors), tokens, after[None])
    assert score.item() == pytest.approx(-1, abs=5e-4)


def test_random_circuits_copy_by_chance():
    pattern = pattern_of(PROBE, successors).expand(-1, 100, -1, -1)
    scores = copying_of(pattern, PROBE, torch.randn(100, 64, 64))
    assert scores.mean().item() == pytest.approx(
        heads.chance_lines(PROBE)["copying"], abs=4 * scores.std().item() / 10
    )
    assert scores.std() < 0.1


def test_only_rows_with_a_target_count_for_copying():
    """Before the repeat the head suppresses, after it copies."""
    pattern = pattern_of(PROBE, successors)
    rows = heads.induction_targets(PROBE).any(-1)
    v = torch.eye(64)[PROBE]
    z = torch.einsum("bhqk,bkd->bqhd", pattern, v)
    z = torch.where(rows[:, :, None, None], z, -z - 3)
    assert heads.copying(
        pattern, z, torch.eye(64)[None], torch.eye(64), PROBE
    ).item() == pytest.approx(1, abs=5e-4)


def test_bos_is_left_out_of_copying():
    """A head that rests on BOS and raises it has copied nothing, and its raise of BOS is not
    counted either."""
    pattern = 0.8 * pattern_of(PROBE, successors) + 0.2 * pattern_of(PROBE, LOOKS_AT["BOS sink"])
    with_bos = torch.eye(64)
    without = with_bos.clone()
    without[0] = 0
    for circuit in (with_bos, without):
        assert copying_of(pattern, PROBE, circuit[None]).item() == pytest.approx(
            2 * 0.8 - 1, abs=5e-4
        )


def test_a_constant_on_all_logits_changes_no_score():
    pattern = random_pattern(PROBE, 3)
    z, W_O, W_U = torch.randn(10, 101, 3, 5), torch.randn(3, 5, 7), torch.randn(7, 64)
    shifted = heads.copying(pattern, z, W_O, W_U + 10 * torch.randn(7, 1), PROBE)
    assert torch.allclose(shifted, heads.copying(pattern, z, W_O, W_U, PROBE), atol=1e-4)


# ---- symmetries of all the scores


def scores_of(pattern: Tensor, z: Tensor, W_O: Tensor, W_U: Tensor, tokens: Tensor) -> Tensor:
    """[score, head]"""
    copying = heads.copying(pattern, z, W_O, W_U, tokens)
    return torch.stack(
        [heads.prefix_matching(pattern, tokens), heads.previous_token(pattern), copying]
    )


@pytest.fixture
def anything() -> tuple[Tensor, ...]:
    """Pattern, z, W_O, W_U and tokens of five random heads."""
    tokens = heads.probe(16, 32)
    return (
        random_pattern(tokens, 5),
        torch.randn(10, 32, 5, 4),
        torch.randn(5, 4, 8),
        torch.randn(8, 16),
        tokens,
    )


def test_heads_are_scored_one_by_one(anything):
    pattern, z, W_O, W_U, tokens = anything
    together = scores_of(*anything)
    assert len(together.unique(dim=1)[0]) == 5
    order = torch.tensor([3, 0, 4, 2, 1])
    permuted = scores_of(pattern[:, order], z[:, :, order], W_O[order], W_U, tokens)
    assert torch.allclose(permuted, together[:, order], atol=1e-6)
    alone = scores_of(pattern[:, 2:3], z[:, :, 2:3], W_O[2:3], W_U, tokens)
    assert torch.allclose(alone, together[:, 2:3], atol=1e-6)


def test_the_order_of_the_sequences_does_not_matter(anything):
    pattern, z, W_O, W_U, tokens = anything
    order = torch.randperm(len(tokens))
    shuffled = scores_of(pattern[order], z[order], W_O, W_U, tokens[order])
    assert torch.allclose(shuffled, scores_of(*anything), atol=1e-6)


# ---- probes


@given(st.integers(5, 80), st.integers(9, 140), st.integers(2, 12), st.integers(0, 3))
def test_a_probe_repeats_distinct_tokens_at_distances_that_vary(d_vocab, n_ctx, sequences, seed):
    tokens = heads.probe(d_vocab, n_ctx, sequences, seed=seed)
    assert tokens.shape == (sequences, min(n_ctx, 101))
    assert (tokens[:, 0] == 0).all() and 1 <= tokens[:, 1:].min() and tokens.max() < d_vocab
    lengths = [len(set(sequence)) - 1 for sequence in tokens.tolist()]
    longest = min(33, d_vocab - 1, (tokens.shape[1] - 1) // 2)
    assert (min(lengths), max(lengths)) == ((longest + 1) // 2, longest)
    for sequence, length in zip(tokens.tolist(), lengths, strict=True):
        assert len(set(sequence[1 : length + 1])) == length
        assert sequence[length + 1 :] == sequence[1:-length]


def test_the_largest_probe_is_the_one_of_the_docstring():
    lengths = [len(set(sequence)) - 1 for sequence in PROBE.tolist()]
    assert (
        lengths == sorted(lengths)
        and (lengths[0], lengths[-1]) == (17, 33)
        and len(set(lengths)) >= 9
    )


def test_a_probe_draws_from_the_ids_given_and_from_its_seed():
    tokens = heads.probe(100, 64, ids=[20, 30, 40, 50, 60, 70])
    assert set(tokens[:, 1:].flatten().tolist()) == {20, 30, 40, 50, 60, 70}
    assert torch.equal(heads.probe(64, 64), heads.probe(64, 64))
    assert not torch.equal(heads.probe(64, 64), heads.probe(64, 64, seed=1))
    assert len(PROBE[:, 1:5].unique(dim=0)) == len(PROBE)


@pytest.mark.parametrize("too_little", [dict(n_ctx=8), dict(d_vocab=4), dict(ids=[1, 2, 3])])
def test_a_probe_that_does_not_fit_is_refused(too_little):
    with pytest.raises(
        ValueError,
        match="blocks of 3; the probe needs blocks of 4 or more, that is n_ctx 9 and 4 ids",
    ):
        heads.probe(**(dict(d_vocab=64, n_ctx=64) | too_little))


# ---- planted heads


def blank(
    n_layers: int, n_heads: int, d_vocab: int, n_ctx: int, **options
) -> AttentionOnlyTransformer:
    """A model without heads. Its stream has blocks: present token, previous token, prediction,
    position.

    All heads' weights are zero, so they attend evenly and write nothing.
    """
    d_model, d_head = 3 * d_vocab + n_ctx, max(d_vocab, n_ctx) + 1
    model = AttentionOnlyTransformer(
        ModelConfig(n_layers, n_heads, d_model, d_head, n_ctx, d_vocab, **options)
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E[:, :d_vocab] = torch.eye(d_vocab)
        model.W_pos[:, 3 * d_vocab :] = torch.eye(n_ctx)
        model.W_U[2 * d_vocab : 3 * d_vocab] = 10 * torch.eye(d_vocab)
    return model.requires_grad_(False)


def plant_shift(
    model: AttentionOnlyTransformer, at: tuple[int, int], distance: int, to_block: int
) -> None:
    """A head that attends `distance` positions back, whatever stands there, and copies it into a
    block."""
    V, n_ctx = model.cfg.d_vocab, model.cfg.n_ctx
    model.W_Q[at][3 * V :, :n_ctx] = 1000 * torch.eye(n_ctx)
    model.W_K[at][3 * V : 3 * V + n_ctx - distance, distance:n_ctx] = torch.eye(n_ctx - distance)
    plant_copying(model, at, to_block)


def plant_matching(model: AttentionOnlyTransformer, at: tuple[int, int], sign: float = 1.0) -> None:
    """A head that looks for the keys whose previous token is the present one, and rests on BOS when
    there is none."""
    V = model.cfg.d_vocab
    model.W_Q[at][1:V, 1:V] = 1000 * torch.eye(V - 1)
    model.W_K[at][V + 1 : 2 * V, 1:V] = torch.eye(V - 1)
    model.W_Q[at][3 * V :, -1] = 500
    model.W_K[at][3 * V, -1] = 1
    plant_copying(model, at, 2, sign)


def plant_copying(
    model: AttentionOnlyTransformer, at: tuple[int, int], to_block: int, sign: float = 1.0
) -> None:
    V = model.cfg.d_vocab
    model.W_V[at][1:V, 1:V] = torch.eye(V - 1)
    model.W_O[at][:V, to_block * V : (to_block + 1) * V] = sign * torch.eye(V)


def planted(
    n_heads: int = 2, d_vocab: int = 12, n_ctx: int = 32, sign: float = 1.0, **options
) -> AttentionOnlyTransformer:
    """Two layers: a previous-token head and an induction head, K-composed. The other heads do
    nothing."""
    model = blank(2, n_heads, d_vocab, n_ctx, **options)
    plant_shift(model, PREVIOUS, 1, 1)
    plant_matching(model, INDUCTION, sign)
    return model


def row(report: heads.HeadReport, at: tuple[int, int]) -> heads.HeadRow:
    return next(row for row in report.rows if row[:2] == at)


@pytest.mark.parametrize("positions", ["shortformer", "standard"])
@pytest.mark.parametrize(("d_vocab", "n_ctx"), [(12, 32), (40, 101)])
def test_discover_names_exactly_the_planted_head(positions, d_vocab, n_ctx):
    report = heads.discover(planted(d_vocab=d_vocab, n_ctx=n_ctx, positions=positions))
    assert report.induction_heads == [INDUCTION]
    assert row(report, INDUCTION)[2:5] == pytest.approx((1, 0, 1), abs=5e-4)
    assert row(report, PREVIOUS)[2:4] == pytest.approx((0, 1), abs=5e-4)
    idle = row(report, (0, 0))
    assert idle[2:4] == pytest.approx(
        (report.chance["prefix_matching"], report.chance["previous_token"]), abs=5e-4
    )
    assert [row[:2] for row in report.rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_the_report_is_a_table_with_the_chance_line_and_the_verdict():
    lines = str(heads.discover(planted())).splitlines()
    assert lines[0].split() == "head prefix matching previous token copying ablation effect".split()
    assert [line.split()[0] for line in lines[1:]] == ["chance", "0.0", "0.1", "1.0", "1.1"]
    assert [line.endswith("  induction head") for line in lines] == [False] * 5 + [True]
    assert lines[-1].split()[1:4] == ["1.00", "0.00", "1.00"]
    assert (
        lines[1].split()[1] == f"{heads.chance_lines(heads.probe(12, 32))['prefix_matching']:.2f}"
    )


def report_of(rows: list[tuple]) -> heads.HeadReport:
    return heads.HeadReport([heads.HeadRow(*row) for row in rows], {}, [])


THREE = report_of(
    [(0, 0, 0.1, 0.31, -0.5, None), (0, 1, 0.1, 0.3, 0.0, 1.0), (1, 0, 0.9, 0.2, 0.0, 0.5)]
)


@pytest.mark.parametrize(
    ("score", "best"),
    [
        ("prefix_matching", (1, 0)),
        ("previous_token", (0, 0)),
        ("copying", (0, 1)),  # the first of two with the same score
        ("ablation_effect", (0, 1)),  # head 0.0 was not measured
    ],
)
def test_the_best_head_by_each_score(score, best):
    assert THREE.best(score).at == best


def test_a_best_head_that_cannot_be_told_is_refused():
    with pytest.raises(ValueError, match="no score is called 'layer'; choose of .'prefix_matching"):
        THREE.best("layer")
    with pytest.raises(ValueError, match="measured of none of 1 heads; .* ablate=True"):
        report_of([(0, 0, 0.1, 0.2, 0.3, None)]).best("ablation_effect")


def test_the_previous_token_heads_pass_the_convention():
    assert THREE.previous_token_heads == [(0, 0)]
    assert heads.discover(planted()).previous_token_heads == [PREVIOUS]


def snapshots(*best: float) -> list[dict]:
    """At steps 0, 10, ... the best of three heads has these scores."""
    return [
        dict(step=10 * number, prefix_matching=[[0.1, score], [0.0]])
        for number, score in enumerate(best)
    ]


def test_birth_is_the_first_step_above_one_half():
    assert heads.birth(snapshots(0.1, 0.6, 0.4, 0.9)) == 10
    assert heads.birth(snapshots(0.7, 0.1)) == 0
    assert heads.birth(snapshots(0.1, 0.5)) is None
    assert heads.birth([]) is heads.birth([dict(step=0, prefix_matching=[])]) is None


def test_a_report_is_the_same_whenever_it_is_made():
    first = heads.discover(planted())
    torch.manual_seed(1)
    torch.rand(5)
    assert repr(heads.discover(planted())) == repr(first) == str(first)


def test_random_models_have_no_induction_heads():
    for seed in range(30):
        model = AttentionOnlyTransformer(ModelConfig(n_ctx=48, seed=seed))
        assert heads.discover(model, ablate=False).induction_heads == []


def test_random_models_of_the_smallest_size_have_no_induction_heads():
    for seed in range(30):
        model = AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=12, seed=seed))
        assert heads.discover(model, ablate=False).induction_heads == []


def test_a_head_that_learned_one_distance_is_not_named():
    """It copies and on blocks of that one length it looks ideal: the probe's lengths tell."""
    model = blank(1, 2, d_vocab=40, n_ctx=101)
    plant_shift(model, (0, 0), distance=24, to_block=2)
    report = heads.discover(model)
    assert report.induction_heads == [] and row(report, (0, 0)).prefix_matching < 0.2
    assert row(report, (0, 0)).copying > 0.95
    trap = heads.discover(model, tokens=heads.repeated_tokens(range(1, 40)))
    assert trap.induction_heads == [(0, 0)]


@pytest.mark.parametrize("distance", [1, 16, 20, 32, 48])
def test_no_other_distance_passes_either(distance):
    model = blank(1, 1, d_vocab=40, n_ctx=101)
    plant_shift(model, (0, 0), distance, to_block=2)
    assert heads.discover(model, ablate=False).induction_heads == []


def test_a_head_that_matches_prefixes_to_suppress_what_it_finds_is_not_named():
    report = heads.discover(planted(sign=-1))
    assert row(report, INDUCTION).prefix_matching > 0.99
    assert row(report, INDUCTION).copying == pytest.approx(-1, abs=5e-4)
    assert report.induction_heads == []


def test_a_head_that_copies_without_matching_is_not_named():
    model = blank(2, 2, 12, 32)
    plant_copying(model, INDUCTION, 2)
    plant_shift(model, PREVIOUS, 1, 2)
    report = heads.discover(model)
    assert row(report, PREVIOUS).copying > 0.99
    assert report.induction_heads == []


@pytest.mark.parametrize(
    "written",
    [
        Tensor.tolist,
        Tensor.numpy,
        Tensor.int,
        Tensor.float,
        lambda tokens: tokens.double().numpy(),
        lambda tokens: tokens.numpy().astype("uint16"),
    ],
)
def test_tokens_and_ids_may_be_lists_arrays_and_whole_numbers_of_any_kind(written):
    tokens, ids = heads.probe(12, 32, seed=5), torch.arange(2, 11)
    expected = str(heads.discover(planted(), tokens=tokens))
    assert str(heads.discover(planted(), tokens=written(tokens))) == expected
    drawn = heads.probe(12, 32, ids=written(ids))
    assert drawn.dtype == torch.int64 and torch.equal(drawn, heads.probe(12, 32, ids=ids))
    assert torch.equal(
        heads.repeated_tokens(written(ids), block=4), heads.repeated_tokens(ids, block=4)
    )


@pytest.mark.parametrize(
    ("tokenizer", "opens", "probed"),
    [
        (None, 0, dict(bos=0, special=())),
        (SimpleNamespace(bos_token_id=5, all_special_ids=[5, 6]), 5, dict(bos=5, special=[5, 6])),
        (SimpleNamespace(bos_token_id=None, all_special_ids=[6]), None, dict(bos=0, special=[6])),
        (SimpleNamespace(), None, dict(bos=0, special=())),
    ],
)
def test_where_no_id_opens_a_text_the_probe_opens_with_0(tokenizer, opens, probed):
    model = SimpleNamespace(tokenizer=tokenizer)
    assert probes.opening_id(model) == opens and probes.special_ids(model) == probed


def test_an_id_that_is_given_twice_is_drawn_no_more_often():
    once = heads.probe(40, 32, ids=range(3, 20))
    assert torch.equal(heads.probe(40, 32, ids=[*range(3, 20), *range(3, 9)]), once)
    assert torch.equal(heads.probe(40, 32, ids=2 * [*range(3, 20)]), once)
    with pytest.raises(ValueError, match="a context of 32 and 3 token ids"):
        heads.probe(40, 32, ids=[5, 5, 6, 6, 7, 7])
    with pytest.raises(ValueError, match="a block of 4 distinct tokens out of 2 ids"):
        heads.repeated_tokens([5, 5, 6, 6], block=4)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (dict(ids=[1, 2, 3, 4], tokens=PROBE), "both ids and tokens given; give ids to draw"),
        (dict(tokens=PROBE + 0.5), r"tokens holds torch.float32, \[0.5.*; expected whole numbers"),
        (dict(tokens=PROBE > 3), "tokens holds torch.bool"),
        (dict(tokens=[[0.0, math.nan]]), "tokens holds torch.float32"),
        (dict(tokens=[["a", "b"]]), "tokens cannot be made into a tensor"),
        (dict(tokens=[[0, 1, 2], [0, 1]]), "tokens cannot be made into a tensor .* of one length"),
        (dict(tokens=PROBE[0]), r"tokens have shape \(101,\); expected \[batch, pos\]"),
        (dict(tokens=PROBE[:0]), "no token occurs twice in any of 0 sequences"),
        (dict(tokens=[[0, 5], [0, 5]]), "no token occurs twice in any of 2 sequences of 2"),
        (dict(ids=[1.5, 2, 3, 4]), "ids holds torch.float32"),
        (dict(ids=PROBE), r"ids has shape \(10, 101\); expected a plain list"),
        (dict(ids=7), r"ids has shape \(\); expected a plain list"),
    ],
)
def test_what_is_no_probe_is_refused_in_words(given, says, shapes_unchecked):
    with pytest.raises(ValueError, match=says):
        heads.discover(planted(d_vocab=64, n_ctx=101), **given)


def test_two_positions_have_no_score_and_three_may():
    pair = torch.tensor([[0, 5]])
    pattern = heads.uniform_pattern(2)
    with pytest.raises(ValueError, match="2 positions are too few for a previous-token score"):
        heads.previous_token(pattern)
    for score in (
        lambda: heads.prefix_matching(pattern, pair),
        lambda: heads.copying(
            pattern, torch.ones(1, 2, 1, 3), torch.ones(1, 3, 4), torch.ones(4, 9), pair
        ),
        lambda: heads.score(planted(), pair),
        lambda: heads.repeat_loss(planted(), pair),
        lambda: heads.chance_lines(pair),
    ):
        with pytest.raises(ValueError, match="no token occurs twice"):
            score()
    three = torch.tensor([[0, 5, 5]])
    assert all(scores.isfinite().all() for scores in heads.score(planted(), three))
    with pytest.raises(ValueError, match="no token occurs twice in any of 1 sequences of 2"):
        heads.repeat_loss(planted(), three)  # nobody knows what follows the copy


def test_a_copy_that_padding_follows_has_no_loss():
    padded = torch.tensor([[0, 3, 3, heads.PAD]])
    for loss in (
        lambda: heads.repeat_loss(planted(), padded),
        lambda: heads.score_with_loss(planted(), padded),
        lambda: heads.discover(planted(), tokens=[[0, 3, 3, 9]], pad=9),
    ):
        with pytest.raises(ValueError, match="in none of 1 sequences does a token follow"):
            loss()
    assert len(heads.discover(planted(), tokens=[[0, 3, 3, 9]], pad=9, ablate=False).rows) == 4


def test_a_zero_layer_model_has_no_heads():
    report = heads.discover(AttentionOnlyTransformer(ModelConfig(n_layers=0)))
    assert (report.rows, report.induction_heads) == ([], [])
    assert len(str(report).splitlines()) == 2


def test_discover_reads_the_tokens_it_is_given():
    model = planted(d_vocab=40)
    scored = []
    explicit = model.run_with_hooks
    model.run_with_hooks = lambda tokens, fwd_hooks=(): (
        scored.append(tokens),
        explicit(tokens, fwd_hooks),
    )[1]
    heads.discover(model, ids=[5, 6, 7, 8, 9])
    assert set(torch.cat(scored).unique().tolist()) == {0, 5, 6, 7, 8, 9}
    scored.clear()
    own = heads.repeated_tokens(range(1, 40), block=10, repeats=3)
    heads.discover(model, tokens=own)
    assert scored and all(torch.equal(tokens, own) for tokens in scored)
    scored.clear()
    heads.discover(model, seed=3)
    assert torch.equal(scored[0], heads.probe(40, 32, seed=3))


# ---- the final normalization


def normalized_model(kind: str) -> AttentionOnlyTransformer:
    """Random weights, gains and biases."""
    model = AttentionOnlyTransformer(
        ModelConfig(n_ctx=32, d_vocab=16, d_model=24, d_head=8, normalization=kind)
    )
    with torch.no_grad():
        model.norm_gain.copy_(torch.rand(3, 24) + 0.5)
        if kind == "LN":
            model.norm_bias.copy_(torch.randn(3, 24))
    return model.requires_grad_(False)


@pytest.mark.parametrize("kind", ["RMS", "LN"])
def test_the_last_gain_counts_as_part_of_the_unembedding(kind):
    model = normalized_model(kind)
    before = heads.score(model, heads.probe(16, 32)).copying
    gain = torch.rand(24) + 0.5
    model.norm_gain[-1] *= gain
    changed = heads.score(model, heads.probe(16, 32)).copying
    model.W_U /= gain[:, None]
    after = heads.score(model, heads.probe(16, 32)).copying
    assert torch.allclose(after, before, atol=1e-5) and not torch.allclose(
        changed, before, atol=1e-3
    )


@pytest.mark.parametrize(("kind", "blind"), [("RMS", False), ("LN", True)])
def test_what_layer_norm_takes_away_does_not_count_for_copying(kind, blind):
    """LN subtracts the mean of the stream: what a head writes to all coordinates alike is gone. RMS
    keeps it."""
    model = normalized_model(kind)
    before = heads.score(model, heads.probe(16, 32)).copying[-1]
    model.W_O[-1] += torch.randn(4, 8, 1)
    after = heads.score(model, heads.probe(16, 32)).copying[-1]
    assert torch.allclose(after, before, atol=1e-4) == blind


# ---- loss and ablation


def test_the_repeat_loss_is_that_of_the_rows_whose_token_has_occurred():
    tokens = heads.probe(12, 32)
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=12))
    log_probs = model(tokens).log_softmax(-1)
    by_hand = [
        -log_probs[number, row, sequence[row + 1]].item()
        for number, sequence in enumerate(tokens.tolist())
        for row in range(len(sequence) - 1)
        if earlier_copies(sequence, row)
    ]
    assert heads.repeat_loss(model, tokens) == pytest.approx(mean(by_hand), abs=1e-5)
    assert heads.repeat_loss(planted(), tokens) < 0.01


def test_scores_and_loss_come_from_one_pass():
    model, tokens, passes = planted(), heads.probe(12, 32), []
    explicit = model.run_with_hooks
    model.run_with_hooks = lambda *given, **options: (
        passes.append(1),
        explicit(*given, **options),
    )[1]
    scores, loss = heads.score_with_loss(model, tokens)
    assert len(passes) == 1 and loss == heads.repeat_loss(model, tokens)
    assert all(map(torch.equal, scores, heads.score(model, tokens)))


def test_ablating_either_planted_head_destroys_induction_and_an_idle_head_nothing():
    """Without its match the induction head rests on BOS, and the model knows nothing: ln 12
    nats."""
    tokens = heads.probe(12, 32)
    effect = heads.ablation_effect(planted(), tokens, [(0, 0), PREVIOUS, (1, 0), INDUCTION])
    assert effect[0, 0] == effect[1, 0] == 0
    for at in (PREVIOUS, INDUCTION):
        assert effect[at] == pytest.approx(math.log(12), abs=0.01)


def test_an_ablated_head_is_the_same_as_a_head_that_writes_nothing():
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=12)).requires_grad_(False)
    tokens = heads.probe(12, 32)
    intact = heads.repeat_loss(model, tokens)
    effect = heads.ablation_effect(model, tokens, [(0, 2)])[0, 2]
    model.W_O[0, 2] = 0
    assert effect != 0 and effect == pytest.approx(
        heads.repeat_loss(model, tokens) - intact, abs=1e-5
    )


def test_several_heads_can_be_silenced_at_once():
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=12)).requires_grad_(False)
    tokens, silenced = heads.probe(12, 32), [(1, 3), (0, 2), (0, 1)]
    together = heads.repeat_loss(model, tokens, heads.zero_heads(model, silenced))
    for at in silenced:
        model.W_O[at] = 0
    assert together == pytest.approx(heads.repeat_loss(model, tokens), abs=1e-5)


def test_silencing_a_head_leaves_what_another_hook_has_kept():
    model, kept = AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=12)), {}
    keep = ("blocks.0.attn.hook_z", lambda z, hook: kept.update(z=z))
    model.run_with_hooks(heads.probe(12, 32), [keep, *heads.zero_heads(model, [(0, 2)])])
    assert kept["z"][:, :, 2].all()


@pytest.mark.parametrize("at", [(0, 9), (2, 0), (-1, 0), (0, -1)])
def test_a_head_that_does_not_exist_is_named(at):
    told = f"no head {at[1]} in layer {at[0]}: the model has 2 layers of 2 heads"
    with pytest.raises(ValueError, match=told):
        heads.ablation_effect(planted(), heads.probe(12, 32), [(0, 0), at])


@pytest.mark.parametrize(
    ("n_heads", "ablate", "measured"),
    [(2, None, 4), (2, True, 4), (2, False, 0), (32, None, 64), (33, None, 1)],
)
def test_the_ablation_effect_is_measured_where_asked(n_heads, ablate, measured):
    report = heads.discover(planted(n_heads), ablate=ablate)
    effects = {row[:2]: row.ablation_effect for row in report.rows}
    assert sum(effect is not None for effect in effects.values()) == measured
    if measured:
        assert effects[INDUCTION] == pytest.approx(math.log(12), abs=0.01)
    assert report.induction_heads == [INDUCTION]
    assert (" - " in f"{report} ") == (measured < len(effects))


# ---- memory


def most_patterns_alive(model, tokens: Tensor, monkeypatch) -> tuple[int, int]:
    """How many layers were scored, and how many of their patterns were in memory at once."""
    seen, most = [], 0
    original = heads.prefix_matching

    def watched(pattern, tokens, window):
        nonlocal most
        seen.append(StorageWeakRef(pattern.untyped_storage()))
        most = max(most, sum(not reference.expired() for reference in seen))
        return original(pattern, tokens, window)

    monkeypatch.setattr(heads, "prefix_matching", watched)
    heads.score(model, tokens)
    return len(seen), most


def test_only_one_layers_pattern_is_in_memory_at_a_time(monkeypatch):
    model = AttentionOnlyTransformer(ModelConfig(n_layers=5, n_ctx=32, d_vocab=12))
    assert most_patterns_alive(model, heads.probe(12, 32), monkeypatch) == (5, 1)


def test_scoring_keeps_no_gradients():
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=12))
    assert not any(score.requires_grad for score in heads.score(model, heads.probe(12, 32)))


# ---- the same on TransformerLens


def bridge_of(model: AttentionOnlyTransformer):
    """A TransformerBridge with the weights of a model whose positions are standard."""
    from helpers.lens import to_transformer_lens  # takes seconds

    return to_transformer_lens(model)


def lively_model(kind: str | None) -> AttentionOnlyTransformer:
    """Random weights, loud enough for uneven patterns, and a final gain and bias that are not
    trivial."""
    shape = dict(n_layers=2, n_heads=3, d_model=24, d_head=8, n_ctx=32, d_vocab=16)
    options = dict(positions="standard", normalization=kind, init_embed=1.0, init_weights=1.0)
    model = AttentionOnlyTransformer(ModelConfig(**shape, **options)).requires_grad_(False)
    for weight in (getattr(model, name, None) for name in ("norm_gain", "norm_bias")):
        if weight is not None:
            weight += torch.randn_like(weight) / 2
    return model


@pytest.mark.parametrize("kind", [None, "RMS", "LN"])
def test_a_bridge_gets_the_same_numbers_as_the_courses_model(kind):
    model = lively_model(kind)
    bridge = bridge_of(model)
    tokens = heads.probe(16, 32)
    with torch.no_grad():
        assert torch.allclose(bridge(tokens), model(tokens), atol=1e-4, rtol=1e-4)
    ours, theirs = heads.discover(model), heads.discover(bridge)
    assert (
        len(ours.rows) == 6
        and max(row.copying for row in ours.rows) - min(row.copying for row in ours.rows) > 0.05
    )
    for our, their in zip(ours.rows, theirs.rows, strict=True):
        assert our == pytest.approx(their, abs=1e-4)
    assert ours.chance == theirs.chance


def test_discover_finds_the_planted_head_in_a_bridge():
    model = planted(positions="standard")
    report = heads.discover(bridge_of(model))
    assert report.induction_heads == [INDUCTION]
    assert str(report) == str(heads.discover(model))


def test_only_one_pattern_of_a_bridge_is_in_memory_at_a_time(monkeypatch):
    shape = dict(n_layers=4, n_heads=2, d_model=16, d_head=8, n_ctx=32, d_vocab=12)
    bridge = bridge_of(AttentionOnlyTransformer(ModelConfig(**shape, positions="standard")))
    assert most_patterns_alive(bridge, heads.probe(12, 32), monkeypatch) == (4, 1)


def test_a_head_that_copies_little_better_than_blindly_is_not_named(monkeypatch):
    """Attention that knows nothing gets some share of the raise; an induction head gets at least
    twice that."""
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=48))
    share = (heads.chance_lines(heads.probe(64, 48))["copying"] + 1) / 2
    copying = (
        torch.tensor([[0, 0, 0, 0], [0.5 * share, 1.9 * share, 2.1 * share, 5 * share]]) * 2 - 1
    )
    matching = torch.tensor([[0.1] * 4, [0.9] * 4])
    scores = heads.Scores(matching, torch.zeros(2, 4), copying)
    monkeypatch.setattr(heads, "_scored", lambda model, tokens: (scores, {}))
    assert heads.discover(model, ablate=False).induction_heads == [(1, 2), (1, 3)]


# ---- windows


def test_each_window_has_its_line_of_chance_and_names_its_layers():
    rows = [heads.HeadRow(layer, 0, 0.1, 0.1, 0.0, None) for layer in range(5)]
    chances = {8: dict(prefix_matching=0.08), 16: dict(prefix_matching=0.06)}
    table = heads.HeadReport(rows, {}, [], {1: 8, 3: 16, 4: 16}, chances).table()
    lines = [(row[1], row[-1]) for row in table.rows[1:3]]
    assert lines == [
        ("0.08", "layers that see 8 tokens: 1"),
        ("0.06", "layers that see 16 tokens: 3 4"),
    ]


def test_a_window_is_known_by_what_all_heads_can_see():
    pos, tokens = 20, heads.probe(40, 20, sequences=2)
    near = patterns.uniform_pattern(pos, window=6).expand(2, 3, -1, -1)
    assert patterns.window_of(near) == 6
    assert patterns.window_of(patterns.uniform_pattern(pos)) is None
    for ideal in patterns.ideal_patterns(tokens).values():  # sharp, and nothing is hidden from them
        assert patterns.window_of(ideal) is None


def test_in_a_window_a_perfect_head_has_1_and_even_attention_the_chance_line():
    tokens, window = heads.probe(40, 40, sequences=3), 14
    targets = patterns.within(patterns.induction_targets(tokens), window).float()
    assert 0 < targets.sum() < patterns.induction_targets(tokens).sum()
    perfect = (targets / targets.sum(-1, keepdim=True).clamp_min(1))[:, None]
    assert patterns.prefix_matching(perfect, tokens, window).item() == pytest.approx(1)
    assert patterns.prefix_matching(perfect, tokens).item() < 0.9
    even = patterns.uniform_pattern(40, window).expand(3, 1, -1, -1)
    chance = heads.chance_lines(tokens, window)["prefix_matching"]
    assert patterns.prefix_matching(even, tokens, window).item() == pytest.approx(chance)
    assert patterns.prefix_matching(even, tokens, window=2).isnan()  # no copy is so near


def test_a_large_vocabulary_goes_through_in_batches_with_the_same_loss(monkeypatch):
    model = AttentionOnlyTransformer(ModelConfig(n_layers=2, d_vocab=64, n_ctx=48))
    tokens, sizes = heads.probe(64, 48, sequences=5), []
    whole = heads.repeat_loss(model, tokens)
    monkeypatch.setattr(heads, "MOST_LOGITS", 2 * 48 * 64)
    counting = [("blocks.0.attn.hook_z", lambda z, hook: sizes.append(len(z)))]
    assert heads.repeat_loss(model, tokens, counting) == pytest.approx(whole, rel=1e-6)
    assert sizes == [2, 2, 1]
