"""The picture that notebook 07 opens with: a stream an optimiser, and how loud its coordinates
are."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes

from helpers.plotting.core import CHANCE, QUIET, SIGNED, Picture, array, figure, styled
from helpers.plotting.optimizers import LABEL, OPTIMISER

TOP = 4.5  # of all axes, unless a coordinate is larger: figures before and after a turn compare


@styled
def four_streams(
    streams: Mapping[str, Any], loud: Mapping[str, Collection[int]], title: str = ""
) -> Picture:
    """A stream [batch, pos, d_model] by the optimiser that made it, two in a row. Above, how large
    each coordinate is: its root mean square over all tokens, where 1 is what it would be if all
    were alike. Below, the first sequence, a row a position. The coordinates in `loud` are
    coloured, and it is said what they carry of the squared length."""
    scaled = {name: _to_size_one(array(x)) for name, x in streams.items()}
    sizes = {name: np.sqrt(np.square(x).mean((0, 1))) for name, x in scaled.items()}
    carried = {
        name: f"{np.square(size[[*loud[name]]]).sum() / np.square(size).sum():.0%} of the squared "
        f"length in {len(loud[name])} of {len(size)}"
        for name, size in sizes.items()
    }
    rows = -(-len(streams) // 2)
    fig = figure(height=2.7 * rows + 0.3)
    panels = fig.subfigures(rows, 2, wspace=0.04, hspace=0.05, squeeze=False).flatten()
    for panel, (name, x) in zip(panels[: len(scaled)], scaled.items(), strict=True):
        bars, board = panel.subplots(2, 1, height_ratios=[1, 1.7])
        _draw_bars(bars, sizes[name], loud[name], OPTIMISER[name], carried[name])
        bars.set_title(LABEL[name], fontsize=9, weight="bold", pad=3)
        board.imshow(x[0], cmap=SIGNED, vmin=-3, vmax=3, aspect="auto")
        board.set(xticks=[], yticks=[], ylabel="position", xlabel="coordinate of the stream")
        board.spines[:].set_visible(True)
    fig.suptitle(title, x=0.01, ha="left")
    told = "; ".join(f"{LABEL[name]} {words}" for name, words in carried.items())
    return fig, (
        "The last stream by optimiser, red above zero and blue below, and how large each of its "
        f"coordinates is. {told}."
    )


def _to_size_one(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(np.square(x).mean())


def _draw_bars(ax: Axes, sizes: np.ndarray, loud: Collection[int], colour: str, said: str) -> None:
    places = np.arange(len(sizes))
    colours = [colour if place in loud else QUIET for place in places]
    ax.bar(places, sizes, width=0.86, color=colours)
    ax.axhline(1, **CHANCE)
    ax.set(
        xlim=(-0.5, len(sizes) - 0.5),
        ylim=(0, 1.3 * max(TOP, sizes.max())),
        xticks=[],
        ylabel="size",
    )
    ax.yaxis.set_major_locator(ticker.MaxNLocator(3, integer=True))
    place = dict(transform=ax.transAxes, ha="right", va="top")
    ax.text(1, 0.99, said, **place)
