"""A claim: what this machine measured, each number beside its bound and its control, and a stop
when it does not hold.

    claim(
        "two-layers-form-induction-heads",
        finding={"prefix matching": above(best, 0.5)},
        controls={"prefix matching, one layer": below(best_of_one_layer, 0.2)},
        published="two-layer attention-only models form induction heads (Olsson et al. 2022)",
    )

A bound is written once, and what is compared is what is printed. A control measures either
something of its own (a planted circuit that must pass, a wrong formula that must not) or a quantity
of the finding on something else; then it has that quantity's name, a comma and what it was measured
on, and the finding's own bound has to fail there. A finding that its control meets as well says
nothing.

The line is for three readers: a person, nbval, and `course.build`, which collects the lines of all
executed notebooks into README's table.
"""

import html
import re
from collections.abc import Mapping
from numbers import Integral, Number, Real
from typing import Any, NamedTuple, Self

from IPython.display import display

UNPUBLISHED = "no published counterpart"
LINE = re.compile(
    r"claim (?P<id>[\w-]+) \| published: (?P<published>[^|]+) \| finding: (?P<finding>[^|]+)"
    r" \| controls: (?P<controls>[^|]+) \| (?P<verdict>holds|DOES NOT HOLD)"
)


class ClaimDoesNotHold(AssertionError):
    """What this machine measured does not bear the claim out."""


class ControlMeetsTheBound(ClaimDoesNotHold):
    """The finding's bound is met by its control too, so that it shows nothing."""


# ---- a number and its bound


class Bound(NamedTuple):
    """One number, or several of one kind, beside the bound that each has to meet.

    `values` is what was measured, `relation` how it is compared, `limits` the bound. `varies`:
    another machine has other digits (a training that runs live, a rounding error), so the number is
    printed behind an ≈ and no test compares it; the comparison with the bound is made all the same.
    """

    values: tuple
    relation: str
    limits: tuple
    varies: bool = False

    @property
    def holds(self) -> bool:
        return all(map(self.admits, self.values))

    def admits(self, value: Any) -> bool:
        """Whether this value meets the bound. What is not a number meets none."""
        low, high = self.limits[0], self.limits[-1]
        if self.relation == "below":
            return bool(value < high)
        if self.relation == "above":
            return bool(value > low)
        return bool(low <= value <= high) if self.relation == "from" else bool(value == low)

    @property
    def measured(self) -> str:
        """The number; of several the least and the greatest, and how many there are."""
        about = "≈ " if self.varies else ""
        if len(self.values) == 1:
            return about + _text(self.values[0])
        least, greatest = _text(min(self.values)), _text(max(self.values))
        if least == greatest:  # "1 over 8" would read as a fraction
            return f"{about}{least} in all {len(self.values)}"
        return f"{about}{least} to {greatest} over {len(self.values)}"

    @property
    def bound(self) -> str:
        return f"{self.relation} {' to '.join(_text(limit) for limit in self.limits)}"

    def __str__(self) -> str:
        return f"{self.measured} ({self.bound})"


def below(value, bound: float, varies: bool = False) -> Bound:
    """`value`, a number or several, has to be less than `bound`."""
    return _bound(value, "below", (bound,), varies)


def above(value, bound: float, varies: bool = False) -> Bound:
    """`value`, a number or several, has to be greater than `bound`."""
    return _bound(value, "above", (bound,), varies)


def between(value, low: float, high: float, varies: bool = False) -> Bound:
    """`value`, a number or several, has to lie from `low` to `high`, both included. ValueError if
    they are in no order."""
    if not low < high:
        raise ValueError(f"between {low} and {high} there is nothing; give the smaller bound first")
    return _bound(value, "from", (low, high), varies)


def exactly(value, expected) -> Bound:
    """`value` has to be equal to `expected`: a whole number, a word, or a list of them, compared as
    one. TypeError for another number, of which two figures are printed."""
    value, expected = (_joined(_plain(one)) for one in (value, expected))
    return Bound((value,), "exactly", (expected,))


