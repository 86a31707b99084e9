"""Pictures of a stream that turns."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from helpers.plotting.attention import draw_pattern
from helpers.plotting.core import COLOUR, SIGNED, Picture, array, figure, styled


@styled
def turning(
    frames: Sequence[Mapping[str, Any]], rounding: float, null: float, title: str = ""
) -> Picture:
    """A model's stream at a few angles, a column each: what turns above, what stays below.

    `frames`, the first one at rest: "angle" in degrees, "plane" [pos, 2] (each token in a plane
    that turns), "rows" (maps by name, [row, d_model], of the stream and the matrices), "pattern"
    [query, key], and the figures "change" (the largest of a logit) and "kurtosis". `rounding`: what
    float32 may change; `null`: the kurtosis of a vector that points anywhere.
    """
    names = list(frames[0]["rows"])
    fig = figure(2.6 * len(frames) + 0.6, 8.6)
    axes = fig.subplots(
        len(names) + 2, len(frames), squeeze=False, height_ratios=[3.0, *[1.15] * len(names), 2.5]
    )
    reach = 1.1 * max(float(np.hypot(*array(frame["plane"]).T).max()) for frame in frames)
    for column, frame in zip(axes.T, frames, strict=True):
        _draw_circles(column[0], array(frame["plane"]), array(frames[0]["plane"]), reach)
        column[0].set_title(f"{frame['angle']:.0f}°", loc="center", fontsize=14, pad=4)
        for ax, name in zip(column[1:-1], names, strict=True):
            at_rest = array(frames[0]["rows"][name])
            scale = 2.5 * np.sqrt(np.square(at_rest).mean())
            ax.imshow(
                array(frame["rows"][name]), cmap=SIGNED, vmin=-scale, vmax=scale, aspect="auto"
            )
            ax.set(xticks=[], yticks=[])
        draw_pattern(column[-1], array(frame["pattern"]))
        column[-1].set(xticks=[], yticks=[])
        column[-2].set_xlabel(f"kurtosis {frame['kurtosis']:.1f}")
        column[-1].set_xlabel(
            f"largest change\nof a logit: {_logit_change(frame['change'], rounding)}"
        )
    for ax, name in zip(axes[1:, 0], [*names, "attention"], strict=True):
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    axes[0, 0].set_ylabel("tokens in\none plane", rotation=0, ha="right", va="center")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    return fig, _says(frames, rounding, null)


def _draw_circles(ax: Axes, points: np.ndarray, at_rest: np.ndarray, reach: float) -> None:
    for radius in np.hypot(*at_rest.T):
        ax.add_patch(mpl.patches.Circle((0, 0), radius, fill=False, edgecolor="#dddddd", lw=0.6))
    radii = np.hypot(*at_rest.T) + 1e-9
    share = np.hypot(*points.T) / radii  # 1 on its own circle
    on = np.isclose(share, 1, atol=0.01)
    ax.scatter(*points[on].T, s=9, color=COLOUR["previous_token"], zorder=3)
    ax.scatter(*points[~on].T, s=11, marker="x", lw=1, color=COLOUR["prefix_matching"], zorder=3)
    marked = int(radii.argmax())
    ax.plot([0, points[marked, 0]], [0, points[marked, 1]], color=COLOUR["accent"], lw=1.2)
    ax.scatter(*points[marked], s=45, color=COLOUR["accent"], edgecolor="white", zorder=4)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)


def _logit_change(change: float, rounding: float) -> str:
    return "none" if change == 0 else "float32 rounding" if change <= rounding else f"{change:.2g}"


def _says(frames: Sequence[Mapping[str, Any]], rounding: float, null: float) -> str:
    angles = ", ".join(f"{frame['angle']:.0f}" for frame in frames)
    most = max(frame["change"] for frame in frames)
    stays = (
        "no logit changes by more than float32 rounding"
        if most <= rounding
        else f"a logit changes by up to {most:.1g}"
    )
    first, last = frames[0]["kurtosis"], frames[-1]["kurtosis"]
    return (
        f"The same model at {angles} degrees: points and weights turn, and {stays}. The "
        "coordinates' kurtosis goes from "
        f"{first:.1f} to {last:.1f}; where no coordinate is special it is {null:.1f}."
    )
