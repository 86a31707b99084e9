"""Pictures of what zero and one layers compute: patterns in the making, bigrams, ranks, terms,
circuits, eigenvalues, bugs."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm

from helpers.plotting.attention import draw_pattern
from helpers.plotting.core import COLOUR, SIGNED, Picture, array, figure, ink, styled


@styled
def scores_and_pattern(scores, pattern, labels: Sequence[str], title: str = "") -> Picture:
    """One head on one sequence: the scores it gives, and the pattern that mask and softmax make of
    them."""
    scores, pattern = array(scores), array(pattern)
    past = np.ma.masked_array(scores, np.triu(np.ones_like(scores, dtype=bool), 1))
    fig = figure(10.5, 4.9)
    left, right = fig.subplots(1, 2)
    most = float(np.abs(past).max())
    image = left.imshow(past, cmap=SIGNED.with_extremes(bad="#f4f4f2"), vmin=-most, vmax=most)
    fig.colorbar(image, ax=left, shrink=0.75, label="score")
    fig.colorbar(
        draw_pattern(right, pattern), ax=right, shrink=0.75, label="attention (probability)"
    )
    for ax, name in ((left, "scores, the future hidden"), (right, "softmax over each row")):
        ax.set_xticks(
            range(len(labels)), labels, rotation=90, fontsize=7, family="DejaVu Sans Mono"
        )
        ax.set_yticks(range(len(labels)), labels, fontsize=7, family="DejaVu Sans Mono")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(name, fontsize=10)
    left.set(ylabel="query (attending)", xlabel="key (attended to)")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    row = int(pattern[1:, 1:].max(-1).argmax()) + 1
    column = int(pattern[row].argmax())
    return fig, (
        f"Scores of {len(labels)} tokens with one another, and the attention pattern they become; "
        f"the sharpest row is that of {labels[row]!r}, which attends to {labels[column]!r}."
    )


@styled
def loss_and_levels(
    losses: Sequence[float], levels: Mapping[str, float], title: str = ""
) -> Picture:
    """The loss over training, and the losses of those who know something exactly, as horizontal
    lines."""
    fig = figure(9, 3.4)
    ax = fig.subplots()
    ax.plot(np.arange(1, len(losses) + 1), losses, color=COLOUR["loss"], lw=1.2)
    lowest = min(levels, key=levels.get)
    for (name, level), dash in zip(
        levels.items(), ((0, (1, 2)), (0, (5, 2)), (0, (3, 1, 1, 1))), strict=False
    ):
        best = name == lowest
        ax.axhline(
            level,
            color=COLOUR["copying" if best else "chance"],
            lw=2 if best else 1.4,
            ls="solid" if best else dash,
            zorder=3 if best else 0,
        )
        place = dict(
            xytext=(-4, -17 if best else 4), textcoords="offset points", ha="right", fontsize=9
        )
        text = ax.annotate(
            f"{name}: {level:.2f}", (1, level), xycoords=("axes fraction", "data"), **place
        )
        # the loss runs through it
        text.set_path_effects([patheffects.withStroke(linewidth=3, foreground="white")])
    ax.set(xlabel="training step", ylabel="loss (nats a token)", xlim=(0, len(losses)), title=title)
    ax.set_ylim(levels[lowest] - 0.2 * (max(levels.values()) - levels[lowest]))
    near = abs(float(np.mean(losses[-30:])) - levels[lowest]) < 0.1
    return fig, (
        f"The loss falls from above {max(levels.values()):.1f} nats and "
        f"{'comes to rest at' if near else 'stays away from'} the line "
        f"{lowest!r} at {levels[lowest]:.2f} nats, far below the other lines."
    )


@styled
def bigrams(true, learned, weight, title: str = "") -> Picture:
    """Row-centred log probabilities beside the row-centred product of the weights, as maps and pair
    by pair.

    `weight`: how often each pair occurs (probability). What is rarer than one pair in ten thousand
    is drawn pale.
    """
    true, learned, weight = (array(values) for values in (true, learned, weight))
    fig = figure(11.5, 3.7)
    maps = fig.subplots(1, 3, width_ratios=[1, 1, 1.05])
    for ax, values, name in zip(maps, (true, learned), (r"$\log P$", r"$W_E W_U$"), strict=False):
        image = ax.imshow(values, cmap=SIGNED, vmin=-5, vmax=5, aspect="equal")
        ax.set(title=f"{name}, rows centred", xlabel="next token", xticks=[], yticks=[])
    maps[0].set_ylabel("present token")
    fig.colorbar(image, ax=maps[:2], shrink=0.8, label="nats", extend="both")
    ax, often = maps[2], weight > 1e-4
    ax.axline((0, 0), slope=1, color=COLOUR["chance"], lw=1, ls=(0, (1, 2)))
    for mask, colour, mark, label in (
        (~often, "#BBBBBB", "x", "rarely seen"),
        (often, COLOUR["copying"], "o", "seen"),
    ):
        ax.scatter(
            true[mask],
            learned[mask],
            s=9,
            c=colour,
            marker=mark,
            lw=0.8 if mark == "x" else 0,
            alpha=0.8,
            label=label,
        )
    ax.set(xlabel="true (nats)", ylabel="learned (nats)", title="one mark a pair")
    ax.legend(loc="upper left", fontsize=8, handletextpad=0.2)
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    correlation = np.corrcoef(true[often], learned[often])[0, 1]
    return fig, (
        "Two maps that look alike, the true log probabilities and what the weights multiply to; "
        "pair by pair the seen ones lie "
        f"{'close to' if correlation > 0.9 else 'away from'} the diagonal."
    )


@styled
def rank_sweep(
    trained: Mapping[int, float], written: Mapping[int, float], none: float, title: str = ""
) -> Picture:
    """Excess loss against the width of the stream: trained, and written down from a truncated SVD
    without training."""
    fig = figure(8.5, 3.5)
    ax = fig.subplots()
    ax.axhline(none, color=COLOUR["chance"], lw=1, ls=(0, (1, 2)))
    ax.annotate(
        "knows only how common each token is",
        (0.99, none),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
        color="#777777",
        fontsize=8,
    )
    shown = {width: max(excess, 1e-3) for width, excess in written.items()}
    for width, excess in written.items():
        if excess < 1e-3:  # a log axis has no zero
            ax.annotate(
                "0: exact",
                (width, 1e-3),
                xytext=(-8, -1),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=8,
            )
    ax.plot(
        list(shown),
        list(shown.values()),
        color=COLOUR["accent"],
        ls=(0, (4, 1.5)),
        marker="s",
        ms=4,
        label="truncated SVD of log P, no training",
    )
    ax.plot(
        list(trained),
        list(trained.values()),
        color=COLOUR["copying"],
        marker="o",
        ms=5,
        label="trained",
    )
    ax.set(
        yscale="log",
        xlabel="d_model, the largest rank of the product",
        ylabel="loss above the entropy (nats)",
        title=title,
        xticks=list(trained),
    )
    ax.legend(fontsize=9, loc="lower left")
    narrow, wide = min(trained), max(trained)
    better = "better" if trained[narrow] < written[narrow] else "worse"
    return fig, (
        "The loss above the entropy goes with the width of the stream, from "
        f"{_side(trained[narrow], 0.5)} nats at {narrow} to {_side(trained[wide], 0.05)} at "
        f"{wide}; trained, the narrowest streams do {better} than a truncated SVD."
    )


@styled
def term_board(terms: Mapping[str, Any], labels: Sequence[str], title: str = "") -> Picture:
    """What each term adds to some logits, centred over the vocabulary; a row a term, with their sum
    in the last row."""
    names, values = list(terms), np.array([array(term) for term in terms.values()])
    values = np.vstack([values, values.sum(0)])
    fig = figure(0.85 * len(labels) + 2.4, 0.46 * len(values) + 1.0)
    ax = fig.subplots()
    signed_map(ax, values, [*names, "sum"], labels, numbers=True)
    ax.axhline(len(names) - 0.5, color="#222222", lw=2)
    ax.set(
        title=title,
        xlabel="next token (logits, each row measured from its mean over the vocabulary)",
    )
    best = int(values[-1].argmax())
    return fig, (
        f"{len(names)} terms that sum to the logits. The sum is largest for {labels[best]!r}, "
        f"which gets most from {names[int(values[:-1, best].argmax())]!r}."
    )


@styled
def token_maps(
    panels: Mapping[str, tuple],
    title: str = "",
    names: tuple[str, str] = ("query token", "key token"),
) -> Picture:
    """Maps from tokens to tokens, each panel (matrix, row labels, column labels, axis names), on
    scales of their own."""
    fig = figure(5.4 * len(panels) + 0.4, 5.3)
    strongest = []
    for ax, (name, (matrix, rows, columns, axes)) in zip(
        fig.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        matrix = array(matrix)
        image = signed_map(ax, matrix, rows, columns)
        fig.colorbar(image, ax=ax, shrink=0.7, label="logits" if "output" in axes[1] else "score")
        ax.set(title=name, ylabel=axes[0], xlabel=axes[1])
        row, column = np.unravel_index(matrix.argmax(), matrix.shape)
        strongest.append(f"{name}: strongest {rows[row]!r} and {columns[column]!r}")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    return fig, f"{len(panels)} token-by-token maps; {'; '.join(strongest)}."


@styled
def copying_plane(heads: Mapping[str, Any], null, title: str = "") -> Picture:
    """Eigenvalues in the complex plane, a panel a head, over the cloud of random matrices of the
    same shapes.

    Each set is divided by its own mean size, so that only directions and spread are compared.
    """
    null = array(null)
    fig = figure(2.75 * len(heads) + 0.4, 3.3)
    cloud = (null / np.abs(null).mean(-1, keepdims=True)).ravel()
    found = []
    for ax, (name, values) in zip(
        fig.subplots(1, len(heads), squeeze=False, sharex=True, sharey=True)[0],
        heads.items(),
        strict=True,
    ):
        values = array(values)
        statistic = values.sum().real / np.abs(values).sum()
        values = values / np.abs(values).mean()
        ax.scatter(cloud.real, cloud.imag, s=3, color="#CCCCCC", lw=0, label="random")
        ax.scatter(
            values.real,
            values.imag,
            s=22,
            color=COLOUR["copying"],
            edgecolor="white",
            lw=0.5,
            label="this head",
        )
        ax.axhline(0, color="#999999", lw=0.7, zorder=0)
        ax.axvline(0, color="#999999", lw=0.7, zorder=0)
        ax.set(
            title=f"{name}\nstatistic {statistic:+.2f}",
            xlabel="real part",
            aspect="equal",
            xlim=(-4.2, 4.2),
            ylim=(-3.2, 3.2),
        )
        ax.title.set_fontsize(9)
        found.append(f"{name} {statistic:+.2f}")
    fig.axes[0].set_ylabel("imaginary part")
    marks = (
        fig.axes[0]
        .legend(fontsize=8, loc="lower left", handletextpad=0.1, borderpad=0.1)
        .legend_handles
    )
    marks[0].set(sizes=[12], color="#999999")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    return (
        fig,
        "Eigenvalues of the OV circuit over a round random cloud; copying statistic: "
        f"{', '.join(found)}.",
    )


@styled
def skip_trigram_board(
    parts: Mapping[str, Any],
    pairs: Sequence[str],
    outs: Sequence[str],
    planted: Sequence[int],
    bugs: Sequence[int],
    title: str = "",
) -> Picture:
    """Parts that sum to the logits, each [pair, out]: framed solid what the data plant, framed
    dashed the bug cells.

    `planted[pair]` and `bugs[pair]` are columns. Each row is measured from the noise tokens, at
    0.
    """
    values = {name: array(part) for name, part in parts.items()}
    most = max(float(np.abs(part).max()) for part in values.values())
    fig = figure(11.5, 2.9)
    axes = fig.subplots(1, len(values))
    for place, (ax, (name, part)) in enumerate(zip(axes, values.items(), strict=True)):
        signed_map(
            ax,
            part,
            pairs if place == 0 else [""] * len(pairs),
            outs,
            numbers=True,
            digits=0,
            most=most,
        )
        for row, (right, bug) in enumerate(zip(planted, bugs, strict=True)):
            for column, style, colour in (
                (right, "solid", COLOUR["copying"]),
                (bug, (0, (2, 1.2)), "#111111"),
            ):
                for line in (dict(ec="white", lw=4.4), dict(ec=colour, lw=2.4, ls=style)):
                    ax.add_patch(
                        mpl.patches.Rectangle(
                            (column - 0.46, row - 0.44), 0.92, 0.88, fill=False, **line
                        )
                    )
        ax.set_title(
            ("= " if place == len(values) - 1 else "+ " if place else "") + name, fontsize=10
        )
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    rows, last = np.arange(len(pairs)), list(values.values())[-1]
    others = last.copy()
    others[rows, planted] = others[rows, bugs] = np.inf
    right, risen = (last.argmax(-1) == planted).sum(), (last[rows, bugs] > others.min(-1)).sum()
    return fig, (
        f"{len(values)} maps of {len(pairs)} contexts by {len(outs)} answers, the last the sum of "
        f"the others. There the planted answer is highest in {right} of {len(pairs)} rows, and the "
        f"bug cell higher than the least of the other cells in {risen}."
    )


@styled
def final_losses(
    losses: Mapping[str, Sequence[float]],
    levels: Mapping[str, float],
    solved: float,
    title: str = "",
) -> Picture:
    """The final loss of every seed, a row a model, with levels drawn. Filled: below `solved`."""
    fig = figure(9, 0.6 * len(losses) + 1.5)
    ax = fig.subplots()
    for name, level in levels.items():
        ax.axvline(level, color=COLOUR["chance"], lw=1, ls=(0, (1, 2)), zorder=0)
        ax.annotate(
            name,
            (level, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color="#555555",
        )
    for row, values in enumerate(losses.values()):
        values = np.sort(np.asarray(values))
        # apart, so that equal losses can be counted
        height = row + 0.09 * (np.arange(len(values)) - (len(values) - 1) / 2)
        done = values < solved
        ax.scatter(
            values[done],
            height[done],
            s=36,
            color=COLOUR["copying"],
            label="solved" if row == 0 else None,
        )
        ax.scatter(
            values[~done], height[~done], s=36, facecolor="white", edgecolor=COLOUR["loss"], lw=1.6
        )
    ax.set_yticks(range(len(losses)), losses)
    ax.set(
        ylim=(len(losses) - 0.45, -0.55),
        xlim=(-0.04, 0.78),
        xlabel="final loss (nats). Filled: solved",
    )
    ax.set_title(title, pad=22)
    few, many = (
        (np.asarray(values) < solved).mean()
        for values in (list(losses.values())[0], list(losses.values())[-1])
    )
    return fig, (
        f"Final losses of {len(next(iter(losses.values())))} seeds each: with {list(losses)[0]} "
        f"{_share(few)} are solved, with {list(losses)[-1]} {_share(many)}."
    )


def signed_map(
    ax: Axes,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    numbers: bool = False,
    digits: int = 1,
    most: float | None = None,
):
    """A map centred on zero, with its tokens on both sides and, if asked for, its numbers."""
    most = most or max(float(np.abs(values).max()), 1e-9)
    norm = TwoSlopeNorm(0, -most, most)
    image = ax.imshow(values, cmap=SIGNED, norm=norm, aspect="auto")
    ax.set_xticks(
        range(len(columns)),
        columns,
        rotation=0 if numbers else 90,
        fontsize=9 if numbers else 7,
        family="DejaVu Sans Mono",
    )
    ax.set_yticks(range(len(rows)), rows, fontsize=9 if numbers else 7, family="DejaVu Sans Mono")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (y, x), value in np.ndenumerate(values) if numbers else ():
        text = f"{round(float(value), digits) + 0.0:.{digits}f}"
        ax.text(x, y, text, ha="center", va="center", fontsize=9, color=ink(SIGNED(norm(value))))
    return image


def _share(share: float) -> str:
    return "less than half" if share < 0.5 else "more than half" if share > 0.5 else "half"


def _side(value: float, threshold: float) -> str:
    """For numbers of a live training, whose last digits differ from machine to machine."""
    return f"{'more' if value > threshold else 'less'} than {threshold}"