def _bound(value, relation: str, limits: tuple, varies: bool) -> Bound:
    values = _plain(value)
    values = tuple(values) if isinstance(values, list | tuple) else (values,)
    if not values:
        raise ValueError(
            f"nothing was measured, and nothing is {relation} {limits}; give one value or more"
        )
    limits = tuple(map(_plain, limits))
    for number in (*values, *limits):
        if not isinstance(number, Real) or isinstance(number, bool):
            raise TypeError(
                f"{number!r} is no number; {relation} compares numbers, exactly compares the rest"
            )
    return Bound(values, relation, limits, varies)


def _plain(value):
    """Python's own numbers, flat, out of a tensor, an array, or a sequence of such."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, set | frozenset):
        value = sorted(value)
    if not isinstance(value, list | tuple):
        return value
    parts = map(_plain, value)
    return [one for part in parts for one in (part if isinstance(part, list) else [part])]


def _joined(value):
    """A list as the words it is printed in; anything else as it is. TypeError for a number that is
    not whole."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, Number) and not isinstance(one, Integral):
            raise TypeError(
                f"{one!r} is a {type(one).__name__}; exactly compares whole numbers (int) and "
                "words, below, above and between compare the rest"
            )
    return ", ".join(map(_text, value)) or "none" if isinstance(value, list) else value


def _text(value) -> str:
    """Words and whole numbers as they are, other numbers to two figures, so that their last digits
    cannot flicker."""
    if isinstance(value, Real) and not isinstance(value, Integral):
        return f"{float(f'{value:.2g}'):g}"
    return str(value)


# ---- a claim


class Claim(NamedTuple):
    """One line of evidence: what was published, what was found, what the controls gave."""

    id: str
    published: str
    finding: str
    controls: str
    holds: bool

    @property
    def verdict(self) -> str:
        return "holds" if self.holds else "DOES NOT HOLD"

    def __str__(self) -> str:
        return (
            f"claim {self.id} | published: {self.published} | finding: {self.finding}"
            f" | controls: {self.controls} | {self.verdict}"
        )

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """The claim that was printed as `line`; None for any other line."""
        found = LINE.fullmatch(line.strip()) if len(line.splitlines()) == 1 else None
        if found is None:
            return None
        texts = (found[part] for part in ("id", "published", "finding", "controls"))
        return cls(*texts, found["verdict"] == "holds")


MADE: dict[str, Claim] = {}  # what this process has claimed so far, by id


class Card:
    """A claim as it is shown: its line as text, and in a browser a row a quantity, with its
    controls beside it."""

    def __init__(self, claim: Claim, finding: Mapping[str, Bound], controls: Mapping[str, Bound]):
        self.claim, self.finding, self.controls = claim, finding, controls

    def __repr__(self) -> str:
        return str(self.claim)

    def _repr_html_(self) -> str:
        mark, colour = ("✓", "#009E73") if self.claim.holds else ("✗", "#D55E00")
        style = (
            f"border-left: 3px solid {colour}; padding: 1px 0 1px 10px; margin: 4px 0; "
            "line-height: 1.45"
        )
        table = "display: block; border-collapse: collapse; margin: 2px 0; text-align: left"
        return (
            f'<div style="{style}"><b>{mark} {self.claim.id}</b> {self.claim.verdict}<br>'
            f"{_grey('published')} {html.escape(self.claim.published)}"
            f'<table style="{table}"><tbody style="display: block">'
            f"{''.join(self._rows())}</tbody></table></div>"
        )

    def _rows(self) -> list[str]:
        """A row for each quantity of the finding, its controls at the right; then those that stand
        alone."""
        rows, alone = [], dict(self.controls)
        for quantity, bound in self.finding.items():
            beside = {}
            for name in [name for name in alone if measures(name, self.finding) == quantity]:
                beside[name.removeprefix(f"{quantity}, ")] = alone.pop(name)
            rows.append(
                _row(quantity, bound, "; ".join(_words(name, of) for name, of in beside.items()))
            )
        return rows + [_row(name, bound, "", control=True) for name, bound in alone.items()]


