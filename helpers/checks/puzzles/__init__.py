"""Blind puzzles, one a notebook: an anonymous model whose trick is hidden, and a check that accepts
a right description of it by what it does.

    puzzle = puzzles.twist(seed=1)  # the same for all who take this seed
    puzzle  # says what is asked
    puzzle.model  # for the instruments of the course
    puzzle.check(answer)  # "not attempted", "passed", or a counter-example

Where the trick is what comes next, `puzzle.says(text)` asks the model, and the answer is a function
that says the same, on texts drawn anew at every check.

Every stream is turned by a random rotation, so that no weight can be read by eye. What is hidden
stands in no attribute: the function that judges keeps it.
"""

from helpers.checks.puzzles.changes import change
from helpers.checks.puzzles.composers import composition
from helpers.checks.puzzles.lookups import continuation, twist
from helpers.checks.puzzles.strangers import stranger
from helpers.checks.puzzles.streams import axes
from helpers.checks.puzzles.triples import skip_trigram

__all__ = ["axes", "change", "composition", "continuation", "skip_trigram", "stranger", "twist"]
