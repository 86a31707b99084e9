"""The zoomable diagram in a real browser: by mouse and by keyboard alone, from the whole model to
one entry and back."""

import re

import pytest
import torch

from helpers import handmade
from helpers.explorables.virtual_weights import VirtualWeights
from helpers.model import AttentionOnlyTransformer, ModelConfig
from tests.browser.every import trained
from tests.oracles import full_matching

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def measured():
    """The diagram of three models; to measure all links takes longer than to show them."""
    wide = AttentionOnlyTransformer(ModelConfig(n_heads=8, d_head=8))
    models = {"trained": trained(), "by hand": handmade.induction_head(24, 48), "random": wide}
    diagram = VirtualWeights(models)
    return diagram, diagram.lit


@pytest.fixture
def diagram(bare, measured):
    """As it opens."""
    diagram, opened = measured
    diagram.lit = opened
    return bare.show(diagram)


@pytest.fixture
def page(bare, diagram):
    """The diagram on the screen, and nothing in flight."""
    bare.page.locator(".virtual-weights .says").filter(has_text="chance").wait_for()
    bare.page.locator(".virtual-weights canvas").scroll_into_view_if_needed()
    bare.drawn()
    return bare.page


def says(page) -> str:
    return page.locator(".virtual-weights .says").inner_text()


def score(page) -> str:
    """The heading of the histogram."""
    return page.locator(".virtual-weights h4").inner_text()


def level(page) -> str:
    """The level of zoom that the buttons show."""
    return page.locator(".virtual-weights [aria-label=Zoom] [aria-pressed=true]").inner_text()


def settle(bare, name: str) -> None:
    """Wait until the flight has ended on a level, and nothing moves."""
    bare.page.wait_for_function(
        "(name) => document.querySelector('.virtual-weights [aria-label=Zoom] "
        "[aria-pressed=true]')?.textContent === name",
        arg=name,
    )
    bare.still()


def keys(page, *names: str) -> None:
    for name in names:
        page.keyboard.press(name)


def entry(words: str) -> tuple[str, str, float]:
    """Row, column and number of the entry that the caption tells."""
    row, column, value = re.search(
        r"Entry: [^:]*? (\S+), [^:]*? (\S+): ([+−][\d.]+)", words
    ).groups()
    return row, column, float(value.replace("−", "-"))


def test_it_opens_on_the_k_path_and_the_keyboard_alone_goes_down_to_one_entry_and_back(bare, page):
    assert re.match(
        r"The keys of head 1\.\d \(prefix matching 0\.\d\d\) read \d\d% of what head 0\.\d "
        r"\(previous token 0\.\d\d\) writes; unrelated ones would read 25%\. Above chance, ",
        says(page),
    )
    assert level(page) == "whole model"
    bare.screenshot("virtual_weights")
    opened = says(page)

    page.get_by_role("button", name="Zoom in").focus()
    keys(page, "Tab")  # from the controls into the diagram
    assert page.evaluate("() => document.activeElement.matches('.virtual-weights canvas')")
    for name in ("pair", "matrix", "entry"):
        keys(page, "Enter")
        settle(bare, name)
        assert f"at the level of the {name}. " in page.locator(
            ".virtual-weights canvas"
        ).get_attribute("aria-label")
        bare.screenshot(f"virtual_weights_{name}")
    here = entry(says(page))
    keys(page, "ArrowRight", "ArrowDown")
    there = entry(says(page))
    assert (int(there[0]), int(there[1])) == (int(here[0]) + 1, int(here[1]) + 1) and there[
        2
    ] != here[2]
    keys(page, "0")
    settle(bare, "whole model")
    assert says(page).startswith(opened)


