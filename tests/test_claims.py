"""A claim prints what it says, stops when it does not hold, and is read back as it was."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.claims import Claim, ClaimDoesNotHold, above, below, claim
from helpers.course.build import printed_claims, read
from tests.course import NOTEBOOKS


def printed(capsys, *arguments, **named):
    claim(*arguments, **named)
    return capsys.readouterr().out


def test_the_line_says_everything(capsys):
    line = printed(capsys, "two-layers", "0.98 on unseen periods", True, published="near 1")
    expected = "claim two-layers | published: near 1 | measured: 0.98 on unseen periods | holds\n"
    assert line == expected


def test_nothing_published_is_said(capsys):
    assert "published: nothing |" in printed(capsys, "two-layers", 1, True)


def test_a_browser_shows_the_same_as_a_card():
    card = Claim("two-layers", "rank < 4", "0.98 & more", True)._repr_html_()
    for part in (
        "\u2713 two-layers</b> holds",
        "published</span>&ensp;rank &lt; 4",
        "measured</span>&ensp;0.98 &amp; more",
    ):
        assert part in card
    assert (
        "\u2717 two-layers</b> DOES NOT HOLD" in Claim("two-layers", "1", "2", False)._repr_html_()
    )


def test_a_claim_that_does_not_hold_is_printed_and_stops(capsys):
    with pytest.raises(ClaimDoesNotHold, match="two-layers.*0.12.*DOES NOT HOLD"):
        claim("two-layers", 0.12, False)
    assert Claim.parse(capsys.readouterr().out) == Claim("two-layers", "nothing", "0.12", False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98765, "0.99"),
        (0.98765 + 1e-9, "0.99"),
        (930.2, "930"),
        (3.21e-8, "3.2e-08"),
        (128, "128"),
        (np.float32(0.98765), "0.99"),
        (np.int64(128), "128"),
        (torch.tensor(0.98765), "0.99"),
        ("above 0.9", "above 0.9"),
    ],
)
def test_numbers_are_rounded_the_same_way_everywhere(capsys, value, text):
    line = printed(capsys, "a", value, True, published=value)
    assert line == f"claim a | published: {text} | measured: {text} | holds\n"


@pytest.mark.parametrize("holds", [True, np.bool_(True), np.array(True), torch.tensor(True)])
def test_any_library_s_bool_will_do(capsys, holds):
    assert printed(capsys, "a", 1, holds).endswith("| holds\n")


@pytest.mark.parametrize("holds", [np.bool_(False), torch.tensor(False)])
def test_any_library_s_false_stops(holds):
    with pytest.raises(ClaimDoesNotHold):
        claim("a", 1, holds)


NOT_ONE_BOOL = [
    1,
    0.98,
    "yes",
    None,
    torch.tensor(0.98),
    torch.tensor([True, True]),
    np.ones(2) > 0,
]


@pytest.mark.parametrize("holds", NOT_ONE_BOOL)
def test_what_would_be_true_by_accident_is_refused(holds):
    with pytest.raises(TypeError, match="^claim two-layers: holds is .*expected one comparison"):
        claim("two-layers", 1, holds)


@pytest.mark.parametrize("text", ["", "a | b", "|x|", "two\nlines"])
def test_a_text_that_would_break_the_line_is_refused(text):
    for texts in ({"measured": text}, {"measured": "fine", "published": text}):
        with pytest.raises(ValueError, match="a claim is one line"):
            claim("a", holds=True, **texts)


@pytest.mark.parametrize("id", ["", "two layers", "a|b", "a\n"])
def test_an_id_of_more_than_one_word_is_refused(id):
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        claim(id, 1, True)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=1)


@given(TEXTS, TEXTS, st.booleans())
def test_a_line_is_read_back_or_refused(published, measured, holds):
    made = Claim("an-id", published, measured, holds)
    assert Claim.parse(str(made)) in (made, None)


@pytest.mark.parametrize(
    "line", ["", "claim", "I claim this | holds", "claim a | measured: 1 | holds"]
)
def test_other_lines_are_no_claims(line):
    assert Claim.parse(line) is None


def test_no_two_claims_of_the_course_have_one_id():
    ids = Counter(found.id for path in NOTEBOOKS for found in printed_claims(read(path)))
    assert [id for id, times in ids.items() if times > 1] == []


def test_every_claim_of_the_course_holds():
    broken = [
        found for path in NOTEBOOKS for found in printed_claims(read(path)) if not found.holds
    ]
    assert broken == []


def test_words_for_a_number_say_the_bound_or_the_number():
    assert (below(3e-12, 1e-10), below(0.02, 1e-4)) == ("below 1e-10", "2.0e-02")
    assert (above(3, 0.1), above(0.02, 0.1)) == ("above 0.1", "2.0e-02")
    assert (below(0.5, 0.5), above(0.5, 0.5)) == ("5.0e-01", "5.0e-01")
