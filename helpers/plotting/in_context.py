"""Pictures of what the data teach: what is stored first, which rule is followed, and how often
something must repeat."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from helpers.plotting.core import (
    CHANCE,
    COLOUR,
    INK,
    Picture,
    array,
    chance_line,
    figure,
    styled,
    with_looks,
)

MEMORY = {
    "bigrams": (COLOUR["accent"], (0, (1, 1))),
    "copy": (COLOUR["copying"], (0, (3, 1, 1, 1))),
    "look back": (COLOUR["previous_token"], (0, (5, 2))),
    "match": (COLOUR["prefix_matching"], "solid"),
}
RULE = {
    "uniform": (INK, (0, (1, 1))),
    "unigram": (COLOUR["accent"], (0, (5, 2))),
    "bigram": (COLOUR["prefix_matching"], "solid"),
}
LATER = 2  # times as many steps: what is told as later, for it is so on any machine


@styled
def memories(
    story, guess: float, title: str = "", controls: Mapping[str, object] | None = None
) -> Picture:
    """What a model loses on two kinds of rows, and below it how much of each memory stands in its
    weights, over the steps of some trainings: a thin line a seed, a thick one for the median.

    `story` and `controls`: with the fields of `experiments.triggers.Story`; of the controls the
    loss after triggers alone. `guess`: what guessing costs there (nats).
    """
    controls = controls or {}
    fig = figure(height=5.2)
    above, below = fig.subplots(2, 1, sharex=True, height_ratios=[1, 1.3])
    _seeds(above, story.steps, story.triggers, COLOUR["loss"], "solid", "after a trigger")
    for name, other in controls.items():
        look = COLOUR["control"], (0, (4, 1.5))
        _seeds(above, other.steps, other.triggers, *look, f"after a trigger, {name}")
    _seeds(above, story.steps, story.chain, *MEMORY["bigrams"], "where the chain goes on")
    above.axhline(guess, label="guessing", **CHANCE)
    above.set(ylabel="nats lost\nto knowing all", ylim=(0, None))
    shares = array(story.memories)
    for number, (name, look) in enumerate(MEMORY.items()):
        _seeds(below, story.steps, shares[:, :, number], *look, name)
    below.set(xlabel="training step", ylabel="share of arg-maxes\nthat are right", ylim=(0, 1.04))
    for ax in (above, below):
        ax.legend(loc="upper left", bbox_to_anchor=(1, 0.95), handlelength=3.2)
    above.set_title(title)
    middle = np.median(array(story.half_way()), 0).tolist()
    when = {name: step for name, step in zip(MEMORY, middle, strict=True) if step == step}
    rest = [name for name in MEMORY if name not in when]
    fell = {"two layers": story, **controls}
    losses = [
        f"{name} {_beside(float(np.median(of.triggers[:, -1])), guess)} guessing"
        for name, of in fell.items()
    ]
    return fig, (
        f"Half of what is stored in the end is there: {_in_order(when) or 'of nothing'}"
        + (f"; never stored: {' and '.join(rest)}" if rest else "")
        + f". The loss after triggers ends: {', '.join(losses)}."
    )


def _beside(loss: float, guess: float) -> str:
    return "below" if loss < guess * 3 / 4 else "near" if loss < guess * 5 / 4 else "above"


def _in_order(when: Mapping[str, float]) -> str:
    """The names from early to late; those that no more than a factor of LATER parts stand
    together."""
    groups: list[list[str]] = []
    for name in sorted(when, key=when.get):
        if groups and when[name] < LATER * when[groups[-1][0]]:
            groups[-1].append(name)
        else:
            groups.append([name])
    return ", then ".join(" and ".join(sorted(group)) for group in groups)


@styled
def nearest_rules(stories: Mapping[str, object], title: str = "") -> Picture:
    """How far a model's answers are from each of three rules, over the steps of some trainings, a
    panel a kind of model: a thin line a seed, a thick one for the median.

    `stories`: with the fields of `experiments.markov.Story`.
    """
    fig = figure(height=2.3 * len(stories) + 0.7)
    axes = fig.subplots(len(stories), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    told = []
    for ax, (name, story) in zip(axes, stories.items(), strict=True):
        distance = array(story.distance)
        for number, (rule, look) in enumerate(RULE.items()):
            _seeds(ax, story.steps, distance[:, :, number], *look, f"{rule} rule")
        ax.set_title(name)
        ax.set(ylabel="KL from the rule\nto the model (nats)", ylim=(0, None))
        phases = [", then ".join(found) for found in story.phases()]
        ways = sorted(set(phases), key=phases.count, reverse=True)
        told.append(
            f"{name}: {'; '.join(f'{way} in {phases.count(way)} of {len(phases)}' for way in ways)}"
        )
    axes[0].legend(loc="upper left", bbox_to_anchor=(1, 0.95), handlelength=3.2)
    axes[-1].set_xlabel("training step")
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig, f"The rule that the answers are nearest to. {'. '.join(told)}."


@styled
def rarity(
    trainings: Mapping[str, Mapping[float, Sequence[float]]], chance: float, title: str = ""
) -> Picture:
    """The best head's prefix matching by the share of sequences that repeat: a dot a training, a
    line through the medians, a colour for each way of counting the loss."""
    fig = figure(height=3.6)
    ax = fig.subplots()
    looks = zip(
        (COLOUR["prefix_matching"], COLOUR["previous_token"]),
        ("solid", (0, (5, 2))),
        "oD",
        (-1, 1),
        strict=True,
    )
    told = []
    for (name, found), (colour, dash, marker, side) in with_looks(trainings, looks):
        shares = np.array(list(found))
        middle = [np.median(scores) for scores in found.values()]
        ax.plot(shares, middle, color=colour, ls=dash, label=name)
        for share, scores in found.items():
            beside = 0.006 * side * (1 + np.arange(len(scores)))  # so that all can be counted
            ax.plot(share + beside, scores, marker, color=colour, ms=4.5, mew=0, alpha=0.75)
        formed = [
            f"{share:.3g} {sum(score > 0.5 for score in scores)} of {len(scores)}"
            for share, scores in found.items()
        ]
        told.append(f"{name}, {', '.join(formed)}")
    chance_line(ax, chance, "chance")
    ax.set(
        xlabel="share of sequences in which a block repeats",
        ylabel="best head's prefix matching",
        ylim=(-0.02, 1.04),
    )
    ax.legend(loc="center right")
    ax.set_title(title)
    return fig, (
        f"Trainings that end with a head (prefix matching over 1/2), by the share of sequences "
        f"that repeat: {'; '.join(told)}."
    )


@styled
def tokens_needed(
    trainings: Mapping[str, Sequence[float]],
    given_up: float,
    levels: Mapping[str, float],
    title: str = "",
) -> Picture:
    """How many million tokens trainings read until something happened: a row for each kind, a dot
    for each training, an open triangle at `given_up` for one in which it never did (inf). `levels`:
    vertical lines, by their name."""
    fig = figure(6.3, 1.3 + 0.38 * len(trainings))
    ax = fig.subplots()
    marks = dict(ls="none", color=COLOUR["prefix_matching"], clip_on=False)
    told = []
    for row, (name, million) in enumerate(trainings.items()):
        million = np.sort(array(million))
        beside = row + 0.17 * (np.arange(len(million)) - (len(million) - 1) / 2)  # to be counted
        never = np.isinf(million)
        ax.plot(million[~never], beside[~never], "o", ms=5, mew=0, alpha=0.85, **marks)
        ax.plot(np.full(never.sum(), given_up), beside[never], ">", ms=4, mfc="none", **marks)
        ends = ["never" if np.isinf(count) else f"{count:.2g}" for count in million[[0, -1]]]
        told.append(f"{name} {' to '.join(dict.fromkeys(ends))}")
    for name, level in levels.items():
        ax.axvline(level, **CHANCE)
        ax.annotate(
            name, (level, -0.9), xytext=(-4, 0), textcoords="offset points", ha="right", va="center"
        )
    ax.set(xscale="log", ylim=(len(trainings) - 0.4, -1.2))
    ax.set_xlabel(f"million tokens read (triangles: not within {given_up:g})")
    ax.set_yticks(range(len(trainings)), [textwrap.fill(name, 26) for name in trainings])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_title(title)
    return fig, f"Million tokens read, the least and the most: {'; '.join(told)}."


def _seeds(ax: Axes, steps: Sequence[int], curves, colour, dash, label: str) -> None:
    """Curves [seed, snapshot]: thin lines, and the median thick."""
    curves = array(curves)
    ax.plot(steps, curves.T, color=colour, lw=0.5, alpha=0.35)
    ax.plot(steps, np.median(curves, 0), color=colour, ls=dash, lw=2.2, label=label)
