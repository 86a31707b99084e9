"""A claim prints what it compares, stops when a bound is not met or its control meets it too, and
is read back as it was."""

import configparser
import math
import re
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.claims import (
    Bound,
    Card,
    Claim,
    ClaimDoesNotHold,
    ControlMeetsTheBound,
    above,
    below,
    between,
    claim,
    exactly,
    measures,
)
from helpers.course.build import printed_claims, read
from tests.course import NOTEBOOKS, ROOT

GOOD = dict(
    finding={"prefix matching": above(0.98, 0.5), "step of the birth": below(72, 300)},
    controls={"prefix matching, one layer": below(0.04, 0.2)},
)
LINE = (
    "claim two-layers | published: near 1 | finding: prefix matching: 0.98 (above 0.5); "
    "step of the birth: 72 (below 300) | controls: prefix matching, one layer: 0.04 (below 0.2) "
    "| holds"
)


def printed(capsys, *arguments, **named):
    claim(*arguments, **named)
    return capsys.readouterr().out


# ---- a bound


@pytest.mark.parametrize(
    ("bound", "text", "holds"),
    [
        (above(0.98765, 0.5), "0.99 (above 0.5)", True),
        (above(0.5, 0.5), "0.5 (above 0.5)", False),
        (below(3.21e-8, 1e-5), "3.2e-08 (below 1e-05)", True),
        (below(0.2, 0.2), "0.2 (below 0.2)", False),
        (below(math.nan, 1), "nan (below 1)", False),
        (between(0.3, 0.3, 0.4), "0.3 (from 0.3 to 0.4)", True),
        (between(0.41, 0.3, 0.4), "0.41 (from 0.3 to 0.4)", False),
        (between(0.29, 0.3, 0.4), "0.29 (from 0.3 to 0.4)", False),
        (exactly(8, 8), "8 (exactly 8)", True),
        (exactly(7, 8), "7 (exactly 8)", False),
        (exactly([3, 1], [1, 3]), "3, 1 (exactly 1, 3)", False),
        (exactly(["K", "Q"], ("K", "Q")), "K, Q (exactly K, Q)", True),
        (exactly([], []), "none (exactly none)", True),
        (exactly({(1, 2)}, [(1, 2)]), "1, 2 (exactly 1, 2)", True),
        (above([0.9, 0.95, 0.51], 0.5), "0.51 to 0.95 over 3 (above 0.5)", True),
        (above([0.9, 0.95, 0.5], 0.5), "0.5 to 0.95 over 3 (above 0.5)", False),
        (below([[2, 2], [2]], 3), "2 in all 3 (below 3)", True),
        (below(torch.tensor([0.1, 0.2]), 0.3), "0.1 to 0.2 over 2 (below 0.3)", True),
        (below(np.float32(0.98765), torch.tensor(1.0)), "0.99 (below 1)", True),
        (above(np.int64(128), 1), "128 (above 1)", True),
        (below(3e-15, 1e-10, varies=True), "≈ 3e-15 (below 1e-10)", True),
        (above([0.9, 0.8], 0.5, varies=True), "≈ 0.8 to 0.9 over 2 (above 0.5)", True),
    ],
)
def test_what_is_compared_is_what_is_printed(bound, text, holds):
    assert (str(bound), bound.holds) == (text, holds)


def test_what_varies_is_not_compared_whether_its_figures_agree_or_not():
    hole = configparser.ConfigParser(interpolation=None)
    hole.read(ROOT / "tests" / "nbval_sanitize.cfg", encoding="utf-8")

    def compared(values) -> str:
        printed = str(above(values, 0.5, varies=True))
        return re.sub(hole["varies"]["regex"], hole["varies"]["replace"], printed)

    assert compared([0.76, 0.761]) == compared([0.74, 0.76]) == "ABOUT 2 (above 0.5)"
    assert compared(0.9) == compared(1) == "ABOUT (above 0.5)"


@pytest.mark.parametrize("value", [[], torch.tensor([]), {}.values()])
def test_nothing_measured_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        below(value, 1)


@pytest.mark.parametrize("value", ["0.9", None, True, [0.9, "0.9"]])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="is no number; above compares numbers"):
        above(value, 0.5)


@pytest.mark.parametrize("value", [0.501, [3, 0.501], torch.tensor([0.501]), math.nan, 8.0])
def test_what_is_not_whole_is_not_compared_exactly(value):
    """Of 0.501 and 0.504 the same figures are printed."""
    for two in ((value, 8), (8, value)):
        with pytest.raises(TypeError, match="is a .*; exactly compares whole numbers"):
            exactly(*two)


def test_an_interval_has_an_inside():
    with pytest.raises(ValueError, match="give the smaller bound first"):
        between(0.5, 0.6, 0.4)


# ---- a claim


def test_the_line_says_everything(capsys):
    assert printed(capsys, "two-layers", **GOOD, published="near 1") == LINE + "\n"


def test_nothing_published_is_said(capsys):
    assert "published: no published counterpart |" in printed(capsys, "two-layers", **GOOD)


