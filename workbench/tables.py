"""Small tables for notebooks: left-aligned, escaped, the same in Lab and in reports.

What a model wrote may stand in a cell: every value is escaped, and nothing but
text comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


class Table:
    """Rows under column names, shown as HTML in a notebook and as text elsewhere.

    table(["runtime", "tokens/s"], [("onnx", 61.3)])
    """

    def __init__(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.columns = tuple(columns)
        self.rows = [tuple(_shown(value) for value in row) for row in rows]

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="text-align:left">{escape(name)}</th>' for name in self.columns)
        body = "".join(
            "<tr>"
            + "".join(f'<td style="text-align:left">{_lines(value)}</td>' for value in row)
            + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        return "\n".join(" | ".join(row) for row in [self.columns, *self.rows])


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table of any printable values; floats keep four significant digits."""
    return Table(columns, rows)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _lines(text: str) -> str:
    return "<br>".join(escape(line) for line in text.split("\n"))
