"""The picture of all heads of a model at once."""

from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from helpers.plotting.core import COLOUR, INK, QUIET, Picture, figure, styled

LARGEST = 150  # square points, of a disc whose score is 1
SEEN = 0.1  # from which score on a head has a disc
KINDS = {
    "look right after earlier copies, and copy": COLOUR["prefix_matching"],
    "look right after earlier copies, do not copy directly": COLOUR["accent"],
    "look at the token before": COLOUR["previous_token"],
}


@styled
def head_board(report: Any, title: str = "") -> Picture:
    """Every head of a HeadReport, a column a layer: a disc as large as its prefix matching or its
    previous-token score, whichever is more; a ring around the induction heads."""
    rows, named = report.rows, report.induction_heads
    layers, heads = (1 + max(getattr(row, axis) for row in rows) for axis in ("layer", "head"))
    fig = figure(2.2 + 0.27 * layers, 1.5 + 0.25 * heads)
    ax = fig.subplots()
    ax.scatter([row.layer for row in rows], [row.head for row in rows], s=5, color=QUIET, lw=0)
    for kind, colour in KINDS.items():
        shown = [row for row in rows if _kind(row, report.copies_from) == kind]
        ax.scatter(
            [row.layer for row in shown],
            [row.head for row in shown],
            s=[LARGEST * _loudness(row) for row in shown],
            color=colour,
            lw=0,
        )
    for layer, head in named:
        ax.plot(layer, head, "o", ms=13, mfc="none", mec=INK, mew=1.2)
    ax.set(xlabel="layer", ylabel="head", xlim=(-0.7, layers - 0.3), ylim=(heads - 0.4, -0.6))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    keys = [_key(kind, colour) for kind, colour in KINDS.items()]
    ring = _key("induction head", "none", mec=INK)
    fig.legend(handles=[*keys, ring], loc="outside lower left", ncols=2, handletextpad=0.2)
    fig.suptitle(title, x=0.01, ha="left")
    return fig, _says(report)


def _loudness(row: Any) -> float:
    return max(row.prefix_matching, row.previous_token)


def _kind(row: Any, copies_from: float) -> str | None:
    copying, matching, before = KINDS
    if _loudness(row) < SEEN:
        return None
    if row.previous_token >= row.prefix_matching:
        return before
    return copying if row.copying > copies_from else matching


def _key(label: str, colour: str, **settings: Any) -> Line2D:
    return Line2D([], [], marker="o", ls="", color=colour, ms=9, label=label, **settings)


def _says(report: Any) -> str:
    rows = report.rows
    kinds = [_kind(row, report.copies_from) for row in rows]
    told = "; ".join(f"{kinds.count(kind)} {kind}" for kind in KINDS)
    return (
        f"The {len(rows)} heads of a model, a disc where a score is {SEEN} or more: {told}. "
        f"Named as induction heads: {len(report.induction_heads)}."
    )