def test_the_number_of_an_entry_is_the_one_that_python_computes(bare, page):
    model = trained()
    reader, writer = re.search(r"keys of head 1\.(\d).* what head 0\.(\d)", says(page)).groups()
    # [query_token, moved_token]
    expected = full_matching(model, (0, int(writer)), (1, int(reader)))
    page.get_by_role("button", name="entry", exact=True).click()
    settle(bare, "entry")
    page.locator(".virtual-weights canvas").focus()
    for _ in range(3):
        row, column, value = entry(says(page))
        assert value == pytest.approx(expected[int(column), int(row)].item(), abs=0.06)
        keys(page, "ArrowUp")
    keys(page, "0")
    settle(bare, "whole model")
    for head in range(4):
        expected = full_matching(model, (0, head), (1, int(reader)))
        # of each query; of each moved token it would be another
        best = (expected.argmax(1) == torch.arange(64)).sum().item()
        while f"what head 0.{head} " not in says(page).replace(",", " "):
            keys(
                page,
                "ArrowUp"
                if head < int(re.search(r"what head 0\.(\d)", says(page))[1])
                else "ArrowDown",
            )
        assert f"For {best} of 64 query tokens the best match is the token itself." in says(page)


def test_arrows_walk_enter_lights_and_letters_choose(bare, page, diagram):
    page.locator(".virtual-weights canvas").focus()
    reader, writer = re.search(r"keys of head (1\.\d).*what head (0\.\d)", says(page)).groups()
    keys(page, "ArrowDown")
    assert f"keys of head {reader}" in says(page) and f"what head {writer}" not in says(page)
    keys(page, "Escape")
    assert f"what head {writer}" in says(page)

    keys(page, "q")
    assert "The queries of head" in says(page) and "Less than chance" in says(page)
    assert page.locator(".virtual-weights .choices [aria-pressed=true]").first.inner_text() == "Q"
    keys(page, "v")
    assert "The values of head" in says(page) and "raise their own logit most" in says(page)
    keys(page, "k", "m")
    assert "The bare product has 16 × 16 numbers" in says(page)
    keys(page, "m")
    assert "bare product" not in says(page)
    keys(page, "Home", "Enter")
    assert f"keys of head {reader} (prefix" in says(page) and "% of the embedding" in says(page)
    keys(page, "ArrowRight", "End", "Enter")
    assert says(page).startswith("The unembedding reads all of the embedding; it reads every direc")
    bare.until(lambda: diagram.lit == dict(model="trained", writer="embed", reader="unembed"))


def test_python_can_light_a_link_and_models_can_be_switched(page, diagram):
    diagram.lit = dict(model="by hand", writer="0.0", reader="1.0.Q")
    page.wait_for_function(
        "() => document.querySelector('.virtual-weights .says').textContent.includes('The queries "
        "of head 1.0')"
    )
    page.locator(".virtual-weights canvas").focus()
    keys(page, "ArrowRight", "ArrowUp")  # from query to query
    assert says(page).startswith("The queries of head 0.0")
    keys(page, "Escape")
    assert page.get_by_label("model", exact=True).input_value() == "by hand"
    diagram.lit = dict(model="by hand", writer="embed", reader="1.0.Q")
    page.wait_for_function(
        "() => document.querySelector('.virtual-weights .says').textContent.includes('of the "
        "embedding')"
    )
    page.get_by_label("model", exact=True).select_option("random")
    page.wait_for_function(
        "() => document.querySelector('.virtual-weights .says').textContent.includes('No more "
        "than chance')"
    )
    assert "among 289 links" in score(page)


