"""What a model knows of distances, and what one shift gets right without reading."""

import pytest
import torch

from helpers import handmade, sequences
from helpers.experiments import periods
from helpers.model import AttentionOnlyTransformer, ModelConfig

INDUCTION = handmade.induction_head(24, 40)
UNTRAINED = AttentionOnlyTransformer(ModelConfig(n_ctx=40, d_vocab=24))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_hand(batch: sequences.Batch, answer) -> float:
    """The share of determined rows at which answer(tokens, row) is the target, one by one."""
    right = [
        answer(tokens, row) == targets[row]
        for tokens, targets, rows in zip(*(part.tolist() for part in batch), strict=True)
        for row in range(len(tokens))
        if rows[row]
    ]
    return sum(right) / len(right)


def test_accuracy_counts_the_determined_rows_alone():
    batch = sequences.repeated_block(8, 40, 24, generator())
    answers = UNTRAINED(batch.tokens).argmax(-1)
    hits = [answers[at] == batch.targets[at] for at in map(tuple, batch.determined.nonzero())]
    assert periods.accuracy(UNTRAINED, batch) == pytest.approx(sum(hits).item() / len(hits))
    assert periods.accuracy(INDUCTION, batch) == 1


@pytest.mark.parametrize("shift", [1, 7, 12, 30])
def test_a_shift_answers_with_the_token_that_stood_there(shift):
    batch = sequences.repeated_block(16, 40, 24, generator(), periods=[7, 12])

    def answer(tokens, row):
        return tokens[row + 1 - shift] if row >= shift else None

    assert periods.right_by_shift(batch, shift) == pytest.approx(by_hand(batch, answer))


def test_at_one_period_the_shift_by_it_is_always_right_and_found():
    trap = sequences.fixed_period(16, 40, 24, generator(), period=9)
    assert periods.best_shift(trap) == 9 and periods.right_by_shift(trap, 9) == 1
    assert periods.right_by_shift(trap, 8) == 0


def test_of_two_periods_the_commoner_one_is_found():
    both = [
        sequences.fixed_period(count, 40, 24, generator(), at) for count, at in ((9, 6), (3, 8))
    ]
    mixed = sequences.Batch(*(torch.cat(parts) for parts in zip(*both, strict=True)))
    assert periods.best_shift(mixed) == 6 and 0.5 < periods.right_by_shift(mixed, 6) < 1


@pytest.mark.parametrize("lead_in", [True, False])
def test_every_model_reads_the_same_blocks_of_each_period(lead_in):
    found = periods.accuracy_by_period([INDUCTION, UNTRAINED, UNTRAINED], [5, 11], lead_in, 8)
    assert found.shape == (3, 2) and (found[0] == 1).all() and (found[1] == found[2]).all()
    drawn = generator()
    if lead_in:
        expected = [sequences.repeated_block(8, 40, 24, drawn, periods=[at]) for at in (5, 11)]
    else:
        expected = [sequences.fixed_period(8, 40, 24, drawn, period=at) for at in (5, 11)]
    of_untrained = [periods.accuracy(UNTRAINED, batch) for batch in expected]
    assert found[1].tolist() == pytest.approx(of_untrained)


def test_models_that_cannot_read_the_same_are_refused_in_words():
    with pytest.raises(ValueError, match=r"\(24, 16\), \(40, 24\).*share both"):
        other = AttentionOnlyTransformer(ModelConfig(n_ctx=24, d_vocab=16))
        periods.accuracy_by_period([INDUCTION, other], [5])
    with pytest.raises(ValueError, match="a period must be from 2 to 23"):
        periods.accuracy_by_period([INDUCTION], [24])


def test_the_trap_is_right_at_its_period_and_at_no_other():
    trap = periods.trained_on_one(seed=3, period=7, steps=120)
    assert trap.model.cfg.n_layers == 1 and trap.step_number == 120
    found = periods.accuracy_by_period([trap.model], [7, 12, 19], lead_in=False)[0]
    assert found[0] > 0.9 and found[1:].max() < 0.3
