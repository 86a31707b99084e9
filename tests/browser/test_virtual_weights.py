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
        r"The keys of head 1\.\d \(prefix matching 0\.\d\d\) read what head 0\.\d \(previous token "
        r"0\.\d\d\) writes",
        says(page),
    )
    assert "p ≤ 0.002 among 97 links" in says(page) and level(page) == "whole model"
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
    reader, writer = re.search(r"keys of head 1\.(\d).*what head 0\.(\d)", says(page)).groups()
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
    assert "The queries of head" in says(page) and "less than chance would read" in says(page)
    assert page.locator(".virtual-weights .choices [aria-pressed=true]").first.inner_text() == "Q"
    keys(page, "v")
    assert "The values of head" in says(page) and "raise their own logit most" in says(page)
    keys(page, "k", "m")
    assert "The bare product has 16 × 16 numbers" in says(page)
    keys(page, "m")
    assert "bare product" not in says(page)
    keys(page, "Home", "Enter")
    assert f"keys of head {reader} (prefix" in says(page) and "read the embedding" in says(page)
    keys(page, "ArrowRight", "End", "Enter")
    assert says(page).startswith("The unembedding reads the embedding")
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
        "() => document.querySelector('.virtual-weights .says').textContent.includes('read the "
        "embedding')"
    )
    page.get_by_label("model", exact=True).select_option("random")
    page.wait_for_function(
        "() => document.querySelector('.virtual-weights .says').textContent.includes('among 289 "
        "links')"
    )
    assert "no more than chance" in says(page)


def test_the_mouse_points_clicks_zooms_and_drags(bare, page):
    canvas = page.locator(".virtual-weights canvas")
    box = canvas.bounding_box()
    opened = says(page)
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.12)  # the embedding
    page.wait_for_function(
        "(opened) => document.querySelector('.virtual-weights .says').textContent !== opened",
        arg=opened,
    )
    assert "read the embedding" in says(page)
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.wait_for_function(
        "(opened) => document.querySelector('.virtual-weights .says').textContent === opened",
        arg=opened,
    )

    found = set()
    for step in range(60):  # down a line that only links cross, between the matrix and the readers
        page.mouse.move(
            box["x"] + box["width"] * 0.63, box["y"] + box["height"] * (0.4 + step / 110)
        )
        found.add(says(page).split(":")[0])
    assert any(re.match(r"The unembedding reads what head 1\.\d", words) for words in found)
    assert any(
        re.match(r"The keys of head 1\.\d .* read what head 0\.\d", words)
        for words in found - {opened.split(":")[0]}
    )

    page.mouse.wheel(0, -300)  # not focused yet: the page's own
    bare.still()
    assert level(page) == "whole model"
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] * 0.48, box["y"] + box["height"] * 0.4
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
    for part, place in {"matrix": [0.48, 0.44], "diagram": [0.95, 0.95]}.items():
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
