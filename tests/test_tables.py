"""Tables: the same columns as text and in a browser."""

import re

import pytest

from helpers.tables import Table, short

TABLE = Table(
    [["⏎···············", "0.50", "a <b>"], ["·with", "-1.25", "c"]], ["token", "share", "says"]
)


def test_as_text_numbers_stand_at_the_right_and_words_at_the_left():
    assert repr(TABLE).splitlines() == [
        "token   share   says",
        "⏎+15     0.50   a <b>",
        "·with   -1.25   c",
    ]


def test_in_a_browser_words_and_heads_may_wrap_and_what_is_said_is_text():
    page = TABLE._repr_html_()
    fields = re.findall(r"<t[hd] style=\"([^\"]*)\">([^<]*)</t[hd]>", page)
    assert [words for _, words in fields] == [
        *("token", "share", "says", "⏎+15", "0.50", "a &lt;b&gt;", "·with", "-1.25", "c")
    ]
    wraps = [style.split("white-space: ")[1].startswith("pre-wrap") for style, _ in fields]
    assert wraps == [True] * 3 + [True, False, True] * 2
    assert ["right" in style for style, _ in fields] == [False, True, False] * 3


@pytest.mark.parametrize(
    "token, said", [("⏎···", "⏎+3"), ("⏎", "⏎"), ("⏎·if", "⏎·if"), ("·a", "·a"), ("⏎⏎··", "⏎⏎+2")]
)
def test_white_space_says_how_much_it_is(token, said):
    assert short(token) == said


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="has 1 columns and the head has 2"):
        Table([["a"]], ["b", "c"])


def test_records_give_the_head():
    table = Table.of([{"cause": "a < b", "see": "c"}, {"cause": "d", "see": "e"}])
    assert repr(table).splitlines()[0].split() == ["cause", "see"]
