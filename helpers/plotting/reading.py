"""Pictures of what a model reads."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np

from helpers.plotting.core import COLOUR, Picture, array, figure, ink, styled, two_digits
from helpers.tables import short


@styled
def sequences(tokens, determined, rows: int = 6) -> Picture:
    """Some sequences of a batch as strips of tokens; determined positions carry a bar, and equal
    tokens one shade."""
    tokens, determined = array(tokens)[:rows], array(determined)[:rows]
    fig = figure(10, 0.5 * len(tokens) + 0.7)
    ax = fig.subplots()
    for row, (sequence, marks) in enumerate(zip(tokens, determined, strict=True)):
        repeated = {token for token in sequence.tolist() if (sequence == token).sum() > 1}
        in_order = dict.fromkeys(token for token in sequence.tolist() if token in repeated)
        shade = {token: i / max(len(in_order) - 1, 1) for i, token in enumerate(in_order)}
        for column, token in enumerate(sequence.tolist()):
            face = (
                mpl.colormaps["cividis"](0.25 + 0.75 * shade[token])
                if token in shade
                else "#f1f1ee"
            )
            ax.add_patch(
                mpl.patches.Rectangle((column, row + 0.12), 0.94, 0.62, facecolor=face, linewidth=0)
            )
            ax.text(
                column + 0.47,
                row + 0.44,
                "B" if token == 0 else str(token),
                ha="center",
                va="center",
                fontsize=9,
                color=ink(face),
            )
            if marks[column]:
                ax.plot(
                    [column, column + 0.94],
                    [row + 0.83] * 2,
                    color=COLOUR["prefix_matching"],
                    lw=2.2,
                    solid_capstyle="butt",
                )
    ax.set(
        xlim=(-0.2, tokens.shape[1]),
        ylim=(len(tokens), 0),
        yticks=[],
        xlabel="position in the sequence (B is BOS)",
    )
    ax.set_title(
        "What the model reads, a strip a sequence. Underlined: where the earlier copy settles the "
        "next token"
    )
    ax.spines["left"].set_visible(False)
    periods = [_period(sequence) for sequence in tokens]
    return fig, (
        f"{len(tokens)} sequences of {tokens.shape[1]} tokens, each a lead-in of its own length "
        f"and then a repeated block; the blocks have {', '.join(map(str, periods))} tokens, and "
        f"{determined.mean():.0%} of the positions shown are determined."
    )


@styled
def look_back(
    tokens: Sequence[str], pattern, query: int, title: str = "", most: int = 120
) -> Picture:
    """One row of a pattern [query, key]: a chip a token, shaded by the attention that the framed
    one pays to it, with the number from a twentieth up. Of a long text only the last `most` tokens
    up to the framed one."""
    weights, tokens = array(pattern)[query], [short(token) for token in tokens]
    first, glyph = max(0, query + 1 - most), 0.076  # inches a letter
    places, line, x = [], 0, 0.0
    for index in range(first, query + 1):
        wide = glyph * max(len(tokens[index]), 2) + 0.12
        if x + wide > 8:
            line, x = line + 1, 0.0
        places.append((index, x, line, wide))
        x += wide + 0.05
    high = 0.44 * (line + 1) + 0.55
    fig = figure(8.3, high, layout=None)
    ax = fig.add_axes((0.15 / 8.3, 0.1 / high, 8 / 8.3, 1 - 0.52 / high))
    for index, x, line, wide in places:
        _draw_chip(ax, tokens[index], float(weights[index]), (x, line), wide, index == query)
    ax.set(xlim=(0, 8), ylim=(line + 0.9, -0.05))
    ax.axis("off")
    ax.set_title(title)
    top = int(weights[: query + 1].argmax())
    return fig, (
        f"From the framed token {tokens[query]!r}, position {query}, most attention, "
        f"{two_digits(float(weights[top]))}, goes to {tokens[top]!r}, {_distance(query - top)}."
    )


def _draw_chip(ax, token: str, weight: float, corner, wide: float, framed: bool) -> None:
    (x, y), face = corner, mpl.colormaps["cividis"](weight)
    edge = COLOUR["prefix_matching"] if framed else face
    box = mpl.patches.Rectangle((x, y + 0.05), wide, 0.5, facecolor=face, edgecolor=edge, lw=2)
    ax.add_patch(box)
    middle = dict(ha="center", va="center", fontsize=8.5)
    ax.text(x + wide / 2, y + 0.31, token, family="DejaVu Sans Mono", color=ink(face), **middle)
    if weight >= 0.05:
        ax.text(x + wide / 2, y + 0.73, two_digits(weight), color="#444444", **middle)


def _distance(steps: int) -> str:
    return {0: "itself", 1: "one step back"}.get(steps, f"{steps} steps back")


def _period(sequence: np.ndarray) -> int:
    """The distance at which the last token occurred before."""
    return (
        int(len(sequence) - 1 - np.flatnonzero(sequence[:-1] == sequence[-1])[-1])
        if (sequence[:-1] == sequence[-1]).any()
        else 0
    )
