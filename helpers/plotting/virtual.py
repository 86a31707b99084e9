"""Pictures of layers that talk through the stream: who hears whom, how much room they share, and
what an activation in the way does."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np

from helpers.plotting.composing import KIND
from helpers.plotting.core import (
    COLOUR,
    SIGNED,
    Picture,
    array,
    chance_line,
    figure,
    ink,
    styled,
    two_digits,
)


@styled
def talk_map(
    scores, writers: Sequence, readers: Sequence, chance: float, title: str = ""
) -> Picture:
    """Norm of each virtual weight over the norms of its two matrices [writer, reader], as a board
    centred on chance.

    Pairs that cannot talk (nan) are hatched. The sides of one head stand together. Writers and
    readers are names, or heads and their sides as `virtual_weights` gives them.
    """
    scores = array(scores)
    writers, readers = ([_name(end) for end in ends] for ends in (writers, readers))
    fig = figure(0.46 * len(readers) + 2.4, 0.4 * len(writers) + 1.9)
    ax = fig.subplots()
    reach = np.nanmax(np.abs(scores - chance))
    shades = SIGNED.with_extremes(bad="#ffffff")
    image = ax.imshow(
        np.ma.masked_invalid(scores),
        cmap=shades,
        vmin=chance - reach,
        vmax=chance + reach,
        aspect="auto",
    )
    for (y, x), value in np.ndenumerate(scores):
        if np.isnan(value):
            ax.add_patch(
                mpl.patches.Rectangle(
                    (x - 0.5, y - 0.5), 1, 1, fill=False, hatch="////", edgecolor="#dddddd", lw=0
                )
            )
        else:
            face = shades((value - chance) / (2 * reach) + 0.5)
            ax.text(
                x,
                y,
                f"{value:.2f}".lstrip("0"),
                ha="center",
                va="center",
                fontsize=7.5,
                color=ink(face),
            )
    groups = [name.split(" ")[0] for name in readers]
    for x in range(1, len(readers)):
        if groups[x] != groups[x - 1]:
            ax.axvline(x - 0.5, color="#444444", lw=1)
    ax.set_xticks(range(len(readers)), readers, rotation=90, fontsize=8)
    ax.set_yticks(range(len(writers)), writers, fontsize=8)
    ax.set(xlabel="reads (layer.head and side)", ylabel="writes")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = fig.colorbar(image, ax=ax, shrink=0.8, aspect=22, label="strength of the virtual weight")
    bar.ax.axhline(chance, color="#222222", lw=1)
    bar.ax.text(
        -0.15,
        chance,
        f"chance {two_digits(chance)} ",
        transform=bar.ax.get_yaxis_transform(),
        ha="right",
        va="center",
        fontsize=7.5,
    )
    ax.set_title(title)
    y, x = np.unravel_index(np.nanargmax(scores), scores.shape)
    return fig, (
        f"A board of {np.isfinite(scores).sum()} pairs that can talk, out of {scores.size}: the "
        f"strongest is from {writers[y]} to "
        f"{' '.join(readers[x].split())} with {scores[y, x]:.2f}; chance is {two_digits(chance)}."
    )


@styled
def angles(cosines: Mapping[str, Any], null, title: str = "") -> Picture:
    """Principal cosines of a few pairs of subspaces, largest first, over the band that unrelated
    ones fill [draw, index]."""
    null = array(null)
    fig = figure(8, 3.6)
    ax = fig.subplots()
    index = np.arange(1, null.shape[1] + 1)
    low, high = np.quantile(null, [0.025, 0.975], axis=0)
    ax.fill_between(
        index, low, high, color="#dcdcdc", lw=0, label="between unrelated subspaces (95% of draws)"
    )
    ax.plot(index, null.mean(0), color=COLOUR["chance"], ls=(0, (1, 2)), lw=1.4)
    styles = zip(
        ("solid", (0, (5, 2)), "dashdot", (0, (1, 1))),
        "osD^",
        (COLOUR["prefix_matching"], KIND["Q"], COLOUR["copying"], COLOUR["control"]),
        strict=True,
    )
    for (name, values), (dash, mark, colour) in zip(cosines.items(), styles, strict=False):
        ax.plot(index, array(values), color=colour, ls=dash, marker=mark, ms=4, label=name)
    ax.set(
        xlabel="principal angle, from the best aligned direction on",
        ylabel="cosine",
        ylim=(-0.02, 1.2),
        yticks=[0, 0.25, 0.5, 0.75, 1],
        xticks=index[:: max(len(index) // 8, 1)],
    )
    ax.legend(loc="upper right", fontsize=8.5, bbox_to_anchor=(1.0, 1.04))
    ax.set_title(title)
    shares = "; ".join(
        f"{name} {two_digits(float((array(values) ** 2).mean()))}"
        for name, values in cosines.items()
    )
    return (
        fig,
        f"Principal angles between what is written and what is read. Shared on average: {shares}; "
        f"unrelated {two_digits(float((null**2).mean()))}.",
    )


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
    fig = figure(11, 3.7)
    axes = fig.subplots(1, len(points) + 1, width_ratios=[1] * len(points) + [1.7])
    colours = (COLOUR["copying"], COLOUR["prefix_matching"], COLOUR["previous_token"])
    reach = max(np.abs(array(values)).max() for pair in points.values() for values in pair) * 1.05
    for ax, (name, (predicted, real)), colour in zip(axes, points.items(), colours, strict=False):
        ax.axline((0, 0), slope=1, color=COLOUR["chance"], lw=1, zorder=0)
        ax.plot(array(predicted), array(real), "o", color=colour, ms=2.6, alpha=0.6, mew=0)
        ax.set(
            xlim=(-reach, reach),
            ylim=(-reach, reach),
            xlabel="predicted by virtual weights",
            aspect="equal",
        )
        ax.set_title(name, fontsize=9.5)
    axes[0].set_ylabel("really read")
    ax = axes[-1]
    chance_line(ax, 1)
    ax.annotate(
        "no better than predicting 0",
        (0, 1),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=8,
        color="#777777",
    )
    for (name, errors), colour, dash, mark in zip(
        curves.items(), colours, ("solid", "solid", (0, (4, 2))), "osD", strict=False
    ):
        ax.plot(strength, errors, color=colour, ls=dash, marker=mark, ms=4.5, label=name)
    ax.set(
        xlabel="strength of the activation (0 none, 1 a full ReLU)",
        ylabel="relative error",
        ylim=(-0.04, 1.45 * max(1, *(max(errors) for errors in curves.values()))),
    )
    ax.legend(loc="upper left", fontsize=8.5)
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    last = ", ".join(f"{name}: {errors[-1]:.1f}" for name, errors in curves.items())
    return (
        fig,
        f"Relative error of what virtual weights predict, at a full ReLU: {last}; without an "
        "activation all are 0.0.",
    )


def _name(end) -> str:
    """A head (1, 0) as 1.0, its key (1, 0, "K") as 1.0 K, and a name as it is."""
    return end if isinstance(end, str) else " ".join([f"{end[0]}.{end[1]}", *end[2:]])