def claim(
    id: str,
    finding: Mapping[str, Bound],
    controls: Mapping[str, Bound],
    published: str | None = None,
) -> None:
    """Show the claim, and raise ClaimDoesNotHold when a bound is not met.

    `finding` and `controls` name each quantity in words, with its unit, and give its Bound.
    ControlMeetsTheBound when a control of the same quantity (`quantity, on what`) meets the
    finding's bound. ValueError for no finding, no control, and names or texts that a line cannot
    carry; TypeError for what is no Bound.
    """
    for kind, bounds in (("finding", finding), ("control", controls)):
        if not bounds:
            raise ValueError(f"claim {id} has no {kind}; without a {kind} it shows nothing")
        for name, bound in bounds.items():
            if not isinstance(bound, Bound):
                raise TypeError(
                    f"claim {id}: {name!r} is {bound!r}; write below, above, between or exactly"
                )
            if re.search(r"[;:|]|^\W*$", name):
                raise ValueError(
                    f"claim {id}: a quantity is named in words, without ; : or |; got {name!r}"
                )
    useless = _useless(finding, controls)
    holds = all(bound.holds for bound in (*finding.values(), *controls.values())) and not useless
    texts = (
        "; ".join(f"{name}: {bound}" for name, bound in of.items()) for of in (finding, controls)
    )
    made = Claim(id, UNPUBLISHED if published is None else published, *texts, holds)
    if Claim.parse(str(made)) != made:
        raise ValueError(
            f"claim {id!r}: a claim is one line, its id letters, digits and hyphens, its texts not "
            f"empty and without '|'; got published {made.published!r}, finding {made.finding!r} "
            f"and controls {made.controls!r}"
        )
    display(Card(made, finding, controls))
    MADE[id] = made
    if useless:
        raise ControlMeetsTheBound(f"{made}\nmet by the control too: {', '.join(useless)}")
    if not holds:
        raise ClaimDoesNotHold(str(made))


def measures(control: str, finding: Mapping[str, Bound]) -> str | None:
    """The quantity of the finding that this control measures on something else; None if it is
    another quantity."""
    same = [
        quantity
        for quantity in finding
        if control == quantity or control.startswith(f"{quantity}, ")
    ]
    return max(same, key=len, default=None)


def _useless(finding: Mapping[str, Bound], controls: Mapping[str, Bound]) -> list[str]:
    """The controls on which the bound of their own finding does not fail."""
    pairs = ((name, control, measures(name, finding)) for name, control in controls.items())
    return [
        name
        for name, control, quantity in pairs
        if quantity and any(map(finding[quantity].admits, control.values))
    ]


# ---- its card


def _grey(words: str) -> str:
    return f'<span style="opacity: 0.65">{words}</span>'


def _words(name: str, bound: Bound) -> str:
    return f"{html.escape(name)} {_measured(bound)}"


def _measured(bound: Bound) -> str:
    return f"<b>{html.escape(bound.measured)}</b> {_grey(html.escape(bound.bound))}"


def _row(name: str, bound: Bound, beside: str, control: bool = False) -> str:
    """A quantity, what it came to, and its controls: side by side where there is room, else one
    below the other. In a page without styles it is a table's row all the same."""
    columns = (
        (13, (_grey("control ") if control else "") + html.escape(name)),
        (13, _measured(bound)),
        (24, (_grey("control ") if beside else "") + beside),
    )
    cell = "padding: 0 0 0 0; border: none; line-height: 1.45; text-align: left"
    cells = "".join(
        f'<td style="flex: {wide} 1 {wide}em; {cell}">{text}</td>' for wide, text in columns
    )
    row = "display: flex; flex-wrap: wrap; align-items: flex-start; gap: 0 14px; padding: 2px 0"
    return f'<tr style="{row}">{cells}</tr>'
