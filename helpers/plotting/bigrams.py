"""Pictures of what zero layers compute: a loss that comes to rest, a table of pairs, its rank."""

from collections.abc import Mapping, Sequence

import numpy as np

from helpers.plotting.core import (
    CHANCE,
    COLOUR,
    QUIET,
    SIGNED,
    Picture,
    array,
    figure,
    styled,
    with_looks,
)


@styled
def loss_and_levels(
    losses: Sequence[float], levels: Mapping[str, float], title: str = ""
) -> Picture:
    """The loss over training, and the losses of those who know something exactly, as horizontal
    lines."""
    fig = figure(height=3.2)
    ax = fig.subplots()
    ax.plot(np.arange(1, len(losses) + 1), losses, color=COLOUR["loss"], lw=1.2)
    lowest = min(levels, key=levels.get)
    dashes = (0, (1, 2)), (0, (5, 2)), (0, (3, 1, 1, 1))
    for (name, level), dash in with_looks(levels, dashes):
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
        ax.annotate(f"{name}: {level:.2f}", (1, level), xycoords=("axes fraction", "data"), **place)
    ax.set(xlabel="training step", ylabel="loss (nats a token)", xlim=(0, len(losses)), title=title)
    low, high = levels[lowest], max(levels.values())
    ax.set_ylim(min(low - 0.2 * (high - low), *losses))
    first, last = losses[0], float(np.mean(losses[-30:]))
    falls = f"falls from above {high:.1f}" if first > high > last else f"goes from {first:.1f}"
    others = [level - low for name, level in levels.items() if name != lowest]
    below = f", {'far ' if min(others) > 0.5 else ''}below the other lines" if others else ""
    return fig, (
        f"The loss {falls} nats and "
        f"{'comes to rest at' if abs(last - low) < 0.1 else 'stays away from'} the line "
        f"{lowest!r} at {low:.2f} nats{below}."
    )


@styled
def bigrams(true, learned, weight, title: str = "") -> Picture:
    """Row-centred log probabilities beside the row-centred product of the weights, as maps and pair
    by pair.

    `weight`: how often each pair occurs (probability). What is rarer than one pair in ten thousand
    is drawn pale.
    """
    true, learned, weight = (array(values) for values in (true, learned, weight))
    fig = figure(6.2, 4.9)
    above, below = fig.subfigures(2, 1, height_ratios=[1, 1.05])
    maps, pairs = above.subplots(1, 2), below.subplots()
    for ax, values, name in zip(maps, (true, learned), (r"$\log P$", r"$W_E W_U$"), strict=True):
        image = ax.imshow(values, cmap=SIGNED, vmin=-5, vmax=5, aspect="equal")
        ax.set(title=f"{name}, rows centred", xlabel="next token", xticks=[], yticks=[])
    maps[0].set_ylabel("present token")
    above.colorbar(image, ax=maps, shrink=0.8, label="nats", extend="both")
    often = weight > 1e-4
    pairs.axline((0, 0), slope=1, **CHANCE)
    for mask, colour, mark, label in (
        (~often, QUIET, "x", "rarely seen"),
        (often, COLOUR["copying"], "o", "seen"),
    ):
        pairs.scatter(
            true[mask],
            learned[mask],
            s=9,
            c=colour,
            marker=mark,
            lw=0.8 if mark == "x" else 0,
            alpha=0.8,
            label=label,
        )
    pairs.set(xlabel="true (nats)", ylabel="learned (nats)", title="one mark a pair")
    pairs.legend(loc="upper left", handletextpad=0.2)
    fig.suptitle(title, x=0.01, ha="left")
    alike = bool(np.square(learned - true)[often].mean() < 0.2 * true[often].var())
    return fig, (
        f"Two maps{' that look alike' * alike}, the true log probabilities and what the weights "
        f"multiply to; pair by pair the seen ones lie {'close to' if alike else 'away from'} the "
        "diagonal."
    )


@styled
def rank_sweep(
    trained: Mapping[int, float], written: Mapping[int, float], none: float, title: str = ""
) -> Picture:
    """Excess loss against the width of the stream: trained, and written down from a truncated SVD
    without training."""
    fig = figure(height=3.5)
    ax = fig.subplots()
    ax.axhline(none, **CHANCE)
    ax.annotate(
        "knows only how common each token is",
        (0.99, none),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
    )
    # a log axis has no zero
    by_svd, by_training = (np.maximum([*of.values()], 1e-3) for of in (written, trained))
    for width, excess in written.items():
        if excess < 1e-3:
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
        list(written),
        by_svd,
        color=COLOUR["accent"],
        ls=(0, (4, 1.5)),
        marker="s",
        ms=4,
        label="truncated SVD of log P, no training",
    )
    ax.plot(
        list(trained),
        by_training,
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


def _side(value: float, threshold: float) -> str:
    """For numbers of a live training, whose last digits differ from machine to machine."""
    return f"{'more' if value > threshold else 'less'} than {threshold}"
