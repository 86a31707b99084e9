"""What notebook 01 measures, on models and texts for which the answer is known beforehand."""

import keyword
import math

import pytest
import torch
from torch.testing import assert_close

from helpers import handmade, sequences
from helpers.experiments import bigrams, copiers, grammar, positions, repeats, skip_trigrams
from helpers.experiments.small import trained, watched
from helpers.instruments import circuits, heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import SKIP_TRIGRAMS, Task
from helpers.training.loop import TrainingConfig

GENERATOR = torch.Generator


def model(**changes) -> AttentionOnlyTransformer:
    sizes = dict(n_layers=1, n_heads=3, d_model=16, d_head=4, n_ctx=24, d_vocab=20)
    return AttentionOnlyTransformer(ModelConfig(**(sizes | changes))).requires_grad_(False)


# ---- zero layers


def test_the_share_of_positions_is_that_of_long_sampling():
    P = sequences.transition_matrix(6).double()
    share = bigrams.share_of_positions(P, n_ctx=5)
    tokens = Task("bigram_chain", dict(n_ctx=5, d_vocab=6))(20_000, GENERATOR().manual_seed(0))[0]
    counted = torch.bincount(tokens.flatten(), minlength=6) / tokens.numel()
    assert share.sum().item() == pytest.approx(1) and share[0].item() == pytest.approx(1 / 5)
    assert_close(share.float(), counted, atol=0.01, rtol=0)


def test_the_truncated_table_has_its_rank_and_is_log_p_at_full_rank():
    P = sequences.transition_matrix(7).double()
    full = bigrams.truncated(P, 7)[:, 1:]
    logs = P[:, 1:].log()
    assert_close(full, logs - logs.mean(-1, keepdim=True))
    for rank in (1, 3):
        cut = bigrams.truncated(P, rank)
        assert torch.linalg.matrix_rank(cut) == rank
        assert (cut[:, 0] == bigrams.SILENCED).all()
    assert bigrams.truncated(P, 1)[:, 1:].abs().max() == 0
    with pytest.raises(ValueError, match="rank 0 leaves no dimension"):
        bigrams.truncated(P, 0)


def test_a_small_model_is_trained_to_its_last_step_from_its_own_seed():
    config = ModelConfig(n_layers=0, d_model=4, n_ctx=6, d_vocab=8, seed=3)
    task = Task("bigram_chain", dict(n_ctx=6, d_vocab=8))
    done = trained(config, task, steps=12, batch=4, lr=0.05)
    assert done.step_number == 12 == len(done.losses) and done.config.seed == 3
    assert done.losses == trained(config, task, steps=12, batch=4, lr=0.05).losses
    other = ModelConfig(n_layers=0, d_model=4, n_ctx=6, d_vocab=8, seed=4)
    assert done.losses != trained(other, task, steps=12, batch=4, lr=0.05).losses


def test_trainings_that_are_watched_differ_in_their_weights_and_in_their_data():
    drawn = []

    def task(batch, generator):
        drawn.append(sequences.bigram_chain(batch, 24, 20, generator))
        return drawn[-1]

    def measure(model):
        return dict(weights=model.W_E[:2].tolist(), steps=float(len(drawn)))

    training = TrainingConfig(steps=2, batch=3)
    found = watched(model().cfg, task, training, measure, [0, 2], [5, 6])
    assert found["weights"].shape == (2, 2, 2, 16)
    assert found["steps"].tolist() == [[0, 2], [2, 4]]
    started, again = found["weights"][:, 0], model(seed=6).W_E[:2]
    assert torch.equal(started[1], again) and not torch.equal(started[0], again)
    assert not torch.equal(drawn[0].tokens, drawn[2].tokens)


# ---- looking back


def test_a_written_head_looks_back_and_without_positions_cannot():
    written = handmade.previous_token_head(30, 64)
    before = written.W_pos.clone()
    evenly = heads.previous_token(heads.uniform_pattern(64)).item()
    assert positions.looking_back(written).item() > 0.99
    assert positions.looking_back(positions.removed(written)).item() < 2 * evenly
    assert written.W_pos.equal(before)


# ---- repeating and matching

WINDOWS = torch.tensor(
    [[0, *torch.randint(1, 20, (23,), generator=GENERATOR().manual_seed(i))] for i in range(80)]
)


@pytest.fixture
def versions():
    return repeats.versions(WINDOWS, GENERATOR().manual_seed(0))


