"""The pictures of notebook 04: the sentence of each says what its data say, and another sentence
for other data."""

import torch

from helpers import plotting
from helpers.experiments import births


def history(best: list[list[float]]) -> births.History:
    """Seeds whose head 1 of layer 1 has these scores, by every name."""
    scores = torch.zeros(len(best), len(best[0]), 2, 3)
    scores[:, :, 1, 1] = torch.tensor(best)
    flat = scores[:, :, 1]
    steps = list(range(0, 10 * len(best[0]), 10))
    return births.History(
        steps, torch.ones(len(best), len(best[0])), scores, scores, scores, flat, flat, flat
    )


def test_a_board_names_its_largest_cell():
    _, says = plotting.signed_board(
        [[0.0, 0.01], [-3.0, 0.5]],
        ["one", "two"],
        ["a", "all pre-\nvious"],
        "rise of the loss (nats)",
    )
    assert says.startswith("Rise of the loss (nats): the largest is -3.00 (two, a); 2 of 4")
    _, says = plotting.signed_board([[0.0, 9.0]], ["one"], ["a", "all pre-\nvious"], "rise")
    assert "(one, all pre-vious)" in says


def test_curves_tell_which_seeds_pass_one_half_and_when():
    runs = {
        "ours": history([[0, 0.1, 0.1, 0.6], [0, 0.6, 0.6, 0.9], [0, 0.6, 0.6, 0.9]]),
        "control": history([[0, 0.1, 0.2, 0.4]]),
    }
    _, says = plotting.seed_curves(runs, 0.04)
    assert "ours, 3 of 3 seeds, median step 10" in says and says.endswith("control, 0 of 1 seeds.")


def test_curves_reach_as_far_as_what_is_told_of_them():
    late = history([[0, 0.1, 0.1, 0.6, 0.7], [0] * 5])
    fig, says = plotting.seed_curves({"late": late}, 0.04, last_step=20)
    drawn = fig.axes[0].get_lines()[0].get_xdata().tolist()
    assert "late, 1 of 2 seeds, median step 30" in says and drawn == [0, 10, 20, 30]
    assert fig.axes[0].get_xlim()[1] == 30
    left, _ = plotting.lottery(history([[0.0] * 30 + [0.9]]))[0].axes
    assert left.get_xlim()[1] > 300


def test_shares_are_told_in_digits_or_in_words_with_their_spread():
    bars = {"exact": [0.96, 0.961], "half": [0.5, 0.25], "wrong": [-3.0, -2.0], "some": [0.1, 0.3]}
    fig, says = plotting.recovered({"toy": bars, "text": bars}, ["wrong"], coarse=["text"])
    assert "toy: exact 0.96, half 0.25 to 0.50, wrong -3.00 to -2.00" in says
    assert "text: exact most, half part, wrong none, some little to part" in says
    assert any("← -3.00 to -2.00" in text.get_text() for text in fig.axes[0].texts)
    assert fig.axes[0].get_title(loc="left") == "toy (2 trainings)"
    assert [bool(bar.get_hatch()) for bar in fig.axes[0].patches] == [False, False, True, False]
    (ax,) = plotting.recovered({"toy": {"a": [0.9], "b": [0.5, 0.4]}})[0].axes
    assert ax.get_title(loc="left") == "toy (1 or 2 trainings)"


def test_the_worst_model_and_one_layer_are_told_by_period():
    fig, says = plotting.accuracy_by_period(
        [4, 9], [[0.9, 0.3], [0.5, 0.8]], [0.2, 0.1], [False, True], 0.02
    )
    assert says == (
        "Accuracy by the tokens in the block, the worst of 2 models: 4 0.50, 9 0.30; one layer: "
        "4 0.20, 9 0.10."
    )
    assert [bool(bar.get_hatch()) for bar in fig.axes[0].patches] == [False, True]


def test_a_training_tells_from_which_step_each_curve_is_up():
    training = dict(matching=[0.2, 0.35, 0.9], pull=[0.1, 0.2, 0.4], looking_back=[0.1, 0.1, 0.2])
    _, says = plotting.first_layer_story([0, 8, 16], training)
    assert says == (
        "Above 0.3: matching, in the weights first at step 8; rows pulled to the token before "
        "first at step 16; attention on the token before at no step."
    )
    _, says = plotting.first_layer_story([0, 8, 16], training | dict(pull=[0.1, 0.4, 0.2]))
    assert "rows pulled to the token before first at step 8, not at the end;" in says


def test_fits_tell_when_the_median_is_halved():
    curves = torch.ones(3, 100)
    curves[:2, 60:] = 0
    assert "slow about 60" in plotting.fits({"slow": curves})[1]
    assert plotting.fits({"x": torch.ones(2, 10)})[1].endswith("is halved: x never.")


def test_the_lottery_names_the_first_head_and_the_order():
    scores = history([[0, 0.3, 0.6, 0.9], [0, 0.3, 0.4, 0.9]])
    scores.prefix_matching[1, 3, 1, 2] = (
        0.95  # a rival that is better when the first of them passes one half
    )
    winners = [bar.get_height() for bar in plotting.lottery(scores)[0].axes[1].patches]
    assert winners == [0, 1, 1]
    assert "previous token above 0.1, median step 10 (10 to 10)" in plotting.lottery(scores)[1]
    assert (
        "median step 25 (20 to 30)" in plotting.lottery(scores)[1]
        and "in 0 to 1 seeds" in plotting.lottery(scores)[1]
    )


def test_the_lottery_counts_the_seeds_in_which_nothing_came():
    _, says = plotting.lottery(history([[0, 0.3, 0.6, 0.9], [0, 0.1, 0.1, 0.2]]))
    assert "prefix matching above 0.5, median step 20 (20 to 20) in 1 of 2 seeds" in says
    _, says = plotting.lottery(history([[0, 0.3, 0.4, 0.4], [0, 0.1, 0.1, 0.2]]))
    assert "prefix matching above 0.5, in no seed." in says