def test_the_mouse_points_clicks_zooms_and_drags(bare, page):
    canvas = page.locator(".virtual-weights canvas")
    box = canvas.bounding_box()
    opened = says(page)
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.12)  # the embedding
    page.wait_for_function(
        "(opened) => document.querySelector('.virtual-weights .says').textContent !== opened",
        arg=opened,
    )
    assert "% of the embedding" in says(page)
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.wait_for_function(
        "(opened) => document.querySelector('.virtual-weights .says').textContent === opened",
        arg=opened,
    )

    found = set()
    for step in range(60):  # down a line that only links cross, before the readers
        page.mouse.move(
            box["x"] + box["width"] * 0.47, box["y"] + box["height"] * (0.4 + step / 110)
        )
        found.add(says(page).split(";")[0])
    assert any(re.match(r"The unembedding reads all of what head 1\.\d", words) for words in found)
    assert any(
        re.match(r"The keys of head 1\.\d .* of what head 0\.\d", words)
        for words in found - {opened.split(";")[0]}
    )

    page.mouse.wheel(0, -300)  # not focused yet: the page's own
    bare.still()
    assert level(page) == "whole model"
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.45  # on the matrix
    page.mouse.click(*middle)
    for _ in range(9):
        page.mouse.wheel(0, -240)
    page.wait_for_function(
        "() => document.querySelector('.virtual-weights [aria-label=Zoom] "
        "[aria-pressed=true]')?.textContent === 'entry'"
    )
    first = entry(says(page))
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 340, middle[1] - 200, steps=6)
    page.mouse.up()
    page.mouse.move(middle[0], middle[1])
    bare.still()
    assert entry(says(page))[:2] != first[:2]
    page.mouse.dblclick(*middle)
    settle(bare, "whole model")


def test_it_fits_a_narrow_page_and_the_dark_theme(bare, page):
    page.set_viewport_size({"width": 760, "height": 1000})
    bare.wear("Dark")
    bare.still()
    for part, place in {"matrix": [0.86, 0.48], "diagram": [0.95, 0.95]}.items():
        colour = bare.measure("colour", [".virtual-weights canvas", *place])
        assert max(colour) < 90, f"the {part} keeps its light paper"
    overflow = page.evaluate(
        "() => { const e = document.querySelector('.virtual-weights'); return e.scrollWidth - "
        "e.clientWidth }"
    )
    assert overflow <= 0
    page.locator(".virtual-weights").scroll_into_view_if_needed()
    bare.screenshot("virtual_weights_dark_narrow")


def test_the_diagrams_name_is_what_it_shows(page):
    label = page.locator(".virtual-weights canvas").get_attribute("aria-label")
    assert says(page) in label and "at the level of the whole model" in label


# ---- what explains itself


def row_of(number: int) -> float:
    """How far down the diagram a row of the trained model stands, as a share of its height. The
    rows: embedding, positions, four heads, four heads, unembedding."""
    layer = (number > 1) + (number > 5) + (number > 9)
    height, top, bottom, between, rows = 416, 44, 20, 0.7, 12.1
    return (top + (number + between * layer) * (height - top - bottom) / rows) / height


def pixel(page, across: float, down: float) -> list[int]:
    """What colour the diagram has at such shares of its width and height."""
    return page.evaluate(
        "([x, y]) => { const canvas = document.querySelector('.virtual-weights canvas'); "
        "const at = [x * canvas.width, y * canvas.height].map(Math.round); "
        "return [...canvas.getContext('2d').getImageData(...at, 1, 1).data].slice(0, 3); }",
        [across, down],
    )


def test_the_first_sentence_needs_no_p_value_and_the_histogram_has_it(page):
    assert not re.search(r"\bp [≤=]", says(page))
    assert re.match(
        r"Composition score 0\.\d+, chance 0\.\d+; p ≤ 0\.002 among 97 links", score(page)
    )


def test_the_legend_wears_the_colours_of_the_heads(page, diagram):
    words = page.locator(".virtual-weights .legend").inner_text()
    assert "previous token: looks one token back" in words
    assert "prefix matching: looks after an earlier copy of its token" in words
    row = 2 + int(diagram.lit["writer"][-1])
    for role, place in {"before": [0.2, row_of(row)], "match": [0.2, row_of(6)]}.items():
        told = page.locator(f".virtual-weights .legend .disc.{role}").evaluate(
            "e => getComputedStyle(e).backgroundColor"
        )
        assert [int(part) for part in re.findall(r"\d+", told)] == pytest.approx(
            pixel(page, *place), abs=3
        )


