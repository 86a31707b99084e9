"""Pictures of trainings on text: when a model begins to learn from its context, in which order
things come, and which heads undo it."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker

from helpers.plotting.core import (
    COLOUR,
    FAINT,
    INK,
    QUIET,
    Picture,
    array,
    chance_line,
    either,
    figure,
    nought,
    styled,
    two_digits,
    with_looks,
)
from helpers.plotting.curves import LOOKS


@styled
def phase_change(
    kinds: Mapping[str, Sequence[Mapping[str, Sequence[float]]]],
    rows: Mapping[str, str],
    title: str = "",
    first: int = 1,
    levels: Mapping[str, tuple[str, float]] | None = None,
) -> Picture:
    """A panel a quantity over the steps of training, from step `first` on: a colour a kind of
    model, a thin line a seed, a thick one for the seeds' mean.

    `kinds`: for each kind its trainings, each with "step" and the quantities; `rows`: quantity ->
    label of its axis; `levels`: quantity -> (name, value) of a line across its panel.
    """
    fig = figure(height=1.5 * len(rows) + 1.1)
    panels = np.atleast_1d(fig.subplots(len(rows), 1, sharex=True))
    last = max(trainings[0]["step"][-1] for trainings in kinds.values())
    told = []
    for ax, (name, label) in zip(panels, rows.items(), strict=True):
        ends = []
        for (kind, trainings), (colour, dash) in with_looks(kinds, LOOKS):
            shown = [step >= first for step in trainings[0]["step"]]
            steps = np.array(trainings[0]["step"])[shown]
            curves = np.array([training[name] for training in trainings], dtype=float)[:, shown]
            ax.plot(steps, curves.T, color=colour, lw=0.6, alpha=0.5)
            ax.plot(steps, curves.mean(0), color=colour, ls=dash, lw=2, label=kind)
            ends.append(f"{kind} {_spread(curves[:, -1])}")
        ax.set(ylabel=label, xscale="log", xlim=(first, last))
        if name in (levels or {}):
            what, level = levels[name]
            chance_line(ax, level, what)
            ends.append(f"{' '.join(what.split())} {two_digits(level)}")
        told.append(f"{' '.join(label.split())}: {', '.join(ends)}")
    panels[-1].set_xlabel("training step")
    panels[-1].xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    fig.suptitle(title, x=0.01, ha="left")
    marks = {kind: line for kind, line in zip(kinds, _thick(panels[0]), strict=True)}
    fig.legend(marks.values(), marks, loc="outside lower center", ncols=len(marks))
    count = either(map(len, kinds.values()))
    return fig, f"At the end of {count} trainings each. {'; '.join(told)}."


@styled
def order_of_events(events: Mapping[str, Sequence[float]], title: str = "") -> Picture:
    """When each event comes: a row an event, a dot a seed, over the steps of training."""
    fig = figure(height=0.36 * len(events) + 1.3)
    ax = fig.subplots()
    for place, steps in enumerate(events.values()):
        steps = array(steps).astype(float)
        ax.plot(np.sort(steps), [place] * len(steps), color=FAINT, lw=3)
        ax.plot(steps, [place] * len(steps), "o", ms=7, color=COLOUR["prefix_matching"], alpha=0.8)
    ax.set_yticks(range(len(events)), events)
    ax.set(xlabel="training step", xscale="log", ylim=(len(events) - 0.5, -0.5))
    ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    ax.set_xticks([25, 50, 100, 200, 400, 800])
    ax.set_title(title)
    told = "; ".join(f"{' '.join(name.split())} {_steps(at)}" for name, at in events.items())
    return fig, f"When it comes, in steps: {told}."


@styled
def training_plane(
    paths: Mapping[str, Sequence], steps: Sequence[int], marks: Sequence[int], title: str = ""
) -> Picture:
    """Trainings as paths in the plane of the first two principal components of their losses token
    by token. `paths`: for each kind its trainings [snapshot, 2]; `marks`: the steps that get a
    dot."""
    fig = figure(height=4.2)
    ax = fig.subplots()
    at = [steps.index(step) for step in marks]
    for (kind, trainings), (colour, dash) in with_looks(paths, LOOKS):
        for number, path in enumerate(map(array, trainings)):
            ax.plot(*path.T, color=colour, ls=dash, lw=1.2, label=kind if number == 0 else None)
            ax.plot(*path[at].T, "o", ms=4, color=colour, ls="none")
    first = array(next(iter(paths.values()))[0])
    for step, place in zip(marks, first[at], strict=True):
        ax.annotate(f"{step}", place, xytext=(5, 4), textcoords="offset points")
    ax.set(xlabel="first component (nats)", ylabel="second component (nats)")
    ax.legend()
    ax.set_title(title)
    ends = {kind: np.array([array(path)[-1] for path in found]) for kind, found in paths.items()}
    told = "; ".join(
        f"{kind} end at {_spread(where[:, 0])} and {_spread(where[:, 1])}"
        for kind, where in ends.items()
    )
    return fig, f"Trainings in the plane of their losses, first and second component: {told}."


@styled
def undoing(
    trainings: Sequence[tuple[Sequence[int], Mapping[str, Sequence]]],
    title: str = "",
) -> Picture:
    """How far each head's ablation moves the losses along a change, over the steps of training: a
    panel a training. Each has its steps, and of up to three kinds of heads their curves."""
    fig = figure(height=3.4)
    panels = np.atleast_1d(fig.subplots(1, len(trainings), sharey=True))
    looks = [
        dict(color=COLOUR["prefix_matching"], lw=2.2, zorder=3),
        dict(color=COLOUR["previous_token"], lw=2.2, ls=(0, (5, 2)), zorder=2),
        dict(color=QUIET, lw=1.2, ls=(0, (2, 1.5))),
    ]
    marks, told = {}, []
    for number, (ax, (steps, kinds)) in enumerate(zip(panels, trainings, strict=True)):
        ends = []
        for (kind, curves), look in with_looks(kinds, looks):
            for curve in curves:
                (marks[kind],) = ax.plot(steps, array(curve), **look)
            ends.append(f"{kind} {_spread([array(curve)[-1] for curve in curves])}")
        nought(ax)
        ax.set(xscale="log", xlabel="training step", title=f"training {number + 1}")
        ax.set_xticks([100, 300, 1000])
        ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
        told.append(f"training {number + 1}, {', '.join(ends)}")
    panels[0].set_ylabel("moved along the change (nats)")
    fig.legend(marks.values(), marks, loc="outside lower center", ncols=len(marks))
    fig.suptitle(title, x=0.01, ha="left")
    return fig, f"How far heads move the losses along the change, at the end: {'; '.join(told)}."


@styled
def left_without(
    rows: Mapping[str, tuple[float, float, Sequence[float]]],
    xlabel: str,
    title: str = "",
) -> Picture:
    """For each row a number of the whole model (a bar), without the named heads (a diamond), and
    without as many others (dots)."""
    fig = figure(height=0.42 * len(rows) + 1.6)
    ax = fig.subplots()
    for place, (whole, named, others) in enumerate(rows.values()):
        others = array(others)
        up = 0.1 * np.cos(2.4 * np.arange(len(others)))
        ax.plot([whole] * 2, [place - 0.32, place + 0.32], color=INK, lw=2.5)
        ax.plot(others, place + up, "o", ms=5.5, color=COLOUR["previous_token"], alpha=0.7, mew=0)
        ax.plot(named, place, "D", ms=8, color=COLOUR["prefix_matching"])
    marks = dict(
        zip(
            ("the whole model", "without as many others", "without the heads that match"),
            ax.lines[:3],
            strict=True,
        )
    )
    fig.legend(marks.values(), marks, loc="outside lower center", ncols=3, handletextpad=0.3)
    nought(ax, upright=True)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5))
    ax.set_title(title)
    told = "; ".join(
        f"{' '.join(name.split())} {two_digits(whole)}, without the heads that match "
        f"{two_digits(named)}, without as many others {_spread(others)}"
        for name, (whole, named, others) in rows.items()
    )
    return fig, f"{xlabel[0].upper()}{xlabel[1:]}: {told}."


def _thick(ax) -> list:
    return [line for line in ax.lines if line.get_linewidth() == 2]


def _spread(values) -> str:
    low, high = (two_digits(edge(array(values))) for edge in (np.min, np.max))
    return low if low == high else f"{low} to {high}"


def _steps(values) -> str:
    """The first and the last, or never where it comes in some trainings only (nan)."""
    ends = np.sort(array(values).astype(float))[[0, -1]]  # nan stands last
    told = ["never" if np.isnan(step) else f"{step:.0f}" for step in ends]
    return " to ".join(dict.fromkeys(told))
