"""Cells of tables that people open in a spreadsheet: none begins a formula, and reading gives back what was written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_BEGINS_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_MARKED = re.compile(r"'+[=+\-@\t\r\n]")


def harmless(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would take it for a formula.

    The list of beginnings is that of OWASP (CSV injection). A text of apostrophes before such a sign gets one more, so
    that `read` is exact.
    """
    return f"'{text}" if _BEGINS_FORMULA.match(text) else text


def read(cell: str) -> str:
    """The text of a cell that `harmless` wrote."""
    return cell[1:] if _MARKED.match(cell) else cell


def table(columns: Sequence[str], rows: Iterable[Sequence[str | int | float | None]]) -> bytes:
    """A CSV of UTF-8 with a mark at its beginning, by which spreadsheets know it; numbers stay numbers."""
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([harmless(value) if isinstance(value, str) else value for value in row])
    return held.getvalue().encode("utf-8-sig")
