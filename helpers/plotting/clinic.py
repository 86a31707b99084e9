"""Pictures of trainings that went wrong, each beside one that did not."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from helpers.plotting.core import COLOUR, FAINT, INK, NAME, Picture, chance_line, figure, styled

DASH = dict(prefix_matching="solid", previous_token=(0, (4, 1.5)))
OFF = 4.6  # nats: the loss axis ends here, unless a training ends beyond it
# Most of them end near guessing, so there the axis of the loss is stretched.
POWER = 2
STRETCHED = (
    lambda loss: np.clip(loss, 0, None) ** POWER,
    lambda height: np.clip(height, 0, None) ** (1 / POWER),
)


@styled
def ward(
    charts: Mapping[str, Sequence], guesses: Mapping[str, float], columns: int = 2, title: str = ""
) -> Picture:
    """The loss and, below it, the best head's scores of each kind of training, a thin line a seed;
    the first kind stands faintly behind all others.

    `charts`: some of each kind, with the fields of `experiments.clinic.Chart`. A diamond at the end
    is the loss at lengths kept back, at the upper edge if it lies beyond. `guesses`: levels of the
    loss (nats) by name, drawn as dotted lines. The axis of the loss is stretched at the top.
    """
    rows = -(-len(charts) // columns)
    fig = figure(height=2.2 * rows + 0.9)
    axes = fig.subplots(
        2 * rows, columns, sharex=True, sharey="row", squeeze=False, height_ratios=[1.5, 1] * rows
    )
    healthy, told = next(iter(charts.values())), []
    off = max(OFF, *(1.05 * chart.last_loss for of in charts.values() for chart in of))
    for number, (name, of) in enumerate(charts.items()):
        row, column = divmod(number, columns)
        above, below = axes[2 * row : 2 * row + 2, column]
        above.set_title(name, fontsize=10, pad=4)
        for guess, level in guesses.items():
            chance_line(above, level)
            if not number:
                place = dict(xycoords=("axes fraction", "data"), textcoords="offset points")
                above.annotate(
                    guess,
                    (1, level),
                    xytext=(0, 3),
                    ha="right",
                    **place,
                )
        if number:
            _draw(above, below, healthy[:1], alpha=0.28, lw=1.4)
        _draw(above, below, of, alpha=0.8, lw=0.9)
        last = np.mean([chart.last_loss for chart in of])
        kept = np.mean([chart.kept_back for chart in of])
        _diamond(above, kept, len(of[0].losses), off)
        score = np.mean([chart.prefix_matching[-1] for chart in of])
        told.append(
            f"{name}, loss {last:.1f} nats, at lengths kept back {kept:.1f}, matching {score:.2f}"
        )
    for row in range(rows):
        axes[2 * row, 0].set_yscale("function", functions=STRETCHED)
        axes[2 * row, 0].set(
            ylabel="loss (nats),\nstretched on top", ylim=(0, off), yticks=[0, 2, 3, 4]
        )
        axes[2 * row + 1, 0].set(ylabel="best score", ylim=(-0.04, 1.06))
    for ax in axes[-1]:
        ax.set_xlabel("training step")
    for ax in axes.flat[len(charts) % columns + 2 * columns * (rows - 1) :]:
        ax.set_visible(bool(ax.lines))
    _key(fig, title)
    return fig, f"How each ends: {'; '.join(told)}."


def _draw(above: Axes, below: Axes, charts: Sequence, **look) -> None:
    for chart in charts:
        above.plot(*_smooth(chart.losses), color=COLOUR["loss"], **look)
        for score, dash in DASH.items():
            curve = getattr(chart, score)
            below.plot(chart.steps, curve, color=COLOUR[score], ls=dash, **look)


def _smooth(losses: Sequence[float], window: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each `window` steps, at its middle."""
    means = np.array(losses)[: len(losses) // window * window].reshape(-1, window).mean(1)
    return window * (np.arange(len(means)) + 0.5), means


def _diamond(ax: Axes, kept_back: float, at: int, off: float) -> None:
    look = dict(color=COLOUR["accent"], ms=6, clip_on=False, zorder=4)
    ax.plot(at, min(kept_back, off - 0.1), marker="D", **look)
    if kept_back > off:
        ax.annotate(
            f"{kept_back:.0f} nats",
            (at, off - 0.1),
            xytext=(-7, 0),
            textcoords="offset points",
            ha="right",
            va="center",
        )


def _key(fig, title: str) -> None:
    line = dict(lw=2)
    handles = [
        Line2D([], [], color=COLOUR["loss"], label="loss of the training", **line),
        Line2D(
            [], [], color=COLOUR["accent"], marker="D", ls="", label="loss at lengths kept back"
        ),
        *(
            Line2D([], [], color=COLOUR[score], ls=dash, label=NAME[score], **line)
            for score, dash in DASH.items()
        ),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=2)
    if title:
        fig.suptitle(title, x=0.01, ha="left")


@styled
def namings(
    by_change: Mapping[str, Sequence[tuple[str, str]]], answers: Sequence[str], title: str = ""
) -> Picture:
    """What each kind of training was named: rows by what was changed, columns by answer. A ring
    stands at what is true, a dot for each training at what it was named; `by_change` has (truth,
    name) of each."""
    fig = figure(height=0.23 * len(by_change) + 1.4)
    ax = fig.subplots()
    right = wrong = 0
    for row, pairs in enumerate(by_change.values()):
        ax.axhline(row, color=FAINT, lw=0.5, zorder=0)
        for number, (truth, name) in enumerate(pairs):
            shift = 0.16 * (number - (len(pairs) - 1) / 2)
            ax.plot(answers.index(truth), row, "o", ms=13, mfc="none", mec=INK, zorder=1)
            hit = truth == name
            colour = COLOUR["previous_token" if hit else "prefix_matching"]
            at = answers.index(name) + shift
            ax.plot(at, row, "o" if hit else "X", color=colour, ms=5 if hit else 8, zorder=2)
            right, wrong = right + hit, wrong + (not hit)
    ax.set_yticks(range(len(by_change)), list(by_change), fontsize=9)
    ax.set_xticks(range(len(answers)), answers, rotation=40, ha="left")
    ax.xaxis.tick_top()
    ax.set(xlim=(-0.6, len(answers) - 0.4), ylim=(len(by_change) - 0.4, -0.6))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig, (
        f"Of {right + wrong} trainings {right} are named right and {wrong} wrong. A ring is what "
        "is true, a dot a right name, a cross a wrong one."
    )
