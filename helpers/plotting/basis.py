"""Pictures of a model in other coordinates: what turns with them, and what stays."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from helpers.plotting.core import (
    COLOUR,
    INK,
    SIGNED,
    Picture,
    array,
    figure,
    letters,
    styled,
    with_looks,
)


@styled
def signed_maps(
    rows: Mapping[str, Mapping[str, Any]],
    title: str = "",
    across: str = "",
) -> Picture:
    """Matrices as maps of signed values, red above zero and blue below: a row of panels each, by
    name. Every panel has a scale of its own, from minus its largest value to that. `across` says
    what runs from left to right."""
    names = list(next(iter(rows.values())))
    shapes = [array(next(iter(rows.values()))[name]).shape for name in names]
    fig = figure(height=0.5 + len(rows) * 1.75)
    axes = fig.subplots(
        len(rows), len(names), squeeze=False, width_ratios=[max(width, 24) for _, width in shapes]
    )
    for column, name in enumerate(names):
        for row, (label, panels) in enumerate(rows.items()):
            ax, values = axes[row, column], array(panels[name])
            top = np.abs(values).max()
            ax.imshow(values, cmap=SIGNED, vmin=-top, vmax=top, aspect="auto")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(True)
            if row == 0:
                ax.set_title(name, fontsize=9, pad=4, loc="center")
            if column == 0:
                ax.set_ylabel(label, fontsize=9)
    fig.supxlabel(across, fontsize=9)
    fig.suptitle(title, x=0.01, ha="left")
    sticking_out = [
        f"{' '.join(label.split())}: "
        + ", ".join(
            f"{name} {np.abs(x).max() / np.sqrt(np.mean(x**2)):.0f}"
            for name, x in zip(names, map(array, panels.values()), strict=True)
        )
        for label, panels in rows.items()
    ]
    return (
        fig,
        "Maps of signed values; the largest entry over the root mean square. "
        f"{'; '.join(sticking_out)}.",
    )


SPAN = dict(alpha=0.12, lw=0, zorder=0)
SAME = dict(float32=1e-4, float64=1e-10)  # what each precision promises where nothing should change
CHANGED = 1e-1  # and what counts as a change


@styled
def changes(
    measured: Mapping[str, Mapping[str, float]], title: str = "", moved: Sequence[str] = ()
) -> Picture:
    """How far each thing changed, on a logarithmic axis; `measured[precision][thing]`. Those in
    `moved` are meant to."""
    things = list(next(iter(measured.values())))
    fig = figure(height=0.31 * len(things) + 1.3)
    ax = fig.subplots()
    floor, top = 1e-17, max(30, *(2 * max(values.values()) for values in measured.values()))
    same = max(SAME[precision] for precision in measured)
    ax.axvspan(floor, same, **SPAN, color=COLOUR["copying"])
    ax.axvspan(CHANGED, top, **SPAN, color=COLOUR["prefix_matching"])
    marks = dict(float32="o", float64="D")
    for precision, values in measured.items():
        for y, thing in enumerate(things):
            ax.plot(
                max(values[thing], floor * 2),
                y,
                marks[precision],
                color=COLOUR["prefix_matching"] if thing in moved else INK,
                ms=6,
                mfc="none" if precision == "float64" else None,
                label=precision if y == len(things) - 1 else None,
            )
    ax.set_yticks(range(len(things)), things)
    ax.set(
        xscale="log",
        xlim=(floor, top),
        ylim=(len(things) - 0.4, -0.6),
        xlabel="largest change, as a share of the largest value",
    )
    for at, side, text in ((1.5e-17, "left", "rounding"), (25, "right", "changed")):
        ax.text(at, len(things) - 0.45, text, va="bottom", ha=side)
    if len(measured) > 1:
        ax.legend(*_unique(ax), loc="upper left", fontsize=8.5)
    ax.grid(axis="x")
    ax.set_title(title)
    least = min(values[thing] for thing in moved for values in measured.values())
    ends = {"no change": [], "changed, too,": []}
    for thing in (thing for thing in things if thing not in moved):
        stays = all(values[thing] < SAME[precision] for precision, values in measured.items())
        ends["no change" if stays else "changed, too,"].append(thing)
    others = ", ".join(f"{', '.join(names)}: {how}" for how, names in ends.items() if names)
    return fig, (
        f"{', '.join(moved)}: changed by "
        f"{'more than a tenth' if least > CHANGED else f'as little as {least:.0e}'}; {others} "
        f"beyond {' and '.join(f'{SAME[precision]:g} in {precision}' for precision in measured)}."
    )


@styled
def allowed(table: Mapping[str, Mapping[str, float]], title: str = "", xlabel: str = "") -> Picture:
    """The largest change of a logit for each normalization and each kind of turn, as a board with
    its numbers: dark where nothing changed, bright where the turn is not allowed."""
    rows, columns = list(table), list(next(iter(table.values())))
    values = np.array([[table[row][column] for column in columns] for row in rows])
    fig = figure(1.8 + 1.3 * len(columns), 0.42 * len(rows) + 1.2)
    ax = fig.subplots()
    exponents = np.log10(np.maximum(values, 1e-16))
    ax.imshow(exponents, cmap="cividis", vmin=-16, vmax=1, aspect="auto")
    for (y, x), exponent in np.ndenumerate(exponents):
        face = mpl.colormaps["cividis"]((exponent + 16) / 17)
        broken = values[y, x] > 0.1
        text = (
            f"breaks: {values[y, x]:.1f}"
            if broken
            else r"$<10^{-10}$"
            if values[y, x] < 1e-10
            else f"{values[y, x]:.0e}"
        )
        ax.text(
            x,
            y,
            text,
            ha="center",
            va="center",
            fontsize=9,
            **letters(face),
            weight="bold" if broken else "normal",
        )
    ax.set_xticks(range(len(columns)), [textwrap.fill(column, 12) for column in columns])
    ax.set_yticks(range(len(rows)), rows)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(xlabel)
    ax.set_title(title, pad=14)
    told = "; ".join(
        f"{row} allows {', '.join(c for c in columns if table[row][c] < 1e-10) or 'none of them'}"
        for row in rows
    )
    return fig, f"{told}."


@styled
def broken_turns(
    angles: Sequence[float], curves: Mapping[str, Sequence[float]], title: str = ""
) -> Picture:
    """The largest change of a logit while the stream turns: `curves[name]` at `angles` (degrees),
    the first as it should be."""
    fig = figure(height=3.8)
    ax = fig.subplots()
    ax.axhspan(1e-7, 1e-4, **SPAN, color=COLOUR["copying"])
    ax.text(0.02, 0.03, "rounding in float32", transform=ax.transAxes)
    looks = [
        (INK, "solid"),
        *(
            (COLOUR[name], dash)
            for name, dash in zip(
                ("prefix_matching", "previous_token", "copying", "control"),
                ((0, (5, 1.5)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (7, 2))),
                strict=True,
            )
        ),
    ]
    for (name, values), (colour, dash) in with_looks(curves, looks):
        ax.plot(angles, np.maximum(values, 1e-7), color=colour, ls=dash, lw=2, label=name)
    ax.set(
        yscale="log",
        ylim=(1e-7, None),
        xlabel="angle of the turn (degrees)",
        ylabel="largest change of a logit",
        xlim=(min(angles), max(angles)),
    )
    fig.legend(loc="outside lower center", ncols=2)
    ax.set_title(title)
    (first, right), *others = curves.items()
    stays = "less than one in ten thousand at every angle"
    least = min(max(values) for _, values in others)
    return fig, (
        f"{first}: logits move by {stays if max(right) < 1e-4 else 'more than rounding'}; "
        f"{', '.join(name for name, _ in others)}: {'' if least > 1e-4 else 'not each '}by more "
        f"than {'a tenth' if least > 0.1 else 'rounding'}."
    )


def _unique(ax: Axes) -> tuple[list, list]:
    """Handles and labels of the legend, each once."""
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    return list(once.values()), list(once)