def test_three_versions_differ_in_where_the_token_stands(versions):
    assert len(versions.row) > 40
    followed, elsewhere, nowhere = (
        [row[:at] for row, at in zip(version.tolist(), (versions.row + 1).tolist(), strict=True)]
        for version in versions[:3]
    )
    for number, token in enumerate(versions.token.tolist()):
        texts = followed[number], elsewhere[number], nowhere[number]
        present = texts[0][-1]
        assert [text.count(token) for text in texts] == [1, 1, 0]
        assert texts[0][texts[0].index(token) - 1] == present
        assert texts[1][texts[1].index(token) - 1] != present
        assert {text[-1] for text in texts} == {present} and len(texts[0]) > 12
        assert [text.count(present) for text in texts] == [texts[0].count(present)] * 3
        moved = [at for at, pair in enumerate(zip(*texts[:2], strict=True)) if len({*pair}) > 1]
        assert len(moved) == 2
        assert sorted(texts[0]) == sorted(texts[1])
        assert versions.stranger[number] not in versions.followed[number]


def test_windows_without_a_place_are_refused():
    with pytest.raises(ValueError, match="hold no row in their second half"):
        repeats.versions(torch.arange(12)[None].repeat(3, 1), GENERATOR())


def test_windows_in_which_nothing_can_change_places_are_left_out():
    """Every earlier token but one has to do with the match."""
    alone = torch.tensor([[0, 5, 6, 5, 7, 5, 7, 5]])
    assert len(repeats.versions(torch.cat([WINDOWS, WINDOWS]), GENERATOR()).row) > 80
    with pytest.raises(ValueError, match="hold no row"):
        repeats.versions(alone, GENERATOR())


def test_what_a_head_raises_is_its_term_less_the_mean(versions):
    made = model()
    answers = torch.stack([versions.token, versions.stranger])
    raised = repeats.raised(made, versions.followed, versions.row, answers)
    result = made.run_with_cache(versions.followed)[1]["result", 0]  # [text, pos, head, d_model]
    for text in (0, 3):
        term = result[text, versions.row[text]] @ made.W_U  # [head, d_vocab]
        for which, answer in enumerate(answers[:, text]):
            expected = term[:, answer] - term.mean(-1)
            assert_close(raised[0, :, which, text], expected, atol=1e-5, rtol=1e-4)


def test_a_copier_repeats_and_an_induction_head_matches(versions):
    """A head that looks at everything and copies it, beside the written induction head."""
    copier = model(n_heads=1, d_model=20, d_head=20)
    copier.W_E[:] = copier.W_V[0, 0] = copier.W_O[0, 0] = copier.W_U[:] = torch.eye(20)
    copier.W_Q[:] = 0
    repeating = repeats.most(copier, versions)
    assert repeating.elsewhere > 0.03 and abs(repeating.beyond) < 1e-6
    assert abs(repeating.stranger) < 1e-6
    matching = repeats.most(handmade.induction_head(d_vocab=20, n_ctx=24), versions)
    assert matching.beyond > 1 and matching.elsewhere < 0.1 * matching.beyond


# ---- copiers


def test_heads_made_of_two_leave_none_as_it_was():
    made = model()
    mixed = copiers.mixed_heads(made)
    assert mixed.shape == (2, 3)
    swapped = model()
    swapped.W_O[:] = made.W_O.roll(1, 1)
    assert_close(mixed[0], circuits.copying_statistics(swapped)[0])
    assert made.W_O.equal(model().W_O)


def test_untrained_heads_stand_between_the_models_embeddings():
    """Embeddings that lie along a line leave one eigenvalue, and so +1 or -1 for any head."""
    made = model(d_vocab=200, d_head=8)
    made.W_E[:] = torch.randn(200, 1, generator=GENERATOR().manual_seed(0)) * torch.ones(16)
    cloud = copiers.untrained_heads(made, count=40, seed=1)
    assert cloud.shape == (40, 8)
    assert cloud.equal(copiers.untrained_heads(made, count=40, seed=1))
    assert copiers.line(cloud) > copiers.line_by_shape(made)
    assert_close(circuits.positivity(cloud).abs(), torch.ones(40).double())


def test_39_of_40_stay_below_the_line():
    values = torch.linspace(-1, 1, 81).double()
    eigenvalues = torch.stack([1 + values, values - 1], 1).to(torch.complex128)
    assert copiers.line(eigenvalues) == pytest.approx(0.95)


def test_the_copier_is_the_head_that_raises_what_it_sees():
    made = model(d_vocab=20, d_model=20, d_head=20)
    made.W_E[:] = made.W_U[:] = made.W_O[0, 1] = torch.eye(20)
    made.W_V[0, 1] = 3 * torch.eye(20).roll(1, 1) + 2 * torch.eye(20)
    assert copiers.strongest_diagonal(made) == 1


# ---- grammar

WORDS = ["BOS", "for", "·for", "·in", "x", "·try", "·except", "·pass"]


