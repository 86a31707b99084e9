"""Pictures of what a model reads."""

import re
from collections.abc import Iterator, Sequence

import matplotlib as mpl
import numpy as np

from helpers.plotting.core import (
    BELOW,
    COLOUR,
    INK,
    TINT,
    TITLE,
    WIDEST,
    Picture,
    array,
    figure,
    letters,
    styled,
    two_digits,
)
from helpers.tables import short

LINE = 24  # tokens, of which so many stand side by side
LETTER, LEADING = 0.076, 0.195  # inches from one letter of code to the next, and between its lines
LETTERS = int((WIDEST - 0.2) / LETTER)  # in a line of code


@styled
def sequences(tokens, determined, rows: int = 6) -> Picture:
    """Some sequences of a batch as strips of tokens, a line broken where it is full; determined
    positions carry a bar, and the tokens of the block that repeats each a shade of its own."""
    tokens, determined = array(tokens)[:rows], array(determined)[:rows]
    lines = -(-tokens.shape[1] // LINE)
    fig = figure(height=(0.27 * lines + 0.1) * len(tokens) + 0.8)
    ax = fig.subplots()
    starts = {}
    for row, (sequence, marks) in enumerate(zip(tokens, determined, strict=True)):
        block = _block(sequence.tolist())
        shade = {token: i / max(len(block) - 1, 1) for i, token in enumerate(block)}
        for position, token in enumerate(sequence.tolist()):
            line, column = divmod(position, LINE)
            y = row * (lines + 0.4) + line
            starts[y + 0.35] = position - column
            face = mpl.colormaps["cividis"](0.25 + 0.75 * shade[token]) if token in shade else TINT
            ax.add_patch(
                mpl.patches.Rectangle((column, y), 0.94, 0.72, facecolor=face, linewidth=0)
            )
            ax.text(
                column + 0.47,
                y + 0.37,
                "B" if token == 0 else str(token),
                ha="center",
                va="center",
                **letters(face),
            )
            if marks[position]:
                ax.plot(
                    [column, column + 0.94],
                    [y + 0.8] * 2,
                    color=COLOUR["prefix_matching"],
                    lw=2.2,
                    solid_capstyle="butt",
                )
    ax.set_yticks(list(starts), list(starts.values()))
    ax.set(
        xlim=(-0.2, LINE),
        ylim=(max(starts) + 0.6, -0.15),
        xticks=[],
        xlabel="a strip goes on in the line below it; B is BOS",
        ylabel="position of the first in a line",
    )
    ax.tick_params(length=0)
    ax.set_title(
        "What the model reads, a strip a sequence. Underlined: where the earlier copy settles the "
        "next token"
    )
    ax.spines[:].set_visible(False)
    periods = [_period(sequence) for sequence in tokens.tolist()]
    how = "each a lead-in of its own length and then a repeated block"
    if not all(periods):
        how = f"{sum(map(bool, periods))} of them with a block that repeats to the end"
    blocks = ", ".join(str(period) for period in periods if period)
    return fig, (
        f"{len(tokens)} sequences of {tokens.shape[1]} tokens, {how}; "
        f"{f'the blocks have {blocks} tokens, and ' * bool(blocks)}"
        f"{determined.mean():.0%} of the positions shown are determined."
    )


def _block(sequence: list[int]) -> list[int]:
    """The tokens from the first one that comes again up to where it does."""
    for start, token in enumerate(sequence):
        if token in sequence[start + 1 :]:
            return sequence[start : sequence.index(token, start + 1)]
    return []


@styled
def look_back(
    tokens: Sequence[str], pattern, query: int, title: str = "", most: int = 120
) -> Picture:
    """One row of a pattern [query, key]: a chip a token, shaded by the attention that the framed
    one pays to it, with the number from a twentieth up. Of a long text only the last `most` tokens
    up to the framed one."""
    weights, tokens = array(pattern)[query], [short(token) for token in tokens]
    first, across = max(0, query + 1 - most), WIDEST - 0.2
    places, line, x = [], 0, 0.0
    for index in range(first, query + 1):
        wide = LETTER * max(len(tokens[index]), 2) + 0.12
        if x + wide > across:
            line, x = line + 1, 0.0
        places.append((index, x, line, wide))
        x += wide + 0.05
    high = 0.44 * (line + 1) + 0.55
    fig = figure(height=high, layout=None)
    ax = fig.add_axes((0.1 / WIDEST, 0.1 / high, across / WIDEST, 1 - 0.52 / high))
    for index, x, line, wide in places:
        _draw_chip(ax, tokens[index], float(weights[index]), (x, line), wide, index == query)
    ax.set(xlim=(0, across), ylim=(line + 0.9, -0.05))
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
    ax.text(x + wide / 2, y + 0.31, token, family="DejaVu Sans Mono", **letters(face), **middle)
    if weight >= 0.05:
        ax.text(x + wide / 2, y + 0.73, two_digits(weight), **middle)


@styled
def passage(
    labels: Sequence[str],
    values,
    kinds: Sequence[str],
    all_kinds: Sequence[str],
    end: float,
    large: float,
    title: str = "",
) -> Picture:
    """A text as it stands, each token but the first on a ground of its value: orange above zero,
    blue below, full from `end` on. From `large` on it is underlined, below zero with dots. `kinds`
    says of what kind each of them is; the mean of each of `all_kinds` stands above."""
    values, kinds = array(values), np.asarray(kinds)
    pieces = list(_laid_out(labels))
    lines = 1 + max(line for *_, line in pieces)
    high = LEADING * lines + 1.1
    fig = figure(height=high, layout=None)
    inside = LETTERS * LETTER
    ax = fig.add_axes((0.1 / WIDEST, 0.05 / high, inside / WIDEST, LEADING * lines / high))
    ax.set(xlim=(0, LETTERS), ylim=(lines, 0))
    for token, text, column, line in pieces:
        value = float(values[token - 1]) if token else 0.0
        _draw_piece(ax, text, value, (column, line), end, large)
    head = fig.add_axes((0.1 / WIDEST, 1 - 1 / high, inside / WIDEST, 1 / high))
    head.set(xlim=(0, LETTERS), ylim=(5, 0))
    head.text(0, 0.8, title, fontsize=TITLE)
    for place, value in enumerate((-end, -large, 0, large, end)):
        name = f"{value:+g}" if value else "0"
        _draw_piece(head, name.center(5), value, (6 * place, 1.35), end, large)
    head.text(31, 2, f"nats; underlined from {large:g}, with dots where it costs", va="center")
    told = [f"{kind}:\n{_mean_of(values[kinds == kind])}" for kind in all_kinds]
    for place, words in enumerate(told):
        head.text(place * LETTERS / len(told), 3.6, words, va="center")
    for one in (ax, head):
        one.axis("off")
    most = int(values.argmax())
    means = "; ".join(words.replace("\n", " ") for words in told)
    return fig, (
        f"{title or 'A passage'}: {values.mean():+.2f} nats on average over {len(values)} tokens "
        f"({means}). The most, {values[most]:+.2f}, is at {short(labels[most + 1])!r}."
    )


def _laid_out(labels: Sequence[str]) -> Iterator[tuple[int, str, int, int]]:
    """The parts of each token that stand in one line: its place, its text, and where it begins.
    The first token, which opens the text, has a line of its own."""
    column = line = 0
    for token, label in enumerate(labels):
        for part in re.findall("⏎|[^⏎]+", label.replace("·", " ")):
            if column + len(part) > LETTERS:
                column, line = 0, line + 1
            yield token, part, column, line
            column += len(part)
            if part == "⏎" or not token:
                column, line = 0, line + 1


def _draw_piece(ax, text: str, value: float, corner, end: float, large: float) -> None:
    (x, y), face = corner, (0, 0, 0, 0)
    if value:
        colour = COLOUR["prefix_matching"] if value > 0 else BELOW
        face = mpl.colors.to_rgba(colour, min(abs(value) / end, 1))
        box = mpl.patches.Rectangle((x, y + 0.06), len(text), 0.88, facecolor=face, lw=0)
        ax.add_patch(box)
        if abs(value) >= large and text.strip():
            under = [x + len(text) - len(text.lstrip()), x + len(text.rstrip())]
            style = "-" if value > 0 else ":"
            ax.plot(under, [y + 0.94] * 2, color=colour, lw=1.6, ls=style, solid_capstyle="butt")
    look = letters(face) if text != "⏎" else dict(color=INK)
    ax.text(x, y + 0.52, text, family="DejaVu Sans Mono", va="center", **look)


def _mean_of(values: np.ndarray) -> str:
    """The mean of a kind and how many there are of it."""
    if not len(values):
        return "none here"
    return f"{values.mean():+.2f} at {len(values)} token{'s' * (len(values) > 1)}"


def _distance(steps: int) -> str:
    return {0: "itself", 1: "one step back"}.get(steps, f"{steps} steps back")


def _period(sequence: list[int]) -> int:
    """How long the block is that repeats to the end; 0 where none does."""
    block = _block(sequence)
    copies = sequence[sequence.index(block[0]) :] if block else []
    return len(block) * (copies[len(block) :] == copies[: -len(block)])
