"""What was read, in words and counted, and the bad rows in a file of their own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assent.core.files import writing
from assent.data.census import Census, together
from assent.data.rows import HALF, BadRow


@dataclass(frozen=True)
class PartReport:
    """What one file or dataset gave."""

    name: str
    format: str
    rows: int
    """Rows read, good and bad."""
    items: int
    """Prompts, conversations or comparisons made of them."""
    bad: tuple[BadRow, ...]
    census: Census = field(default_factory=Census)
    """What became of its columns."""

    def lines(self) -> list[str]:
        """The report in words: rows and items, then the columns."""
        said = f"{self.name}: {self.rows} rows as {self.format}, {self.items} items"
        if self.bad:
            first = self.bad[0]
            rows = "bad row" if len(self.bad) == 1 else "bad rows"
            said += f", {len(self.bad)} {rows} skipped (first: line {first.error.line}: {first.reason})"
        return [said, *(f"  {line}" for line in self.census.lines())]


@dataclass(frozen=True)
class LoadReport:
    """What a load read, and where its bad rows went."""

    parts: tuple[PartReport, ...]
    quarantine: Path | None
    """The file of bad rows; None when there are none or no place for them was given."""
    weights: tuple[str, ...] = ()
    """What the weights of sources made of their items, in words."""

    @property
    def num_items(self) -> int:
        """Items over all parts."""
        return sum(part.items for part in self.parts)

    @property
    def num_bad(self) -> int:
        """Rows that could not be used."""
        return sum(len(part.bad) for part in self.parts)

    @property
    def census(self) -> Census:
        """What became of the columns of all parts."""
        return together(part.census for part in self.parts)

    def facts(self) -> dict[str, Any]:
        """The report for the notes of an artifact: bad rows, and what became of the columns."""
        return {"bad_rows": self.num_bad, "columns": self.census.as_dict()}

    def lines(self) -> list[str]:
        """The report in words, one or two lines per part."""
        said = [line for part in self.parts for line in part.lines()] + list(self.weights)
        return said + ([f"bad rows are in {self.quarantine}"] if self.quarantine is not None else [])


def write_quarantine(path: Path, bad: Iterable[BadRow], *, is_private: bool = False) -> None:
    """Write bad rows as JSON lines: where each stands, why it is bad, and what it holds."""
    with writing(path, is_private=is_private) as stream:
        stream.writelines(f"{_quarantined(row)}\n".encode() for row in bad)


def _quarantined(row: BadRow) -> str:
    """The line of a bad row. What UTF-8 cannot hold (half a character) is written as JSON escapes."""
    kept = {"path": row.error.path, "line": row.error.line, "reason": row.reason}
    for content in (row.content, repr(row.content)):
        try:
            line = json.dumps({**kept, "row": content}, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            continue
        return json.dumps({**kept, "row": content}) if HALF.search(line) else line
    return json.dumps({**kept, "row": "too deep to be written"})
