"""Pictures of a head's circuits: what each term says, where a head looks, what it moves, whether it
copies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm

from helpers.plotting.core import (
    COLOUR,
    DENSE,
    INK,
    SIGNED,
    TINT,
    Picture,
    array,
    figure,
    letters,
    nought,
    styled,
)

WIDE, HIGH = 4.2, 3.2  # how far the panels of eigenvalues reach, in mean sizes


@styled
def term_board(terms: Mapping[str, Any], labels: Sequence[str], title: str = "") -> Picture:
    """What each term adds to some logits, centred over the vocabulary; a row a term, with their sum
    in the last row."""
    names, values = list(terms), np.array([array(term) for term in terms.values()])
    values = np.vstack([values, values.sum(0)])
    fig = figure(0.85 * len(labels) + 2.4, 0.46 * len(values) + 1.0)
    ax = fig.subplots()
    signed_map(ax, values, [*names, "sum"], labels, numbers=True)
    ax.axhline(len(names) - 0.5, color=INK, lw=1.5)
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
    fig = figure(5.8, 5.2 * len(panels) + 0.3)
    strongest = []
    for ax, (name, (matrix, rows, columns, axes)) in zip(
        fig.subplots(len(panels), 1, squeeze=False)[:, 0], panels.items(), strict=True
    ):
        matrix = array(matrix)
        image = signed_map(ax, matrix, rows, columns)
        fig.colorbar(image, ax=ax, shrink=0.7, label="logits" if "output" in axes[1] else "score")
        ax.set(title=name, ylabel=axes[0], xlabel=axes[1])
        row, column = np.unravel_index(matrix.argmax(), matrix.shape)
        strongest.append(f"{name}: strongest {rows[row]!r} and {columns[column]!r}")
    fig.suptitle(title, x=0.01, ha="left")
    return fig, f"{len(panels)} token-by-token maps; {'; '.join(strongest)}."


@styled
def copying_plane(heads: Mapping[str, Any], null, title: str = "") -> Picture:
    """Eigenvalues in the complex plane, a panel a head, over the cloud of random matrices of the
    same shapes.

    Each set is divided by its own mean size, so that only directions and spread are compared. An
    eigenvalue beyond the panel is a ring at its edge, with its number.
    """
    null = array(null)
    across = min(len(heads), 2)
    down = -(-len(heads) // across)
    fig = figure(2.9 * across + 0.4, 2.8 * down + 0.3)
    cloud = (null / np.abs(null).mean(-1, keepdims=True)).ravel()
    spectra = {name: array(of) / np.abs(array(of)).mean() for name, of in heads.items()}
    axes = fig.subplots(down, across, squeeze=False, sharex=True, sharey=True).flat
    found = []
    for ax, (name, values) in zip(axes[: len(heads)], spectra.items(), strict=True):
        statistic = values.sum().real / np.abs(values).sum()
        ax.scatter(cloud.real, cloud.imag, s=4, color=TINT, lw=0, label="random")
        ax.scatter(
            values.real,
            values.imag,
            s=22,
            color=COLOUR["copying"],
            lw=0,
            label="this head",
        )
        nought(ax)
        nought(ax, upright=True)
        ax.set(
            title=f"{name}: statistic {statistic:+.2f}",
            aspect="equal",
            xlim=(-WIDE, WIDE),
            ylim=(-HIGH, HIGH),
        )
        _mark_beyond(ax, values)
        ax.title.set_fontsize(9)
        found.append(f"{name} {statistic:+.2f}")
    fig.get_layout_engine().set(h_pad=0.08)
    fig.axes[0].set(ylabel="imaginary part")
    fig.axes[across * (down - 1)].set(xlabel="real part")
    marks = (
        fig.axes[0]
        .legend(fontsize=8, loc="lower left", handletextpad=0.1, borderpad=0.1)
        .legend_handles
    )
    marks[0].set(sizes=[12], color=INK)
    fig.suptitle(title, x=0.01, ha="left")
    return fig, (
        f"Eigenvalues of the OV circuit over a random cloud; copying statistic: {', '.join(found)}."
    )


def _mark_beyond(ax: Axes, values: np.ndarray) -> None:
    x, y = values.real.clip(-WIDE, WIDE), values.imag.clip(-HIGH, HIGH)
    for value, at in zip(values, zip(x, y, strict=True), strict=True):
        if (value.real, value.imag) != at:
            ax.plot(*at, "o", ms=6, mfc="none", mec=COLOUR["copying"], clip_on=False)
            number = f"{value.real:.1f}" + f"{value.imag:+.1f}i" * bool(value.imag)
            side = np.sign(at[0])
            place = dict(xytext=(-8 * side, 6), textcoords="offset points")
            ax.annotate(number, at, ha="right" if side > 0 else "left", **place)


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
        fontsize=9 if numbers else DENSE,
        family="DejaVu Sans Mono",
    )
    ax.set_yticks(
        range(len(rows)), rows, fontsize=9 if numbers else DENSE, family="DejaVu Sans Mono"
    )
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (y, x), value in np.ndenumerate(values) if numbers else ():
        text = f"{round(float(value), digits) + 0.0:.{digits}f}"
        ax.text(x, y, text, ha="center", va="center", **letters(SIGNED(norm(value))))
    return image
