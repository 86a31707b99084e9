"""A picture of a stream that turns."""

from collections.abc import Sequence

import numpy as np
from matplotlib import ticker

from helpers.plotting.core import COLOUR, Picture, array, chance_line, figure, nought, styled

FLOOR = 1e-8  # of the axis of changes: what is smaller lies on it


@styled
def turned(
    angles: Sequence[float],
    changes: Sequence[float],
    kurtosis: Sequence[float],
    coordinates: Sequence,
    rounding: float,
    null: float,
    title: str = "",
) -> Picture:
    """A model whose stream turns through some angles (degrees): left one token's coordinates at the
    first and at the last of them, right what that does to the logits and to the kurtosis.

    `changes`: the largest of a logit at each angle. `rounding`: what float32 may change; `null`:
    the kurtosis of a vector that points anywhere.
    """
    fig = figure(height=4, layout=None)
    before, after = (fig.add_axes((0.09, floor, 0.36, 0.29)) for floor in (0.52, 0.13))
    change, tails = (fig.add_axes((0.56, floor, 0.31, 0.25)) for floor in (0.56, 0.13))
    reach = 1.1 * max(np.abs(array(values)).max() for values in coordinates)
    ends = (angles[0], angles[-1])
    for ax, values, angle in zip((before, after), coordinates, ends, strict=True):
        ax.bar(range(len(values)), array(values), width=0.9, color=COLOUR["previous_token"])
        ax.set(ylim=(-reach, reach), xticks=[], ylabel=f"at {angle:g}°")
        nought(ax)
    after.set(xlabel="coordinates of the stream, at one token")
    moved = np.where(
        np.array(changes) > 0, np.clip(changes, FLOOR, None), np.nan
    )  # no logarithm of 0
    change.axhspan(FLOOR / 10, rounding, color=COLOUR["copying"], alpha=0.12, lw=0)
    change.plot(angles, moved, "o-", ms=4, color=COLOUR["copying"])
    change.text(angles[0], FLOOR / 10, " float32 rounding", va="bottom")
    change.set(yscale="log", ylim=(FLOOR / 10, max(1e3, 2 * max(changes))), xticklabels=[])
    change.yaxis.set_major_locator(ticker.FixedLocator([1e-6, 1e-3, 1]))
    change.yaxis.set_minor_locator(ticker.NullLocator())
    change.set_title("largest change of a logit")
    tails.plot(angles, kurtosis, "o-", ms=4, color=COLOUR["accent"])
    chance_line(tails, null, "no axis\nis special")
    tails.set(xlabel="angle (degrees)", ylim=(0, 1.15 * max(*kurtosis, null)))
    tails.set_title("kurtosis of the coordinates")
    for ax in (change, tails):
        ax.set(xlim=(angles[0] - 4, angles[-1] + 4))
        ax.xaxis.set_major_locator(ticker.MultipleLocator(30))
    stays = "goes on as before" if max(changes) <= rounding else "does not bear it"
    fig.suptitle(title or f"The stream turns, and the model {stays}", x=0.01, ha="left")
    return fig, _says(angles, changes, kurtosis, rounding, null)


def _says(angles, changes, kurtosis, rounding: float, null: float) -> str:
    most = max(changes)
    stays = (
        "no logit changes by more than float32 rounding"
        if most <= rounding
        else f"a logit changes by up to {most:.1g}"
    )
    return (
        f"The same model from {angles[0]:g} to {angles[-1]:g} degrees: its coordinates turn, and "
        f"{stays}. Their kurtosis goes from {kurtosis[0]:.1f} to {kurtosis[-1]:.1f}; where no "
        f"coordinate is special it is {null:.1f}."
    )
