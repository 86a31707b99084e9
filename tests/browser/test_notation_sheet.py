"""The sheet of notation prints to one page."""

import re

import pytest

from tests.course import ROOT

pytestmark = pytest.mark.browser

SIDES = ("top", "right", "bottom", "left")
SHEET = ROOT / "notebooks" / "notation_sheet.html"


def pages(page, paper: str) -> int:
    printed = page.pdf(format=paper, margin=dict.fromkeys(SIDES, "10mm"))
    return len(re.findall(rb"/Type\s*/Page\b", printed))


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_sheet_is_one_page_and_twice_as_much_is_more(browser, paper):
    with browser.new_page() as page:
        page.goto(SHEET.as_uri())
        assert pages(page, paper) == 1
        page.evaluate("document.body.append(document.querySelector('main').cloneNode(true))")
        assert pages(page, paper) > 1