@pytest.mark.parametrize(
    "broken",
    [
        dict(finding={"prefix matching": above(0.12, 0.5)}),
        dict(finding=GOOD["finding"] | {"step of the birth": below(301, 300)}),
        dict(controls={"prefix matching, one layer": below(0.25, 0.2)}),
        dict(controls=GOOD["controls"] | {"a head written by hand": above(0.9, 0.99)}),
    ],
)
def test_a_bound_that_is_not_met_is_printed_and_stops(capsys, broken):
    with pytest.raises(ClaimDoesNotHold, match="two-layers.*DOES NOT HOLD"):
        claim("two-layers", **GOOD | broken)
    assert not Claim.parse(capsys.readouterr().out).holds


@pytest.mark.parametrize(
    ("finding", "control"),
    [
        (above(0.98, 0.5), above(0.6, 0.1)),
        (above(0.98, 0.5), between([0.1, 0.6], 0, 1)),  # one of several is enough
        (below(0.01, 0.5), below(0.4, 0.9)),
        (between(0.4, 0.3, 0.5), above(0.35, 0.2)),
        (exactly(8, 8), above(8, 1)),
    ],
)
def test_a_control_that_meets_the_finding_s_bound_stops(capsys, finding, control):
    assert finding.holds and control.holds
    with pytest.raises(ControlMeetsTheBound, match="met by the control too: share, untrained"):
        claim("two-layers", finding={"share": finding}, controls={"share, untrained": control})
    assert "DOES NOT HOLD" in capsys.readouterr().out


def test_a_control_of_another_quantity_may_meet_any_bound(capsys):
    controls = {"shares in a model written by hand": above(1.0, 0.99)}
    printed(capsys, "two-layers", finding={"share": above(0.98, 0.5)}, controls=controls)


def test_a_control_belongs_to_the_longest_name_that_it_begins_with():
    finding = {"loss": below(1, 2), "loss, text": below(1, 2)}
    assert measures("loss, text, one layer", finding) == "loss, text"
    assert measures("loss, toy", finding) == "loss" and measures("losses", finding) is None


@pytest.mark.parametrize("kind", ["finding", "controls"])
def test_no_finding_and_no_control_is_no_claim(kind):
    with pytest.raises(ValueError, match="has no (finding|control)"):
        claim("two-layers", **GOOD | {kind: {}})


@pytest.mark.parametrize("value", [0.98, True, "0.98", (0.98, 0.5)])
def test_what_is_no_bound_is_refused(value):
    with pytest.raises(TypeError, match="write below, above, between or exactly"):
        claim("two-layers", **GOOD | dict(finding={"prefix matching": value}))


@pytest.mark.parametrize("name", ["", " ", "a | b", "a; b", "a: b", "two\nlines"])
def test_a_quantity_has_a_name_in_words(name):
    with pytest.raises(ValueError):
        claim("two-layers", **GOOD | dict(finding={name: above(1, 0.5)}))


@pytest.mark.parametrize("text", ["", "a | b", "two\nlines"])
def test_a_text_that_would_break_the_line_is_refused(text):
    with pytest.raises(ValueError, match="a claim is one line"):
        claim("two-layers", **GOOD, published=text)


@pytest.mark.parametrize("id", ["", "two layers", "a|b", "a\n"])
def test_an_id_of_more_than_one_word_is_refused(id):
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        claim(id, **GOOD)


# ---- a card


def test_a_browser_shows_a_row_a_quantity_with_its_control_beside_it():
    controls = GOOD["controls"] | {"a head <written> by hand": above(1.0, 0.99)}
    made = Claim("two-layers", "rank < 4", "", "", True)
    html = Card(made, GOOD["finding"], controls)._repr_html_()
    first, second, third = html.split("<tr ")[1:]
    assert "\u2713 two-layers</b> holds" in html and "rank &lt; 4" in html
    assert all(part in first for part in ("prefix matching", "0.98", "above 0.5"))
    assert all(part in first for part in ("one layer", "0.04", "below 0.2"))
    assert "step of the birth" in second and "control" not in second
    assert "control </span>a head &lt;written&gt; by hand" in third
    assert "\u2717" in Card(made._replace(holds=False), GOOD["finding"], controls)._repr_html_()


# ---- and back


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=1)


@given(TEXTS, TEXTS, TEXTS, st.booleans())
def test_a_line_is_read_back_or_refused(published, finding, controls, holds):
    made = Claim("an-id", published, finding, controls, holds)
    assert Claim.parse(str(made)) in (made, None)


def test_a_printed_line_is_read_back():
    assert str(Claim.parse(LINE)) == LINE


@pytest.mark.parametrize(
    "line", ["", "claim", "I claim this | holds", "claim a | finding: 1 | holds"]
)
def test_other_lines_are_no_claims(line):
    assert Claim.parse(line) is None


def test_a_bound_is_built_by_its_four_words_alone():
    assert [bound.relation for bound in (below(1, 2), above(2, 1), between(1, 0, 2))] == [
        "below",
        "above",
        "from",
    ]
    assert isinstance(exactly(1, 1), Bound)


# ---- the course's own


def course_claims() -> list[Claim]:
    return [found for path in NOTEBOOKS for found in printed_claims(read(path))]


def test_no_two_claims_of_the_course_have_one_id():
    ids = Counter(found.id for found in course_claims())
    assert [id for id, times in ids.items() if times > 1] == []


def test_every_claim_of_the_course_holds():
    assert [found for found in course_claims() if not found.holds] == []
