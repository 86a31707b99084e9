"""Pictures of what heads do."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from helpers.plotting.core import (
    COLOUR,
    DENSE,
    FAINT,
    INK,
    NAME,
    SIGNED,
    WIDEST,
    Picture,
    array,
    figure,
    styled,
)

# What cannot be is hatched: a plain colour would be that of some value.
FUTURE = dict(facecolor="none", hatch="////", edgecolor=FAINT, lw=0)


@styled
def patterns(
    by_layer: Sequence, title: str = "", scores: Mapping[str, Any] | None = None
) -> Picture:
    """Attention patterns of one sequence, a row a layer and a column a head: `by_layer[layer]` is
    [head, query, key].

    Above each stands the larger of its two scores, if given.
    """
    by_layer = [array(pattern) for pattern in by_layer]
    n_layers, n_heads = len(by_layer), len(by_layer[0])
    side = _side(n_heads)
    fig = figure(side * n_heads + 1.5, (side + 0.5) * n_layers + 0.5)
    axes = fig.subplots(n_layers, n_heads, squeeze=False)
    strongest = []
    for layer, head in np.ndindex(n_layers, n_heads):
        ax = axes[layer, head]
        image = draw_pattern(ax, by_layer[layer][head])
        label, colour = f"{layer}.{head}", INK
        if scores is not None:
            name = max(
                ("prefix_matching", "previous_token"), key=lambda name: scores[name][layer][head]
            )
            value = float(scores[name][layer][head])
            if value > 0.3:
                label, colour = f"{layer}.{head}: {value:.2f}\n{NAME[name]}", COLOUR[name]
                strongest.append((NAME[name], value))
        ax.set_title(label, fontsize=9, color=colour, pad=4)
        if head:
            ax.set_yticklabels([])
        if layer < n_layers - 1:
            ax.set_xticklabels([])
    axes[-1, 0].set(xlabel="key (attended to)", ylabel="query (attending)")
    fig.colorbar(image, ax=axes, shrink=0.6, aspect=30, label="attention (probability)")
    fig.suptitle(title, x=0.01, ha="left")
    found = [
        f"{sum(name == kind for name, _ in strongest)} by {kind}"
        for kind in NAME.values()
        if any(name == kind for name, _ in strongest)
    ]
    return fig, (
        f"Attention patterns of {n_layers} layer{'s' * (n_layers > 1)} with {n_heads} "
        f"head{'s' * (n_heads > 1)} each"
        + (
            f"; scores above 0.3: {', '.join(found)}."
            if found
            else "; none is a clean stripe."
            if scores is not None
            else "."
        )
    )


@styled
def pattern_row(panels: Mapping[str, Any], title: str = "") -> Picture:
    """A few single patterns [query, key] side by side, each with its name above it; more than four
    stand three to a row."""
    across = len(panels) if len(panels) <= 4 else 3
    down = -(-len(panels) // across)
    side = _side(across)
    fig = figure(side * across + 1.5, (side + 0.3) * down + 0.9)
    axes = fig.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for ax, (name, pattern) in zip(axes.flat[: len(panels)], panels.items(), strict=True):
        image = draw_pattern(ax, array(pattern))
        ax.set_title(name, fontsize=9.5, pad=5)
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    axes[-1, 0].set(xlabel="key (attended to)", ylabel="query (attending)")
    fig.colorbar(image, ax=axes, shrink=0.7, aspect=25, label="attention (probability)")
    fig.get_layout_engine().set(h_pad=0.1)
    fig.suptitle(title, x=0.01, ha="left")
    return (
        fig,
        f"{len(panels)} attention patterns side by side: "
        f"{'; '.join(' '.join(name.split()) for name in panels)}.",
    )


@styled
def scores_and_pattern(scores, pattern, labels: Sequence[str], title: str = "") -> Picture:
    """One head on one sequence: the scores it gives, and the pattern that mask and softmax make of
    them."""
    scores, pattern = array(scores), array(pattern)
    past = np.ma.masked_array(scores, np.triu(np.ones_like(scores, dtype=bool), 1))
    fig = figure(5.6, 9.4)
    left, right = fig.subplots(2, 1)
    most = float(np.abs(past).max())
    image = left.imshow(past, cmap=SIGNED, vmin=-most, vmax=most)
    hide_future(left, len(past))
    fig.colorbar(image, ax=left, shrink=0.75, label="score")
    fig.colorbar(
        draw_pattern(right, pattern), ax=right, shrink=0.75, label="attention (probability)"
    )
    for ax, name in (
        (left, "scores; hatched: the future, hidden"),
        (right, "softmax over each row"),
    ):
        ax.set_xticks(
            range(len(labels)), labels, rotation=90, fontsize=DENSE, family="DejaVu Sans Mono"
        )
        ax.set_yticks(range(len(labels)), labels, fontsize=DENSE, family="DejaVu Sans Mono")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(name, fontsize=10)
    left.set(ylabel="query (attending)", xlabel="key (attended to)")
    fig.suptitle(title, x=0.01, ha="left")
    row, column = np.unravel_index(pattern[1:, 1:].argmax(), pattern[1:, 1:].shape)
    return fig, (
        f"Scores of {len(labels)} tokens with one another, and the attention pattern they become; "
        f"the first token apart, the sharpest row is that of {labels[row + 1]!r}, which attends to "
        f"{labels[column + 1]!r}."
    )


def _side(across: int) -> float:
    """How wide a pattern can be, in inches, of so many in a row."""
    return min(2.0, (WIDEST - 1.5) / across)


def hide_future(ax: Axes, pos: int) -> None:
    """Hatch what lies right of the diagonal, and nothing else: a field of the past may be as clear
    as the page."""
    corners = [(i + 0.5, i + side) for i in range(pos - 1) for side in (-0.5, 0.5)]
    ends = [(pos - 0.5, pos - 1.5), (pos - 0.5, -0.5)]
    ax.add_patch(Polygon([*corners, *ends], **FUTURE))


def draw_pattern(ax: Axes, pattern: np.ndarray):
    future = np.triu(np.ones_like(pattern, dtype=bool), 1)
    image = ax.imshow(np.ma.masked_array(pattern, future), cmap="cividis", vmin=0, vmax=1)
    hide_future(ax, len(pattern))
    ax.locator_params(nbins=4, integer=True)  # few, so that they can be read
    ax.tick_params(length=2, labelsize=8.5)
    ax.spines[:].set_visible(False)
    return image
