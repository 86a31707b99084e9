"""Pictures of what optimisers do to a stream: their sentences are what the data say, and what is
drawn is where it belongs."""

import matplotlib as mpl
import numpy as np

from helpers import plotting
from helpers.plotting.loudness import QUIET


def twin(optimizer, gap, turn="rotation"):
    return dict(optimizer=optimizer, turn=turn, losses=[3.0, 2.0], gaps=[0.0, gap])


def test_twin_gaps_says_who_stays_together():
    records = [
        twin("SGD", 5e-7),
        twin("AdamW", 0.02),
        twin("AdamW", 0.01),
        twin("Muon", 3e-4),
        twin("AdamW", 1.0, "order"),
    ]
    panels = {
        "one": {("AdamW", "rotation"): "AdamW", ("Muon", "rotation"): "Muon"},
        "other": {("SGD", "rotation"): "SGD"},
    }
    fig, says = plotting.twin_gaps(records, panels)
    assert "AdamW, 2 seeds: above one in a thousand on each; Muon, 1 seeds: up to 3e-04" in says
    assert says.endswith("SGD, 1 seeds: below one in a hundred thousand.")
    left, right = fig.axes
    assert [len(ax.get_lines()) for ax in (left, right)] == [2, 1]
    assert left.get_ylim() == right.get_ylim() and left.get_title("left") == "one"


def test_a_gap_counts_for_twenty_steps_and_its_shade_reaches_over_all_seeds():
    gaps = [[0.5] + [0.1] * 29, [0.2] + [0.04] * 29, [0.3] + [0.1] * 29]
    records = [twin("SGD", 0) | dict(gaps=each) for each in gaps]
    fig, _ = plotting.twin_gaps(records, {"all": {("SGD", "rotation"): "SGD"}})
    (ax,) = fig.axes
    assert np.allclose(ax.get_lines()[0].get_ydata(), [0.3] * 20 + [0.1] * 10)
    shade = ax.collections[0].get_paths()[0].get_extents()
    assert (shade.ymin, shade.ymax) == (0.04, 0.5)


def grown(optimizer, lr, *last, stored=None):
    entry = dict(
        loss=2.1,
        used=[3.0, 3.0, last[0]],
        turned=[3.0, 3.0, 2.9],
        stored=[3.0, 3.0, stored or last[0]],
    )
    return dict(
        optimizer=optimizer, lr=lr, history=[entry | dict(loss=2.9, used=[3.0, 3.0, 3.0]), entry]
    )


def test_kurtosis_pictures_say_the_ends_and_the_medians():
    records = [
        grown("AdamW", 0.01, 12.0),
        grown("AdamW", 0.01, 20.0),
        grown("AdamW", 0.01, 30.0),
        grown("SGD", 0.3, 2.8),
    ]
    ends = plotting.kurtosis_on_the_way(records, 2.91, 2.25)[1]
    assert (
        "over 1 or 3 seeds. AdamW, rate 0.01: 12.0 to 30.0; SGD, rate 0.3: 2.8 to 2.8. Null 2.91."
        in ends
    )
    assert (
        plotting.kurtosis_sweep(records, 2.91)[1]
        == "Median kurtosis of AdamW by learning rate: 0.01: 20.0; after a random rotation at most "
        "2.9; null 2.91."
    )
    shared = [grown("AdamW", 0.01, 2.9, stored=kurtosis) for kurtosis in (15.0, 18.0, 33.0)]
    says = plotting.kurtosis_by_basis({"all in the\nsame": shared}, 2.91)[1]
    assert (
        "stored all in the same, in the model's coordinates: 2.9; stored all in the same, in those "
        "of the stored weights: 18.0" in says
    )


def test_rounding_cost_draws_each_model_before_and_after_its_rotation():
    records = [
        dict(
            optimizer="AdamW",
            kurtosis=k,
            as_trained={"4": up, "3": 3 * up},
            rotated={"4": 0.03, "3": 0.1},
        )
        for k, up in ((10, 0.08), (20, 0.12), (30, 0.2))
    ]
    fig, says = plotting.rounding_cost({"loud": records}, null=2.91)
    assert says.endswith("loud, 4 bits: 0.12 to 0.03; loud, 3 bits: 0.36 to 0.10.")
    for ax, times in zip(fig.axes, (1, 3), strict=True):
        before, after = (
            np.asarray(drawn.get_offsets())
            for drawn in ax.collections
            if isinstance(drawn, mpl.collections.PathCollection) and len(drawn.get_offsets()) == 3
        )
        assert np.allclose(before, [[10, 0.08 * times], [20, 0.12 * times], [30, 0.2 * times]])
        assert np.allclose(after[:, 0], [10, 20, 30]) and (after[:, 1] < before[:, 1]).all()


def test_an_optimisers_second_rate_is_told_apart_by_open_marks():
    records = [grown("AdamW", 0.01, 12.0), grown("AdamW", 0.003, 3.1), grown("AdamW", 0.01, 9.0)]
    fig, says = plotting.kurtosis_on_the_way(records, 2.91, 2.25)
    lines = [line for line in fig.axes[0].get_lines() if len(line.get_xdata()) == 2][:3]
    assert [line.get_markerfacecolor() == "none" for line in lines] == [False, True, False]
    assert "AdamW, rate 0.01: 9.0 to 12.0; AdamW, rate 0.003: 3.1 to 3.1." in says


def test_a_loss_that_rises_is_drawn_as_it_is():
    """The axis says held-out loss, and not the lowest so far."""
    record = grown("AdamW", 0.01, 12.0)
    record["history"].append(record["history"][-1] | dict(loss=2.4))
    fig, _ = plotting.kurtosis_on_the_way([record], 2.91, 2.25)
    assert fig.axes[0].get_lines()[0].get_xdata().tolist() == [2.9, 2.1, 2.4]


def streams():
    loud = np.full((2, 3, 4), 0.5)
    loud[:, :, 1] = -3.0
    return dict(AdamW=loud, SGD=np.ones((2, 3, 4)))


def test_four_streams_colours_the_loud_coordinates_and_says_what_they_carry():
    fig, says = plotting.four_streams(streams(), dict(AdamW=[1], SGD=[0, 3]))
    carried = [
        f"{share} of the squared length in {of} of 4" for share, of in (("92%", 1), ("50%", 2))
    ]
    assert says.endswith(f"AdamW {carried[0]}; SGD {carried[1]}.")
    assert [ax.texts[0].get_text() for ax in fig.axes[::2]] == carried
    for bars, coloured in zip(fig.axes[::2], ([1], [0, 3]), strict=True):
        colours = [mpl.colors.to_hex(bar.get_facecolor(), True) for bar in bars.patches]
        assert [i for i, colour in enumerate(colours) if colour != QUIET] == coloured
    assert fig.axes[0].get_ylim() == fig.axes[2].get_ylim()


def test_four_streams_puts_the_first_sequence_below_its_sizes():
    fig, _ = plotting.four_streams(streams(), dict(AdamW=[1], SGD=[]))
    bars, board = fig.axes[:2]
    size = (9.75 / 4) ** 0.5  # root mean square of the whole stream
    assert np.allclose(
        [bar.get_height() for bar in bars.patches], np.array([0.5, 3, 0.5, 0.5]) / size
    )
    assert np.allclose(board.images[0].get_array(), streams()["AdamW"][0] / size)
