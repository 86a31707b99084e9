"""The picture of all heads of a model at once."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from helpers.plotting.core import COLOUR, INK, NAME, QUIET, Picture, figure, styled

LARGEST = 150  # square points, of a disc whose score is 1
SEEN = 0.1  # from which score on a head has a disc


@styled
def head_board(rows: Sequence[Any], named: Collection[tuple[int, int]], title: str = "") -> Picture:
    """Every head of a model, a column a layer: a disc as large as its prefix matching or its
    previous-token score, whichever is more; a ring around those in `named`. Rows as a HeadReport
    has them."""
    layers, heads = (1 + max(getattr(row, axis) for row in rows) for axis in ("layer", "head"))
    fig = figure(2.2 + 0.27 * layers, 1.5 + 0.25 * heads)
    ax = fig.subplots()
    ax.scatter([row.layer for row in rows], [row.head for row in rows], s=5, color=QUIET, lw=0)
    for score in ("prefix_matching", "previous_token"):
        shown = [row for row in rows if _loudest(row) == score]
        ax.scatter(
            [row.layer for row in shown],
            [row.head for row in shown],
            s=[LARGEST * getattr(row, score) for row in shown],
            color=COLOUR[score],
            lw=0,
        )
    for layer, head in named:
        ax.plot(layer, head, "o", ms=13, mfc="none", mec=INK, mew=1.2)
    ax.set(xlabel="layer", ylabel="head", xlim=(-0.7, layers - 0.3), ylim=(heads - 0.4, -0.6))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    keys = [_key(NAME[score], COLOUR[score]) for score in ("prefix_matching", "previous_token")]
    ring = _key("induction head", "none", mec=INK)
    fig.legend(handles=[*keys, ring], loc="outside upper right", ncols=3, handletextpad=0.2)
    fig.suptitle(title, x=0.01, ha="left")
    return fig, _says(rows, named)


def _loudest(row: Any) -> str | None:
    score = max(("prefix_matching", "previous_token"), key=lambda name: getattr(row, name))
    return score if getattr(row, score) >= SEEN else None


def _key(label: str, colour: str, **settings: Any) -> Line2D:
    return Line2D([], [], marker="o", ls="", color=colour, ms=9, label=label, **settings)


def _says(rows: Sequence[Any], named: Collection[tuple[int, int]]) -> str:
    best: Mapping[str, Any] = {
        score: max(rows, key=lambda row: getattr(row, score))  # noqa: B023
        for score in ("prefix_matching", "previous_token")
    }
    told = "; ".join(
        f"{NAME[score]} up to {getattr(row, score):.2f}, head {row.layer}.{row.head}"
        for score, row in best.items()
    )
    return f"The {len(rows)} heads of a model: {told}. Named as induction heads: {len(named)}."
