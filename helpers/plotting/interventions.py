"""Pictures of what a model loses, of why, and of how much chance there is in it."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
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
def composition(
    scores: Mapping[str, object],
    null: Mapping[str, object],
    chosen: Mapping[str, object],
    ceiling: float,
) -> Picture:
    """Every pair's composition score by kind, beside what random rotations give. `chosen`: pairs to
    mark, a mask a kind."""
    fig = figure(7.2, 3.9)
    ax = fig.subplots()
    for x, kind in enumerate(scores):
        draws, values, marked = (
            np.ravel(array(null[kind])),
            np.ravel(array(scores[kind])),
            np.ravel(array(chosen[kind])),
        )
        parts = ax.violinplot(draws, [x - 0.18], widths=0.3, showextrema=False)
        for part in parts["bodies"]:
            part.set(facecolor=COLOUR["chance"], alpha=0.45, lw=0)
        offsets = x + 0.18 + 0.16 * np.linspace(-1, 1, len(values))
        ax.scatter(offsets[~marked], values[~marked], s=30, color="#8f979d", lw=0)
        ax.scatter(
            offsets[marked],
            values[marked],
            s=50,
            color=COLOUR["prefix_matching"],
            marker="D",
            edgecolor="white",
            lw=0.7,
        )
    ax.set_xticks(range(len(scores)), [f"{kind}-composition" for kind in scores])
    ax.set(ylabel="composition score", ylim=(0, None))
    ax.axhline(ceiling, color="#555555", lw=1, ls="--", zorder=0)
    ax.text(
        len(scores) - 0.52,
        ceiling,
        "perfect fit, even singular values",
        fontsize=8,
        color="#555555",
        ha="right",
        va="bottom",
    )
    ax.set_title("Grey shapes: readers turned at random. Diamonds: previous-token to induction")
    above = {kind: int((array(scores[kind]) > array(null[kind]).max(0)).sum()) for kind in scores}
    told = ", ".join(f"{kind} {count}" for kind, count in above.items())
    best = {kind: two_digits(float(array(scores[kind]).max())) for kind in scores}
    return (
        fig,
        f"Pairs above everything that chance gave, of {np.size(array(scores['K']))}: {told}; the "
        "largest scores: " + ", ".join(f"{k} {v}" for k, v in best.items()) + ".",
    )


@styled
def signed_board(
    values,
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    title: str = "",
    breaks: Sequence[int] = (),
) -> Picture:
    """Signed numbers as a board, printed in each cell, in colours centred on zero. `breaks`:
    columns that open a new group."""
    values = array(values)
    fig = figure(0.72 * len(columns) + 3.4, 0.46 * len(rows) + 1.5)
    ax = fig.subplots()
    most = max(np.abs(values).max(), 1e-9)
    image = ax.imshow(
        values,
        cmap=SIGNED,
        norm=mpl.colors.SymLogNorm(most / 10, vmin=-most, vmax=most),
        aspect="auto",
    )
    for (y, x), value in np.ndenumerate(values):
        ax.text(
            x,
            y,
            two_digits(value),
            ha="center",
            va="center",
            fontsize=8.5,
            color=ink(image.cmap(image.norm(value))),
        )
    for at in breaks:
        ax.axvline(at - 0.5, color="white", lw=5)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0, labelsize=8.5)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    ax.set_xlabel(label)
    y, x = np.unravel_index(np.abs(values).argmax(), values.shape)
    small = int((np.abs(values) < most / 30).sum())
    return fig, (
        f"{label[0].upper()}{label[1:]}: the largest is {two_digits(values[y, x])} "
        f"({_line(rows[y])}, {_line(columns[x])}); "
        f"{small} of {values.size} are less than a thirtieth of it."
    )


def _line(label: str) -> str:
    return " ".join(label.replace("-\n", "-").split())


@styled
def seed_curves(
    runs: Mapping[str, object],
    chance: float,
    score: str = "prefix_matching",
    title: str = "",
    last_step: int = 400,
) -> Picture:
    """The best head's score in many trainings: a thin line a seed, a thick one for the median, a
    colour a condition."""
    fig = figure(8.4, 3.7)
    ax = fig.subplots()
    looks = zip(
        (COLOUR[score], COLOUR["previous_token"], COLOUR["control"], COLOUR["accent"]),
        ("solid", (0, (6, 2)), "dotted", "dashdot"),
        strict=True,
    )
    told = []
    for (name, run), (colour, dash) in zip(runs.items(), looks, strict=False):
        until = sum(step <= last_step for step in run.steps)
        steps, best = run.steps[:until], array(run.best(score))[:, :until]
        ax.plot(steps, best.T, color=colour, lw=0.5, alpha=0.35)
        ax.plot(
            steps,
            np.median(best, 0),
            color=colour,
            ls=dash,
            lw=2.4,
            label=f"{name} ({len(best)} seeds)",
        )
        reached = array(run.first(score))
        reached = reached[~np.isnan(reached)]
        told.append(
            f"{name}, {len(reached)} of {len(best)} seeds"
            + (f", median step {np.median(reached):.0f}" if len(reached) else "")
        )
    chance_line(ax, chance, f"chance: {chance:.2f}")
    ax.set(
        xlabel="training step",
        ylabel=f"best head's {NAME[score]}",
        ylim=(-0.02, 1.04),
        xlim=(0, last_step),
    )
    ax.legend(loc="center right", fontsize=8.5)
    ax.set_title(title)
    return fig, f"Which trainings pass one half, and when: {'; '.join(told)}."


@styled
def recovered(
    by_model: Mapping[str, Mapping[str, float]],
    wrong: Sequence[str] = (),
    title: str = "",
    coarse: Sequence[str] = (),
) -> Picture:
    """The share of the heads' worth that is left when they are replaced, a panel a model and a bar
    a replacement.

    Bars of `wrong` are controls: replacements that contradict the story. The sentence gives the
    numbers of the models in `coarse` in words: they were measured on text that is not the same on
    every machine.
    """
    fig = figure(9.6, 0.42 * len(next(iter(by_model.values()))) + 1.4)
    axes = fig.subplots(1, len(by_model), squeeze=False, sharey=True)[0]
    for ax, (model, bars) in zip(axes, by_model.items(), strict=True):
        values = np.array(list(bars.values()))
        drawn = ax.barh(list(bars), values.clip(-0.6, None), color=COLOUR["copying"], height=0.66)
        for name, bar in zip(bars, drawn, strict=True):
            if name in wrong:
                bar.set(facecolor="#d5d9dc", hatch="//", edgecolor="white")
        for place, value in enumerate(values):
            cut = "\u2190 " if value < -0.6 else ""  # the bar goes on beyond the axis
            ax.text(
                max(value, 0) + 0.02,
                place,
                cut + two_digits(value),
                va="center",
                fontsize=8.5,
                bbox=dict(facecolor="white", lw=0, pad=1),
            )
        for at, dash in ((0, "solid"), (1, (0, (3, 2)))):
            ax.axvline(at, color="#777777", lw=0.9, ls=dash, zorder=0)
        ax.set(xlim=(-0.6, 1.25), xlabel="share of the loss recovered")
        ax.set_title(model)
        ax.tick_params(axis="y", length=0)
    axes[0].invert_yaxis()
    if title:
        fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    told = []
    for model, bars in by_model.items():
        word = _share if model in coarse else two_digits
        told.append(
            f"{model}: " + ", ".join(f"{name} {word(value)}" for name, value in bars.items())
        )
    return fig, f"Share of the loss recovered. {'; '.join(told)}."


def _share(value: float) -> str:
    return "most" if value > 0.8 else "part" if value > 0.2 else "little" if value > 0 else "none"


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
