"""Numbers and words in columns: lines that do not wrap as text, and in a browser a table, in which
words and heads wrap where the window is narrow."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

CELL = "padding: 1px 16px 1px 0; border: none; vertical-align: top"
PLACE = "overflow-x: auto; margin: 6px 0 6px 7px"  # where printed text begins, and apart from it


class Table:
    """Rows under a head. Numbers stand at the right of their column, words at its left; a token of
    white space says how much it is, as in ⏎+15."""

    def __init__(self, rows: Sequence[Sequence[Any]], head: Sequence[str]):
        """ValueError for a row that is not as long as the head."""
        self.head, self.rows = list(head), [[short(str(value)) for value in row] for row in rows]
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(
                    f"{row} has {len(row)} columns and the head has {len(self.head)}; give one "
                    "value a column"
                )
        self.numeric = [
            all(NUMBER.fullmatch(row[at]) for row in self.rows) for at in range(len(self.head))
        ]

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> "Table":
        """Of records that all have the same names, which are the head in the first one's order.
        ValueError for other names and for no records."""
        if not records:
            raise ValueError("there are no records to name the columns; try Table([], head)")
        head = list(records[0])
        for record in records:
            if record.keys() != records[0].keys():
                raise ValueError(
                    f"a record of {', '.join(record)} under a head of {', '.join(head)}; give each "
                    "record the same names"
                )
        return cls([[record[name] for name in head] for record in records], head)

    def __repr__(self) -> str:
        lines = [self.head, *self.rows]
        wide = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "   ".join(
                value.rjust(width) if right else value.ljust(width)
                for value, width, right in zip(line, wide, self.numeric, strict=True)
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        head, *rows = (
            "".join(
                _field(tag, value, right) for value, right in zip(line, self.numeric, strict=True)
            )
            for tag, line in (("th", self.head), *(("td", row) for row in self.rows))
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return (
            f'<div style="{PLACE}"><table style="border-collapse: collapse; margin: 0">'
            f'<tr style="border-bottom: 1px solid #888888">{head}</tr>{body}</table></div>'
        )


def _field(tag: str, value: str, number: bool) -> str:
    space = "pre" if number and tag == "td" else "pre-wrap"
    style = f"{CELL}; white-space: {space}; text-align: {'right' if number else 'left'}"
    return f'<{tag} style="{style}">{html.escape(value)}</{tag}>'


NUMBER = re.compile(r"[-+−≈ ]*\d[\d.,]*(e-?\d+)?%?|-?|nan")


def short(token: str) -> str:
    """A line's end with the blanks after it, as token strings have them, in few letters."""
    return re.sub("⏎(·{2,})", lambda found: f"⏎+{len(found[1])}", token)
