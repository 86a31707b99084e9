"""A claim: what was published beside what this machine measured, in one line, and a stop when it
does not hold.

The line is for two readers: a person, and `build`, which collects the lines of all executed
notebooks into README's table.
"""

import html
import re
from numbers import Integral, Real
from typing import NamedTuple, Self

from IPython.display import display

LINE = re.compile(
    r"claim (?P<id>[\w-]+) \| published: (?P<published>[^|]+) \| measured: (?P<measured>[^|]+)"
    r" \| (?P<verdict>holds|DOES NOT HOLD)"
)


class ClaimDoesNotHold(AssertionError):
    """What this machine measured does not bear the claim out."""


class Claim(NamedTuple):
    """One line of evidence."""

    id: str
    published: str
    measured: str
    holds: bool

    @property
    def verdict(self) -> str:
        return "holds" if self.holds else "DOES NOT HOLD"

    def __str__(self) -> str:
        return (
            f"claim {self.id} | published: {self.published} | measured: {self.measured} | "
            f"{self.verdict}"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same as a card, for who reads the notebook in a browser."""
        mark, colour = ("\u2713", "#009E73") if self.holds else ("\u2717", "#D55E00")
        rows = "".join(
            f'<br><span style="opacity: 0.65">{name}</span>&ensp;{html.escape(text)}'
            for name, text in (("published", self.published), ("measured", self.measured))
        )
        style = (
            f"border-left: 3px solid {colour}; padding: 1px 0 1px 10px; margin: 4px 0; "
            "line-height: 1.45"
        )
        return f'<div style="{style}"><b>{mark} {self.id}</b> {self.verdict}{rows}</div>'

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """The claim that was printed as `line`; None for any other line."""
        found = LINE.fullmatch(line.strip()) if len(line.splitlines()) == 1 else None
        return found and cls(
            found["id"], found["published"], found["measured"], found["verdict"] == "holds"
        )


def claim(
    id: str, measured: str | float, holds: bool, published: str | float | None = None
) -> None:
    """Show the claim's line, and raise ClaimDoesNotHold when it does not hold.

    `measured` and `published` are words or a number; a number that is not whole is printed to two
    significant figures. `holds` is the comparison itself, true or false: a bare number there would
    hold whatever it is, so it raises TypeError. ValueError for an id or a text that the line cannot
    carry.
    """
    verdict = _item(holds)
    if not isinstance(verdict, bool):
        raise TypeError(
            f"claim {id}: holds is {holds!r}; expected one comparison, true or false, such as "
            "score > 0.5 or .all()"
        )
    made = Claim(id, "nothing" if published is None else _text(published), _text(measured), verdict)
    if Claim.parse(str(made)) != made:
        raise ValueError(
            f"claim {id!r}: a claim is one line, its id letters, digits and hyphens, its texts not "
            "empty and without '|'; "
            f"got published {made.published!r} and measured {made.measured!r}"
        )
    display(made)
    if not made.holds:
        raise ClaimDoesNotHold(str(made))


def below(value: float, bound: float) -> str:
    """Words for a number whose digits differ between machines: "below 1e-10", or the number itself
    when it is not."""
    return f"below {bound:g}" if value < bound else f"{float(value):.1e}"


def above(value: float, bound: float) -> str:
    """The same for a number that is to be large: "above 0.1"."""
    return f"above {bound:g}" if value > bound else f"{float(value):.1e}"


def _text(value: str | float) -> str:
    """Words as they are, a whole number as it is, any other number rounded so that its last digits
    cannot flicker."""
    number = _item(value)
    if isinstance(number, Real) and not isinstance(number, Integral):
        return f"{float(f'{number:.2g}'):g}"
    return str(number)


def _item(value):
    """The Python number inside a NumPy or torch scalar; anything else unchanged."""
    return value.item() if getattr(value, "shape", None) == () else value
