"""Each cause is told from a chart that shows it, and from no other; a chart is what the model and
its training say."""

import math
from dataclasses import replace
from itertools import combinations

import pytest
import torch

from helpers import handmade
from helpers.experiments import clinic
from helpers.experiments.clinic import CAUSES, FORMED, GUESSING, LENGTHS, UNKNOWN, Chart, diagnose
from helpers.explorables.discovery import Discovery
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import runs
from helpers.training.recipes import RECIPES

CONFIG = ModelConfig(n_ctx=48)
SNAPSHOT = dict(step=0, prefix_matching=[[0.1, 0.2]], previous_token=[[0.3, None]])


def chart(loss=4.17, early=None, **changes) -> Chart:
    """A training that ends with this loss after 400 steps, and was at `early` (or there) before
    step 100; by default one that never began."""
    losses = [loss if early is None else early] * 100 + [loss] * 300
    still = dict(steps=[0, 200, 400], prefix_matching=[0.05] * 3, previous_token=[0.06] * 3)
    still |= dict(like_start=0.99, usual=loss, kept_back=4.19, accuracy=[0.02] * len(LENGTHS))
    return Chart(losses=losses, **(still | changes))


def right_at(*lengths: int) -> list[float]:
    return [0.95 if length in lengths else 0.02 for length in LENGTHS]


