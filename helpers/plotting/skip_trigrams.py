"""Pictures of planted skip-trigrams: what a trained head says of them, and who learns them."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np

from helpers.plotting.circuits import signed_map
from helpers.plotting.core import CHANCE, COLOUR, Picture, array, either, figure, styled


@styled
def skip_trigram_board(
    parts: Mapping[str, Any],
    pairs: Sequence[str],
    outs: Sequence[str],
    planted: Sequence[int],
    bugs: Sequence[int],
    title: str = "",
) -> Picture:
    """Parts that sum to the logits, each [pair, out]: framed solid what the data plant, framed
    dashed the bug cells.

    `planted[pair]` and `bugs[pair]` are columns. Each row is measured from the noise tokens, at
    0.
    """
    values = {name: array(part) for name, part in parts.items()}
    planted, bugs = array(planted), array(bugs)
    most = max(float(np.abs(part).max()) for part in values.values())
    *terms, last = values.values()
    off = np.abs(sum(terms) - last).max()
    if off > 1e-3 * most:
        raise ValueError(
            f"the parts before {list(values)[-1]!r} sum to something else, by up to {off:.2g}; "
            "give all of them, and their sum last"
        )
    fig = figure(height=2.5)
    axes = fig.subplots(1, len(values))
    for place, (ax, (name, part)) in enumerate(zip(axes, values.items(), strict=True)):
        signed_map(
            ax,
            part,
            pairs if place == 0 else [""] * len(pairs),
            outs,
            numbers=True,
            digits=0,
            most=most,
        )
        for row, (right, bug) in enumerate(zip(planted, bugs, strict=True)):
            for column, style, colour in (
                (right, "solid", COLOUR["copying"]),
                (bug, (0, (2, 1.2)), COLOUR["accent"]),
            ):
                line = dict(fill=False, ec=colour, lw=2.4, ls=style)
                ax.add_patch(mpl.patches.Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, **line))
        ax.set_title(
            ("= " if place == len(values) - 1 else "+ " if place else "") + name, fontsize=10
        )
    fig.suptitle(title, x=0.01, ha="left")
    rows = np.arange(len(pairs))
    others = last.copy()
    others[rows, planted] = others[rows, bugs] = np.inf
    right, risen = (last.argmax(-1) == planted).sum(), (last[rows, bugs] > others.min(-1)).sum()
    return fig, (
        f"{len(values)} maps of {len(pairs)} contexts by {len(outs)} answers, the last the sum of "
        f"the others. There the planted answer is highest in {right} of {len(pairs)} rows, and the "
        f"bug cell higher than the least of the other cells in {risen}."
    )


@styled
def final_losses(
    losses: Mapping[str, Sequence[float]],
    levels: Mapping[str, float],
    solved: float,
    title: str = "",
) -> Picture:
    """The final loss of every seed, a row a model, with levels drawn. Filled: below `solved`."""
    most = max(map(len, losses.values()))
    fig = figure(height=max(0.6, 0.07 * most) * len(losses) + 1.5)
    ax = fig.subplots()
    for name, level in levels.items():
        ax.axvline(level, **CHANCE)
        ax.annotate(
            name,
            (level, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
        )
    for row, values in enumerate(losses.values()):
        values = np.sort(np.asarray(values))
        # apart, so that equal losses can be counted
        height = row + min(0.09, 0.8 / most) * (np.arange(len(values)) - (len(values) - 1) / 2)
        done = values < solved
        ax.scatter(
            values[done],
            height[done],
            s=36,
            color=COLOUR["copying"],
        )
        ax.scatter(
            values[~done], height[~done], s=36, facecolor="none", edgecolor=COLOUR["loss"], lw=1.6
        )
    ax.set_yticks(range(len(losses)), losses)
    ax.set(
        ylim=(len(losses) - 0.45, -0.55),
        xlim=(-0.04, max(0.78, *(1.05 * max(values) for values in losses.values()))),
        xlabel="final loss (nats). Filled: solved",
    )
    ax.set_title(title, pad=22)
    few, many = (
        (np.asarray(values) < solved).mean()
        for values in (list(losses.values())[0], list(losses.values())[-1])
    )
    return fig, (
        f"Final losses of {either(map(len, losses.values()))} seeds each: with {list(losses)[0]} "
        f"{_share(few)} are solved, with {list(losses)[-1]} {_share(many)}."
    )


def _share(share: float) -> str:
    return "less than half" if share < 0.5 else "more than half" if share > 0.5 else "half"