def test_the_stream_shows_how_much_of_the_lit_writer_is_read(bare, page, diagram):
    """A bar across the stream, at the height of the reader: full of colour up to the share."""
    page.locator(".virtual-weights canvas").focus()
    row = row_of(6 + int(diagram.lit["reader"][2]))

    def bar() -> list[bool]:
        """Where the lit reader's bar has its colour, of twelve places from one bank to the other;
        links may cross it."""
        left, right = 196 / 980, 0.56
        middle, bank = (left + right) / 2, (right - left) / 4
        places = [middle + bank * ((2 * i + 1) / 12 - 1) for i in range(12)]
        seen = (pixel(page, x, row) for x in places)
        return [red > 180 and green < 150 and blue < 90 for red, green, blue in seen]

    for kind in "KQV":
        keys(page, kind.lower())
        bare.still()
        share = int(re.search(r"read (\d+)% of", says(page))[1]) / 100
        filled = sum(bar()) / 12
        assert abs(filled - share) < 0.18, (kind, share, filled)


def test_the_map_stands_off_the_cells_and_only_when_one_is_near(bare, page):
    seen = page.locator(".virtual-weights .map")
    assert not seen.is_visible()
    page.get_by_role("button", name="entry", exact=True).click()
    settle(bare, "entry")
    assert seen.is_visible()
    assert bare.measure("overlaps", [".virtual-weights", ["canvas", ".map", ".says"]]) == []
    marked = seen.locator(".here").bounding_box()
    whole = seen.bounding_box()
    assert marked["x"] > whole["x"] + whole["width"] / 2  # the matrix is on the right


@pytest.mark.parametrize("room", [120, 200, 280, 400])
def test_the_formula_breaks_into_lines_that_fit_its_card(ask, room):
    parts = ["W_E W_V[0.0] · ", "W_O[0.0] W_K[1.0]", " · (W_E W_Q[1.0])ᵀ / √16"]
    lines = ask(
        "virtual_weights/tile",
        "({ linesOf }, [parts, room]) => "
        "linesOf(document.createElement('canvas').getContext('2d'), parts, room)",
        [parts, room],
    )
    assert [words for line in lines for words, _, _ in line] == parts
    assert [part for line in lines for _, _, part in line] == [0, 1, 2]
    for line in lines:
        assert len(line) == 1 or sum(wide for _, wide, _ in line) <= room
    assert len(lines) == {120: 3, 200: 3, 280: 2, 400: 1}[room]


@pytest.mark.parametrize("width", [1400, 800])
def test_it_fits_a_window_700_pixels_high(bare, page, width):
    page.set_viewport_size({"width": width, "height": 1000})
    bare.still()
    assert page.locator(".virtual-weights").bounding_box()["height"] <= 700


# What the canvas writes from now on, each with the box that it takes.
WRITTEN = """() => {
    const context = CanvasRenderingContext2D.prototype, write = context.fillText;
    window.written = [];
    context.fillText = function (words, x, y) {
        const box = this.measureText(words);
        const [left, right] = [x - box.actualBoundingBoxLeft, x + box.actualBoundingBoxRight];
        if (words && this.globalAlpha > 0.1) window.written.push({ words, left, right, y });
        write.call(this, words, x, y);
    };
}"""


def test_at_the_level_of_a_pair_no_name_stands_on_another_or_in_the_stream(bare, page):
    page.set_viewport_size({"width": 800, "height": 1000})
    page.get_by_role("button", name="pair").click()
    bare.still()
    page.evaluate(WRITTEN)
    page.locator("canvas").focus()
    page.locator("canvas").blur()  # draws once more
    bare.still()
    written = page.evaluate("() => window.written")
    heads = [one for one in written if re.fullmatch(r"\d\.\d.*|previous token.*", one["words"])]
    assert len(heads) >= 16
    for one in heads:
        in_the_way = [
            other["words"]
            for other in written
            if other is not one
            and abs(other["y"] - one["y"]) < 8
            and other["left"] < one["right"]
            and one["left"] < other["right"]
            and other["words"] != one["words"]  # with a halo it is written twice
        ]
        assert not in_the_way, one
        assert 0 <= one["left"] and (one["right"] < 60 or one["left"] > 300), one
