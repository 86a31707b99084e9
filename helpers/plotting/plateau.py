"""Pictures of a plateau: what waits for what, and how much chance there is in it."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker

from helpers.plotting.core import (
    COLOUR,
    NAME,
    SIGNED,
    Picture,
    array,
    chance_line,
    figure,
    ink,
    styled,
    two_digits,
)

LATE = {"prefix_matching": NAME["prefix_matching"], "previous_token": NAME["previous_token"]} | {
    "copying_weights": "copying, in the weights",
    "matching_weights": "matching, in the weights",
}


@styled
def fits(losses: Mapping[str, object]) -> Picture:
    """The loss of a product of factors over steps [seeds, steps]: thin lines single draws, thick
    ones their median."""
    fig = figure(7.6, 3.4)
    ax = fig.subplots()
    looks = zip(
        (COLOUR["loss"], COLOUR["previous_token"], COLOUR["prefix_matching"]),
        ("solid", (0, (6, 2)), "dashdot"),
        strict=True,
    )
    halves = []
    for (name, curves), (colour, dash) in zip(losses.items(), looks, strict=False):
        curves = array(curves)
        steps = np.arange(1, curves.shape[1] + 1)
        ax.plot(steps, curves.T, color=colour, lw=0.5, alpha=0.3)
        ax.plot(steps, np.median(curves, 0), color=colour, ls=dash, lw=2.4, label=name)
        halves.append(f"{name} about {float(f'{(np.median(curves, 0) < 0.5).argmax():.1g}'):g}")
    ax.set(
        xscale="log",
        xlabel="step of gradient descent",
        ylabel="loss\n(1: nothing is known)",
        ylim=(-0.02, 1.25),
    )
    ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.legend(fontsize=8.5)
    ax.set_title("A product of three factors learns nothing, and then everything")
    return fig, f"Steps until the median loss is halved: {', '.join(halves)}."


@styled
def pulls(by_match: Mapping[str, object]) -> Picture:
    """Where one gradient step pulls the first layer's attention: maps [query, key], every row
    relative to its largest entry."""
    fig = figure(3.1 * len(by_match) + 1.2, 3.4)
    axes = fig.subplots(1, len(by_match), squeeze=False, sharey=True)[0]
    told = []
    for ax, (name, pull) in zip(axes, by_match.items(), strict=True):
        pull = array(pull)
        future = np.triu(np.ones_like(pull, dtype=bool), 1)
        relative = pull / np.abs(pull).max(1, keepdims=True).clip(1e-12)
        image = ax.imshow(
            np.ma.masked_array(relative, future),
            cmap=SIGNED.with_extremes(bad="#dddddd"),
            vmin=-1,
            vmax=1,
        )
        ax.set_title(name, fontsize=9.5, pad=5)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=2, labelsize=7)
        rows = range(2, len(pull) - 1)
        hits = sum(
            pull[row, : row + 1].argmax() == row - 1 and pull[row, row - 1] > 0 for row in rows
        )
        told.append(
            f"{name}, in {hits} of {len(rows)} rows"
            if np.any(pull)
            else f"{name}, nowhere, for every entry is zero"
        )
    axes[0].set(xlabel="key (attended to)", ylabel="query (attending)")
    bar = fig.colorbar(image, ax=axes, shrink=0.75, aspect=25, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["less attention", "no pull", "more attention"], fontsize=8.5)
    fig.suptitle(
        "Where the gradient pulls the first layer, each row to its own scale",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    fig.get_layout_engine().set(h_pad=0.1)
    return fig, f"Where the pull is strongest on the token before: {'; '.join(told)}."


@styled
def lottery(seeds) -> Picture:
    """Left: when each thing is first seen, as a histogram over the seeds. Right: which head of the
    last layer was first to match prefixes."""
    events = dict(
        copying_weights=0.5, matching_weights=0.5, previous_token=0.1, prefix_matching=0.5
    )
    colours = dict(copying_weights=COLOUR["copying"], matching_weights=COLOUR["accent"])
    fig = figure(9.6, 3.9)
    left, right = fig.subplots(1, 2, width_ratios=[2.6, 1])
    told = []
    for row, (name, threshold) in enumerate(events.items()):
        steps = array(seeds.first(name, threshold))
        values, counts = np.unique(steps[~np.isnan(steps)], return_counts=True)
        left.bar(
            values,
            0.85 * counts / counts.max(),
            width=1.7,
            bottom=-row,
            color=colours.get(name, COLOUR.get(name)),
        )
        left.axhline(-row, color="#cccccc", lw=0.8, zorder=0)
        left.text(
            93,
            -row + 0.12,
            f"{LATE[name]} above {threshold:g}",
            fontsize=9,
            ha="left",
            color=colours.get(name, COLOUR.get(name)),
        )
        told.append(
            f"{LATE[name]} above {threshold:g}, median step {np.nanmedian(steps):.0f} "
            f"({values.min():.0f} to {values.max():.0f})"
        )
    left.set(xlabel="training step", yticks=[], xlim=(-2, 150), ylim=(-len(events) + 0.75, 1.0))
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
    right.set(ylabel="seeds", ylim=(0, winners.max() * 1.2))
    right.set_title("Who is first? A lottery")
    return (
        fig,
        f"First seen: {'; '.join(told)}. First to match prefixes: each of the {len(winners)} heads "
        f"of the last layer in {winners.min()} to {winners.max()} seeds.",
    )


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
    fig = figure(7.6, 3.5)
    ax = fig.subplots()
    halves = []
    for key, (name, colour, dash) in looks.items():
        values = np.array(training[key])
        ax.plot(steps, values, color=colour, ls=dash, marker="o", ms=3.5, lw=2, label=name)
        above = [step for step, value in zip(steps, values, strict=True) if value > 0.3]
        halves.append(f"{name} from step {above[0]}" if above else f"{name} at no step")
    ax.set(xlabel="training step", ylabel="share", ylim=(-0.12, 1.04))
    ax.axhline(0, color="#cccccc", lw=0.8, zorder=0)
    ax.legend(loc="upper left", fontsize=8.5)
    ax.set_title("One training: what moves first?")
    return fig, f"Above 0.3: {', '.join(halves)}."


@styled
def who_is_first(
    shares: Mapping[str, object], thresholds: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> Picture:
    """The share of trainings in which one thing comes before another, a board a pair of them: rows
    by the threshold of the one, columns by that of the other. The boards' names are "one before
    other"."""
    fig = figure(4.1 * len(shares) + 1.0, 2.9)
    axes = fig.subplots(1, len(shares), squeeze=False)[0]
    told = []
    for ax, (name, board) in zip(axes, shares.items(), strict=True):
        board, (rows, columns) = array(board), thresholds[name]
        one, other = name.split(" before ")
        image = ax.imshow(board, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for (y, x), value in np.ndenumerate(board):
            face = image.cmap(image.norm(value))
            ax.text(x, y, two_digits(value), ha="center", va="center", fontsize=9, color=ink(face))
        ax.set_xticks(range(len(columns)), [f"{threshold:g}" for threshold in columns])
        ax.set_yticks(range(len(rows)), [f"{threshold:g}" for threshold in rows])
        ax.set(xlabel=f"{other}: above", ylabel=f"{one}: above")
        ax.set_title(name, fontsize=10)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        told.append(
            f"{name}, in {(board >= 0.9).sum()} of {board.size} pairs of thresholds in nine of ten "
            "trainings or more"
        )
    fig.colorbar(image, ax=axes, shrink=0.9, aspect=18, label="share of trainings")
    return fig, f"What comes first: {'; '.join(told)}."
