"""Static pictures. Each comes with a sentence, computed from the same data, that says what it shows.

`show(fig, says)` publishes both: the sentence is the picture's text for those who cannot see it, and what a regression
test compares. Every function here takes plain data and returns the pair, so a cell reads `show(*patterns(...))`.

One colour, one meaning, throughout the course: `COLOUR`. Probabilities are in cividis, signed values in a diverging map
centred on zero. Colour never stands alone: lines differ in style, maps print their numbers.
"""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from IPython.display import display
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image  # a dependency of matplotlib

# Okabe and Ito's palette, which the common forms of colour blindness can tell apart.
COLOUR = dict(
    prefix_matching="#D55E00", previous_token="#0072B2", copying="#009E73", loss="#333333", chance="#888888",
    control="#CC79A7", accent="#E69F00",
)  # fmt: skip
NAME = dict(prefix_matching="prefix matching", previous_token="previous token", copying="copying")
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11, "axes.titlelocation": "left",
    "axes.titlepad": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#666666",
    "axes.labelcolor": "#333333", "xtick.color": "#666666", "ytick.color": "#666666", "text.color": "#222222",
    "axes.grid": False, "lines.linewidth": 1.8, "legend.frameon": False, "figure.facecolor": "white",
    "savefig.facecolor": "white", "image.interpolation": "nearest",
}  # fmt: skip
Picture = tuple[Figure, str]