SHOWN = {
    FORMED: chart(0.02, like_start=0.1, kept_back=0.01, prefix_matching=[0.04, 0.8, 0.99]),
    "too slow": chart(3.95, early=4.17, like_start=0.8),
    "normalization": chart(3.85, early=3.97, like_start=0.1),
    "loss on all rows": chart(3.78, early=4.11, like_start=0.1, usual=3.4),
    "one period": chart(0.01, like_start=0.1, kept_back=30.0, accuracy=right_at(2, 4, 8, 16)),
    "blocks too short": chart(0.35, like_start=0.1, kept_back=8.0, accuracy=right_at(2, 3, 4)),
    "one layer": chart(3.08, early=3.8, like_start=0.1, usual=3.08, kept_back=3.9),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_named_by_what_it_shows(cause):
    assert diagnose(SHOWN[cause]).cause == cause


@pytest.mark.parametrize("one, other", list(combinations(CAUSES, 2)))
def test_any_two_causes_disagree_on_a_symptom(one, other):
    first, second = CAUSES[one].shows, CAUSES[other].shows
    assert any(first[name] != second[name] for name in first.keys() & second.keys())


@pytest.mark.parametrize(
    "unknown",
    [
        chart(900.0, like_start=0.1, usual=70.0, kept_back=70.0),  # it goes up
        chart(4.2, like_start=0.1),  # it moves, and nothing comes of it
        chart(0.01, like_start=0.1, kept_back=30.0, accuracy=right_at(20, 21)),  # long shifts
        chart(0.01, like_start=0.1, kept_back=30.0),  # low, and no length known
        chart(3.0, early=3.8, like_start=0.1, previous_token=[0.06, 0.5, 0.9]),  # no match
        SHOWN["too slow"]._replace(losses=[4.17] * 50),  # too short to tell
        chart(math.nan, like_start=math.nan, usual=math.nan, kept_back=math.nan),
    ],
)
def test_what_no_cause_shows_is_none_of_these(unknown):
    told = diagnose(unknown)
    assert told.cause == UNKNOWN and "None of these" in str(told)


def test_a_head_is_named_with_its_step_whatever_else_one_sees():
    told = diagnose(SHOWN["loss on all rows"]._replace(prefix_matching=[0.1, 0.6, 0.7]))
    assert told.cause == FORMED and told.step == 200 and "at step ≈ 200" in str(told)


def test_a_head_that_is_lost_again_is_none():
    assert diagnose(chart(prefix_matching=[0.1, 0.9, 0.3])).cause == "too slow"


def test_the_words_give_each_number_beside_its_bound_and_what_to_try():
    lines = str(diagnose(SHOWN["one period"])).splitlines()
    assert max(map(len, lines)) <= clinic.COLUMNS
    words = " ".join(line.strip() for line in lines)
    assert "lengths kept back cost more than guessing: loss there (nats) ≈ 30 (above 4.5)" in words
    assert "This resembles: one period." in words and CAUSES["one period"].remedy in words


def test_what_one_sees_of_a_cause_is_its_own_answers():
    assert "still point where they started" in clinic.seen("too slow")
    assert clinic.seen("one period") == (
        "the loss gets as low as guesses among the tokens seen; lengths kept back cost more than "
        "guessing; one shift answers all lengths that the model continues"
    )
    assert len({clinic.seen(cause) for cause in CAUSES}) == len(CAUSES)


# ---- the chart


@pytest.mark.parametrize(
    "name, cause, step", [("two_layers", FORMED, (60, 80)), ("one_layer", "one layer", None)]
)
def test_a_stored_run_can_be_examined(name, cause, step):
    run = runs.load(runs.DATA / "runs" / name)
    told = diagnose(clinic.examine(run.losses, run.history, run.model_at()))
    assert told.cause == cause
    assert step[0] < told.step < step[1] if step else math.isnan(told.step)


def test_discoverys_snapshots_can_be_examined():
    discovery = Discovery(seed=3)
    for _ in range(2):
        discovery.step()
    found = clinic.examine(discovery.trainer.losses, discovery.snapshots, discovery.model)
    assert found.steps == [0, 1, 2] and len(found.losses) == 2
    assert found.prefix_matching[2] == clinic.best(discovery.snapshots[2], "prefix_matching")
    assert diagnose(found).cause == UNKNOWN


def test_the_exam_of_a_perfect_head_and_of_one_that_has_not_moved():
    perfect = clinic.examine([0.0], [SNAPSHOT], handmade.induction_head(64, 48))
    assert min(perfect.accuracy) == 1 and max(perfect.usual, perfect.kept_back) < 0.1
    untrained = AttentionOnlyTransformer(CONFIG)
    still = clinic.examine([4.2], [SNAPSHOT], untrained)
    assert still.like_start == pytest.approx(1) and max(still.accuracy) < 0.2
    assert still.usual == pytest.approx(GUESSING, abs=0.2)
    with torch.no_grad():
        untrained.W_Q.mul_(3), untrained.W_K.mul_(3)
    assert clinic.examine([4.2], [SNAPSHOT], untrained).like_start == pytest.approx(1)
    with torch.no_grad():
        untrained.W_Q.neg_(), untrained.W_K.neg_()
    assert clinic.examine([4.2], [SNAPSHOT], untrained).like_start == pytest.approx(-1)


def test_the_best_head_is_over_all_layers_and_knows_no_number_where_there_is_none():
    entry = dict(prefix_matching=[[0.1, None], [0.7, 0.2]], previous_token=[[None]])
    assert clinic.best(entry, "prefix_matching") == 0.7
    assert math.isnan(clinic.best(entry, "previous_token"))


def test_a_guess_among_the_tokens_seen_is_better_than_guessing_and_what_one_layer_comes_to():
    flat = runs.load(runs.DATA / "runs" / "one_layer").losses[-20:]
    assert clinic.among_seen() == pytest.approx(sum(flat) / 20, abs=0.1)
    assert clinic.among_seen() < GUESSING - 1


def test_the_last_loss_is_that_of_twenty_steps():
    assert chart()._replace(losses=[9.0] * 10 + [1.0] * 10 + [3.0] * 10).last_loss == 2


def test_what_the_clinic_does_not_know_is_refused_in_words():
    model = AttentionOnlyTransformer(replace(CONFIG, d_vocab=32))
    with pytest.raises(ValueError, match="d_vocab 32; the clinic knows the default run, with 48"):
        clinic.examine([4.0], [SNAPSHOT], model)
    with pytest.raises(ValueError, match="0 losses and 1 snapshots; train some steps first"):
        clinic.examine([], [SNAPSHOT], AttentionOnlyTransformer(RECIPES["two_layers"].model))
