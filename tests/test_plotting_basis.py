"""The pictures of notebook 03: their sentences are what the data say, and what is drawn is where it
belongs."""

import matplotlib as mpl
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


def test_signed_maps_are_centred_and_patterns_are_probabilities():
    rows = {"a": {"stream": np.array([[3.0, -1.0]]), "pattern": np.array([[1.0, 0.0], [0.2, 0.8]])}}
    fig, says = plotting.signed_maps(rows, across=["coordinates", "keys"], patterns=["pattern"])
    stream, pattern = (ax.images[0] for ax in fig.axes)
    assert stream.get_clim() == (-3, 3) and stream.cmap.name == "RdBu_r"
    assert pattern.get_clim() == (0, 1) and pattern.cmap.name == "cividis"
    assert [ax.get_xlabel() for ax in fig.axes] == ["coordinates", "keys"]
    assert "a: stream 1, pattern 2" in says


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
        (1e-5, 3.0, ("less than one in ten thousand", "a tenth")),
        (1e-3, 0.01, ("more than rounding", "rounding")),
    ],
)
def test_broken_turns_says_whether_the_line_is_flat(flat, broken, said):
    says = plotting.broken_turns([0, 90], {"all turn": [0, flat], "gains": [0, broken]})[1]
    assert (
        says == f"all turn: logits move by {said[0]} at every angle; gains: by more than {said[1]}."
    )


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
    names = {
        ("SGD", "rotation"): "SGD",
        ("AdamW", "rotation"): "AdamW",
        ("Muon", "rotation"): "Muon",
    }
    says = plotting.twin_gaps(records, names)[1]
    assert (
        "SGD, 1 seeds: below one in a hundred thousand" in says
        and "AdamW, 2 seeds: above one in a thousand on each" in says
    )
    assert "Muon, 1 seeds: up to 3e-04" in says


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
    assert "over 3 seeds. AdamW 0.01: 12.0 to 30.0; SGD 0.3: 2.8 to 2.8. Null 2.91." in ends
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
