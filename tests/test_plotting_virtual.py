"""The pictures of notebook 02: what they say is what their data say."""

from types import SimpleNamespace

import matplotlib as mpl
import pytest
import torch

from helpers import plotting


def board(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, generator=torch.Generator().manual_seed(seed))


def kinds(p: float) -> dict:
    null = torch.rand(50, 2, 3, generator=torch.Generator().manual_seed(1))
    return {
        kind: SimpleNamespace(
            scores=board(), null=null, p=torch.full((2, 3), p), ceiling=torch.full((2, 3), 0.9)
        )
        for kind in "QKV"
    }


READERS = [*((layer, 0, side) for layer in (0, 1) for side in "QKV"), "unembed"]
TALK = torch.tensor(
    [
        [0.11, 0.12, 0.13, 0.14, 0.3, 0.15, 0.16],
        [0.21, 0.22, torch.nan, 0.24, 0.25, torch.nan, torch.nan],
        [torch.nan, torch.nan, torch.nan, 0.04, 0.05, 0.06, 0.07],
    ]
)
PICTURES = {
    "talk_map": (
        lambda: plotting.talk_map(TALK, ["embed", "pos", (0, 0)], READERS, 0.125),
        "the 15 pairs that can talk: the strongest is from embed to 1.0 K with 0.30",
    ),
    "activation_places": (
        lambda: plotting.activation_places(
            {"here": ([0.0, 1.0], [0.0, 1.0]), "there": ([0.0, 1.0], [1.0, 1.0])},
            [0, 1],
            {"a": [0, 0], "b": [0, 0.74]},
        ),
        "a: 0.0, b: 0.7",
    ),
    "score_row": (
        lambda: plotting.score_row(
            {"K": [0, 0, 7.2, 0], "sum": [0, 0, -0.2, 0]}, ["B", "x", "y", "x"], 3, [2]
        ),
        "K 7, sum 0.",
    ),
    "composition_panels": (
        lambda: plotting.composition_panels({"toy": kinds(0.01)}, {"toy": ["0.0", "0.1"]}),
        "toy: Q 6 of 6, K 6 of 6, V 6 of 6",
    ),
    "boards": (
        lambda: plotting.boards(
            {"one": [[0.5, -0.25]], "two": [[0.0, 0.1]]}, ["0.0"], ["1.0", "1.1"], "score"
        ),
        "one from -0.25 to +0.50; two from +0.00 to +0.10",
    ),
    "matching_and_copying": (
        lambda: plotting.matching_and_copying(
            torch.zeros(5, 2), {"trained": ([1.0, 0.8], [1.0, 1.0])}
        ),
        "trained: matching 0.8 to 1.0, copying 1.0 to 1.0; nine in ten random pairs stay within "
        "0.0 of zero",
    ),
    "orders": (
        lambda: plotting.orders(
            {
                "a\nmodel": [1.0, 2.0, 0.25],
                "b": [0.0, -0.01, 4.2],
                "c": [1.0, 2.0, 0.0],
                "d": [1, 1, 1],
            }
        ),
        "a model little; b all; c nothing; d a part",
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_sentence_says_what_the_data_say(name):
    draw, part = PICTURES[name]
    before = dict(mpl.rcParams)
    fig, says = draw()
    assert part in says and says == draw()[1]
    fig.canvas.draw()
    assert fig.axes and dict(mpl.rcParams) == before


def test_only_pairs_below_the_level_are_filled():
    for p, filled in ((0.01, 18), (0.2, 0)):
        fig, says = plotting.composition_panels({"toy": kinds(p)}, {"toy": ["0.0", "0.1"]})
        dots = [line for ax in fig.axes for line in ax.lines if line.get_marker() == "o"]
        assert (
            len(dots) == 18 and sum(dot.get_markerfacecolor() != "none" for dot in dots) == filled
        )


def test_only_the_targets_stand_out_in_a_row_of_scores():
    fig, _ = plotting.score_row({"K": [1.0, 2.0, 3.0]}, ["B", "x", "y"], 2, [1])
    assert [bool(bar.get_hatch()) for bar in fig.axes[0].patches] == [False, True, False]


def test_a_board_says_what_its_ends_are_and_never_minus_zero():
    fig, says = plotting.boards(
        {"": [[-0.004, 1.0]]}, ["a"], ["b", "c"], "fit", ends=("path", "voter")
    )
    board = fig.axes[0]
    assert (board.get_ylabel(), board.get_xlabel()) == ("path", "voter") and says.startswith(
        "1 board of fit"
    )
    assert [text.get_text() for text in board.texts] == ["+0.00", "+1.00"]


@pytest.mark.parametrize(("count", "grid"), [(1, (1, 1)), (2, (1, 2)), (3, (2, 2)), (4, (2, 2))])
def test_boards_stand_two_to_a_row_and_no_empty_frame_is_drawn(count, grid):
    panels = {str(number): [[0.5, -0.25]] for number in range(count)}
    fig, _ = plotting.boards(panels, ["a"], ["b", "c"], "fit")
    places = fig.axes[0].get_gridspec()
    assert (places.nrows, places.ncols) == grid
    assert [ax.get_title(loc="left") for ax in fig.axes if ax.get_images()] == [*panels]
    assert sum(ax.axison for ax in fig.axes) == count + 1  # the last is the colour bar
    assert 800 / (72 * fig.get_figwidth()) * fig.axes[0].texts[0].get_fontsize() >= 10


def test_no_point_lies_outside_its_panel():
    fig, _ = plotting.activation_places({"here": ([-9.0, 1.0], [0.0, 1.0])}, [0, 1], {"a": [0, 0]})
    assert fig.axes[0].get_xlim()[0] < -9


def test_who_hears_whom_stands_in_a_panel_a_layer_and_a_side():
    """Each with the writers that its layer can hear; only what is deaf all the same is hatched."""
    fig, _ = plotting.talk_map(TALK, ["embed", "pos", (0, 0)], READERS, 0.125)
    panels = [ax for ax in fig.axes if ax.get_images()]
    printed = [[text.get_text() for text in ax.texts] for ax in panels]
    assert printed == [
        [".11", ".21"], [".12", ".22"], [".13"],
        [".14", ".24", ".04"], [".30", ".25", ".05"], [".15", ".06"],
        [".16", ".07"],
    ]  # fmt: skip
    hatched = [sum(patch.get_hatch() is not None for patch in ax.patches) for ax in panels]
    assert hatched == [0, 0, 1, 0, 0, 1, 0]
    rows = [[label.get_text() for label in ax.get_yticklabels()] for ax in panels]
    assert [rows[0], rows[3], rows[6]] == [
        ["embed", "pos"],
        ["embed", "pos", "0.0"],
        ["embed", "0.0"],
    ]
    columns = [[label.get_text() for label in ax.get_xticklabels()] for ax in panels]
    assert columns == [["0.0"]] * 3 + [["1.0"]] * 3 + [["unembed"]]


def test_the_board_can_be_read_at_800_pixels():
    """Letters of 10 pixels, on the figure as wide as it is made."""
    fig, _ = plotting.talk_map(TALK, ["embed", "pos", (0, 0)], READERS, 0.125)
    pixels = 800 / (72 * fig.get_figwidth())
    written = [*(text for ax in fig.axes for text in ax.texts), *fig.axes[0].get_xticklabels()]
    assert written and min(text.get_fontsize() for text in written) * pixels >= 10


def test_the_corner_tells_the_extremes_of_each_group_and_the_cloud():
    cloud = torch.cat([torch.full((19, 2), 0.1), torch.full((1, 2), 0.8)])
    _, says = plotting.matching_and_copying(
        cloud, {"ours": ([0.7, 0.9], [1.0, 0.8]), "left over": ([0.2], [-0.4])}
    )
    assert (
        "ours: matching 0.7 to 0.9, copying 0.8 to 1.0" in says
        and "left over: matching 0.2 to 0.2, copying -0.4 to -0.4" in says
    )
    assert "within 0.1 of zero" in says


@pytest.mark.parametrize(
    ("worth", "share"),
    [([1.0, 2.0], "nothing"), ([1.0], "nothing"), ([-1.0, 0, 0.5], "no part, for the whole saves")],
)
def test_a_model_without_paths_through_two_heads_saves_nothing_by_them(worth, share):
    fig, says = plotting.orders({"m": worth})
    assert f"paths through two heads save: m {share}" in says
    assert [bool(bar.get_hatch()) for bar in fig.axes[0].patches] == [False, False, True][
        : len(worth)
    ]


def test_the_errors_are_told_at_the_strengths_that_were_measured():
    points = {"here": ([0.0, 1.0], [0.0, 1.0])}
    _, says = plotting.activation_places(points, [0.5, 2], {"a": [0.4, 0.9], "b": [0.3, 1.2]})
    assert says.endswith("at strength 2: a: 0.9, b: 1.2; at strength 0.5: a: 0.4, b: 0.3.")
    _, says = plotting.activation_places(points, [0, 1], {"a": [0.0, 0.9], "b": [0.0, 1.2]})
    assert says.endswith("at a full ReLU: a: 0.9, b: 1.2; without an activation all are 0.0.")


def test_of_several_targets_the_mean_is_told():
    _, says = plotting.score_row({"K": [1.0, 2.0, 6.0]}, ["B", "x", "y"], 2, [1, 2])
    assert "at the 2 keys right after an earlier copy they are on average: K 4." in says
