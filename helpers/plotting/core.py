"""What every picture shares: the style, the colours, and the sentence that goes with it."""

import io
from collections.abc import Iterable, Iterator, Mapping
from functools import wraps
from typing import Any

import matplotlib as mpl
import numpy as np
from IPython.display import display
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image  # a dependency of matplotlib

from helpers.plotting.palette import few

# A picture has no ground of its own: it stands on a white page and on JupyterLab's dark one, and
# each of its colours is read on both (tests/test_both_themes.py measures them).
GROUNDS = dict(light="#ffffff", dark="#111111")
INK = "#777777"  # of all that is written, of axes, and of the loss
QUIET, FAINT, TINT = INK + "99", INK + "55", INK + "28"  # bars beside the point; clouds; fields
# Okabe and Ito's palette, which the common forms of colour blindness can tell apart.
COLOUR = dict(
    prefix_matching="#D55E00",
    previous_token="#0072B2",
    copying="#009E73",
    loss=INK,
    chance=INK,
    control="#CC79A7",
    accent="#E69F00",
)
# Blue below zero, red above, and at zero the page itself; in few enough shades for `show` to keep
# them all.
BELOW, ABOVE = "#0072B2", "#C8302B"
SIGNED = mpl.colors.ListedColormap(
    [mpl.colors.to_rgba(ABOVE if x > 0 else BELOW, abs(x)) for x in np.linspace(-1, 1, 65)],
    name="signed",
)
CHANCE = dict(color=COLOUR["chance"], lw=1, ls=(0, (1, 2)), zorder=0)
NAME = dict(prefix_matching="prefix matching", previous_token="previous token", copying="copying")
# Points. One size for all that is said, one for titles; fields of a dense map may be smaller.
TEXT, TITLE, DENSE = 9, 10.5, 7.5
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "axes.titlesize": TITLE,
    "figure.titlesize": TITLE,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.grid": False,
    "grid.color": INK,
    "grid.linewidth": 0.3,
    "lines.linewidth": 1.8,
    "hatch.linewidth": 1.2,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "image.interpolation": "nearest",
}
# Inches. In a window of 800 px JupyterLab leaves an output 620 px: there a figure of this width
# still has letters of 10 px, however dense.
WIDEST, MARGIN = 6.4, 0.04
DPI = 110
Picture = tuple[Figure, str]


def show(fig: Figure, says: str) -> None:
    """Publish a figure with the sentence that says what it shows. ValueError for a sentence that
    says nothing."""
    if len(says.split()) < 5:
        raise ValueError(
            f"the picture says {says!r}; expected a sentence of five words or more with what one "
            "can see in it"
        )
    display(
        {"image/png": png(fig), "text/plain": says},
        raw=True,
        metadata={"image/png": {"alt": says}},
    )


def png(fig: Figure) -> bytes:
    """The figure as a PNG without a ground, at home on a white page and on a dark one."""
    drawn, content = io.BytesIO(), io.BytesIO()
    # without a layout the margin is drawn: to look for it takes as long as to draw once more
    cut = dict(bbox_inches="tight", pad_inches=MARGIN) if fig.get_layout_engine() else {}
    fig.savefig(drawn, format="png", dpi=DPI, facecolor="none", **cut)
    few(Image.open(drawn)).save(content, "PNG", optimize=True)
    return content.getvalue()


def figure(
    width: float = WIDEST, height: float = 3.2, layout: str | None = "constrained"
) -> Figure:
    """An empty figure, at most WIDEST, and apart from pyplot's list of open ones, so that none is
    drawn twice or kept alive. Without a layout, which takes most of the time, its axes stand where
    they are put."""
    return Figure(figsize=(min(width, WIDEST), height), layout=layout)


def styled(draw):
    """Draw in the course's style, whatever the reader has set."""

    @wraps(draw)
    def drawn(*arguments, **options) -> Picture:
        with mpl.rc_context(STYLE):
            fig, says = draw(*arguments, **options)
        for text in fig.findobj(Text):
            size = text.get_fontsize()
            text.set_fontsize(TITLE if size >= TITLE else TEXT if size > DENSE else DENSE)
            text.set_wrap(size >= TITLE)
        return fig, says

    return drawn


def array(values) -> np.ndarray:
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def two_digits(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0 turns -0.00 into 0.00


def either(counts: Iterable[int]) -> str:
    """So many, where all agree; else each number that there is: 3, or 1 or 3."""
    return " or ".join(map(str, sorted({*counts})))


def letters(face) -> dict:
    """How to write on this colour, whatever the page behind it is. Where the page shows through,
    white letters have an edge in the colour itself."""
    *face, alpha = mpl.colors.to_rgba(face)
    if alpha < 0.25:
        return dict(color=INK)
    if alpha < 1:
        edge = patheffects.withStroke(linewidth=1.5, foreground=face)
        return dict(color="white", path_effects=[edge])
    return dict(color="white" if np.dot(face, (0.299, 0.587, 0.114)) < 0.5 else "#111111")


def hatched(colour) -> dict:
    """Bars of a kind of their own: stripes, with the page between them."""
    return dict(facecolor=mpl.colors.to_rgba(colour, 0.35), edgecolor=colour, hatch="////", lw=0)


def with_looks(data: Mapping[str, Any], looks: Iterable) -> Iterator[tuple[tuple[str, Any], Any]]:
    """Each of the data by its name, and with it a look of its own. ValueError for more than there
    are looks for: the sentence would tell of what is not drawn."""
    looks = list(looks)
    if len(data) > len(looks):
        raise ValueError(
            f"{len(data)} are given ({', '.join(map(str, data))}), and this picture can tell "
            f"{len(looks)} apart; draw fewer, or two pictures"
        )
    return zip(data.items(), looks[: len(data)], strict=True)


def nought(ax: Axes, upright: bool = False) -> None:
    """A thin line where values are zero."""
    (ax.axvline if upright else ax.axhline)(0, color=INK, lw=0.5, zorder=0)


def chance_line(ax: Axes, value: float, label: str | None = None) -> None:
    """A dotted line across the picture; its label stands right of the axes, where no data are."""
    ax.axhline(value, **CHANCE)
    if label:
        place = dict(
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )
        ax.annotate(label, (1, value), **place)
