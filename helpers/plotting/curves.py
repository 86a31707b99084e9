"""Lines that share their axes, and one number beside many: for what needs no picture of its own."""

from collections.abc import Mapping, Sequence

import numpy as np

from helpers.plotting.core import (
    COLOUR,
    Picture,
    array,
    chance_line,
    figure,
    styled,
    two_digits,
    with_looks,
)

LOOKS = [
    (COLOUR["prefix_matching"], "-"),
    (COLOUR["previous_token"], (0, (5, 2))),
    (COLOUR["copying"], (0, (3, 1, 1, 1))),
    (COLOUR["control"], (0, (1, 1))),
    (COLOUR["accent"], (0, (6, 1, 1, 1, 1, 1))),
]


@styled
def lines(
    curves: Mapping[str, Mapping[float, float]],
    xlabel: str,
    ylabel: str,
    title: str = "",
    chance: float | None = None,
    log: bool = False,
) -> Picture:
    """Up to five curves, each from x to y, in colours and dashes of their own, with their names in
    a legend. `log`: the y axis is logarithmic."""
    fig = figure(6.6, 3.2)
    ax = fig.subplots()
    for (name, curve), (colour, dash) in with_looks(curves, LOOKS):
        ax.plot(list(curve), list(curve.values()), color=colour, ls=dash, label=name)
    if chance is not None:
        chance_line(ax, chance, f"chance:\n{chance:.2f}")
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    ax.legend(handlelength=3.2)
    ax.set_title(title)
    told = "; ".join(_ends(name, curve) for name, curve in curves.items())
    return fig, f"{ylabel[0].upper()}{ylabel[1:]} over {xlabel}: {told}."


def _ends(name: str, curve: Mapping[float, float]) -> str:
    top = max(curve, key=curve.get)
    first, last = (two_digits(curve[at]) for at in (next(iter(curve)), list(curve)[-1]))
    return f"{name} from {first} to {last}, highest at {top:g} with {two_digits(curve[top])}"


@styled
def beside_others(
    groups: Mapping[str, tuple[float, Sequence[float]]], xlabel: str, title: str = ""
) -> Picture:
    """For each row one number, and beside it what as many others, drawn at random, give: a diamond
    and dots on one axis."""
    fig = figure(6.6, 0.4 * len(groups) + 1.6)
    ax = fig.subplots()
    for place, (one, others) in enumerate(groups.values()):
        others = array(others)
        # spread a little, so that equal ones can be counted
        up = 0.12 * np.cos(2.4 * np.arange(len(others)))
        ax.plot(others, place + up, "o", ms=5, color=COLOUR["chance"], alpha=0.7, mew=0)
        ax.plot(one, place, "D", ms=8, color=COLOUR["prefix_matching"])
    marks = dict(zip(ax.lines[:2], ("as many others, at random", "these heads"), strict=True))
    fig.legend(marks, marks.values(), loc="outside lower right", ncols=2, handletextpad=0.1)
    ax.set_yticks(range(len(groups)), groups)
    ax.set(xlabel=xlabel, ylim=(len(groups) - 0.5, -0.5))
    ax.margins(x=0.06)
    ax.set_title(title)
    told = "; ".join(
        f"{' '.join(name.split())} {two_digits(one)}, as many others {two_digits(min(others))} to "
        f"{two_digits(max(others))}"
        for name, (one, others) in groups.items()
    )
    return fig, f"{xlabel[0].upper()}{xlabel[1:]}: {told}."
