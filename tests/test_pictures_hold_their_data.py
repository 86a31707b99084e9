"""What a picture draws is what it was given: a notebook's test compares sentences only, so this is
where a transposed map or a curve under another's name is caught."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.text import Text

from helpers import plotting
from helpers.experiments import markov, triggers
from helpers.plotting import core
from helpers.plotting.core import Picture

DRAW = np.random.default_rng(0)
NAMES = ["p", "q", "r", "s", "t"]


def pattern(size: int = 5) -> np.ndarray:
    """[query, key], no two entries equal and the future zero."""
    weights = np.tril(DRAW.random((size, size)))
    return weights / weights.sum(1, keepdims=True)


def past(values: np.ndarray) -> np.ndarray:
    return np.where(np.triu(np.ones_like(values), 1), np.nan, values)


def signed(*shape: int) -> np.ndarray:
    return DRAW.normal(size=shape)


def history() -> list[dict]:
    """Snapshots of two layers with two heads."""
    entries = [(step, DRAW.random((2, 2))) for step in (1, 10, 100)]
    return [
        dict(step=step, loss=1.0, prefix_matching=scores, previous_token=scores / 2)
        for step, scores in entries
    ]


def record(optimizer: str = "AdamW", lr: float = 0.01, turn: str = "rotation") -> dict:
    """A run of the kind that notebook 07 draws."""
    entries = [
        dict(
            loss=loss,
            **{basis: list(3 + 9 * DRAW.random(3)) for basis in ("used", "stored", "turned")},
        )
        for loss in (2.9, 2.5, 2.6, 2.2)
    ]
    return dict(
        optimizer=optimizer,
        lr=lr,
        turn=turn,
        history=entries,
        losses=list(DRAW.random(4)),
        gaps=sorted(DRAW.random(4)),
    )


def images(fig) -> list[np.ndarray]:
    """Every map in the figure, in the order of its axes; what is masked is nan."""
    maps = [image.get_array() for ax in fig.get_axes() for image in ax.get_images()]
    return [np.ma.filled(np.ma.asarray(values, float), np.nan) for values in maps]


def points(fig) -> list[np.ndarray]:
    """Every line, cloud and row of bars as [point, (x, y)]."""
    found = []
    for ax in fig.get_axes():
        found += [np.asarray(line.get_xydata(), float) for line in ax.get_lines()]
        found += [
            np.ma.filled(np.ma.asarray(cloud.get_offsets(), float), np.nan)
            for cloud in ax.collections
        ]
        for bars in (part for part in ax.containers if isinstance(part, BarContainer)):
            found.append(
                np.array([(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in bars])
            )
            found.append(
                np.array([(bar.get_width(), bar.get_y() + bar.get_height() / 2) for bar in bars])
            )
    return found


def same(drawn: np.ndarray, expected: np.ndarray) -> bool:
    return drawn.shape == expected.shape and np.allclose(drawn, expected, equal_nan=True)


def texts(ax) -> dict[tuple[int, int], str]:
    """What is printed in each field of a board, by (row, column)."""
    return {
        (int(y), int(x)): text.get_text()
        for text in ax.texts
        for x, y in [text.get_position()]
        if x == int(x) and y == int(y)
    }


ONE, TWO, WIDE = pattern(), pattern(), signed(2, 3)
DATED = DRAW.random((2, 3))
STREAMS = dict(AdamW=DRAW.normal(size=(2, 3, 4)), SGD=DRAW.normal(size=(2, 3, 4)))
TALK = np.where(np.arange(14).reshape(2, 7) == 9, np.nan, DRAW.random((2, 7)))
READ = [*((1, head, side) for head in (0, 1) for side in "QKV"), "unembed"]
PARTS = {"K": signed(5), "sum": signed(5)}
MAPS = {
    "patterns": lambda: (
        plotting.patterns([[ONE, TWO], [TWO / 2, ONE / 2]]),
        [past(ONE), past(TWO), past(TWO / 2), past(ONE / 2)],
    ),
    "pattern_row": lambda: (
        plotting.pattern_row({"before": ONE, "after": TWO}),
        [past(ONE), past(TWO)],
    ),
    "birth_frame": lambda: (
        plotting.birth_frame([4.0, 3.0], 1, 4.1, [[ONE, TWO]]),
        [past(ONE), past(TWO)],
    ),
    "scores_and_pattern": lambda: (
        plotting.scores_and_pattern(TWO * 9, ONE, NAMES),
        [past(TWO * 9), past(ONE)],
    ),
    "bigrams": lambda: (plotting.bigrams(ONE, TWO, ONE), [ONE, TWO]),
    "term_board": lambda: (
        plotting.term_board({"direct": WIDE[0], "head": WIDE[1]}, NAMES[:3]),
        [np.vstack([WIDE, WIDE.sum(0)])],
    ),
    "token_maps": lambda: (
        plotting.token_maps({"OV": (WIDE, NAMES[:2], NAMES[:3], ("source", "output"))}),
        [WIDE],
    ),
    "skip_trigram_board": lambda: (
        plotting.skip_trigram_board(
            {"direct": WIDE, "head": WIDE, "logits": 2 * WIDE},
            *(NAMES[:2], NAMES[:3], [0, 1], [1, 0]),
        ),
        [WIDE, WIDE, 2 * WIDE],
    ),
    "talk_map": lambda: (
        plotting.talk_map(TALK, NAMES[:2], READ, 0.1),
        [TALK[:, [side, side + 3]] for side in range(3)] + [TALK[:, [6]]],
    ),
    "boards": lambda: (
        plotting.boards({"one": WIDE, "two": -WIDE}, NAMES[:2], NAMES[:3], "score"),
        [WIDE, -WIDE],
    ),
    "signed_board": lambda: (plotting.signed_board(WIDE, NAMES[:2], NAMES[:3], "nats"), [WIDE]),
    "signed_maps": lambda: (
        plotting.signed_maps(
            {"here": {"W": WIDE, "V": 2 * WIDE}, "there": {"W": -WIDE, "V": WIDE}}
        ),
        [WIDE, 2 * WIDE, -WIDE, WIDE],
    ),
    "four_streams": lambda: (
        plotting.four_streams(STREAMS, dict(AdamW=[0], SGD=[1])),
        [x[0] / np.sqrt(np.square(x).mean()) for x in STREAMS.values()],
    ),
    "allowed": lambda: (
        plotting.allowed(
            {"RMS": {"p": 1e-12, "q": 1.0, "r": 1e-14}, "LN": {"p": 0.5, "q": 1e-13, "r": 2.0}}
        ),
        [np.log10([[1e-12, 1.0, 1e-14], [0.5, 1e-13, 2.0]])],
    ),
}
CLOUD, EIGENVALUES, RECORD = signed(9, 2), signed(3) + 1j * signed(3), record()
ROUNDED = dict(
    optimizer="AdamW", kurtosis=7.0, as_trained={"4": 0.4, "3": 0.9}, rotated={"4": 0.1, "3": 0.3}
)
HISTORY, SEEDS = history(), DRAW.random((3, 4))
RUN = SimpleNamespace(
    steps=[0, 1, 2, 3], best=lambda score: SEEDS, first=lambda score: np.array([1.0, 2.0, np.nan])
)
SCORES = {kind: DRAW.random(6) for kind in "QKV"}
WELL, ILL = (
    SimpleNamespace(
        losses=list(DRAW.random(16)),
        steps=[0, 9, 16],
        prefix_matching=list(DRAW.random(3)),
        previous_token=list(DRAW.random(3)),
        last_loss=0.5,
        kept_back=kept_back,
    )
    for kept_back in (0.6, 30.0)
)
STORY = triggers.Story(
    [0, 4, 9],
    *map(torch.tensor, (DRAW.random((3, 3)), SEEDS[:, :3], DRAW.random((3, 3, 4)))),
)
CHAINS = markov.Story([0, 9], *map(torch.tensor, (DRAW.random((3, 2, 3)), DRAW.random((3, 2)))))
ONE_LAYER = CHAINS._replace(distance=CHAINS.distance / 2)
PAIRS = {
    kind: SimpleNamespace(
        scores=DRAW.random((2, 3)),
        null=DRAW.random((9, 2, 3)),
        p=np.ones((2, 3)),
        ceiling=np.ones((2, 3)),
    )
    for kind in "QK"
}


def steps(values) -> np.ndarray:
    return np.stack([np.arange(1, len(values) + 1), values], 1)


def at(xs, ys) -> np.ndarray:
    return np.stack([np.asarray(xs, float), np.asarray(ys, float)], 1)


def seeds_of(xs, curves) -> list[np.ndarray]:
    """Each seed's curve, and their median."""
    return [at(xs, curve) for curve in (*curves.numpy(), np.median(curves.numpy(), 0))]


