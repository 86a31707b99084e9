"""Pictures of a plateau: what waits for what, and how much chance there is in it."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker

from helpers.plotting.core import (
    COLOUR,
    FAINT,
    NAME,
    Picture,
    array,
    chance_line,
    figure,
    nought,
    styled,
    with_looks,
)

LATE = {"prefix_matching": NAME["prefix_matching"], "previous_token": NAME["previous_token"]} | {
    "copying_weights": "copying, in the weights",
    "matching_weights": "matching, in the weights",
}


@styled
def fits(losses: Mapping[str, object]) -> Picture:
    """The loss of a product of factors over steps [seeds, steps]: thin lines single draws, thick
    ones their median."""
    fig = figure(height=3.2)
    ax = fig.subplots()
    looks = zip(
        (COLOUR["loss"], COLOUR["previous_token"], COLOUR["prefix_matching"]),
        ("solid", (0, (6, 2)), "dashdot"),
        strict=True,
    )
    halves, top = [], 1.25
    for (name, curves), (colour, dash) in with_looks(losses, looks):
        curves = array(curves)
        steps = np.arange(1, curves.shape[1] + 1)
        ax.plot(steps, curves.T, color=colour, lw=0.5, alpha=0.3)
        middle = np.median(curves, 0)
        ax.plot(steps, middle, color=colour, ls=dash, lw=2.4, label=name)
        halved = f"about {float(f'{(middle < 0.5).argmax():.1g}'):g}"
        halves.append(f"{name} {halved if min(middle) < 0.5 else 'never'}")
        top = max(top, 1.05 * max(middle))
    ax.set(
        xscale="log",
        xlabel="step of gradient descent",
        ylabel="loss\n(1: nothing is known)",
        ylim=(-0.02, top),
    )
    ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.legend(fontsize=8.5)
    ax.set_title("A product of three factors learns nothing, and then everything")
    return fig, f"Steps until the median loss is halved: {', '.join(halves)}."


@styled
def lottery(seeds) -> Picture:
    """Left: when each thing is first seen, as a histogram over the seeds. Right: which head of the
    last layer was first to match prefixes."""
    events = dict(
        copying_weights=0.5, matching_weights=0.5, previous_token=0.1, prefix_matching=0.5
    )
    colours = dict(copying_weights=COLOUR["copying"], matching_weights=COLOUR["accent"])
    fig = figure(height=6)
    left, right = fig.subplots(2, 1, height_ratios=[1.5, 1])
    told, end = [], 150
    for row, (name, threshold) in enumerate(events.items()):
        steps = array(seeds.first(name, threshold))
        values, counts = np.unique(steps[~np.isnan(steps)], return_counts=True)
        left.bar(
            values,
            0.85 * counts / counts.max(initial=1),
            width=1.7,
            bottom=-row,
            color=colours.get(name, COLOUR.get(name)),
        )
        left.axhline(-row, color=FAINT, lw=0.8, zorder=0)
        left.text(
            82,
            -row + 0.12,
            f"{LATE[name]} above {threshold:g}",
            fontsize=9,
            ha="left",
            color=colours.get(name, COLOUR.get(name)),
        )
        told.append(f"{LATE[name]} above {threshold:g}, {_when(steps)}")
        end = max([end, *(values + 2)])
    left.set(xlabel="training step", yticks=[], xlim=(-2, end), ylim=(-len(events) + 0.75, 1.0))
    left.spines["left"].set_visible(False)
    left.set_title(f"The order of things, in {len(seeds.loss)} seeds")
    winners = np.bincount(seeds.first_heads(), minlength=seeds.prefix_matching.shape[-1])
    bars = right.bar(
        [f"head {i}" for i in range(len(winners))],
        winners,
        color=COLOUR["prefix_matching"],
        width=0.7,
    )
    right.bar_label(bars, padding=2, fontsize=9)
    chance_line(right, len(seeds.loss) / len(winners), "an even\nshare")
    right.set(ylabel="seeds", ylim=(0, winners.max(initial=1) * 1.2))
    right.set_title("Who is first? A lottery")
    return (
        fig,
        f"First seen: {'; '.join(told)}. First to match prefixes: each of the {len(winners)} heads "
        f"of the last layer in {winners.min()} to {winners.max()} seeds.",
    )


def _when(steps: np.ndarray) -> str:
    """The median step and the span, and how many came at all, if not all did."""
    seen = steps[~np.isnan(steps)]
    if not len(seen):
        return "in no seed"
    some = f" in {len(seen)} of {len(steps)} seeds" * (len(seen) < len(steps))
    return f"median step {np.median(seen):.0f} ({seen.min():.0f} to {seen.max():.0f}){some}"


@styled
def first_layer_story(steps: Sequence[int], training: Mapping[str, Sequence[float]]) -> Picture:
    """One training, at some of its steps: how far the second layer matches, by its weights
    ("matching"), the share of rows in which the gradient pulls the first layer to the token before
    ("pull"), and how much the first layer looks there ("looking_back")."""
    looks = {
        "matching": ("matching, in the weights", COLOUR["accent"], "solid"),
        "pull": ("rows pulled to the token before", COLOUR["loss"], (0, (6, 2))),
        "looking_back": ("attention on the token before", COLOUR["previous_token"], "dashdot"),
    }
    fig = figure(height=3.3)
    ax = fig.subplots()
    halves, low = [], -0.12
    for key, (name, colour, dash) in looks.items():
        values = np.array(training[key])
        ax.plot(steps, values, color=colour, ls=dash, marker="o", ms=3.5, lw=2, label=name)
        above = [step for step, value in zip(steps, values, strict=True) if value > 0.3]
        until = ", not at the end" if values[-1] <= 0.3 else ""
        halves.append(f"{name} first at step {above[0]}{until}" if above else f"{name} at no step")
        low = min(low, 1.1 * values.min())
    ax.set(xlabel="training step", ylabel="share", ylim=(low, 1.04))
    nought(ax)
    ax.legend(loc="upper left", fontsize=8.5)
    ax.set_title("One training: what moves first?")
    return fig, f"Above 0.3: {'; '.join(halves)}."
