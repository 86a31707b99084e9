"""The table of arguments quotes the claims that were made, and no others."""

import pytest

from helpers import claims
from helpers.claims import above, below, claim
from helpers.experiments import arguments


@pytest.fixture
def made(monkeypatch):
    """As after the cells of notebook 05."""
    monkeypatch.setattr(claims, "MADE", {})
    for number, argument in enumerate(arguments.ARGUMENTS):
        if not isinstance(argument.measured, str):
            id, (first, second) = argument.measured
            claim(id, {first: below(number + 0.5, 5)}, {second: above(number + 7.5, 6)})


def test_each_number_is_that_of_its_claim(made):
    rows = {row[0][:1]: row for row in arguments.table().rows}
    assert list(rows) == list("123456")
    for number, quantity in enumerate(
        ("steps from matching", "in-context score with smeared keys", "share of the score")
    ):
        said = rows[str(number + 1)][2]
        assert said.startswith(quantity)
        assert f": {number + 0.5} (below 5); " in said and f": {number + 7.5} (above 6)" in said
    assert rows["4"][2].startswith("not measured")


def test_before_the_claims_there_is_no_table(monkeypatch):
    monkeypatch.setattr(claims, "MADE", {})
    with pytest.raises(KeyError, match="text-is-learned-in-an-order was not made yet"):
        arguments.table()


def test_what_others_measured_is_marked_as_such():
    assert {row[-1] for row in arguments.counterweights().rows} == {"no"}
    assert all("20" in row[1] for row in arguments.counterweights().rows)  # each with its year
