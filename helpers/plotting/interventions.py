"""Pictures of what a model loses without its parts, and of what stands in for them."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from helpers.plotting.core import (
    COLOUR,
    INK,
    NAME,
    QUIET,
    SIGNED,
    Picture,
    array,
    chance_line,
    either,
    figure,
    hatched,
    letters,
    styled,
    two_digits,
    with_looks,
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
            **letters(image.cmap(image.norm(value))),
        )
    for at in breaks:
        ax.axvline(at - 0.5, color=INK, lw=1.5)
    ax.set_xticks(range(len(columns)), columns)
    for tick in ax.get_xticklabels():
        if max(map(len, tick.get_text().split("\n"))) > 6:  # wider than its column
            tick.set_rotation(90)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
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
    colour a condition. The axis ends at `last_step`, or where the last of them passes one half."""
    found = {name: array(run.first(score)) for name, run in runs.items()}
    last_step = np.nanmax([last_step, *np.concatenate([*found.values()])])  # nan: never
    fig = figure(height=3.4)
    ax = fig.subplots()
    looks = zip(
        (COLOUR[score], COLOUR["previous_token"], COLOUR["control"], COLOUR["accent"]),
        ("solid", (0, (6, 2)), "dotted", "dashdot"),
        strict=True,
    )
    told = []
    for (name, run), (colour, dash) in with_looks(runs, looks):
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
        reached = found[name][~np.isnan(found[name])]
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
    by_model: Mapping[str, Mapping[str, Sequence[float]]],
    wrong: Sequence[str] = (),
    title: str = "",
    coarse: Sequence[str] = (),
) -> Picture:
    """The share of the heads' worth that is left when they are replaced, a panel a kind of model
    and a bar a replacement: the bar of the first training, a dot for each further one.

    Bars of `wrong` are controls: replacements that contradict the story. The sentence gives the
    numbers of the models in `coarse` in words: they were measured on text that is not the same on
    every machine.
    """
    fig = figure(height=(0.3 * len(next(iter(by_model.values()))) + 0.7) * len(by_model) + 0.5)
    most = max(max(values) for bars in by_model.values() for values in bars.values())
    end = max(1.25, 1.05 * most)
    axes = fig.subplots(len(by_model), 1, squeeze=False, sharex=True)[:, 0]
    for ax, (model, bars) in zip(axes, by_model.items(), strict=True):
        for place, (name, values) in enumerate(bars.items()):
            _draw_shares(ax, place, values, name in wrong, end + 0.05)
        for at, dash in ((0, "solid"), (1, (0, (3, 2)))):
            ax.axvline(at, color=INK, lw=0.9, ls=dash, zorder=0)
        ax.set_yticks(range(len(bars)), list(bars))
        ax.set(xlim=(-0.6, end), ylim=(len(bars) - 0.5, -0.5))
        ax.set_title(f"{model} ({either(map(len, bars.values()))} trainings)")
        ax.tick_params(axis="y", length=0)
    axes[-1].set_xlabel("share of the heads' worth that is left")
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    told = []
    for model, bars in by_model.items():
        word = _share if model in coarse else two_digits
        shares = [f"{name} {_spread(values, word)}" for name, values in bars.items()]
        told.append(f"{model}: {', '.join(shares)}")
    return fig, f"Left of what the heads are worth. {'; '.join(told)}."


def _draw_shares(
    ax: Axes, place: int, values: Sequence[float], is_wrong: bool, beside: float
) -> None:
    first, *others = values
    look = hatched(INK) if is_wrong else dict(color=COLOUR["copying"])
    ax.barh(place, max(first, -0.6), height=0.66, **look)
    inside = [value for value in others if value >= -0.6]
    ax.plot(inside, [place] * len(inside), "o", color=INK, mec="white", ms=5, mew=1)
    cut = "\u2190 " if first < -0.6 else ""  # the bar goes on beyond the axis
    ax.text(beside, place, cut + _spread(values, two_digits), va="center")


def _spread(values: Sequence[float], word: Callable[[float], str]) -> str:
    least, greatest = word(min(values)), word(max(values))
    return least if least == greatest else f"{least} to {greatest}"


def _share(value: float) -> str:
    return "most" if value > 0.8 else "part" if value > 0.2 else "little" if value > 0 else "none"


@styled
def accuracy_by_period(
    periods: Sequence[int],
    trained: object,
    one_layer: object,
    is_new: Sequence[bool],
    guess: float,
    title: str = "",
) -> Picture:
    """The accuracy on blocks of each length: a bar for the worst of the trained models
    [model, period], a diamond for one layer [period]. The bars of new periods are hatched; `guess`
    is what guessing gives."""
    trained, one_layer, places = array(trained), array(one_layer), np.arange(len(periods))
    worst = trained.min(0)
    fig = figure(0.5 * len(periods) + 1.6, 3.6)
    ax = fig.subplots()
    drawn = ax.bar(places, worst, width=0.72, color=QUIET)
    for new, bar in zip(is_new, drawn, strict=True):
        if new:
            bar.set(**hatched(COLOUR["prefix_matching"]))
    ax.bar_label(drawn, fmt=two_digits, padding=3, fontsize=8.5, rotation=90)
    look = dict(color=COLOUR["previous_token"], mew=0, ms=7, lw=1.2)
    ax.plot(
        places, one_layer, "D-", label=f"diamonds: one layer; bars: worst of {len(trained)}", **look
    )
    chance_line(ax, guess, f"guessing: {guess:.2f}")
    ax.set_xticks(places, periods)
    ax.set(xlabel="tokens in the block", ylabel="accuracy")
    ax.margins(x=0.02, y=0.2)
    fig.legend(loc="outside lower center")
    ax.set_title(title)
    told = [
        ", ".join(
            f"{period} {two_digits(value)}" for period, value in zip(periods, values, strict=True)
        )
        for values in (worst, one_layer)
    ]
    return fig, (
        f"Accuracy by the tokens in the block, the worst of {len(trained)} models: {told[0]}; one "
        f"layer: {told[1]}."
    )