def show(fig: Figure, says: str) -> None:
    """Publish a figure with the sentence that says what it shows. ValueError for a sentence that says nothing."""
    if len(says.split()) < 5:
        raise ValueError(f"the picture says {says!r}; expected a sentence of five words or more with what one can see in it")
    content = io.BytesIO()
    fig.savefig(content, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    display({"image/png": content.getvalue(), "text/plain": says}, raw=True, metadata={"image/png": {"alt": says}})


def figure(width: float = 8, height: float = 3.2, **layout) -> Figure:
    """An empty figure, apart from pyplot's list of open ones, so that none is drawn twice or kept alive."""
    return Figure(figsize=(width, height), layout="constrained", **layout)


def styled(draw):
    """Draw in the course's style, whatever the reader has set."""

    def drawn(*arguments, **options) -> Picture:
        with mpl.rc_context(STYLE):
            return draw(*arguments, **options)

    drawn.__name__, drawn.__doc__, drawn.__wrapped__ = draw.__name__, draw.__doc__, draw
    return drawn


# ---- what a model reads


@styled
def sequences(tokens, determined, rows: int = 6) -> Picture:
    """Some sequences of a batch as strips of tokens; determined rows carry a bar, and equal tokens one shade."""
    tokens, determined = _array(tokens)[:rows], _array(determined)[:rows]
    fig = figure(10, 0.5 * len(tokens) + 0.7)
    ax = fig.subplots()
    for row, (sequence, marks) in enumerate(zip(tokens, determined, strict=True)):
        repeated = {token for token in sequence.tolist() if (sequence == token).sum() > 1}
        in_order = dict.fromkeys(token for token in sequence.tolist() if token in repeated)
        shade = {token: i / max(len(in_order) - 1, 1) for i, token in enumerate(in_order)}
        for column, token in enumerate(sequence.tolist()):
            face = mpl.colormaps["cividis"](0.25 + 0.75 * shade[token]) if token in shade else "#f1f1ee"
            ax.add_patch(mpl.patches.Rectangle((column, row + 0.12), 0.94, 0.62, facecolor=face, linewidth=0))
            ax.text(
                column + 0.47, row + 0.44, "B" if token == 0 else str(token), ha="center", va="center", fontsize=6.5,
                color=_ink(face),
            )  # fmt: skip
            if marks[column]:
                ax.plot([column, column + 0.94], [row + 0.83] * 2, color=COLOUR["prefix_matching"], lw=2.2, solid_capstyle="butt")
    ax.set(xlim=(-0.2, tokens.shape[1]), ylim=(len(tokens), 0), yticks=[], xlabel="position in the sequence (B is BOS)")
    ax.set_title("What the model reads. Underlined: the rows whose next token the earlier copy settles")
    ax.spines["left"].set_visible(False)
    periods = [_period(sequence) for sequence in tokens]
    return fig, (
        f"{len(tokens)} sequences of {tokens.shape[1]} tokens, each a lead-in of its own length and then a repeated block; the blocks "
        f"have {', '.join(map(str, periods))} tokens, and {determined.mean():.0%} of the rows shown are determined."
    )


# ---- what heads do


@styled
def patterns(by_layer: Sequence, title: str = "", scores: Mapping[str, Any] | None = None) -> Picture:
    """Attention patterns of one sequence, a row a layer and a column a head: `by_layer[layer]` is [head, query, key].

    Above each stands the larger of its two scores, if given."""
    by_layer = [_array(pattern) for pattern in by_layer]
    n_layers, n_heads = len(by_layer), len(by_layer[0])
    fig = figure(2.35 * n_heads + 0.9, 2.5 * n_layers + 0.5)
    axes = fig.subplots(n_layers, n_heads, squeeze=False)
    strongest = []
    for layer, head in np.ndindex(n_layers, n_heads):
        ax = axes[layer, head]
        image = _draw_pattern(ax, by_layer[layer][head])
        label, colour = f"{layer}.{head}", "#222222"
        if scores is not None:
            name = max(("prefix_matching", "previous_token"), key=lambda name: scores[name][layer][head])
            value = float(scores[name][layer][head])
            if value > 0.3:
                label, colour = f"{layer}.{head}  {NAME[name]} {value:.2f}", COLOUR[name]
                strongest.append((NAME[name], value))
        ax.set_title(label, fontsize=9, color=colour, pad=4)
        if head:
            ax.set_yticklabels([])
        if layer < n_layers - 1:
            ax.set_xticklabels([])
    axes[-1, 0].set(xlabel="key (attended to)", ylabel="query (attending)")
    fig.colorbar(image, ax=axes, shrink=0.6, aspect=30, label="attention (probability)")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    found = [f"{sum(name == kind for name, _ in strongest)} by {kind}" for kind in NAME.values() if any(name == kind for name, _ in strongest)]
    return fig, (
        f"Attention patterns of {n_layers} layer{'s' * (n_layers > 1)} with {n_heads} head{'s' * (n_heads > 1)} each"
        + (f"; scores above 0.3: {', '.join(found)}." if found else "; none is a clean stripe." if scores is not None else ".")
    )


@styled
def pattern_row(panels: Mapping[str, Any], title: str = "") -> Picture:
    """A few single patterns [query, key] side by side, each with its name above it."""
    fig = figure(2.5 * len(panels) + 0.9, 3.0)
    axes = fig.subplots(1, len(panels), squeeze=False)[0]
    for ax, (name, pattern) in zip(axes, panels.items(), strict=True):
        image = _draw_pattern(ax, _array(pattern))
        ax.set_title(name, fontsize=9, pad=5)
    for ax in axes[1:]:
        ax.set_yticklabels([])
    axes[0].set(xlabel="key (attended to)", ylabel="query (attending)")
    fig.colorbar(image, ax=axes, shrink=0.7, aspect=25, label="attention (probability)")
    fig.get_layout_engine().set(h_pad=0.1)
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    return fig, f"{len(panels)} attention patterns side by side: {'; '.join(' '.join(name.split()) for name in panels)}."


@styled
def head_board(report) -> Picture:
    """Every head's scores as a board, a row a score and a column a head, with the numbers printed."""
    rows, chance = report.rows, report.chance
    names = [name for name in ("prefix_matching", "previous_token") if name in chance]
    values = np.array([[getattr(row, name) for row in rows] for name in names])
    fig = figure(0.85 * len(rows) + 2.8, 2.0)
    ax = fig.subplots()
    ax.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        ax.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=9, color=_ink(mpl.colormaps["cividis"](value)))
    for x, row in enumerate(rows):
        if (row.layer, row.head) in report.induction_heads:
            ax.add_patch(mpl.patches.Rectangle((x - 0.48, -0.47), 0.96, 0.94, fill=False, edgecolor=COLOUR["prefix_matching"], lw=2.5))
    ax.set_xticks(range(len(rows)), [f"{row.layer}.{row.head}" for row in rows])
    ax.set_yticks(range(len(names)), [f"{NAME[name]}\n(chance {chance[name]:.2f})" for name in names])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title("What each head does (layer.head). Framed: induction heads")
    best = [f"{NAME[name]} at most {values[i].max():.1f}" for i, name in enumerate(names)]
    return fig, f"A board of {len(rows)} heads: {' and '.join(best)}; {len(report.induction_heads)} named as induction heads."


# ---- how it came about


