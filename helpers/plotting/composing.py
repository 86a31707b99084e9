"""Pictures of heads that compose: a score taken apart, every pair over what chance gives, and where
heads lie that match and copy."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np

from helpers.plotting.core import (
    COLOUR,
    DENSE,
    INK,
    QUIET,
    SIGNED,
    Picture,
    array,
    chance_line,
    figure,
    hatched,
    letters,
    nought,
    styled,
    with_looks,
)

# what a later head reads: by its query, key or value
KIND = dict(Q="#56B4E9", K="#D55E00", V="#009E73")
PART = dict(direct=INK, Q=KIND["Q"], K=KIND["K"], both=COLOUR["control"], sum=INK)


@styled
def score_row(
    parts: Mapping[str, Any],
    tokens: Sequence[str],
    query: int,
    targets: Sequence[int],
    title: str = "",
) -> Picture:
    """One row of attention scores by key, split into parts: a strip of bars for each. Bars at
    `targets` are filled."""
    values = {name: array(part)[: query + 1] for name, part in parts.items()}
    fig = figure(height=0.95 * len(values) + 1.0)
    axes = fig.subplots(len(values), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, (name, bars) in zip(axes, values.items(), strict=True):
        colour = PART.get(name, INK)
        drawn = ax.bar(range(len(bars)), bars, color=mpl.colors.to_rgba(colour, 0.35), width=0.8)
        for target in targets:
            drawn[target].set(**hatched(colour))
        nought(ax)
        ax.set_ylabel(name, rotation=0, ha="right", va="center", color=colour, fontsize=9.5)
        ax.tick_params(axis="y", labelsize=DENSE)
    axes[-1].set_xticks(range(query + 1), tokens[: query + 1], fontsize=DENSE, rotation=90)
    axes[-1].get_xticklabels()[query].set(weight="bold")
    for target in targets:
        axes[-1].get_xticklabels()[target].set(weight="bold")
    axes[-1].set_xlabel(
        "key, by its token; the query is the last one. Hatched: right after an earlier copy of it"
    )
    fig.supylabel("score before the softmax", fontsize=9, x=0.0)
    axes[0].set_title(title)
    at = list(targets)
    heights = ", ".join(f"{name} {bars[at].mean():.0f}" for name, bars in values.items())
    where = "the key right after the earlier copy they are"
    if len(at) > 1:
        where = f"the {len(at)} keys right after an earlier copy they are on average"
    return (
        fig,
        f"One row of scores in {len(values)} strips; at {where}: {heights}.".replace(" -0", " 0"),
    )


@styled
def composition_panels(
    models: Mapping[str, Mapping[str, Any]],
    writers: Mapping[str, Sequence[str]],
    title: str = "",
) -> Picture:
    """Composition scores of every pair over what chance gives: a row a kind, a column a model.

    `models[name][kind]` has scores, p and ceiling [writer, reader], and null [draw, writer,
    reader], as `composers.judge` gives them.
    """
    kinds = list(next(iter(models.values())))
    fig = figure(height=2.1 * len(kinds) + 0.7)
    axes = fig.subplots(len(kinds), len(models), sharex="col", sharey="col", squeeze=False)
    found = []
    for column, (name, of_kind) in zip(axes.T, models.items(), strict=True):
        for ax, kind in zip(column, kinds, strict=True):
            scores, null, p, ceiling = (
                array(getattr(of_kind[kind], part)) for part in ("scores", "null", "p", "ceiling")
            )
            parts = ax.violinplot(
                null.ravel()[:20000], positions=[-1], widths=0.9, showextrema=False
            )
            for body in parts["bodies"]:
                body.set(facecolor=INK, alpha=0.5)
            chance_line(ax, float(null.mean()))
            for (writer, reader), score in np.ndenumerate(scores):
                sure = p[writer, reader] < 0.05
                x = writer + 0.16 * (reader - (scores.shape[1] - 1) / 2)
                ax.plot(x, ceiling[writer, reader], "_", color=INK, ms=7)
                ax.plot(
                    x,
                    score,
                    "o",
                    ms=6.5,
                    mew=1.2,
                    mec=KIND[kind],
                    mfc=KIND[kind] if sure else "none",
                    zorder=3,
                )
            found.append(f"{kind} {(p < 0.05).sum()} of {p.size}")
            ax.set_xticks([-1, *range(len(scores))], ["chance", *writers[name]])
            ax.set_xlim(-1.7, len(scores) - 0.4)
        top = column[0]
        top.set_title(name, loc="right")
        top.set_ylim(0, 1.1 * max(array(of.ceiling).max() for of in of_kind.values()))
    for ax, kind in zip(axes[:, 0], kinds, strict=True):
        ax.set_title(f"{kind}-composition")
        ax.set_ylabel("score")
    fig.supxlabel(
        "earlier head; each dot a later head (filled: p below 0.05, all counted).\n"
        r"Dashes: the highest score each pair could have. Dotted: chance, $1/\sqrt{d}$",
        fontsize=9,
    )
    fig.suptitle(title, x=0.01, ha="left")
    each = len(kinds)
    texts = [
        f"{name}: {', '.join(found[i * each : (i + 1) * each])}" for i, name in enumerate(models)
    ]
    return (
        fig,
        "Composition scores over their null. Pairs above chance at p below 0.05: "
        f"{'; '.join(texts)}.",
    )


@styled
def boards(
    panels: Mapping[str, Any],
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    title: str = "",
    ends: tuple[str, str] = ("earlier head", "later head"),
) -> Picture:
    """Signed boards [row, column] on one scale, two to a row, with their numbers; `ends` says what
    rows and columns are."""
    values = {name: array(panel) for name, panel in panels.items()}
    reach = max(np.abs(panel).max() for panel in values.values())
    wide, high = min(len(values), 2), -(-len(values) // 2)
    fig = figure(3.1 * wide + 1.2, (0.4 * len(rows) + 0.9) * high + 0.6)
    grid = fig.subplots(high, wide, squeeze=False)
    axes = grid.flatten()
    for ax in axes[len(values) :]:
        ax.axis("off")
    for ax, (name, panel) in zip(axes[: len(values)], values.items(), strict=True):
        image = ax.imshow(panel, cmap=SIGNED, vmin=-reach, vmax=reach, aspect="auto")
        for (y, x), value in np.ndenumerate(panel):
            ax.text(
                x,
                y,
                f"{round(float(value), 2) + 0.0:+.2f}",
                ha="center",
                va="center",
                **letters(SIGNED(value / (2 * reach) + 0.5)),
            )
        ax.set_xticks(range(len(columns)), columns)
        ax.set_yticks(range(len(rows)), rows)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(name, fontsize=10)
    for ax in grid[-1]:
        ax.set(xlabel=ends[1])
    for ax in grid[:, 0]:
        ax.set(ylabel=ends[0])
    fig.colorbar(image, ax=axes, shrink=0.9, aspect=18, label=label)
    fig.suptitle(title, x=0.01, ha="left")
    spans = "; ".join(
        f"{' '.join(name.split())} from {panel.min():+.2f} to {panel.max():+.2f}"
        for name, panel in values.items()
    )
    return fig, f"{len(values)} board{'s' * (len(values) > 1)} of {label}: {spans}."


@styled
def matching_and_copying(
    cloud, named: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str = ""
) -> Picture:
    """Later heads by how much they match equal tokens (x) and copy (y), both from -1 to 1; `cloud`
    are random ones [n, 2]."""
    cloud = array(cloud)
    fig = figure(5.6, 4.6)
    ax = fig.subplots()
    nought(ax)
    nought(ax, upright=True)
    ax.plot(
        cloud[:, 0], cloud[:, 1], ".", color=QUIET, mew=0, ms=4, label=f"{len(cloud)} random pairs"
    )
    colours = (COLOUR["prefix_matching"], KIND["Q"], COLOUR["copying"], COLOUR["accent"])
    looks = zip(colours, "osD*", (15, 10, 6, 5), strict=True)
    for (name, (x, y)), (colour, mark, size) in with_looks(named, looks):
        # a ring: others may lie in it
        face = (
            dict(mfc="none", mew=2, zorder=4) if mark == "o" else dict(mew=0, alpha=0.6, zorder=3)
        )
        ax.plot(x, y, mark, color=colour, ms=size, label=name, clip_on=False, **face)
    ticks = [-1, -0.5, 0, 0.5, 1]
    ax.set(xlim=(-1.04, 1.04), ylim=(-1.04, 1.04), xticks=ticks, yticks=ticks, aspect="equal")
    ax.set(
        xlabel="matching: positivity of its eigenvalues",
        ylabel="copying: positivity of its eigenvalues",
    )
    ax.legend(loc="lower left", fontsize=8.5, labelspacing=0.8)
    ax.set_title(title)
    told = [
        f"{name}: matching {min(x):.1f} to {max(x):.1f}, copying {min(y):.1f} to {max(y):.1f}"
        for name, (x, y) in named.items()
    ]
    return (
        fig,
        f"{'; '.join(told)}; nine in ten random pairs stay within "
        f"{np.quantile(np.abs(cloud).max(1), 0.9):.1f} of zero.",
    )
