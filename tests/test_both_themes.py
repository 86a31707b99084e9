"""One picture for a white page and for JupyterLab's dark one: every colour is measured against
both grounds. And its letters in a narrow window."""

import base64
import io

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from helpers.course import build
from helpers.explorables.discovery import Discovery
from helpers.plotting import composing, core, optimizers, palette, scaling
from helpers.training import runs

# WCAG's contrast ratio, at least, on a white page and on a dark one.
WRITTEN, ON_A_MAP = 4.2, 2.5  # what is written beside a map, and a number in one of its fields
DRAWN = dict(light=2.1, dark=3.0)  # lines and marks; Okabe and Ito's orange is the palest
BESIDE, BEHIND = 2.0, 1.3  # bars beside the point; clouds and hatches behind it
LAB = 620  # px, which JupyterLab leaves an output in a window of 800, measured there
LEAST = 10  # px of a letter there; the exponent in a power of ten is smaller

SERIES = {
    **{f"COLOUR[{name}]": colour for name, colour in core.COLOUR.items()},
    **{f"KIND[{name}]": colour for name, colour in composing.KIND.items()},
    **{f"PART[{name}]": colour for name, colour in composing.PART.items()},
    **{f"OPTIMISER[{name}]": colour for name, colour in optimizers.OPTIMISER.items()},
    **{f"SIZE[{name}]": colour for name, colour in scaling.SIZE.items()},
    "BELOW": core.BELOW,
    "ABOVE": core.ABOVE,
}


def over(colour, ground) -> np.ndarray:
    """What is seen of a colour, with its alpha, on an opaque one."""
    *colour, alpha = mpl.colors.to_rgba(colour)
    return alpha * np.array(colour) + (1 - alpha) * np.array(mpl.colors.to_rgb(ground))


def contrast(one, other) -> float:
    """WCAG 2.2, of two opaque colours."""

    def luminance(colour) -> float:
        parts = np.array(mpl.colors.to_rgb(colour))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def on_each_ground(colour) -> dict[str, float]:
    return {name: contrast(over(colour, page), page) for name, page in core.GROUNDS.items()}


def test_contrast_is_as_the_standard_has_it():
    assert contrast("white", "black") == pytest.approx(21)
    assert contrast("#767676", "white") == pytest.approx(4.54, abs=0.01)  # WCAG's known edge of AA


def test_what_is_written_is_read_on_both_pages():
    names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    for colour in {core.STYLE[name] for name in names}:
        assert min(on_each_ground(colour).values()) > WRITTEN, colour


@pytest.mark.parametrize("name", SERIES)
def test_a_line_is_seen_on_both_pages(name):
    measured = on_each_ground(SERIES[name])
    assert all(measured[page] >= least for page, least in DRAWN.items()), measured


def test_what_stands_back_is_seen_on_both_pages_too():
    assert min(on_each_ground(core.QUIET).values()) >= BESIDE
    assert min(on_each_ground(core.FAINT).values()) >= BEHIND


def test_a_signed_map_is_the_page_at_zero_and_strongest_at_its_ends():
    alpha = core.SIGNED(np.linspace(-1, 1, 65) / 2 + 0.5)[:, 3]
    assert alpha[32] == 0 and (np.diff(np.abs(alpha[32:])) > 0).all()
    assert np.allclose(alpha, alpha[::-1])


def test_numbers_are_read_in_every_field_of_a_map():
    cividis = mpl.colormaps["cividis"](np.linspace(0, 1, 50))
    for face in [*core.SIGNED(np.linspace(0, 1, 65)), *cividis]:
        look = core.letters(face)
        around = [edge._gc["foreground"] for edge in look.get("path_effects", ())] or [
            over(face, page) for page in core.GROUNDS.values()
        ]
        least = min(contrast(look["color"], one) for one in around)
        assert least >= (4 if face[3] == 1 and face in cividis else ON_A_MAP), (face, least)


def test_few_colours_look_like_all_of_them_on_both_pages():
    fig = core.figure(4, 4)
    ax, pale = fig.subplots(2, 1)
    for height in np.linspace(0, 1, 80):  # what is hardly there must not tint the page
        pale.plot([0, 1], [height, 1 - height], color=core.COLOUR["control"], lw=0.3, alpha=0.1)
    ax.imshow(np.linspace(-1, 1, 60).reshape(6, 10), cmap=core.SIGNED)
    ax.plot([0, 9], [0, 5], color=core.COLOUR["accent"])
    ax.set_title("What is drawn")
    drawn = io.BytesIO()
    fig.savefig(drawn, format="png", facecolor="none")
    before = Image.open(drawn)
    after = palette.few(before).convert("RGBA")
    assert len(before.getcolors(1 << 20)) > 192 >= len(after.getcolors(1 << 20))
    for page in core.GROUNDS.values():
        one, other = (np.asarray(_on(image, page), int) for image in (before, after))
        assert np.abs(one - other).max() <= 24 and np.abs(one - other).mean() < 0.5
    ground = np.asarray(before)[..., 3] == 0
    for most in (192, 16):
        after = np.asarray(palette.few(before, most).convert("RGBA"))
        assert (after[ground] == 0).all()  # no veil on the page


def _on(image: Image.Image, page: str) -> Image.Image:
    seen = Image.new("RGBA", image.size, page)
    seen.alpha_composite(image)
    return seen.convert("RGB")


def pictures() -> dict[str, bytes]:
    """Every picture that a notebook stores, by its cell; and README's."""
    found = {"birth": Discovery().still(), "scaling": (runs.DATA / "scaling.png").read_bytes()}
    for path in build.all_notebooks():
        for cell in build.read(path).cells:
            for number, output in enumerate(cell.get("outputs", [])):
                if "image/png" in output.get("data", {}):
                    name = f"{path.stem[:2]} {cell.id} {number}"
                    found[name] = base64.b64decode(output.data["image/png"])
    return found


def test_in_a_window_of_800_px_no_letter_is_smaller_than_10():
    """Letters of DENSE points are the smallest there are, which another test holds."""
    small = {}
    for name, png in pictures().items():
        width = Image.open(io.BytesIO(png)).width
        letter = core.DENSE * core.DPI / 72 * min(1, LAB / width)
        if letter < LEAST:
            small[name] = f"{letter:.1f} px, for the picture is {width} px wide"
    assert not small


def test_no_stored_picture_is_a_slab_on_a_dark_page():
    """Its corners are the page's own."""
    slabs = []
    for name, png in pictures().items():
        alpha = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))[..., 3]
        if alpha[[0, 0, -1, -1], [0, -1, 0, -1]].any() or (alpha == 0).mean() < 0.1:
            slabs.append(name)
    assert not slabs