@styled
def training_story(
    history: Sequence[Mapping[str, Any]], losses: Sequence[float], chance_loss: float, chance: Mapping[str, float], title: str = ""
) -> Picture:
    """The loss, and below it every head's prefix matching and previous-token score, over the steps of a training.

    `history`: one entry a snapshot with "step", "prefix_matching" and "previous_token" (both [layer][head])."""
    fig = figure(9, 5.2)
    above, below = fig.subplots(2, 1, sharex=True, height_ratios=[1, 1.15])
    above.plot(np.arange(1, len(losses) + 1), losses, color=COLOUR["loss"], lw=1.1)
    _chance_line(above, chance_loss, f"guessing: {chance_loss:.2f}")
    above.set(ylabel="loss (nats)", ylim=(0, max(chance_loss, max(losses)) * 1.12))
    steps = [max(entry["step"], 0.7) for entry in history]
    for name, dash in (("previous_token", (0, (4, 1.5))), ("prefix_matching", "solid")):
        curves = np.array([np.ravel(np.array(entry[name], dtype=float)) for entry in history])
        for number, curve in enumerate(curves.T):
            below.plot(steps, curve, color=COLOUR[name], ls=dash, lw=1.6, alpha=0.9, label=NAME[name] if number == 0 else None)
        _chance_line(below, chance[name])
    below.set(xlabel="training step", ylabel="score of every head\n(share of attention)", ylim=(-0.02, 1.04), xscale="log")
    below.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    below.legend(loc="upper left")
    born = birth(history)
    if born is not None:
        for ax in (above, below):
            ax.axvline(born, color=COLOUR["accent"], lw=1.2, zorder=0)
        above.text(born, above.get_ylim()[1], f" birth, step {born}", color="#9a6b00", fontsize=9, va="top")
    above.set_title(title or "The loss falls when the heads form")
    when = f"first passes one half before step {math.ceil((born + 1) / 100) * 100}" if born is not None else "never passes one half"
    fell = "falls below half of what guessing costs" if np.mean(losses[-20:]) < chance_loss / 2 else "stays above half of what guessing costs"
    return fig, f"Over {len(losses)} steps the loss {fell} ({chance_loss:.1f} nats), and the best prefix-matching score {when}."


@styled
def best_over_training(runs: Mapping[str, Sequence[Mapping[str, Any]]], chance: float, score: str = "prefix_matching", title: str = "") -> Picture:
    """The best head of several trainings on one axis, each by its history."""
    fig = figure(8, 3.3)
    ax = fig.subplots()
    colours = [COLOUR[score], COLOUR["control"], COLOUR["accent"], COLOUR["previous_token"]]
    last = {}
    for (name, history), colour, dash in zip(runs.items(), colours, ("solid", (0, (5, 2)), "dotted", "dashdot"), strict=False):
        steps = [max(entry["step"], 0.7) for entry in history]
        best = [np.max(entry[score]) for entry in history]
        ax.plot(steps, best, color=colour, ls=dash, lw=2.2)
        ax.annotate(name, (steps[-1], best[-1]), xytext=(6, 0), textcoords="offset points", color=colour, va="center", annotation_clip=False)
        last[name] = best[-1]
    _chance_line(ax, chance, f"chance: {chance:.2f}")
    ax.set(xlabel="training step", ylabel=f"best head's {NAME[score]}", xscale="log", ylim=(-0.02, 1.04))
    ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.set_title(title)
    return fig, f"The best head's {NAME[score]} ends at {', '.join(f'{value:.1f} ({name})' for name, value in last.items())}; chance is {chance:.2f}."


@styled
def bars(groups: Mapping[str, float], ylabel: str, chance: float | None = None, title: str = "", highlight: Sequence[str] = (), says: str = "") -> Picture:
    """One number each, as bars with the numbers on them; those in `highlight` stand out."""
    longest = max(len(line) for name in groups for line in name.split("\n"))
    fig = figure(max(4.5, max(0.5, 0.11 * longest) * len(groups) + 1.6), 3.1)
    ax = fig.subplots()
    drawn = ax.bar(list(groups), list(groups.values()), width=0.72, color="#b9bfc4")
    for name, bar in zip(groups, drawn, strict=True):
        if name in highlight:
            bar.set(facecolor=COLOUR["prefix_matching"], hatch="//", edgecolor="white")
    ax.bar_label(drawn, fmt=_two_digits, padding=2, fontsize=8.5)
    if chance is not None:
        _chance_line(ax, chance, f"chance: {chance:.2f}")
    ax.set(ylabel=ylabel)
    ax.margins(y=0.14)
    ax.set_title(title)
    return fig, says or f"{ylabel}: " + ", ".join(f"{' '.join(name.split())} {_two_digits(value)}" for name, value in groups.items()) + "."


@styled
def birth_frame(losses: Sequence[float], step: int, chance_loss: float, by_layer: Sequence) -> Picture:
    """One moment of a training: the loss up to `step`, and every head's pattern on one sequence at that step."""
    by_layer = [_array(pattern) for pattern in by_layer]
    n_layers, n_heads = len(by_layer), len(by_layer[0])
    fig = figure(9.6, 3.5)
    left, right = fig.subfigures(1, 2, width_ratios=[1, 1.45])
    ax = left.subplots()
    ax.plot(np.arange(1, len(losses) + 1), losses, color="#dddddd", lw=1)
    ax.plot(np.arange(1, step + 1), losses[:step], color=COLOUR["loss"], lw=1.4)
    ax.plot(max(step, 1), losses[max(step, 1) - 1], "o", color=COLOUR["accent"], ms=7)
    _chance_line(ax, chance_loss)
    ax.set(xscale="log", xlabel="training step", ylabel="loss (nats)", ylim=(0, chance_loss * 1.1))
    ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.set_title(f"step {step}")
    axes = right.subplots(n_layers, n_heads, squeeze=False)
    for layer, head in np.ndindex(n_layers, n_heads):
        _draw_pattern(axes[layer, head], by_layer[layer][head])
        axes[layer, head].set(xticks=[], yticks=[])
    for layer in range(n_layers):
        axes[layer, 0].set_ylabel(f"layer {layer}")
    return fig, f"At step {step} the loss is {losses[max(step, 1) - 1]:.1f} nats; beside it the patterns of {n_layers * n_heads} heads."


