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


def test_records_give_the_head_and_each_value_stands_under_its_name():
    table = Table.of([dict(a=1, b=2), dict(b=3, a=4)])
    assert repr(table).splitlines() == ["a   b", "1   2", "4   3"]


@pytest.mark.parametrize(
    "records, says",
    [
        ([], "there are no records to name the columns"),
        ([dict(a=1, b=2), dict(a=3)], "a record of a under a head of a, b; give each"),
        ([dict(a=1), dict(a=3, b=2)], "a record of a, b under a head of a; give each"),
    ],
)
def test_records_of_other_names_and_none_are_refused(records, says):
    with pytest.raises(ValueError, match=says):
        Table.of(records)


def test_a_table_without_rows_is_its_head():
    assert repr(Table([], ["token", "share"])) == "token   share"
    assert re.findall(r">(\w+)<", Table([], ["token", "share"])._repr_html_()) == ["token", "share"]
