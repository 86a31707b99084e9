"""What the paths of a model are worth, by how many heads they go through."""

from collections.abc import Mapping, Sequence

import numpy as np

from helpers.plotting.core import (
    COLOUR,
    INK,
    QUIET,
    Picture,
    figure,
    hatched,
    nought,
    styled,
)


@styled
def orders(models: Mapping[str, Sequence[float]], title: str = "") -> Picture:
    """What the paths of each length are worth, in nats: the direct path over guessing, then each
    order over the one before."""
    names = ["direct", "one\nhead", "two\nheads"]
    across = min(len(models), 3)
    down = -(-len(models) // across)
    fig = figure(height=2.6 * down + 0.4)
    axes = fig.subplots(down, across, squeeze=False)
    for ax in axes.flat[len(models) :]:
        ax.axis("off")
    for ax, (name, worth) in zip(axes.flat[: len(models)], models.items(), strict=True):
        drawn = ax.bar(range(len(worth)), worth, width=0.7, color=[QUIET, INK, COLOUR["control"]])
        for bar in drawn[2:]:
            bar.set(**hatched(COLOUR["control"]))
        ax.bar_label(drawn, fmt=lambda value: f"{round(value, 1) + 0.0:.1f}", padding=2, fontsize=9)
        ax.set_xticks(range(len(worth)), names[: len(worth)], fontsize=9)
        nought(ax)
        ax.margins(y=0.16)
        ax.set_title(name, fontsize=9.5)
    for ax in axes[:, 0]:
        ax.set_ylabel("loss saved (nats)")
    fig.suptitle(title, x=0.01, ha="left")
    told = "; ".join(
        f"{' '.join(name.split())} {_share(sum(worth[2:]), sum(worth))}"
        for name, worth in models.items()
    )
    return (
        fig,
        f"Loss saved by paths of each length. Of the whole, paths through two heads save: {told}.",
    )


@styled
def term_sum(
    terms: Mapping[str, float], losses: Mapping[str, float], title: str = "", most: int = 12
) -> Picture:
    """What each term adds to one logit, on top of one another, down to their sum; beside it the
    loss (nats) of some sums of terms. Of many terms the `most` largest, and the others together."""
    shown = sorted(terms, key=lambda name: -abs(terms[name]))[:most]
    parts = {name: worth for name, worth in terms.items() if name in shown}
    if len(terms) > len(parts):
        parts[f"{len(terms) - len(parts)} others"] = sum(terms.values()) - sum(parts.values())
    parts["all together"] = sum(terms.values())
    ends = np.cumsum(list(parts.values()))
    starts = np.append(0, ends[:-1])
    starts[-1], ends[-1] = 0, parts["all together"]
    high = 0.24 * len(parts) + 0.85
    fig = figure(height=high, layout=None)
    left = fig.add_axes((0.15, 0.5 / high, 0.4, 1 - 0.85 / high))
    right = fig.add_axes((0.78, 1 - 1.35 / high, 0.19, 1 / high))
    grows = ends >= starts
    colours = np.where(grows, COLOUR["prefix_matching"], COLOUR["previous_token"])
    colours[-1] = INK
    labels = [name.replace("->", "→") for name in parts]
    left.barh(labels, ends - starts, left=starts, height=0.66, color=colours)
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        number = f" {end - start:+.1f}".replace("-", "−")
        left.text(max(start, end), row, number, va="center")
    nought(left, upright=True)
    left.set(xlabel="logit of the right answer, above the mean of all tokens")
    left.margins(x=0.14)
    left.locator_params(axis="x", nbins=5)
    drawn = right.barh(list(losses), list(losses.values()), height=0.6, color=QUIET)
    right.bar_label(drawn, fmt=" {:.2f}")
    right.set(xlabel="loss (nats)", xlim=(0, 1.35 * max(losses.values())))
    for ax in (left, right):
        ax.invert_yaxis()
        ax.tick_params(axis="y", length=0)
    left.set_title(title)
    best = max(terms, key=terms.get)
    told = ", ".join(f"{name} {loss:.2f}" for name, loss in losses.items())
    return fig, (
        f"{len(terms)} terms add up to {parts['all together']:+.1f}, the logit of the right answer "
        f"above the mean of all tokens; most comes from {best}, {terms[best]:+.1f}. Loss in nats: "
        f"{told}."
    )


def _share(part: float, whole: float) -> str:
    """In words, which another text of the same kind does not change."""
    if whole <= 0:
        return "no part, for the whole saves nothing"
    words = ((0.01, "nothing"), (0.1, "little"), (0.5, "a part"), (0.9, "most"))
    return next((word for limit, word in words if part < limit * whole), "all")
