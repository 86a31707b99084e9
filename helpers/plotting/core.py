"""What every picture shares: the style, the colours, and the sentence that goes with it."""

import io
from functools import wraps

import matplotlib as mpl
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image, ImageDraw  # a dependency of matplotlib

# Okabe and Ito's palette, which the common forms of colour blindness can tell apart.
COLOUR = dict(
    prefix_matching="#D55E00",
    previous_token="#0072B2",
    copying="#009E73",
    loss="#333333",
    chance="#888888",
    control="#CC79A7",
    accent="#E69F00",
)
# Blue below zero, white at zero, red above; in few enough shades for `show` to keep them all.
SIGNED = mpl.colormaps["RdBu_r"].resampled(65)
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
    "axes.edgecolor": "#666666",
    "axes.labelcolor": "#333333",
    "xtick.color": "#666666",
    "ytick.color": "#666666",
    "text.color": "#222222",
    "axes.grid": False,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "image.interpolation": "nearest",
}
# A figure is published as a card: its margin in inches, and in pixels how round its corners are.
DPI, MARGIN, CORNER = 110, 0.14, 9
SHADES = 16  # of a corner's edge, from transparent on
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


def png(fig: Figure, dpi: int = DPI) -> bytes:
    """The figure as a card: a PNG with a margin and round corners, at home on a page of any
    colour."""
    drawn = io.BytesIO()
    # without a layout the margin is drawn: to look for it takes as long as to draw once more
    cut = dict(bbox_inches="tight", pad_inches=MARGIN) if fig.get_layout_engine() else {}
    fig.savefig(drawn, format="png", dpi=dpi, **cut)
    image, content = Image.open(drawn).convert("RGB"), io.BytesIO()
    card(image, palette_of(image, 256 - SHADES)).save(content, "PNG", optimize=True)
    return content.getvalue()


def palette_of(image: Image.Image, colours: int) -> Image.Image:
    """So many colours, chosen for this picture, look the same and make the notebook a third of the
    size."""
    return image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def card(image: Image.Image, palette: Image.Image) -> Image.Image:
    """The picture in the colours of a palette of up to 256 - SHADES, its corners cut round: the
    last SHADES places are the background's, ever less transparent."""
    outline = Image.new("L", (4 * image.width, 4 * image.height))
    ImageDraw.Draw(outline).rounded_rectangle(
        (0, 0, outline.width - 1, outline.height - 1), 4 * CORNER, fill=255
    )
    solid = np.array(outline.reduce(4)) // (256 // SHADES)  # how much of each pixel is on the card
    places = np.array(image.quantize(palette=palette, dither=Image.Dither.NONE))
    outside = solid < SHADES - 1
    places[outside] = 256 - SHADES + solid[outside]
    made, first = Image.fromarray(places, "P"), 256 - SHADES
    made.putpalette((palette.getpalette() + [0] * 768)[: 3 * first] + [*background()] * SHADES)
    made.info["transparency"] = bytes([255] * first + [255 * i // SHADES for i in range(SHADES)])
    return made


def figure(width: float = 8, height: float = 3.2, layout: str | None = "constrained") -> Figure:
    """An empty figure, apart from pyplot's list of open ones, so that none is drawn twice or kept
    alive. Without a layout, which takes most of the time, its axes stand where they are put."""
    return Figure(figsize=(width, height), layout=layout)


def styled(draw):
    """Draw in the course's style, whatever the reader has set."""

    @wraps(draw)
    def drawn(*arguments, **options) -> Picture:
        with mpl.rc_context(STYLE):
            fig, says = draw(*arguments, **options)
        for text in fig.findobj(Text):
            if text.get_fontsize() > DENSE:
                text.set_fontsize(TITLE if text.get_fontsize() >= TITLE else TEXT)
        return fig, says

    return drawn


def background() -> tuple[int, int, int]:
    """What colour a card has, from 0 to 255."""
    return tuple(round(255 * part) for part in mpl.colors.to_rgb(STYLE["savefig.facecolor"]))


def array(values) -> np.ndarray:
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def two_digits(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0 turns -0.00 into 0.00


def ink(face) -> str:
    """Black or white, whichever reads better on this colour."""
    red, green, blue = mpl.colors.to_rgb(face)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "#111111"


def chance_line(ax: Axes, value: float, label: str | None = None) -> None:
    """A dotted line across the picture; its label stands right of the axes, where no data are."""
    ax.axhline(value, color=COLOUR["chance"], lw=1, ls=(0, (1, 2)), zorder=0)
    if label:
        place = dict(
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )
        ax.annotate(label, (1, value), color="#777777", fontsize=8, **place)
