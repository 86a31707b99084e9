"""Pictures of layers that talk through the stream: who can hear whom, how much of it is chance, and
which paths pay."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np

from helpers.plotting.core import (
    COLOUR,
    SIGNED,
    Picture,
    array,
    chance_line,
    figure,
    ink,
    styled,
    two_digits,
)

# what a later head reads: by its query, key or value
KIND = dict(Q="#56B4E9", K="#D55E00", V="#009E73")
PART = dict(direct="#8a9096", Q=KIND["Q"], K=KIND["K"], both="#CC79A7", sum="#222222")


@styled
def talk_map(
    scores, writers: Sequence[str], readers: Sequence[str], chance: float, title: str = ""
) -> Picture:
    """Norm of each virtual weight over the norms of its two matrices [writer, reader], as a board
    centred on chance.

    Pairs that cannot talk (nan) are hatched. Readers whose names share a beginning up to a space
    stand together.
    """
    scores = array(scores)
    fig = figure(0.46 * len(readers) + 2.4, 0.4 * len(writers) + 1.9)
    ax = fig.subplots()
    reach = np.nanmax(np.abs(scores - chance))
    shades = SIGNED.with_extremes(bad="#ffffff")
    image = ax.imshow(
        np.ma.masked_invalid(scores),
        cmap=shades,
        vmin=chance - reach,
        vmax=chance + reach,
        aspect="auto",
    )
    for (y, x), value in np.ndenumerate(scores):
        if np.isnan(value):
            ax.add_patch(
                mpl.patches.Rectangle(
                    (x - 0.5, y - 0.5), 1, 1, fill=False, hatch="////", edgecolor="#dddddd", lw=0
                )
            )
        else:
            face = shades((value - chance) / (2 * reach) + 0.5)
            ax.text(
                x,
                y,
                f"{value:.2f}".lstrip("0"),
                ha="center",
                va="center",
                fontsize=7.5,
                color=ink(face),
            )
    groups = [name.split(" ")[0] for name in readers]
    for x in range(1, len(readers)):
        if groups[x] != groups[x - 1]:
            ax.axvline(x - 0.5, color="#444444", lw=1)
    ax.set_xticks(range(len(readers)), readers, rotation=90, fontsize=8)
    ax.set_yticks(range(len(writers)), writers, fontsize=8)
    ax.set(xlabel="reads (layer.head and side)", ylabel="writes")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = fig.colorbar(image, ax=ax, shrink=0.8, aspect=22, label="strength of the virtual weight")
    bar.ax.axhline(chance, color="#222222", lw=1)
    bar.ax.text(
        -0.15,
        chance,
        f"chance {two_digits(chance)} ",
        transform=bar.ax.get_yaxis_transform(),
        ha="right",
        va="center",
        fontsize=7.5,
    )
    ax.set_title(title)
    y, x = np.unravel_index(np.nanargmax(scores), scores.shape)
    return fig, (
        f"A board of {np.isfinite(scores).sum()} pairs that can talk, out of {scores.size}: the "
        f"strongest is from {writers[y]} to "
        f"{' '.join(readers[x].split())} with {scores[y, x]:.2f}; chance is {two_digits(chance)}."
    )


@styled
def angles(cosines: Mapping[str, Any], null, title: str = "") -> Picture:
    """Principal cosines of a few pairs of subspaces, largest first, over the band that unrelated
    ones fill [draw, index]."""
    null = array(null)
    fig = figure(8, 3.6)
    ax = fig.subplots()
    index = np.arange(1, null.shape[1] + 1)
    low, high = np.quantile(null, [0.025, 0.975], axis=0)
    ax.fill_between(
        index, low, high, color="#dcdcdc", lw=0, label="between unrelated subspaces (95% of draws)"
    )
    ax.plot(index, null.mean(0), color=COLOUR["chance"], ls=(0, (1, 2)), lw=1.4)
    styles = zip(
        ("solid", (0, (5, 2)), "dashdot", (0, (1, 1))),
        "osD^",
        (COLOUR["prefix_matching"], KIND["Q"], COLOUR["copying"], COLOUR["control"]),
        strict=True,
    )
    for (name, values), (dash, mark, colour) in zip(cosines.items(), styles, strict=False):
        ax.plot(index, array(values), color=colour, ls=dash, marker=mark, ms=4, label=name)
    ax.set(
        xlabel="principal angle, from the best aligned direction on",
        ylabel="cosine",
        ylim=(-0.02, 1.2),
        yticks=[0, 0.25, 0.5, 0.75, 1],
        xticks=index[:: max(len(index) // 8, 1)],
    )
    ax.legend(loc="upper right", fontsize=8.5, bbox_to_anchor=(1.0, 1.04))
    ax.set_title(title)
    shares = "; ".join(
        f"{name} {two_digits(float((array(values) ** 2).mean()))}"
        for name, values in cosines.items()
    )
    return (
        fig,
        f"Principal angles between what is written and what is read. Shared on average: {shares}; "
        f"unrelated {two_digits(float((null**2).mean()))}.",
    )


@styled
def activation_places(
    points: Mapping[str, tuple],
    strength: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    title: str = "",
) -> Picture:
    """Left, for each place of the activation, what a layer reads against what virtual weights
    predict; right, the error of several predictions over the strength of the activation (relative:
    1 is as wrong as saying nothing)."""
    fig = figure(11, 3.7)
    axes = fig.subplots(1, len(points) + 1, width_ratios=[1] * len(points) + [1.7])
    colours = (COLOUR["copying"], COLOUR["prefix_matching"], COLOUR["previous_token"])
    reach = max(np.abs(array(values)).max() for pair in points.values() for values in pair) * 1.05
    for ax, (name, (predicted, real)), colour in zip(axes, points.items(), colours, strict=False):
        ax.axline((0, 0), slope=1, color=COLOUR["chance"], lw=1, zorder=0)
        ax.plot(array(predicted), array(real), "o", color=colour, ms=2.6, alpha=0.6, mew=0)
        ax.set(
            xlim=(-reach, reach),
            ylim=(-reach, reach),
            xlabel="predicted by virtual weights",
            aspect="equal",
        )
        ax.set_title(name, fontsize=9.5)
    axes[0].set_ylabel("really read")
    ax = axes[-1]
    chance_line(ax, 1)
    ax.annotate(
        "no better than predicting 0",
        (0, 1),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=8,
        color="#777777",
    )
    for (name, errors), colour, dash, mark in zip(
        curves.items(), colours, ("solid", "solid", (0, (4, 2))), "osD", strict=False
    ):
        ax.plot(strength, errors, color=colour, ls=dash, marker=mark, ms=4.5, label=name)
    ax.set(
        xlabel="strength of the activation (0 none, 1 a full ReLU)",
        ylabel="relative error",
        ylim=(-0.04, 1.45 * max(1, *(max(errors) for errors in curves.values()))),
    )
    ax.legend(loc="upper left", fontsize=8.5)
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    last = ", ".join(f"{name}: {errors[-1]:.1f}" for name, errors in curves.items())
    return (
        fig,
        f"Relative error of what virtual weights predict, at a full ReLU: {last}; without an "
        "activation all are 0.0.",
    )


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
    fig = figure(10, 0.95 * len(values) + 1.0)
    axes = fig.subplots(len(values), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, (name, bars) in zip(axes, values.items(), strict=True):
        colour = PART.get(name, "#222222")
        drawn = ax.bar(range(len(bars)), bars, color=mpl.colors.to_rgba(colour, 0.35), width=0.8)
        for target in targets:
            drawn[target].set(facecolor=colour, hatch="///", edgecolor="white")
        ax.axhline(0, color="#999999", lw=0.8)
        ax.set_ylabel(name, rotation=0, ha="right", va="center", color=colour, fontsize=9.5)
        ax.tick_params(axis="y", labelsize=7.5)
    axes[-1].set_xticks(range(query + 1), [tokens[i] for i in range(query + 1)], fontsize=7)
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
    return (
        fig,
        f"One row of scores in {len(values)} strips; at the key right after the earlier copy they "
        f"are: {heights}.".replace(" -0", " 0"),
    )


@styled
def composition_panels(
    models: Mapping[str, Mapping[str, Mapping[str, Any]]],
    writers: Mapping[str, Sequence[str]],
    title: str = "",
) -> Picture:
    """Composition scores of every pair over what chance gives: a row a model, a column a kind.

    `models[name][kind]` holds scores, p and ceiling [writer, reader], and null [draw, writer,
    reader].
    """
    kinds = list(next(iter(models.values())))
    fig = figure(11, 3.0 * len(models) + 0.3)
    axes = fig.subplots(len(models), len(kinds), sharey="row", squeeze=False)
    found = []
    for row, (name, of_kind) in zip(axes, models.items(), strict=True):
        for ax, kind in zip(row, kinds, strict=True):
            scores, null, p, ceiling = (
                array(of_kind[kind][part]) for part in ("scores", "null", "p", "ceiling")
            )
            parts = ax.violinplot(
                null.ravel()[:20000], positions=[-1], widths=0.9, showextrema=False
            )
            for body in parts["bodies"]:
                body.set(facecolor="#bbbbbb", alpha=1)
            chance_line(ax, float(null.mean()))
            for (writer, reader), score in np.ndenumerate(scores):
                sure = p[writer, reader] < 0.05
                x = writer + 0.16 * (reader - (scores.shape[1] - 1) / 2)
                ax.plot(x, ceiling[writer, reader], "_", color="#666666", ms=7)
                ax.plot(
                    x,
                    score,
                    "o",
                    ms=6.5,
                    mew=1.2,
                    mec=KIND[kind],
                    mfc=KIND[kind] if sure else "white",
                    zorder=3,
                )
            found.append(f"{kind} {(p < 0.05).sum()} of {p.size}")
            ax.set_xticks([-1, *range(len(scores))], ["chance", *writers[name]], fontsize=8.5)
            ax.set_xlim(-1.7, len(scores) - 0.4)
        row[0].set_ylabel(f"{name}\ncomposition score")
        row[-1].annotate(
            "highest score each pair could have",
            (len(scores) - 0.45, ceiling.max()),
            xytext=(0, 5),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="#666666",
        )
        row[-1].annotate(
            r"chance, $1/\sqrt{d}$",
            (len(scores) - 0.45, null.mean()),
            xytext=(0, 4),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="#777777",
        )
        row[0].set_ylim(0, 1.1 * max(array(of["ceiling"]).max() for of in of_kind.values()))
    for ax, kind in zip(axes[0], kinds, strict=True):
        ax.set_title(f"{kind}-composition", color=KIND[kind])
    for ax in axes[-1]:
        ax.set_xlabel("earlier head; each dot a later head\n(filled: p below 0.05, all counted)")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
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
    """Signed boards [row, column] side by side on one scale, with their numbers; `ends` says what
    rows and columns are."""
    values = {name: array(panel) for name, panel in panels.items()}
    reach = max(np.abs(panel).max() for panel in values.values())
    fig = figure(3.1 * len(values) + 1.2, 0.5 * len(rows) + 1.7)
    axes = fig.subplots(1, len(values), squeeze=False)[0]
    shades = SIGNED
    for ax, (name, panel) in zip(axes, values.items(), strict=True):
        image = ax.imshow(panel, cmap=shades, vmin=-reach, vmax=reach, aspect="auto")
        for (y, x), value in np.ndenumerate(panel):
            ax.text(
                x,
                y,
                f"{round(float(value), 2) + 0.0:+.2f}",
                ha="center",
                va="center",
                fontsize=8.5,
                color=ink(shades(value / (2 * reach) + 0.5)),
            )
        ax.set_xticks(range(len(columns)), columns)
        ax.set_yticks(range(len(rows)), rows)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set(xlabel=ends[1])
        ax.set_title(name, fontsize=10)
    axes[0].set_ylabel(ends[0])
    fig.colorbar(image, ax=axes, shrink=0.9, aspect=18, label=label)
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
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
    ax.axhline(0, color="#cccccc", lw=0.8, zorder=0)
    ax.axvline(0, color="#cccccc", lw=0.8, zorder=0)
    ax.plot(
        cloud[:, 0], cloud[:, 1], ".", color="#b5b5b5", ms=4, label=f"{len(cloud)} random pairs"
    )
    colours = (COLOUR["prefix_matching"], KIND["Q"], COLOUR["copying"], COLOUR["accent"])
    for (name, (x, y)), colour, mark, size in zip(
        named.items(), colours, "osD*", (15, 10, 6, 5), strict=False
    ):
        # a ring: others may lie in it
        face = dict(mfc="none", mew=2) if mark == "o" else dict(mec="white", mew=0.8)
        ax.plot(x, y, mark, color=colour, ms=size, label=name, clip_on=False, zorder=3, **face)
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


@styled
def orders(models: Mapping[str, Sequence[float]], title: str = "") -> Picture:
    """What the paths of each length are worth, in nats: the direct path over guessing, then each
    order over the one before."""
    names = ["direct", "one\nhead", "two\nheads"]
    fig = figure(10, 3.3)
    axes = fig.subplots(1, len(models), squeeze=False)[0]
    for ax, (name, worth) in zip(axes, models.items(), strict=True):
        drawn = ax.bar(
            range(len(worth)), worth, width=0.7, color=["#b9bfc4", "#8a9096", COLOUR["control"]]
        )
        drawn[-1].set(hatch="//", edgecolor="white")
        ax.bar_label(drawn, fmt=lambda value: f"{round(value, 1) + 0.0:.1f}", padding=2, fontsize=9)
        ax.set_xticks(range(len(worth)), names[: len(worth)], fontsize=9)
        ax.axhline(0, color="#999999", lw=0.8)
        ax.margins(y=0.16)
        ax.set_title(name, fontsize=9.5)
    axes[0].set_ylabel("loss saved (nats)")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    told = "; ".join(
        f"{' '.join(name.split())} {_share(worth[-1] / sum(worth))}"
        for name, worth in models.items()
    )
    return (
        fig,
        f"Loss saved by paths of each length. Of the whole, paths through two heads save: {told}.",
    )


def _share(part: float) -> str:
    """In words, which another text of the same kind does not change."""
    words = ((0.01, "nothing"), (0.1, "little"), (0.5, "a part"), (0.9, "most"))
    return next((word for limit, word in words if part < limit), "all")
