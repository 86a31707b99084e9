"""Pictures of a model in other coordinates: their sentences are what the data say, and what is
drawn is where it belongs."""

import numpy as np
import pytest

from helpers import plotting

MEASURED = dict(weights=1.3, logits=1e-12)


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (
            dict(float64=MEASURED),
            "weights: changed by more than a tenth; logits: no change beyond 1e-10 in float64.",
        ),
        (
            dict(float64=MEASURED | dict(logits=1e-6)),
            "logits: changed, too, beyond 1e-10 in float64.",
        ),
        (dict(float32=MEASURED | dict(logits=1e-6)), "logits: no change beyond 0.0001 in float32."),
        (dict(float64=MEASURED | dict(weights=0.02)), "weights: changed by as little as 2e-02;"),
        (
            dict(float32=MEASURED, float64=MEASURED | dict(logits=1e-6)),
            "logits: changed, too, beyond 0.0001 in float32 and 1e-10 in float64.",
        ),
    ],
)
def test_changes_says_what_moved_and_what_did_not(measured, said):
    assert said in plotting.changes(measured, moved=["weights"])[1]


def test_changes_names_what_changed_and_what_did_not_apart():
    measured = dict(float64=dict(weights=1.3, logits=1e-12, scores=1e-3, patterns=0.0))
    assert (
        "; logits, patterns: no change, scores: changed, too, beyond 1e-10 in float64."
        in plotting.changes(measured, moved=["weights"])[1]
    )


def test_changes_says_of_several_what_the_least_of_them_does():
    measured = dict(float64=dict(weights=1.3, stream=0.03, logits=1e-12))
    assert (
        "weights, stream: changed by as little as 3e-02;"
        in plotting.changes(measured, moved=["weights", "stream"])[1]
    )


@pytest.mark.parametrize(
    ("precisions", "end"), [(["float64"], 1e-10), (["float32", "float64"], 1e-4)]
)
def test_the_shade_of_rounding_ends_where_the_precision_promises(precisions, end):
    (ax,) = plotting.changes(dict.fromkeys(precisions, MEASURED), moved=["weights"])[0].axes
    shades = [patch.get_x() + patch.get_width() for patch in ax.patches]
    assert shades[0] == pytest.approx(end)


def test_signed_maps_are_centred():
    rows = {"a": {"stream": np.array([[3.0, -1.0]]), "W": np.array([[1.0, 0.0], [0.2, -8]])}}
    fig, says = plotting.signed_maps(rows, across="coordinates")
    stream, weights = (ax.images[0] for ax in fig.axes)
    assert stream.get_clim() == (-3, 3) and stream.cmap.name == "signed"
    assert weights.get_clim() == (-8, 8)
    assert fig.get_supxlabel() == "coordinates"
    assert "a: stream 1, W 2" in says


def test_allowed_tells_what_each_norm_allows():
    fig, says = plotting.allowed(
        {"none": {"rotation": 1e-14, "order": 1e-15}, "RMS": {"rotation": 2.5, "order": 1e-11}}
    )
    assert says == "none allows rotation, order; RMS allows order."
    assert [text.get_text() for text in fig.axes[0].texts] == [
        "$<10^{-10}$",
        "$<10^{-10}$",
        "breaks: 2.5",
        "$<10^{-10}$",
    ]


@pytest.mark.parametrize(
    ("flat", "broken", "said"),
    [
        (1e-5, 3.0, ("less than one in ten thousand at every angle", "by more than a tenth")),
        (1e-3, 0.01, ("more than rounding", "by more than rounding")),
        (1e-5, 1e-6, ("less than one in ten thousand at every angle", "not each by more than rou")),
    ],
)
def test_broken_turns_says_whether_the_line_is_flat(flat, broken, said):
    says = plotting.broken_turns([0, 90], {"all turn": [0, flat], "gains": [0, broken]})[1]
    assert says.startswith(f"all turn: logits move by {said[0]}; gains: {said[1]}")