def movie(figures: Sequence[Figure], seconds_a_frame: float = 0.16) -> bytes:
    """The figures as an animated GIF that rests on the last one, in few enough colours to be small."""
    frames = []
    for fig in figures:
        content = io.BytesIO()
        fig.savefig(content, format="png", dpi=80)
        frames.append(Image.open(content).convert("RGB").quantize(96, dither=Image.Dither.NONE))
    milliseconds = [int(1000 * seconds_a_frame)] * (len(frames) - 1) + [2500]
    out = io.BytesIO()
    frames[0].save(out, format="GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, optimize=True)
    return out.getvalue()


# ---- on text


@styled
def reading(tokens: Sequence[str], weights, query: int, title: str = "", width: int = 64) -> Picture:
    """A text, set as it is written, each token shaded by the attention that the framed token pays to it."""
    weights = _array(weights)
    places, line, column = [], 0, 0
    for token in tokens:
        if "⏎" in token:  # what stands after the line's end opens the next line
            line, column, token = line + token.count("⏎"), 0, token.rpartition("⏎")[2]
        if column + len(token) > width:
            line, column = line + 1, 0
        places.append((line, column, token))
        column += len(token)
    point = 10.5
    glyph = 0.602 * point / 72  # inches: DejaVu Sans Mono is this wide
    fig = figure(glyph * (width + 2), 0.27 * (line + 1) + 0.55)
    ax = fig.subplots()
    shades = mpl.colormaps["cividis"]
    for index, (row, start, shown) in enumerate(places):
        weight = float(weights[index]) if index < len(weights) else 0.0
        face = shades(0.15 + 0.85 * weight) if weight > 0.02 else "none"
        frame = COLOUR["prefix_matching"] if index == query else "none"
        ax.add_patch(mpl.patches.Rectangle((start, row), max(len(shown), 0.6), 0.9, facecolor=face, edgecolor=frame, lw=2))
        colour = _ink(face) if weight > 0.02 else "#222222"
        ax.text(start, row + 0.47, shown.replace("·", " "), family="DejaVu Sans Mono", fontsize=point, va="center", color=colour)
    ax.set(xlim=(-0.5, width), ylim=(line + 1.1, -0.15))
    ax.axis("off")
    ax.set_title(title)
    top = int(np.argmax(weights[: query + 1]))
    return fig, (
        f"From the framed token {tokens[query]!r}, number {query}, most attention goes to {tokens[top]!r}, number {top}, "
        f"right after token {tokens[top - 1]!r}."
    )


# ---- pieces


def birth(history: Sequence[Mapping[str, Any]], threshold: float = 0.5) -> int | None:
    """The first step at which some head's prefix matching passes the threshold."""
    for entry in history:
        if np.max(entry["prefix_matching"], initial=0.0) > threshold:
            return entry["step"]
    return None


def _array(values) -> np.ndarray:
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def _period(sequence: np.ndarray) -> int:
    """The distance at which the last token occurred before."""
    return int(len(sequence) - 1 - np.flatnonzero(sequence[:-1] == sequence[-1])[-1]) if (sequence[:-1] == sequence[-1]).any() else 0


def _two_digits(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0 turns -0.00 into 0.00


def _ink(face) -> str:
    """Black or white, whichever reads better on this colour."""
    red, green, blue = mpl.colors.to_rgb(face)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "#111111"


def _draw_pattern(ax: Axes, pattern: np.ndarray):
    future = np.triu(np.ones_like(pattern, dtype=bool), 1)
    colours = mpl.colormaps["cividis"].with_extremes(bad="#f4f4f2")
    image = ax.imshow(np.ma.masked_array(pattern, future), cmap=colours, vmin=0, vmax=1)
    ax.tick_params(length=2, labelsize=7)
    ax.spines[:].set_visible(False)
    return image


def _chance_line(ax: Axes, value: float, label: str | None = None) -> None:
    ax.axhline(value, color=COLOUR["chance"], lw=1, ls=(0, (1, 2)), zorder=0)
    if label:
        ax.annotate(label, (0.004, value), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points", color="#777777", fontsize=8)
