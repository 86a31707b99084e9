"""The tasks: each can be solved by its own rule and by nothing simpler.

A rule here is a function of the tokens up to and including a row. It never sees the targets, nor
what the generator knew.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from helpers.sequences import (
    BOS,
    SKIP_TRIGRAMS,
    TASKS,
    Batch,
    Task,
    additive_chain,
    additive_log_probs,
    bigram_chain,
    copied_segment,
    cross_entropy,
    fixed_period,
    in_context_markov,
    repeated_block,
    skip_trigrams,
    split_periods,
    transition_matrix,
    trigger_bigrams,
    vote_tables,
)

Rule = Callable[[list[int]], int | None]
CHANCE = 1 / 63  # of a guess among the 64 tokens of most tests here, without BOS
# a bound holds up to this many standard errors, taken over sequences: rows of one sequence are not
# independent
SIGMAS = 4


def seeded_with(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(
    task: Callable[..., Batch],
    batch: int = 128,
    n_ctx: int = 48,
    d_vocab: int = 64,
    seed: int = 0,
    **options,
):
    return task(batch, n_ctx, d_vocab, seeded_with(seed), **options)


# ---- how right a rule is


def accuracy(batch: Batch, rule: Rule) -> tuple[float, float]:
    """Share of the determined rows that the rule answers, and its standard error over sequences."""
    right, rows = [], []
    for tokens, targets, determined in zip(*(part.tolist() for part in batch), strict=True):
        asked = [row for row, marked in enumerate(determined) if marked]
        right.append(sum(rule(tokens[: row + 1]) == targets[row] for row in asked))
        rows.append(len(asked))
    share = sum(right) / sum(rows)
    spread = sum((hits - share * count) ** 2 for hits, count in zip(right, rows, strict=True))
    return share, math.sqrt(spread) / sum(rows)


def solves(batch: Batch, rule: Rule) -> bool:
    return accuracy(batch, rule)[0] == 1


def at_most(ceiling: float, batch: Batch, rule: Rule) -> bool:
    """Whether the rule is right on no more than this share, by a measurement sharp enough to
    tell."""
    share, error = accuracy(batch, rule)
    assert SIGMAS * error < 0.07, f"standard error {error:.3f}: draw more sequences"
    return share <= ceiling + SIGMAS * error


def mean_and_error(values: list[float]) -> tuple[float, float]:
    tensor = torch.tensor(values, dtype=torch.float64)
    return tensor.mean().item(), (tensor.std() / math.sqrt(len(values))).item()


# ---- rules


def induction(seen: list[int]) -> int | None:
    """What came after the latest earlier copy of the present token."""
    *before, present = seen
    return next(
        (seen[at + 1] for at in reversed(range(len(before))) if before[at] == present), None
    )


def shift(back: int) -> Rule:
    """The token `back` rows before the one asked for, whatever it is."""
    return lambda seen: seen[-back] if back <= len(seen) else None


def in_context_unigram(seen: list[int]) -> int:
    """The commonest token so far."""
    return Counter(seen[1:]).most_common(1)[0][0]


def fitted_table(batches: list[Batch], key: Callable[[list[int]], object]) -> Rule:
    """For each key the commonest answer, counted on the determined rows of other batches."""
    counts = defaultdict(Counter)
    for batch in batches:
        for tokens, targets, determined in zip(*(part.tolist() for part in batch), strict=True):
            for row in (row for row, marked in enumerate(determined) if marked):
                counts[key(tokens[: row + 1])][targets[row]] += 1
    table = {found: counter.most_common(1)[0][0] for found, counter in counts.items()}
    return lambda seen: table.get(key(seen))


def best_shift(batches: list[Batch]) -> int:
    """The shift that answers most determined rows of these batches, out of all."""
    n_ctx = batches[0].tokens.shape[1]
    right = [sum(hits(batch, back) for batch in batches) for back in range(1, n_ctx + 1)]
    return 1 + right.index(max(right))


def hits(batch: Batch, back: int) -> int:
    rows = batch.tokens.shape[1] + 1 - back
    right = batch.tokens[:, :rows] == batch.targets[:, back - 1 :]
    return (right & batch.determined[:, back - 1 :]).sum().item()


def last_token(seen: list[int]) -> int:
    return seen[-1]


def no_token(seen: list[int]) -> None:
    return None


# ---- what holds for every task

OPTIONS = {"copied_segment": dict(segment=5), "fixed_period": dict(period=7)}
sizes = dict(
    batch=st.integers(1, 6),
    n_ctx=st.integers(20, 40),
    d_vocab=st.integers(12, 40),
    seed=st.integers(0, 99),
)
every_task = pytest.mark.parametrize("name", TASKS)


def drawn(name: str, batch: int, n_ctx: int, d_vocab: int, seed: int) -> Batch:
    return TASKS[name](batch, n_ctx, d_vocab, seeded_with(seed), **OPTIONS.get(name, {}))


@every_task
@settings(max_examples=25)
@given(**sizes)
def test_bos_opens_every_sequence_and_targets_are_the_next_tokens(
    name, batch, n_ctx, d_vocab, seed
):
    tokens, targets, determined = drawn(name, batch, n_ctx, d_vocab, seed)
    assert tokens.shape == targets.shape == determined.shape == (batch, n_ctx)
    assert (tokens.dtype, targets.dtype, determined.dtype) == (torch.int64, torch.int64, torch.bool)
    assert BOS == 0 and (tokens[:, 0] == BOS).all()
    assert 1 <= targets.min() and targets.max() < d_vocab
    assert torch.equal(tokens[:, 1:], targets[:, :-1])


@every_task
def test_a_generator_s_state_is_a_batch(name):
    sizes, before = dict(batch=8, n_ctx=32, d_vocab=24), torch.get_rng_state()
    generator = seeded_with(1)
    first, second = (
        TASKS[name](generator=generator, **sizes, **OPTIONS.get(name, {})) for _ in range(2)
    )
    again = drawn(name, **sizes, seed=1)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert not torch.equal(first.tokens, second.tokens)
    assert torch.equal(torch.get_rng_state(), before)


@every_task
def test_some_rows_are_determined_in_a_small_world_too(name):
    """12 tokens and 32 positions, with the options a reader would leave alone but for the
    segment."""
    options = (
        dict(segment=8)
        if name == "copied_segment"
        else dict(period=8)
        if name == "fixed_period"
        else {}
    )
    batch = TASKS[name](64, 32, 12, seeded_with(0), **options)
    assert batch.determined.any() and batch.targets.max() == 11 and batch.targets.min() == 1


def test_a_task_is_a_name_with_options():
    task = Task("repeated_block", dict(n_ctx=48, d_vocab=64, periods=[9]))
    one, other = task(8, seeded_with(3)), repeated_block(8, 48, 64, seeded_with(3), periods=[9])
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# ---- something occurs again


def measured(tokens: list[int]) -> tuple[int, int]:
    """Lead-in and period of a repeated block, from the first token that comes back."""
    again = next(row for row in range(1, len(tokens)) if tokens[row] in tokens[:row])
    first = tokens.index(tokens[again])
    return first - 1, again - first


@given(
    n_ctx=st.integers(8, 40), d_vocab=st.integers(8, 40), seed=st.integers(0, 99), data=st.data()
)
def test_a_repeated_block_is_what_it_says(n_ctx, d_vocab, seed, data):
    periods = data.draw(
        st.lists(st.integers(2, min(n_ctx - 2, d_vocab - 1)), min_size=1, max_size=4)
    )
    batch = repeated_block(4, n_ctx, d_vocab, seeded_with(seed), periods=periods)
    for tokens, targets, determined in zip(*(part.tolist() for part in batch), strict=True):
        whole = [*tokens, targets[-1]]
        lead, period = measured(whole)
        assert period in periods
        block = whole[1 : 1 + lead + period]
        assert len(set(block)) == lead + period
        assert whole[1 + lead :] == [block[lead + at % period] for at in range(n_ctx - lead)]
        assert determined == [tokens[row] in tokens[1:row] for row in range(n_ctx)]
        assert any(determined)


def test_all_periods_and_all_lead_ins_occur():
    tokens = draw(repeated_block, batch=3000, n_ctx=24, periods=[6, 8, 10]).tokens.tolist()
    found = Counter(map(measured, tokens))
    assert set(found) == {
        (lead, period) for period in (6, 8, 10) for lead in range(24 - 2 * period + 1)
    }
    by_period = Counter()
    for (_, period), count in found.items():
        by_period[period] += count
    assert max(by_period.values()) - min(by_period.values()) < SIGMAS * math.sqrt(2 * 3000 / 3)


def test_the_default_periods_are_the_seen_ones_that_the_vocabulary_fills():
    seen, _ = split_periods(48)
    for d_vocab, periods in ((64, seen), (12, [6, 7, 8, 10, 11])):
        tokens = draw(repeated_block, batch=1000, d_vocab=d_vocab).tokens.tolist()
        assert sorted({period for _, period in map(measured, tokens)}) == periods


@given(shortest=st.integers(2, 12), more=st.integers(8, 60))
def test_the_split_of_periods_is_a_split(shortest, more):
    n_ctx = 2 * shortest + more
    seen, unseen = split_periods(n_ctx, shortest)
    assert not set(seen) & set(unseen)
    assert sorted(seen + unseen) == list(range(shortest, n_ctx // 2 + 1))
    assert seen and unseen and {period % 5 for period in unseen} == {4}


def test_repeated_blocks_take_induction():
    seen, unseen = split_periods(48)
    test = draw(repeated_block, seed=1, periods=unseen)
    assert solves(test, induction)
    others = [draw(repeated_block, batch=256, seed=seed) for seed in range(10, 14)]
    assert at_most(CHANCE, test, shift(best_shift(others)))
    assert at_most(CHANCE, test, fitted_table(others, key=last_token))
    assert at_most(CHANCE, test, fitted_table(others, key=no_token))
    assert at_most(1 / min(unseen), test, in_context_unigram)


def test_no_single_shift_solves_the_periods_that_it_was_fitted_on():
    others = [draw(repeated_block, batch=256, seed=seed) for seed in range(10, 14)]
    assert at_most(0.15, draw(repeated_block, batch=512, seed=1), shift(best_shift(others)))


def test_the_rule_of_the_trap_reads_no_token():
    test, others = draw(fixed_period, seed=1), [draw(fixed_period, seed=seed) for seed in (10, 11)]
    assert solves(test, induction)
    assert best_shift(others) == 16 and solves(test, shift(16))
    assert at_most(CHANCE, draw(fixed_period, period=15), shift(16))
    assert at_most(CHANCE, test, fitted_table(others, key=last_token))


@given(period=st.integers(2, 18), seed=st.integers(0, 99))
def test_the_trap_has_one_period_and_no_lead_in(period, seed):
    batch = fixed_period(3, 20, 30, seeded_with(seed), period=period)
    for tokens, target in zip(batch.tokens.tolist(), batch.targets[:, -1].tolist(), strict=True):
        assert measured([*tokens, target]) == (0, period)
    assert batch.determined.tolist() == [[row > period for row in range(20)]] * 3


@given(
    segment=st.integers(2, 10),
    spare=st.integers(0, 12),
    ids=st.integers(2, 20),
    seed=st.integers(0, 99),
)
def test_a_copied_segment_is_what_it_says(segment, spare, ids, seed):
    n_ctx = 2 * segment + spare
    batch = copied_segment(4, n_ctx, segment + ids, seeded_with(seed), segment=segment)
    for tokens, targets, determined in zip(*(part.tolist() for part in batch), strict=True):
        whole = [*tokens, targets[-1]]
        rows = [row for row, marked in enumerate(determined) if marked]
        assert rows == list(range(rows[0], rows[0] + segment - 1))
        copy = whole[rows[0] : rows[0] + segment]
        assert len(set(copy)) == segment
        first = whole.index(copy[0])
        assert whole[first : first + segment] == copy and first + segment <= rows[0]
        assert all(whole.count(token) == 2 for token in copy)


def test_segment_and_copy_stand_everywhere():
    batch = draw(copied_segment, batch=3000, n_ctx=14, segment=4)
    seconds = batch.determined.int().argmax(1).tolist()
    firsts = [
        tokens.index(tokens[at]) for tokens, at in zip(batch.tokens.tolist(), seconds, strict=True)
    ]
    places = {(first, second) for first in range(1, 8) for second in range(first + 4, 12)}
    assert set(zip(firsts, seconds, strict=True)) == places


def test_copied_segments_take_induction():
    test = draw(copied_segment, batch=512, segment=12, seed=1)
    others = [draw(copied_segment, batch=256, segment=12, seed=seed) for seed in range(10, 14)]
    assert solves(test, induction)
    # 25 of the 25 * 26 / 2 pairs of places are neighbours
    assert at_most(2 / 26, test, shift(best_shift(others)))
    assert at_most(CHANCE, test, fitted_table(others, key=last_token))
    assert at_most(CHANCE, test, fitted_table(others, key=no_token))
    assert at_most(0.06, test, in_context_unigram)


def test_chance_copies_spoil_some_matches_when_tokens_are_not_distinct():
    share, error = accuracy(
        draw(copied_segment, batch=256, d_vocab=32, segment=12, distinct=False), induction
    )
    assert 0.4 < share - SIGMAS * error and share + SIGMAS * error < 0.95
    # more tokens than ids
    crowded = draw(copied_segment, batch=8, d_vocab=4, segment=24, distinct=False)
    assert crowded.targets.max() == 3


# ---- something is known beforehand


def log_losses(batch: Batch, probabilities: Callable[[list[int]], list[float]]) -> list[float]:
    """For each sequence the mean loss, in nats, over its determined rows."""
    losses = []
    for tokens, targets, determined in zip(*(part.tolist() for part in batch), strict=True):
        asked = [row for row, marked in enumerate(determined) if marked]
        found = [-math.log(probabilities(tokens[: row + 1])[targets[row]]) for row in asked]
        losses += [sum(found) / len(found)] if found else []
    return losses


def surprise_beyond_entropy(batch: Batch, matrix: Tensor, rows: Tensor) -> float:
    """Loss of the known matrix less its rows' entropy, in standard errors: near 0 if the matrix is
    the truth."""
    p = matrix[batch.tokens[rows]].double()
    log_p = p.clamp_min(1e-300).log()
    entropy = -(p * log_p).sum(-1)
    loss = -log_p.gather(1, batch.targets[rows][:, None])[:, 0]
    variance = (p * log_p.square()).sum(-1) - entropy.square()
    return ((loss - entropy).sum() / variance.sum().sqrt()).item()


@given(st.integers(2, 40), st.integers(0, 5))
def test_a_transition_matrix_holds_probabilities_and_never_leads_to_bos(d_vocab, chain):
    matrix = transition_matrix(d_vocab, chain)
    assert matrix.shape == (d_vocab, d_vocab) and (matrix >= 0).all() and not matrix[:, BOS].any()
    assert torch.allclose(matrix.sum(-1), torch.ones(d_vocab))
    if d_vocab > 8:
        assert not torch.equal(matrix, transition_matrix(d_vocab, chain + 1))


@pytest.mark.parametrize("chain", [0, 3])
def test_a_bigram_chain_follows_its_matrix(chain):
    batch, matrix = (
        draw(bigram_chain, batch=512, d_vocab=24, chain=chain),
        transition_matrix(24, chain),
    )
    assert batch.determined.all()
    assert abs(surprise_beyond_entropy(batch, matrix, batch.determined)) < SIGMAS
    assert (
        abs(surprise_beyond_entropy(batch, transition_matrix(24, 1), batch.determined))
        > 10 * SIGMAS
    )
    first = batch.determined & (torch.arange(48) == 0)  # what follows BOS has its own row
    assert abs(surprise_beyond_entropy(batch, matrix, first)) < SIGMAS


def test_a_bigram_chain_takes_the_present_token():
    test, fitted = (
        draw(bigram_chain, batch=256, d_vocab=24, seed=1),
        draw(bigram_chain, batch=512, d_vocab=24, seed=2),
    )
    matrix = transition_matrix(24).tolist()
    frequency = (fitted.targets.flatten().bincount(minlength=24) / fitted.targets.numel()).tolist()
    known = log_losses(test, lambda seen: matrix[seen[-1]])
    unigram = log_losses(test, lambda seen: frequency)
    gain, error = mean_and_error(
        [worse - better for worse, better in zip(unigram, known, strict=True)]
    )
    assert gain - SIGMAS * error > 0.2
    # and tokens differ in how common they are
    assert sum(unigram) / len(unigram) < math.log(23) - 0.1


def lookup(seen: list[int], table=SKIP_TRIGRAMS) -> int | None:
    """The out of the trigram whose source has been seen and whose destination is the present
    token."""
    return next(
        (
            out
            for source, destination, out in table
            if source in seen[:-1] and destination == seen[-1]
        ),
        None,
    )


def the_source(seen: list[int]) -> int:
    return next(token for token in seen if token in (1, 2))


def test_skip_trigrams_take_source_and_destination():
    test = draw(skip_trigrams, batch=1024, d_vocab=24, seed=1)
    others = [draw(skip_trigrams, d_vocab=24, seed=seed) for seed in range(10, 14)]
    assert solves(test, lookup)
    assert at_most(1 / 2, test, fitted_table(others, key=the_source))
    assert at_most(1 / 2, test, fitted_table(others, key=last_token))
    assert at_most(1 / 4, test, fitted_table(others, key=no_token))
    assert at_most(1 / 2, test, shift(best_shift(others)))


@given(n_ctx=st.integers(8, 40), d_vocab=st.integers(10, 30), seed=st.integers(0, 99))
def test_a_skip_trigram_is_what_it_says(n_ctx, d_vocab, seed):
    batch = skip_trigrams(4, n_ctx, d_vocab, seeded_with(seed))
    for tokens, targets, determined in zip(*(part.tolist() for part in batch), strict=True):
        sources = [row for row in range(n_ctx) if tokens[row] in (1, 2)]
        assert len(sources) == 1 and 1 <= sources[0] <= n_ctx // 4
        assert determined == [token in (3, 4) for token in tokens] and any(determined)
        outs = [row for row, token in enumerate(targets) if token in (5, 6, 7, 8)]
        assert outs == [row for row, marked in enumerate(determined) if marked]


def test_every_trigram_occurs_equally_often():
    batch = draw(skip_trigrams, batch=2000, n_ctx=16, d_vocab=24)
    found = Counter()
    for tokens in batch.tokens.tolist():
        # one a sequence: independent
        first = next(row for row, token in enumerate(tokens) if token in (3, 4))
        found[(the_source(tokens), tokens[first], tokens[first + 1])] += 1
    assert set(found) == set(SKIP_TRIGRAMS)
    assert max(abs(count - 500) for count in found.values()) < SIGMAS * math.sqrt(500)


def test_skip_trigrams_take_any_consistent_table():
    table = [(9, 2, 1), (9, 3, 4), (7, 2, 4)]
    batch = draw(skip_trigrams, d_vocab=12, trigrams=table)
    assert solves(batch, lambda seen: lookup(seen, table))
    assert set(batch.targets.unique().tolist()) == set(range(1, 12))


def loss(batch: Batch, log_probs: Tensor) -> float:
    return -log_probs.gather(2, batch.targets[..., None])[..., 0][batch.determined].mean().item()


def test_every_voter_of_the_additive_chain_counts():
    """The true law beats every law that one of the four voters is left out of, and its loss is its
    own entropy."""
    batch = additive_chain(400, 32, 13, seeded_with(0))
    law = additive_log_probs(batch.tokens, 13)
    assert (
        torch.allclose(law.exp().sum(-1), torch.ones(400, 32), atol=1e-5)
        and (law[..., BOS] == -torch.inf).all()
    )
    probabilities = law.exp()[batch.determined]
    entropy = -(probabilities * probabilities.clamp_min(1e-30).log()).sum(-1).mean().item()
    assert loss(batch, law) == pytest.approx(entropy, abs=0.03)
    tables = vote_tables(13, 4)
    for silent in range(4):
        votes = tables.clone()
        votes[silent, :, 1:] = 0
        log_odds = sum(
            votes[back][torch.nn.functional.pad(batch.tokens, (back, 0))[:, :32]]
            for back in range(4)
        )
        assert loss(batch, log_odds.log_softmax(-1)) > loss(batch, law) + 0.2


def test_the_additive_chain_is_drawn_from_its_law():
    """Row by row: how often each token comes after one context, against what the law says."""
    batch = additive_chain(4000, 6, 5, seeded_with(0), order=2)
    law = additive_log_probs(batch.tokens, 5, order=2).exp()
    pairs = 5 * batch.tokens[:, 3] + batch.tokens[:, 4]
    context = pairs == pairs.mode().values  # the commonest pair of tokens
    drawn = torch.nn.functional.one_hot(batch.targets[context, 4], 5).double().mean(0)
    assert context.sum() > 100 and torch.allclose(
        drawn, law[context, 4][0].double(), atol=4 * 0.5 / context.sum() ** 0.5
    )
    assert (law[context, 4] == law[context, 4][0]).all()  # nothing older matters
    assert batch.determined.tolist() == 4000 * [[False, False, True, True, True, True]]


def test_chains_of_votes_differ_by_number_and_nearer_voters_are_louder():
    loudness = vote_tables(30, 4)[:, 1:, 1:].std((1, 2))
    assert (loudness.diff() < -0.05).all() and loudness[0].item() == pytest.approx(1.8, rel=0.1)
    assert not torch.equal(vote_tables(9, 2, 0), vote_tables(9, 2, 1))


@pytest.mark.parametrize("order", [0, 32])
def test_an_order_without_a_determined_row_is_refused(order):
    with pytest.raises(ValueError, match=f"order {order} in sequences of 32 tokens; try 1 to 31"):
        additive_chain(2, 32, 13, seeded_with(0), order=order)


# ---- both at once


def test_trigger_bigrams_take_what_followed_before():
    test = draw(trigger_bigrams, batch=1024, d_vocab=32, seed=1)
    others = [draw(trigger_bigrams, batch=256, d_vocab=32, seed=seed) for seed in range(10, 14)]
    matrix = transition_matrix(32)
    assert solves(test, induction)
    assert at_most(0.1, test, lambda seen: matrix[seen[-1]].argmax().item())
    assert at_most(0.1, test, fitted_table(others, key=last_token))
    assert at_most(0.1, test, fitted_table(others, key=no_token))
    assert at_most(0.1, test, last_token)
    assert at_most(0.3, test, shift(best_shift(others)))
    assert at_most(0.3, test, in_context_unigram)


def test_between_the_triggers_the_chain_goes_on():
    batch = draw(trigger_bigrams, batch=1024, d_vocab=32)
    # A token seen before at a row that is not determined is no trigger, and this is known before
    # the answer.
    again = (batch.tokens[:, :, None] == batch.tokens[:, None, :]).tril(-1).any(-1)
    ordinary = again & ~batch.determined
    assert abs(surprise_beyond_entropy(batch, transition_matrix(32), ordinary)) < SIGMAS
    assert (
        abs(surprise_beyond_entropy(batch, transition_matrix(32), batch.determined)) > 10 * SIGMAS
    )
    everything = batch._replace(determined=ordinary)
    assert accuracy(everything, induction)[0] < 0.5


@given(triggers=st.integers(1, 10), seed=st.integers(0, 99))
def test_a_trigger_has_one_successor_which_is_none(triggers, seed):
    batch = trigger_bigrams(4, 60, 12, seeded_with(seed), triggers=triggers)
    for tokens, targets, determined in zip(*(part.tolist() for part in batch), strict=True):
        found = {tokens[row] for row in range(60) if determined[row]}
        successors = {(tokens[row], targets[row]) for row in range(60) if tokens[row] in found}
        assert len(successors) == len(found) <= triggers
        assert not found & {successor for _, successor in successors}
        assert determined == [
            token in found and token in tokens[:row] for row, token in enumerate(tokens)
        ]


def test_there_are_as_many_triggers_as_asked_for_and_they_differ_from_sequence_to_sequence():
    batch = draw(trigger_bigrams, batch=64, n_ctx=400, d_vocab=12, triggers=3)
    found = [
        frozenset(row[marked].tolist())
        for row, marked in zip(batch.tokens, batch.determined, strict=True)
    ]
    assert Counter(map(len, found)).most_common(1)[0][0] == 3
    assert len(set(found)) > 40
    assert set().union(*found) == set(range(1, 12))


K = 5  # tokens of the small Markov chains, besides BOS


def add_one(seen: list[int]) -> list[float]:
    """The rule of the task: what followed the present token so far, and one more of each."""
    followed = Counter(
        after for before, after in zip(seen, seen[1:], strict=False) if before == seen[-1]
    )
    return [0.0] + [(followed[answer] + 1) / (followed.total() + K) for answer in range(1, K + 1)]


def add_one_unigram(seen: list[int]) -> list[float]:
    counts = Counter(seen[1:])
    return [0.0] + [(counts[answer] + 1) / (counts.total() + K) for answer in range(1, K + 1)]


def test_chains_of_their_own_take_counts_of_pairs():
    test = draw(in_context_markov, batch=300, n_ctx=64, d_vocab=K + 1)
    pairs, single = (log_losses(test, rule) for rule in (add_one, add_one_unigram))
    gain, error = mean_and_error(
        [worse - better for worse, better in zip(single, pairs, strict=True)]
    )
    assert gain - SIGMAS * error > 0.1
    gain, error = mean_and_error([math.log(K) - loss for loss in single])
    assert gain - SIGMAS * error > 0
    known, fitted = (
        draw(in_context_markov, seed=1, batch=2000, n_ctx=64, d_vocab=K + 1),
        torch.zeros(K + 1, K + 1),
    )
    fitted.index_put_(
        (known.tokens.flatten(), known.targets.flatten()), torch.tensor(1.0), accumulate=True
    )
    table = (fitted / fitted.sum(-1, keepdim=True)).tolist()
    elsewhere = log_losses(test, lambda seen: table[seen[-1]])
    assert mean_and_error(elsewhere)[0] > math.log(K) - 0.02  # no chain tells of another


def test_the_bayes_rule_of_the_chains_is_calibrated():
    """Of all the answers that it gives a probability near p, the share p comes."""
    test = draw(in_context_markov, batch=300, n_ctx=40, d_vocab=K + 1)
    expected, came, variance = Counter(), Counter(), Counter()
    for tokens, targets, determined in zip(*(part.tolist() for part in test), strict=True):
        for row in (row for row, marked in enumerate(determined) if marked):
            for answer, p in enumerate(add_one(tokens[: row + 1])):
                level = int(10 * p)
                expected[level] += p
                came[level] += answer == targets[row]
                variance[level] += p * (1 - p)
    assert len(variance) >= 7
    assert all(
        abs(came[level] - expected[level]) < SIGMAS * math.sqrt(variance[level])
        for level in variance
        if level
    )


def test_the_rows_of_the_chains_that_are_determined_have_been_seen():
    batch = draw(in_context_markov, batch=32, n_ctx=40, d_vocab=12)
    for tokens, determined in zip(batch.tokens.tolist(), batch.determined.tolist(), strict=True):
        assert determined == [token in tokens[:row] for row, token in enumerate(tokens)]


def test_the_chains_start_from_their_stationary_law():
    """The first token is as common later on as a token from the middle is; a uniform one would be
    less common."""
    tokens = draw(in_context_markov, batch=4000, n_ctx=60, d_vocab=K + 1).tokens
    later = tokens[:, 40:]
    first, middle = ((later == tokens[:, at, None]).double().mean(1) for at in (1, 20))
    difference, error = mean_and_error((first - middle).tolist())
    assert abs(difference) < SIGMAS * error
    share, error = mean_and_error(first.tolist())
    assert share - SIGMAS * error > 1 / K + 0.02


# ---- what bad input is told


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (
            lambda g: repeated_block(2, 32, 64, g, periods=[6, 31]),
            r"periods \[31\]: in 32 positions.*from 2 to 30; try",
        ),
        (
            lambda g: repeated_block(2, 32, 12, g, periods=[12]),
            r"periods \[12\]: .* with 11 tokens .*from 2 to 11; try",
        ),
        (lambda g: repeated_block(2, 32, 64, g, periods=[1]), r"periods \[1\]: .*from 2 to 30"),
        (lambda g: repeated_block(2, 32, 64, g, periods=[]), r"periods \[\]: .*from 2 to 30"),
        (
            lambda g: repeated_block(2, 32, 6, g),
            r"periods \[\]: .* with 5 tokens .*or a larger d_vocab",
        ),
        (
            lambda g: repeated_block(2, 19, 64, g),
            "n_ctx is 19; .* takes at least 20 positions; try a longer context",
        ),
        (
            lambda g: split_periods(27, shortest=10),
            "n_ctx is 27; .* from 10 up .* at least 28 positions",
        ),
        (lambda g: fixed_period(2, 16, 64, g), r"periods \[16\]: in 16 positions.*from 2 to 14"),
        (
            lambda g: copied_segment(2, 32, 64, g),
            "a segment of 24 tokens; .* n_ctx 32 .*try 2 to 16$",
        ),
        (
            lambda g: copied_segment(2, 32, 12, g, segment=11),
            "a segment of 11 .* of d_vocab 12 over; try 2 to 10$",
        ),
        (
            lambda g: copied_segment(2, 32, 12, g, segment=17, distinct=False),
            "a segment of 17 tokens.*try 2 to 16$",
        ),
        (
            lambda g: copied_segment(2, 32, 64, g, segment=1),
            "a segment of 1 tokens; it must have at least 2",
        ),
        (
            lambda g: skip_trigrams(2, 32, 9, g),
            "d_vocab 9 leaves 0 ids for noise and n_ctx is 32; try 16 and 8 or more",
        ),
        (lambda g: skip_trigrams(2, 7, 16, g), "n_ctx is 7; try 16 and 8 or more"),
        (
            lambda g: trigger_bigrams(2, 32, 12, g, triggers=11),
            "11 triggers out of 11 tokens.*from 1 to 10$",
        ),
        (
            lambda g: trigger_bigrams(2, 32, 12, g, triggers=0),
            "0 triggers out of 11 tokens.*from 1 to 10$",
        ),
        (
            lambda g: Task("repeat"),
            "no task is called 'repeat'; choose one of repeated_block, fixed_period, copied",
        ),
    ],
)
def test_what_does_not_fit_is_told_why(ask, says):
    with pytest.raises(ValueError, match=says):
        ask(seeded_with(0))


@pytest.mark.parametrize(
    "trigrams",
    [
        [],
        [(1, 3)],
        [(1, 3, 5), (2, 3)],
        [(1, 3, 5), (1, 3, 6)],  # two outs for one pair
        [(1, 3, 5), (3, 4, 6)],  # a source that is a destination
        [(1, 3, 5), (1, 4, 3)],  # an out that is a destination
        [(1, 3, 5), (2, 3, 1)],  # an out that is a source
        [(0, 3, 5)],
        [(1, 3, 16)],
    ],
)
def test_a_table_that_contradicts_itself_is_shown(trigrams):
    with pytest.raises(ValueError) as caught:
        skip_trigrams(2, 32, 16, seeded_with(0), trigrams)
    assert str(caught.value).startswith(
        f"trigrams {trigrams}: expected (source, destination, out) of ids from 1 to 15"
    )
    assert str(caught.value).endswith("try SKIP_TRIGRAMS")


# ---- the loss


@pytest.mark.parametrize("share", [0.5, None])
def test_the_loss_is_the_mean_surprise_over_the_marked_rows(share):
    generator = seeded_with(0)
    logits = torch.randn(3, 5, 7, generator=generator)
    targets = torch.randint(7, (3, 5), generator=generator)
    rows = None if share is None else torch.rand(3, 5, generator=generator) < share
    surprises = [
        -math.log(logits[i, j].exp()[targets[i, j]] / logits[i, j].exp().sum())
        for i in range(3)
        for j in range(5)
        if rows is None or rows[i, j]
    ]
    assert 1 < len(surprises) <= 15
    found = cross_entropy(logits, targets, rows)
    assert found.item() == pytest.approx(sum(surprises) / len(surprises), abs=1e-5)
    one = cross_entropy(logits[0], targets[0], None if rows is None else rows[0])  # one sequence
    assert torch.isfinite(one)


def test_a_loss_on_no_row_is_refused():
    with pytest.raises(ValueError, match="marks no row"):
        cross_entropy(torch.zeros(2, 3, 4), torch.zeros(2, 3).long(), torch.zeros(2, 3).bool())
