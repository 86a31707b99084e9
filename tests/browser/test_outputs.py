"""A claim's card and a table in a wide window and in a narrow one: nothing is cut and nothing
squeezed."""

import pytest

from helpers.claims import Card, Claim, above, below, exactly
from helpers.tables import Table
from tests.browser.bare import Bare

pytestmark = pytest.mark.browser

WIDE, NARROW, PHONE = 1400, 800, 390
NAMED = ["induction, by its keys", "induction, by its queries"]
CARD = Card(
    Claim("hand-written-circuits", "minimal induction: a previous-token head " * 3, "", "", True),
    {
        "named as induction": exactly(NAMED, NAMED),
        "best prefix matching on unseen lengths": above([0.98, 0.99], 0.5),
        "step of the birth in this run": below(72, 300, varies=True),
    },
    {
        "best prefix matching on unseen lengths, before the first step": below(0.04, 0.1),
        "best prefix matching on unseen lengths, one layer": below([0.05, 0.06], 0.2),
        "best prefix matching on unseen lengths, all others": below([0.05, 0.06], 0.2),
        "two steps back composes by": exactly("V", "V"),
    },
)
TABLE = Table(
    [["chance", "0.04", "0.06", "-0.89", "0.00", ""]]
    + [
        [f"1.{head}", "0.99", "0.05", "-0.28", "0.02", "induction head, by its keys"]
        for head in range(4)
    ],
    ["head", "best prefix matching", "previous token", "copying", "effect of its ablation", "role"],
)
# What is at the right of its place, or has more in it than it shows.
CUT = """() => {
    const edge = document.querySelector("main > div").getBoundingClientRect().right + 1;
    return [...document.querySelectorAll("main > div *")]
        .filter((e) => e.getBoundingClientRect().right > edge || e.scrollWidth > e.offsetWidth + 1)
        .filter((e) => getComputedStyle(e).display !== "inline").map((e) => e.outerHTML);
}"""
# The three fields of each row.
FIELDS = """() => {
    const field = (e) => {
        const { left, top, width, height } = e.getBoundingClientRect();
        return { left, top, width, lines: Math.round(height / 21), says: e.innerText };
    };
    return [...document.querySelectorAll("main tr")].map((row) => [...row.children].map(field));
}"""


def show(bare: Bare, output, window: int) -> None:
    bare.page.set_viewport_size({"width": window, "height": 900})
    bare.page.evaluate(
        """(html) => { const place = document.createElement("div");
            place.style = "font: 14px/1.5 sans-serif; color: var(--jp-content-font-color1)";
            place.innerHTML = html; document.querySelector("main").append(place); }""",
        output._repr_html_(),
    )
    bare.page.locator("main").scroll_into_view_if_needed()


@pytest.mark.parametrize(
    "output, window", [(CARD, WIDE), (CARD, NARROW), (CARD, PHONE), (TABLE, WIDE), (TABLE, NARROW)]
)
def test_nothing_is_cut(bare, output, window):
    """On a phone a table of six columns scrolls."""
    show(bare, output, window)
    bare.screenshot(f"output_{'card' if output is CARD else 'table'}_{window}")
    assert bare.page.evaluate(CUT) == []


@pytest.mark.parametrize("window", [WIDE, NARROW])
def test_a_quantity_has_room_for_its_name(bare, window):
    show(bare, CARD, window)
    for name, measured, _ in bare.page.evaluate(FIELDS):
        assert name["width"] > 180 and name["lines"] <= 2, name["says"]
        assert measured["top"] == name["top"] or measured["left"] == name["left"]


def test_where_there_is_room_a_control_stands_beside_its_quantity_in_a_column(bare):
    show(bare, CARD, WIDE)
    rows = bare.page.evaluate(FIELDS)
    assert all(len({field["top"] for field in row}) == 1 for row in rows)
    assert [len({row[column]["left"] for row in rows}) for column in range(3)] == [1, 1, 1]


def test_where_there_is_none_it_stands_below(bare):
    show(bare, CARD, NARROW)
    _, (name, measured, control), *_ = bare.page.evaluate(FIELDS)
    assert "one layer" in control["says"]
    assert control["top"] > measured["top"] and control["left"] == name["left"]
    assert control["width"] > 500
