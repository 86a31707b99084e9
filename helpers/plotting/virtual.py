"""Pictures of layers that talk through the stream: who hears whom, and what an activation in the
way does."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from helpers.plotting.core import (
    CHANCE,
    COLOUR,
    FAINT,
    SIGNED,
    Picture,
    array,
    chance_line,
    figure,
    letters,
    styled,
    two_digits,
    with_looks,
)

WORD = dict(Q="query", K="key", V="value")


@styled
def talk_map(
    scores, writers: Sequence, readers: Sequence, chance: float, title: str = ""
) -> Picture:
    """Norm of each virtual weight over the norms of its two matrices [writer, reader], centred on
    chance.

    A panel for the queries, the keys and the values of each layer, and one for the unembedding; its
    rows are the writers that this layer can hear. What it cannot hear all the same (nan) is
    hatched. Writers and readers as `virtual_weights` gives them.
    """
    scores, layers = array(scores), sorted({end[0] for end in readers if end != "unembed"})
    panels = {(layer, side): _reading(readers, layer, side) for layer in layers for side in "QKV"}
    heard = {layer: _heard(scores, _reading(readers, layer, "QKV")) for layer in layers}
    wide = [*(len(panels[layers[0], side]) for side in "QKV"), 1]
    fig = figure(height=0.31 * sum(map(len, heard.values())) + 0.55 * len(layers) + 0.9)
    grid = fig.add_gridspec(
        len(layers), 4, width_ratios=wide, height_ratios=[len(rows) for rows in heard.values()]
    )
    reach = float(np.nanmax(np.abs(scores - chance)))
    names, ends = [_name(end) for end in writers], [_name(end) for end in readers]
    for (layer, side), columns in panels.items():
        ax = fig.add_subplot(grid[layers.index(layer), "QKV".index(side)])
        rows = heard[layer]
        image = _talk_board(ax, scores[np.ix_(rows, columns)], chance, reach)
        ax.set_xticks(range(len(columns)), [ends[column][:-2] for column in columns])
        ax.set_yticks(range(len(rows)), [names[row] for row in rows] if side == "Q" else [])
        if layer == layers[0]:
            ax.set_title(f"reads as {WORD[side]}", fontsize=10)
    if "unembed" in readers:
        ax = fig.add_subplot(grid[:, 3])
        columns = [readers.index("unembed")]
        rows = _heard(scores, columns)
        image = _talk_board(ax, scores[np.ix_(rows, columns)], chance, reach)
        ax.set_xticks([0], ["unembed"])
        ax.set_yticks(range(len(rows)), [names[row] for row in rows])
        ax.set_title("reads last", fontsize=10)
    fig.supylabel("writes", fontsize=10)
    bar = fig.colorbar(image, ax=fig.axes, shrink=0.9, aspect=26)
    bar.set_label("strength of the virtual weight (no colour: chance)", fontsize=9)
    fig.suptitle(title, x=0.01, ha="left")
    y, x = np.unravel_index(np.nanargmax(scores), scores.shape)
    return fig, (
        f"A board of the {np.isfinite(scores).sum()} pairs that can talk: the strongest is from "
        f"{names[y]} to {ends[x]} with {scores[y, x]:.2f}; chance is {two_digits(chance)}."
    )


def _reading(readers: Sequence, layer: int, sides: str) -> list[int]:
    """The columns of a layer's readers on these sides."""
    return [at for at, end in enumerate(readers) if end[0] == layer and end[2] in sides]


def _heard(scores: np.ndarray, columns: Sequence[int]) -> list[int]:
    """The rows of those that any of these readers hears."""
    return np.flatnonzero(np.isfinite(scores[:, columns]).any(1)).tolist()


def _talk_board(ax: Axes, scores: np.ndarray, chance: float, reach: float) -> AxesImage:
    span = dict(vmin=chance - reach, vmax=chance + reach)
    image = ax.imshow(np.ma.masked_invalid(scores), cmap=SIGNED, aspect="auto", **span)
    for (y, x), value in np.ndenumerate(scores):
        if np.isnan(value):
            cell = dict(fill=False, hatch="////", edgecolor=FAINT, lw=0)
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, **cell))
        else:
            face = SIGNED((value - chance) / (2 * reach) + 0.5)
            words = f"{value:.2f}".lstrip("0")
            ax.text(x, y, words, ha="center", va="center", **letters(face))
    ax.tick_params(length=0, labelsize=9)
    ax.spines[:].set_visible(False)
    return image


@styled
def activation_places(
    points: Mapping[str, tuple],
    strength: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    title: str = "",
) -> Picture:
    """Left, for each place of the activation, what a layer reads against what virtual weights
    predict; right, the error of several predictions over the strength of the activation (relative:
    1 is as wrong as saying nothing)."""
    fig = figure(height=6.2)
    above, below = fig.subfigures(2, 1, height_ratios=[1, 1.1])
    axes = above.subplots(1, len(points), squeeze=False)[0]
    colours = (COLOUR["copying"], COLOUR["prefix_matching"], COLOUR["previous_token"])
    reach = max(np.abs(array(values)).max() for pair in points.values() for values in pair) * 1.05
    for ax, ((name, (predicted, real)), colour) in zip(
        axes, with_looks(points, colours), strict=True
    ):
        ax.axline((0, 0), slope=1, **CHANCE)
        ax.plot(array(predicted), array(real), "o", color=colour, ms=2.6, alpha=0.6, mew=0)
        ax.set(
            xlim=(-reach, reach),
            ylim=(-reach, reach),
            xlabel="predicted by virtual weights",
            aspect="equal",
        )
        ax.set_title(name, fontsize=9.5)
    axes[0].set_ylabel("really read")
    ax = below.subplots()
    chance_line(ax, 1)
    ax.annotate(
        "no better than predicting 0",
        (0, 1),
        xytext=(0, 3),
        textcoords="offset points",
    )
    looks = zip(colours, ("solid", "solid", (0, (4, 2))), "osD", strict=True)
    for (name, errors), (colour, dash, mark) in with_looks(curves, looks):
        ax.plot(strength, errors, color=colour, ls=dash, marker=mark, ms=4.5, label=name)
    ax.set(
        xlabel="strength of the activation (0 none, 1 a full ReLU)",
        ylabel="relative error",
        ylim=(-0.04, 1.45 * max(1, *(max(errors) for errors in curves.values()))),
    )
    ax.legend(loc="upper left", fontsize=8.5)
    fig.suptitle(title, x=0.01, ha="left")
    told = "; ".join(_errors(curves, strength, end) for end in (-1, 0))
    return fig, f"Relative error of what virtual weights predict, {told}."


def _errors(curves: Mapping[str, Sequence[float]], strength: Sequence[float], at: int) -> str:
    """The errors at one of the strengths, in one number where they agree."""
    full = {0: "without an activation", 1: "at a full ReLU"}
    where = full.get(strength[at], f"at strength {strength[at]:g}")
    errors = {name: f"{errors[at]:.1f}" for name, errors in curves.items()}
    if len({*errors.values()}) == 1:
        return f"{where} all are {next(iter(errors.values()))}"
    return f"{where}: {', '.join(f'{name}: {error}' for name, error in errors.items())}"


def _name(end) -> str:
    """A head (1, 0) as 1.0, its key (1, 0, "K") as 1.0 K, and a name as it is."""
    return end if isinstance(end, str) else " ".join([f"{end[0]}.{end[1]}", *end[2:]])