CURVES = {
    "loss_and_levels": lambda: (
        plotting.loss_and_levels([3.0, 2.0, 1.5], {"a": 2.5, "b": 1.0}),
        [steps([3.0, 2.0, 1.5])],
    ),
    "rank_sweep": lambda: (
        plotting.rank_sweep({1: 0.5, 4: 0.2}, {1: 1.4, 4: 0.3}, 0.8),
        [at([1, 4], [0.5, 0.2]), at([1, 4], [1.4, 0.3])],
    ),
    "bigrams": lambda: (
        plotting.bigrams(ONE, TWO, np.ones((5, 5))),
        [at(ONE.ravel(), TWO.ravel())],
    ),
    "copying_plane": lambda: (
        plotting.copying_plane({"head": EIGENVALUES}, CLOUD[:, :1] + 0j),
        [at(EIGENVALUES.real, EIGENVALUES.imag) / np.abs(EIGENVALUES).mean()],
    ),
    "answer_story": lambda: (
        plotting.answer_story(
            [
                entry | dict(answers=dict(copied=at))
                for entry, at in zip(HISTORY, (0.1, 0.4, 0.9), strict=True)
            ],
            0.02,
        ),
        [
            at([entry["step"] for entry in HISTORY], [0.1, 0.4, 0.9]),
            at(
                [entry["step"] for entry in HISTORY],
                [max(map(max, entry["prefix_matching"])) for entry in HISTORY],
            ),
            at([0, 1], [0.02, 0.02]),
        ],
    ),
    "training_story": lambda: (
        plotting.training_story(
            HISTORY,
            [3.0, 2.0],
            4.0,
            dict(prefix_matching=0.1, previous_token=0.1),
            None,
            guesses={"better": 3.5},
            controls={"other": ([0, 5, 9], np.array([4.0, 3.8, 3.6]))},
        ),
        [
            steps([3.0, 2.0]),
            at([0.7, 5, 9], [4.0, 3.8, 3.6]),
            at([0, 1], [3.5, 3.5]),
            *(
                at([1, 10, 100], [entry[name][layer, head] for entry in HISTORY])
                for name in ("prefix_matching", "previous_token")
                for layer in (0, 1)
                for head in (0, 1)
            ),
        ],
    ),
    "lines": lambda: (
        plotting.lines({"p": {0: 0.5, 1: 2.0}, "q": {0: 1.0, 1: 3.0}}, "step", "nats", chance=0.7),
        [at([0, 1], [0.5, 2.0]), at([0, 1], [1.0, 3.0])],
    ),
    "beside_others": lambda: (
        plotting.beside_others({"p": (5.0, [1.0]), "q": (4.0, [2.0])}, "nats"),
        [at([5.0], [0]), at([1.0], [0.12]), at([4.0], [1]), at([2.0], [1.12])],
    ),
    "phase_change": lambda: (
        plotting.phase_change(
            {"p": [dict(step=[1, 4], a=[0.5, 2.0]), dict(step=[1, 4], a=[1.5, 1.0])]},
            {"a": "nats"},
            levels={"a": ("law", 0.7)},
        ),
        [at([1, 4], [0.5, 2.0]), at([1, 4], [1.5, 1.0]), at([1, 4], [1.0, 1.5])],
    ),
    "order_of_events": lambda: (
        plotting.order_of_events({"first": [30.0, 20.0], "then": [90.0, 50.0]}),
        [at([30, 20], [0, 0]), at([90, 50], [1, 1]), at([20, 30], [0, 0])],
    ),
    "training_plane": lambda: (
        plotting.training_plane({"p": [CLOUD], "q": [2 * CLOUD]}, [*range(len(CLOUD))], [1]),
        [CLOUD, 2 * CLOUD, CLOUD[[1]], 2 * CLOUD[[1]]],
    ),
    "undoing": lambda: (
        plotting.undoing([([1, 9], {"match": [[-1.0, -2.0]], "back": [[0.5, -3.0]]})]),
        [at([1, 9], [-1.0, -2.0]), at([1, 9], [0.5, -3.0])],
    ),
    "left_without": lambda: (
        plotting.left_without({"p": (5.0, 1.0, [4.5]), "q": (4.0, 0.5, [3.5])}, "nats"),
        [
            *(at([5.0, 5.0], [-0.32, 0.32]), at([1.0], [0]), at([4.5], [0.1])),
            *(at([4.0, 4.0], [0.68, 1.32]), at([0.5], [1]), at([3.5], [1.1])),
        ],
    ),
    "bars": lambda: (plotting.bars({"a": 0.5, "b": 2.0}, "cost"), [at([0, 1], [0.5, 2.0])]),
    "activation_places": lambda: (
        plotting.activation_places({"here": (CLOUD[:, 0], CLOUD[:, 1])}, [0, 1], {"a": [0.0, 0.7]}),
        [CLOUD, at([0, 1], [0.0, 0.7])],
    ),
    "score_row": lambda: (
        plotting.score_row(PARTS, NAMES, 3, [1]),
        [at(range(4), PARTS["K"][:4]), at(range(4), PARTS["sum"][:4])],
    ),
    "composition_panels": lambda: (
        plotting.composition_panels({"toy": PAIRS}, {"toy": NAMES[:2]}),
        [
            at([w + 0.16 * (r - 1)], [PAIRS[kind].scores[w, r]])
            for kind in "QK"
            for w in (0, 1)
            for r in (0, 1, 2)
        ],
    ),
    "matching_and_copying": lambda: (
        plotting.matching_and_copying(CLOUD, {"trained": ([0.1, 0.2], [0.3, 0.9])}),
        [CLOUD, at([0.1, 0.2], [0.3, 0.9])],
    ),
    "term_sum": lambda: (
        plotting.term_sum({"a": 2.0, "b": -0.5, "c": 0.1}, {"whole": 1.0, "none": 3.0}, most=2),
        [at([2.0, -0.5, 0.1, 1.6], range(4)), at([1.0, 3.0], range(2))],
    ),
    "turned": lambda: (
        plotting.turned([0, 30, 90], [1e-5, 0.1, 2.0], [9.0, 5.0, 3.0], [*WIDE], 1e-4, 2.9),
        [
            *(at(range(len(row)), row) for row in WIDE),
            at([0, 30, 90], [1e-5, 0.1, 2.0]),
            at([0, 30, 90], [9.0, 5.0, 3.0]),
        ],
    ),
    "votes": lambda: (
        plotting.votes(
            "Which?", dict(A="x", B="y"), dict(p=("B", 7), q=("A", 3), r=("B", None)), "A", 5
        ),
        [at([1], [0]), at([2], [1]), at([7, 3], [1, 0]), at([5, 5], [0, 1])],
    ),
    "orders": lambda: (plotting.orders({"toy": [1.0, 0.5, 0.2]}), [at(range(3), [1.0, 0.5, 0.2])]),
    "seed_curves": lambda: (
        plotting.seed_curves({"two": RUN}, 0.1, last_step=3),
        [at(range(4), curve) for curve in (*SEEDS, np.median(SEEDS, 0))],
    ),
    "recovered": lambda: (
        plotting.recovered({"toy": {"a": [0.2, 0.4, 0.7], "b": [0.9, -0.3]}}),
        [at([0.2], [0]), at([0.4, 0.7], [0, 0]), at([0.9], [1]), at([-0.3], [1])],
    ),
    "accuracy_by_period": lambda: (
        plotting.accuracy_by_period(
            [4, 9], [[0.9, 0.3], [0.5, 0.8]], [0.2, 0.1], [True, False], 0.02
        ),
        [at([0, 1], [0.5, 0.3]), at([0, 1], [0.2, 0.1])],
    ),
    "first_layer_story": lambda: (
        plotting.first_layer_story(
            [0, 4, 9], dict(matching=[0.1, 0.5, 0.9], pull=[0.2, 0.3, 0.4], looking_back=[0.0] * 3)
        ),
        [at([0, 4, 9], curve) for curve in ([0.1, 0.5, 0.9], [0.2, 0.3, 0.4], [0.0] * 3)],
    ),
    "ward": lambda: (
        plotting.ward({"well": [WELL], "ill": [ILL]}, {"guessing": 4.1}),
        [
            at([4, 12], np.reshape(WELL.losses, (2, 8)).mean(1)),
            at([4, 12], np.reshape(ILL.losses, (2, 8)).mean(1)),
            *(at([0, 9, 16], chart.prefix_matching) for chart in (WELL, ILL)),
            *(at([0, 9, 16], chart.previous_token) for chart in (WELL, ILL)),
            at([16], [0.6]),
            at([0, 1], [4.1, 4.1]),
        ],
    ),
    "namings": lambda: (
        plotting.namings({"a": [("x", "x"), ("x", "y")], "b": [("y", "y")]}, ["x", "y"]),
        [at([-0.08], [0]), at([1.08], [0]), at([0], [0]), at([1], [1])],
    ),
    "fits": lambda: (
        plotting.fits({"none": SEEDS}),
        [steps(curve) for curve in (*SEEDS, np.median(SEEDS, 0))],
    ),
    "final_losses": lambda: (
        plotting.final_losses({"1 head": [0.7, 0.3]}, {"right": 0.0}, 0.5),
        [at([0.3], [-0.045]), at([0.7], [0.045])],
    ),
    "changes": lambda: (
        plotting.changes({"float32": {"a": 1e-6, "b": 0.5}}, moved=["b"]),
        [at([1e-6], [0]), at([0.5], [1])],
    ),
    "broken_turns": lambda: (
        plotting.broken_turns([0, 90, 180], {"right": [0, 0, 0], "wrong": [0, 1, 2]}),
        [at([0, 90, 180], [1e-7, 1, 2])],
    ),
    "twin_gaps": lambda: (
        plotting.twin_gaps([RECORD], {"all": {("AdamW", "rotation"): "AdamW"}}),
        [steps(RECORD["gaps"])],
    ),
    "kurtosis_on_the_way": lambda: (
        plotting.kurtosis_on_the_way([RECORD], 2.9, 2.3),
        [
            at(
                [entry["loss"] for entry in RECORD["history"]],
                [entry["used"][2] for entry in RECORD["history"]],
            )
        ],
    ),
    "kurtosis_sweep": lambda: (
        plotting.kurtosis_sweep([RECORD], 2.9),
        [at([0.01], [RECORD["history"][-1][key][2]]) for key in ("used", "turned")]
        + [at([0.01], [2.2])],
    ),
    "kurtosis_by_basis": lambda: (
        plotting.kurtosis_by_basis({"shared": [RECORD]}, 2.9),
        [
            at([x], [RECORD["history"][-1][key][2]])
            for x, key in ((-0.15, "used"), (0.15, "stored"))
        ],
    ),
    "memories": lambda: (
        plotting.memories(STORY, 2.8, controls={"one": STORY._replace(triggers=STORY.chain)}),
        [
            *seeds_of(STORY.steps, STORY.triggers),
            *seeds_of(STORY.steps, STORY.chain),
            *(curve for of in STORY.memories.unbind(-1) for curve in seeds_of(STORY.steps, of)),
            at([0, 1], [2.8, 2.8]),
        ],
    ),
    "nearest_rules": lambda: (
        plotting.nearest_rules({"two": CHAINS, "one": ONE_LAYER}),
        [
            curve
            for story in (CHAINS, ONE_LAYER)
            for of in story.distance.unbind(-1)
            for curve in seeds_of(story.steps, of)
        ],
    ),
    "rarity": lambda: (
        plotting.rarity({"p": {0.0: [0.1, 0.3, 0.2], 1.0: [0.9]}, "q": {0.5: [0.4, 0.6]}}, 0.04),
        [
            at([0.0, 1.0], [0.2, 0.9]),
            at([-0.006, -0.012, -0.018], [0.1, 0.3, 0.2]),
            at([1 - 0.006], [0.9]),
            at([0.5], [0.5]),
            at([0.506, 0.512], [0.4, 0.6]),
            at([0, 1], [0.04, 0.04]),
        ],
    ),
    "tokens_needed": lambda: (
        plotting.tokens_needed(
            {"p": [3, 2, 4.0], "q": [np.inf, 5.0], "r": [np.inf]}, 9, {"given up": 9, "public": 89}
        ),
        [
            at([2, 3, 4], [-0.17, 0, 0.17]),
            at([], []),
            at([5], [1 - 0.085]),
            at([9], [1 + 0.085]),
            at([], []),
            at([9], [2]),
            at([9, 9], [0, 1]),
            at([89, 89], [0, 1]),
        ],
    ),
    "growth": lambda: (
        plotting.growth(
            {"time (ms)": {"heads": ([2, 4, 8], [3, 5, 7]), "width": ([9, 18], [1, 2])}}
        ),
        [at([1, 2, 4], [3, 5, 7]), at([1, 2], [1, 2])],
    ),
    "rounding_cost": lambda: (
        plotting.rounding_cost({"loud": [ROUNDED, ROUNDED]}, 2.9),
        [at([7.0] * 2, [rise] * 2) for rise in (0.4, 0.1, 0.9, 0.3)],
    ),
}


