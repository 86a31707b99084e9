"""The residual stream with all that writes to it and all that reads it: a picture of every link at
once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from helpers.plotting.core import COLOUR, DENSE, INK, NAME, Picture, figure, styled

WORDS = dict(embed="embedding", pos="positions", unembed="unembedding")
VIOLET = np.array([0.59, 0.27, 0.67])  # halfway between the colours of two roles
# where writers and readers stand, and the distance from Q to K to V
LEFT, RIGHT, PORT = (
    0.0,
    10.0,
    0.75,
)
GAP = 0.7  # between two layers, in rows


@styled
def stream_diagram(
    writers: Sequence[Mapping[str, Any]],
    readers: Sequence[Mapping[str, Any]],
    links: Sequence[Mapping[str, Any]],
    level: float = 0.05,
    title: str = "",
) -> Picture:
    """Writers on the left of the stream, readers on its right, depth downwards; links with p up to
    `level` are strong.

    `writers` and `readers`: "name", "layer", and for a head that does something, "role" and
    "role_score". `links`: "writer", "reader" ("1.2.K" or "unembed"), "score", "mean" and "ceiling"
    of its null, "p".
    """
    rows = _rows(writers, readers)
    fig = figure(height=0.36 * max(rows.values()) + 1.75)
    ax = fig.subplots()
    for shade, wide in ((0.05, 3.0), (0.06, 2.2), (0.07, 1.4)):
        ax.axvspan(5 - wide / 2, 5 + wide / 2, color=INK, alpha=shade, lw=0)
    roles = {end["name"]: COLOUR.get(end.get("role")) for end in [*writers, *readers]}
    strong = [link for link in links if link["p"] <= level]
    for link in sorted(links, key=lambda link: -link["p"]):
        _draw_link(ax, link, rows, roles, link in strong)
    _draw_ends(ax, writers, readers, rows)
    for text, x, align in (
        ("writes to the stream", LEFT, "right"),
        ("residual stream  ↓", 5, "center"),
        ("reads from the stream", RIGHT, "left"),
    ):
        ax.text(x, -1.0, text, ha=align, va="center", weight="bold")
    key = (
        "Thick: near the highest score the two could have.\nPale: no more than chance (p above "
        f"{level}, all {len(links)} links counted)."
    )
    ax.text(5, max(rows.values()) + 1.1, key, ha="center", va="center")
    ax.set(xlim=(LEFT - 9.2, RIGHT + 10.6), ylim=(max(rows.values()) + 1.5, -1.5))
    ax.axis("off")
    ax.set_title(title)
    return fig, _sentence(strong, len(links), level)


def _rows(
    writers: Sequence[Mapping[str, Any]], readers: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """Where each end stands, from the top: a head that writes and reads stands at one height on
    both sides."""
    rows, layer, at = {}, -1, 0.0
    for end in [*writers, *(reader for reader in readers if reader not in writers)]:
        at += GAP * (end["layer"] > layer)
        layer = end["layer"]
        rows[end["name"]] = at
        at += 1
    return rows


def _port(reader: str, rows: Mapping[str, float]) -> tuple[float, float]:
    if reader in rows:
        return RIGHT + PORT, rows[reader]
    name, kind = reader[:-2], "QKV".index(reader[-1])
    return RIGHT + PORT * kind, rows[name] + 0.2 * (kind - 1)


def _draw_link(
    ax: Axes,
    link: Mapping[str, Any],
    rows: Mapping[str, float],
    roles: Mapping[str, Any],
    strong: bool,
) -> None:
    (x0, y0), (x1, y1) = (LEFT + 0.15, rows[link["writer"]]), _port(link["reader"], rows)
    t = np.linspace(0, 1, 60)
    x = (1 - t) ** 3 * x0 + 3 * t * (1 - t) * 5 + t**3 * x1
    y = y0 + (y1 - y0) * t**2 * (3 - 2 * t)
    ends = (
        roles[link["writer"]],
        roles[link["reader"] if link["reader"] in roles else link["reader"][:-2]],
    )
    first, last = (np.array(mpl.colors.to_rgb(ends[i] or ends[1 - i] or INK)) for i in (0, 1))
    if not strong:
        ax.plot(x, y, color=(first + last) / 2, alpha=0.25, lw=0.4)
        return
    colours = first + (last - first) * t[1:, None]
    if (first != last).any():  # not through grey
        colours += 2.4 * (t * (1 - t))[1:, None] * (VIOLET - colours)
    above = (link["score"] - link["mean"]) / max(link["ceiling"] - link["mean"], 1e-9)
    points = np.stack([x, y], -1)
    ax.add_collection(
        LineCollection(
            np.stack([points[:-1], points[1:]], 1),
            colors=colours,
            capstyle="round",
            linewidths=0.8 + 3.6 * float(np.clip(above, 0, 1)),
        )
    )


def _draw_ends(
    ax: Axes,
    writers: Sequence[Mapping[str, Any]],
    readers: Sequence[Mapping[str, Any]],
    rows: Mapping[str, float],
) -> None:
    def label(end: Mapping[str, Any], x: float, align: str) -> None:
        role = f"{NAME[end['role']]} {end['role_score']:.2f}" if end.get("role") else ""
        name = WORDS.get(end["name"], end["name"])
        words = f"{role}  {name}" if align == "right" else f"{name}  {role}"
        ax.text(
            x,
            rows[end["name"]],
            words,
            ha=align,
            va="center",
            fontsize=9.5,
            color=COLOUR.get(end.get("role"), INK),
        )

    for end in writers:
        colour = COLOUR.get(end.get("role"))
        ax.plot(
            LEFT, rows[end["name"]], "o", ms=7, mfc=colour or "none", mec=colour or INK, zorder=3
        )
        label(end, LEFT - 0.3, "right")
    for end in readers:
        colour = COLOUR.get(end.get("role"), INK)
        kinds = (
            ["unembed"] if end["name"] == "unembed" else [f"{end['name']}.{kind}" for kind in "QKV"]
        )
        for kind in kinds:
            x, y = _port(kind, rows)
            ax.plot(x, y, "o", ms=11, mfc=colour, mec=colour, zorder=3)
            ax.text(
                x,
                y,
                kind[-1] if "." in kind else "U",
                ha="center",
                va="center_baseline",
                fontsize=DENSE,
                color="white",
                zorder=4,
            )
        label(end, RIGHT + 3 * PORT + 0.1, "left")


def _sentence(strong: Sequence[Mapping[str, Any]], total: int, level: float) -> str:
    """How many links stand above chance, from where to where; heads are counted and not named."""
    groups = Counter(
        (WORDS.get(link["writer"], "heads"), WORDS.get(link["reader"], link["reader"][-1]))
        for link in strong
    )
    listed = ", ".join(
        f"{count} from {writer} to {reader}" for (writer, reader), count in sorted(groups.items())
    )
    return (
        f"{len(strong)} of {total} links stand above chance{': ' + listed if listed else ''}. "
        f"Chance alone brings any of them so far with probability {level} at most."
    )
