"""What a group expected, and what came."""

import textwrap
from collections.abc import Mapping
from statistics import median

import numpy as np
from matplotlib.ticker import MaxNLocator

from helpers.plotting.core import COLOUR, QUIET, Picture, figure, hatched, styled


def number_words(number: float) -> str:
    """200, 2,400, 0.25: a whole number whole, another with four digits."""
    return f"{int(number):,}" if float(number).is_integer() else f"{number:.4g}"


@styled
def votes(
    question: str,
    choices: Mapping[str, str],
    everyone: Mapping[str, tuple[str, float | None]],
    outcome: str = "",
    number: float | None = None,
) -> Picture:
    """A bar a choice, as long as people took it; where numbers were given, each as a point in the
    row of its choice. `outcome` and `number`: what came, once it has.

    Who took none of the choices is left out, and said to be. ValueError when that is everybody.
    """
    took = {
        letter: [name for name, (one, _) in everyone.items() if one == letter] for letter in choices
    }
    total = sum(map(len, took.values()))
    if not total:
        raise ValueError(f"none of {len(everyone)} has answered {question!r}; collect again")
    numbers = {
        name: (list(choices).index(one), value)
        for name, (one, value) in everyone.items()
        if one and value is not None
    }
    fig = figure(height=1.3 + 0.62 * len(choices))
    if numbers:
        bars, points = fig.subplots(1, 2, sharey=True, width_ratios=[1.4, 1])
        _draw_numbers(points, [*numbers.values()], number)
    else:
        bars = fig.subplots()
    _draw_bars(bars, choices, took, outcome, letters=22 if numbers else 48)
    bars.set_title("\n".join(textwrap.wrap(question, 48 if numbers else 90)))
    return fig, _sentence(took, total, len(everyone) - total, [*numbers.values()], outcome, number)


def _draw_bars(ax, choices, took: Mapping[str, list[str]], outcome: str, letters: int):
    """Behind each bar its count and as many names as `letters` hold."""
    for row, (letter, names) in enumerate(took.items()):
        came = letter == outcome
        look = hatched(COLOUR["accent"]) if came else dict(color=QUIET)
        ax.barh(row, len(names), height=0.62, **look)
        who = textwrap.shorten(", ".join(names), letters, placeholder=" ...")
        label = f"{len(names)}  {who}" + "\n← it came" * came
        beside = dict(xytext=(5, 0), textcoords="offset points", va="center")
        ax.annotate(label, (len(names), row), **beside)
    lines = [textwrap.wrap(f"{letter}  {text}", 30)[:3] for letter, text in choices.items()]
    ax.set_yticks(range(len(choices)), ["\n".join(line) for line in lines])
    most = max(map(len, took.values()))
    ax.set(xlabel="people who chose it", xlim=(0, most * 1.9), ylim=(len(choices) - 0.45, -0.55))
    ticks = MaxNLocator(integer=True, nbins=5).tick_values(0, most)
    ax.set_xticks([tick for tick in ticks if 0 <= tick <= most])


def _draw_numbers(ax, numbers: list[tuple[int, float]], came: float | None):
    rows, values = np.array(numbers).T
    ax.plot(values, rows, "o", color=COLOUR["previous_token"], ms=8, alpha=0.85, mew=0)
    if came is not None:
        ax.axvline(came, color=COLOUR["accent"], lw=2.5, zorder=0)
        ax.annotate(
            f"it came at {number_words(came)}",
            (came, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
        )
    ax.set(xlabel="the number each gave")
    ax.margins(x=0.08)


def _sentence(took, total, silent, numbers, outcome, number) -> str:
    counts = ", ".join(f"{len(names)} {letter}" for letter, names in took.items())
    says = f"Of {total} people {counts}"
    if outcome:
        came = "" if number is None else f" at {number_words(number)}"
        says += f"; it was {outcome}{came}, which {len(took[outcome])} of {total} expected"
    if numbers:
        values = [value for _, value in numbers]
        says += (
            f". Their numbers run from {number_words(min(values))} to {number_words(max(values))}, "
            f"and the middle one is {number_words(median(values))}"
        )
    left = f" {silent} without a choice {'is' if silent == 1 else 'are'} not counted."
    return f"{says}.{left * bool(silent)}"