@pytest.mark.parametrize("name", MAPS)
def test_a_map_is_its_matrix_with_rows_downwards(name):
    (fig, _), expected = MAPS[name]()
    drawn = images(fig)
    assert len(drawn) == len(expected)
    assert all(
        same(one, other) for one, other in zip(drawn, map(np.asarray, expected), strict=True)
    )
    for ax in (ax for ax in fig.get_axes() if ax.get_images()):
        low, high = ax.get_ylim()
        assert low > high and ax.get_xlim()[0] < ax.get_xlim()[1], (
            "row 0 stands on top, column 0 on the left"
        )


@pytest.mark.parametrize("name", CURVES)
def test_curves_points_and_bars_stand_where_the_data_say(name):
    (fig, _), expected = CURVES[name]()
    drawn = points(fig)
    assert [
        number
        for number, wanted in enumerate(expected)
        if not any(same(found, wanted) for found in drawn)
    ] == []


# More than a picture has looks for.
MANY = [*"abcdefg"]
TOO_MANY = {
    "lines": lambda: plotting.lines(dict.fromkeys(MANY, {0: 1.0}), "x", "y"),
    "phase_change": lambda: plotting.phase_change(
        dict.fromkeys(MANY, [dict(step=[1, 4], a=[0.5, 2.0])]), {"a": "nats"}
    ),
    "training_plane": lambda: plotting.training_plane(
        dict.fromkeys(MANY, [CLOUD]), [*range(len(CLOUD))], [1]
    ),
    "undoing": lambda: plotting.undoing([([1, 9], dict.fromkeys(MANY, [[-1.0, -2.0]]))]),
    "matching_and_copying": lambda: plotting.matching_and_copying(
        CLOUD, dict.fromkeys(MANY, ([0.1], [0.2]))
    ),
    "seed_curves": lambda: plotting.seed_curves(dict.fromkeys(MANY, RUN), 0.1),
    "rarity": lambda: plotting.rarity(dict.fromkeys(MANY, {0.0: [0.1]}), 0.04),
    "fits": lambda: plotting.fits(dict.fromkeys(MANY, SEEDS)),
    "loss_and_levels": lambda: plotting.loss_and_levels([3.0], dict.fromkeys(MANY, 1.0)),
    "broken_turns": lambda: plotting.broken_turns([0, 90], dict.fromkeys(MANY, [0, 1])),
    "rounding_cost": lambda: plotting.rounding_cost(dict.fromkeys(MANY, [ROUNDED]), 2.9),
    "activation_places, points": lambda: plotting.activation_places(
        dict.fromkeys(MANY, (*CLOUD[:2],)), [0, 1], {"a": [0.0, 0.7]}
    ),
    "activation_places, curves": lambda: plotting.activation_places(
        {"here": (*CLOUD[:2],)}, [0, 1], dict.fromkeys(MANY, [0.0, 0.7])
    ),
}