def test_pairs_are_those_of_one_construct_in_its_order():
    held, others = grammar.keyword_pairs(WORDS)
    assert sorted(held) == [([1, 2], [3]), ([5], [6])]
    assert len(others) == 5 * 4 - 2 and ([3], [1, 2]) in others and ([6], [5]) in others


def test_the_constructs_hold_keywords_only_and_each_leaves_something_between():
    named = {word for construct in grammar.CONSTRUCTS for word in construct.split()}
    assert named <= set(keyword.kwlist)
    neighbours = {"is not", "not in", "async for", "yield from"}
    assert not neighbours & set(grammar.CONSTRUCTS)


def test_a_vocabulary_without_keywords_is_refused():
    with pytest.raises(ValueError, match="none of 3 labels"):
        grammar.keyword_pairs(["BOS", "for", "cat"])


def test_a_pair_is_found_in_any_form_and_in_any_head():
    made = model(n_heads=2, d_vocab=8, d_model=8, d_head=8)
    made.W_E[:] = made.W_U[:] = made.W_O[0, 0] = made.W_O[0, 1] = torch.eye(8)
    made.W_V[:] = 0
    made.W_V[..., 4] = 0.5  # what every head says of all that it has nothing to say of
    made.W_V[0, 0, 2, 3] = made.W_V[0, 1, 5, 6] = 1
    held, others = grammar.keyword_pairs(WORDS)
    assert grammar.share_found(made, held, top=1) == 1
    made.W_V[0, 1, 5, 6] = 0
    assert grammar.share_found(made, held, top=1) == 0.5
    assert grammar.share_found(made, others, top=1) == 0


# ---- skip-trigrams

TASK = Task("skip_trigrams", dict(n_ctx=16, d_vocab=20))


def test_bugs_share_the_source_and_strangers_share_nothing():
    planted, bug, stranger = (columns.tolist() for columns in skip_trigrams.cells())
    assert planted == [0, 1, 2, 3] and bug == [1, 0, 3, 2] and stranger == [3, 2, 1, 0]
    for context, (source, destination, _) in enumerate(SKIP_TRIGRAMS):
        assert SKIP_TRIGRAMS[bug[context]][0] == source
        assert SKIP_TRIGRAMS[bug[context]][1] != destination
        assert not {source, destination} & {*SKIP_TRIGRAMS[stranger[context]][:2]}
    assert len(skip_trigrams.CONTEXTS) == len(skip_trigrams.ANSWERS) == len(SKIP_TRIGRAMS)


def test_the_board_of_a_table_of_pairs_is_that_table_and_sums_to_the_logits():
    """A model whose direct path raises one answer after one destination, whatever the source."""
    made = model(n_heads=1, d_model=20, d_head=4, n_ctx=16)
    made.W_E[:] = torch.eye(20)
    made.W_U[:] = made.W_O[:] = 0
    made.W_U[3, 5], made.W_U[4, 8] = 2, 7
    board = skip_trigrams.board(made, TASK)
    expected = torch.tensor([[2.0, 0, 0, 0], [0, 0, 0, 7], [2, 0, 0, 0], [0, 0, 0, 7]])
    assert_close(board["direct"], expected)
    assert_close(board["0.0"], torch.zeros(4, 4))
    assert_close(skip_trigrams.bug_heights(expected), torch.zeros(4))


def test_the_board_tells_the_sources_apart():
    """A head that looks evenly at everything, and answers 5 for what it finds of source 1."""
    made = model(n_heads=1, d_model=20, d_head=20, n_ctx=16)
    made.W_Q[:] = made.W_V[:] = 0
    made.W_E[:] = made.W_O[0, 0] = made.W_U[:] = torch.eye(20)
    made.W_V[0, 0, 1, 5] = 1
    raised = skip_trigrams.board(made, TASK)["0.0"]
    assert (raised[:2, 0] > 0.05).all() and raised[2:].abs().max() == 0 == raised[:, 1:].abs().max()


def test_a_head_that_raises_both_answers_of_its_source_has_the_bug():
    head = torch.tensor([[5.0, 5, 0, 0], [5, 5, 0, 0], [0, 0, 5, 5], [0, 0, 5, 5]])
    direct = torch.tensor([[3.0, 0, 3, 0], [0, 3, 0, 3], [3, 0, 3, 0], [0, 3, 0, 3]])
    both = torch.stack([head + direct, direct])
    assert skip_trigrams.learned(both).tolist() == [True, False]
    assert_close(skip_trigrams.bug_heights(both), torch.tensor([[5.0] * 4, [0.0] * 4]))


def test_untrained_models_say_nothing_of_skip_trigrams():
    board = skip_trigrams.board(model(n_heads=2, n_ctx=16), TASK)
    assert set(board) == {"direct", "0.0", "0.1"}
    assert skip_trigrams.bug_heights(sum(board.values())).abs().max() < math.log(20)
