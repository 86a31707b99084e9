"""Pictures of the clinic: whoever is ill lies beside who is well, and a wrong name is counted."""

from types import SimpleNamespace

import pytest

from helpers import plotting


def chart(kept_back: float = 0.3):
    return SimpleNamespace(
        losses=[4.0] * 8 + [1.0] * 8,
        steps=[0, 16],
        prefix_matching=[0.0, 0.75],
        previous_token=[0.1, 0.2],
        last_loss=2.5,
        kept_back=kept_back,
    )


@pytest.mark.parametrize("count, grid", [(2, 2 * 2), (4, 4 * 2), (5, 6 * 2), (8, 8 * 2)])
def test_each_kind_has_its_two_axes_and_none_is_left_empty(count, grid):
    charts = {f"kind {number}": [chart()] for number in range(count)}
    fig, says = plotting.ward(charts, {"guessing": 4.1})
    axes = fig.get_axes()
    assert len(axes) == grid and sum(ax.get_visible() for ax in axes) == 2 * count
    assert all(bool(ax.lines) == ax.get_visible() for ax in axes)
    assert [ax.get_title("left") for ax in axes if ax.get_title("left")] == list(charts)
    assert says.startswith("How each ends: kind 0, loss 2.5 nats, at lengths kept back 0.3")


def test_who_is_well_stands_behind_all_others_and_not_behind_itself():
    fig, _ = plotting.ward({"well": [chart()], "ill": [chart(), chart()]}, {})
    of_well, of_ill = fig.get_axes()[:2]
    faint = [sum(line.get_alpha() == 0.28 for line in ax.lines) for ax in (of_well, of_ill)]
    assert faint == [0, 1] and len(of_ill.lines) == len(of_well.lines) + 2


def test_a_loss_beyond_the_axis_is_written_at_its_edge():
    fig, says = plotting.ward({"well": [chart()], "ill": [chart(30.4)]}, {})
    assert [text.get_text() for ax in fig.get_axes() for text in ax.texts] == ["30 nats"]
    assert "at lengths kept back 30.4" in says


def test_the_right_and_the_wrong_names_are_counted():
    pairs = {"a": [("x", "x"), ("x", "y")], "b": [("y", "y")]}
    fig, says = plotting.namings(pairs, ["x", "y"])
    assert says.startswith("Of 3 trainings 2 are named right and 1 wrong.")
    assert [line.get_marker() for line in fig.get_axes()[0].lines].count("X") == 1