@pytest.mark.parametrize("name", TOO_MANY)
def test_a_picture_refuses_what_it_has_no_look_for(name):
    with pytest.raises(ValueError, match=r"7 are given \(a, b, .* can tell \d apart"):
        TOO_MANY[name]()


FAR_RECORD = record() | dict(gaps=[0.1, 9.0])
FAR_RECORD["history"] = [dict(loss=3.4, used=[1.0] * 3)]
FAR_ROUNDED = ROUNDED | dict(kurtosis=99.0, rotated={"4": -0.2, "3": -0.1})
LATE = dict(birth=None, controls={"other": ([0, 9], np.array([9.0, 8.0]))}, guesses={"odd": 7.0})
FAR = {
    "final_losses": lambda: plotting.final_losses({"a": [0.1, 1.2]}, {"right": 0.0}, 0.5),
    "fits": lambda: plotting.fits({"a": np.full((2, 3), 4.0)}),
    "first_layer_story": lambda: plotting.first_layer_story(
        [0, 4], dict(matching=[-0.9, 0.5], pull=[0.2, 0.3], looking_back=[0.0] * 2)
    ),
    "recovered": lambda: plotting.recovered({"toy": {"a": [1.0, 2.5], "b": [3.0]}}),
    "changes": lambda: plotting.changes({"float32": {"a": 1e-6, "b": 500}}, moved=["b"]),
    "broken_turns": lambda: plotting.broken_turns([-90, 90], {"right": [0, 0], "wrong": [2, 1]}),
    "turned": lambda: plotting.turned([0, 90], [0.1, 1e6], [9.0, 3.0], [*WIDE], 1e-4, 2.9),
    "training_story": lambda: plotting.training_story(
        HISTORY, [3.0, 2.0], 4.0, dict(prefix_matching=0.1, previous_token=0.1), **LATE
    ),
    "birth_frame": lambda: plotting.birth_frame([9.0, 3.0], 1, 4.1, [[ONE]]),
    "ward": lambda: plotting.ward(
        {
            "well": [WELL],
            "ill": [SimpleNamespace(**vars(WELL) | dict(losses=[9.0] * 16, last_loss=9.0))],
        },
        {"guessing": 4.1},
    ),
    "phase_change": lambda: plotting.phase_change(
        {"p": [dict(step=[1, 40], a=[0.5, 2.0])], "q": [dict(step=[1, 4], a=[0.5, 2.0])]},
        {"a": "nats"},
    ),
    "loss_and_levels": lambda: plotting.loss_and_levels([3.0, -2.0], {"a": 2.5, "b": 1.0}),
    "rank_sweep": lambda: plotting.rank_sweep({1: 0.5, 4: -0.01}, {1: 1.4, 4: 0.0}, 0.8),
    "twin_gaps": lambda: plotting.twin_gaps(
        [FAR_RECORD], {"all": {("AdamW", "rotation"): "AdamW"}}
    ),
    "kurtosis_on_the_way": lambda: plotting.kurtosis_on_the_way([RECORD, FAR_RECORD], 2.9, 2.3),
    "rounding_cost": lambda: plotting.rounding_cost({"loud": [FAR_ROUNDED]}, 2.9),
}


@pytest.mark.parametrize("name", FAR)
def test_what_the_sentence_tells_of_lies_within_the_axes(name):
    """Lines, marks and bars, wherever the data put them."""
    fig, _ = FAR[name]()
    fig.canvas.draw()
    for ax in fig.get_axes():
        lines = [line.get_transform().transform(line.get_xydata()) for line in ax.get_lines()]
        marks = [
            cloud.get_offset_transform().transform(cloud.get_offsets())
            for cloud in ax.collections
            if isinstance(cloud, PathCollection)
        ]
        bars = [bar.get_window_extent().get_points() for box in ax.containers for bar in box]
        (left, low), (right, high) = ax.bbox.get_points()
        for x, y in (point for drawn in (*lines, *marks, *bars) for point in drawn):
            assert left - 1 < x < right + 1 and low - 1 < y < high + 1


@pytest.mark.parametrize("name", ["term_board", "boards", "signed_board", "skip_trigram_board"])
def test_a_board_prints_its_numbers_in_their_own_fields_under_their_own_names(name):
    (fig, _), expected = MAPS[name]()
    boards = [ax for ax in fig.get_axes() if ax.get_images()]
    for ax, values in zip(boards, expected, strict=True):
        printed = {
            field: float(text)
            for field, text in texts(ax).items()
            if re.fullmatch(r"[-+]?[\d.]+", text)
        }
        assert set(printed) == {
            field for field, value in np.ndenumerate(values) if not np.isnan(value)
        }
        coarse = 0.5 if name == "skip_trigram_board" else 0.05  # as many digits as are printed
        assert all(abs(printed[field] - values[field]) <= coarse + 1e-9 for field in printed)
        assert [label.get_text() for label in ax.get_xticklabels()] == NAMES[:3]
        rows = [label.get_text() for label in ax.get_yticklabels()]
        assert rows[:2] in (NAMES[:2], ["direct", "head"]) or ax is not boards[0]


@pytest.mark.parametrize("name", [*MAPS, *CURVES])
def test_letters_have_one_size_titles_another_and_dense_fields_a_smaller_one(name):
    fig, _ = (MAPS | CURVES)[name]()[0]
    sizes = {text.get_fontsize() for text in fig.findobj(Text) if text.get_text()}
    assert sizes <= {core.DENSE, core.TEXT, core.TITLE}


def test_every_picture_is_in_one_of_the_tables():
    """Those that are not draw text and lay out what other tests look at, or have a file of their
    own."""
    elsewhere = {"head_board", "look_back", "passage", "sequences", "stream_diagram", "lottery"}
    drawing = {
        name
        for name, one in vars(plotting).items()
        if getattr(one, "__annotations__", {}).get("return") == Picture
    }
    assert drawing - {*MAPS, *CURVES} == elsewhere
