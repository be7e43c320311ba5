"""Loading: sources in, core types out, and a report of what was read and what could not be used.

The first bad row is an error, unless its source says `skip_bad`: then bad rows go to a quarantine file and are counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from assent.core.errors import DataError, UserError
from assent.core.files import write_bytes
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.config import Source
from assent.data.formats import first_problem
from assent.data.rows import BadRow, Row, parts, read_rows
from assent.data.sources.detect import FORMATS, Wanted, choose
from assent.data.sources.format import Format

_Item = TypeVar("_Item", Prompt, Conversation, Comparison)


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


@dataclass(frozen=True)
class LoadReport:
    """What a load read, and where its bad rows went."""

    parts: tuple[PartReport, ...]
    quarantine: Path | None
    """The file of bad rows; None when there are none or no place for them was given."""

    @property
    def num_items(self) -> int:
        """Items over all parts."""
        return sum(part.items for part in self.parts)

    @property
    def num_bad(self) -> int:
        """Rows that could not be used."""
        return sum(len(part.bad) for part in self.parts)

    def lines(self) -> list[str]:
        """The report in words, a line per part."""
        said = [
            f"{part.name}: {part.rows} rows as {part.format}, {part.items} items"
            + (
                f", {len(part.bad)} bad rows skipped (first: line {part.bad[0].error.line}: {part.bad[0].reason})"
                if part.bad
                else ""
            )
            for part in self.parts
        ]
        return said + ([f"bad rows are in {self.quarantine}"] if self.quarantine is not None else [])


def load_conversations(
    sources: Sequence[Source], *, quarantine: Path | None = None
) -> tuple[list[Conversation], LoadReport]:
    """Demonstrations of all sources, in order. Skipped bad rows are written to `quarantine` (JSON lines)."""
    return _load(sources, "demonstrations", _conversations, quarantine)


def load_prompts(sources: Sequence[Source], *, quarantine: Path | None = None) -> tuple[list[Prompt], LoadReport]:
    """Prompts of all sources, in order, from files of any kind."""
    return _load(sources, "prompts", Format.read_prompts, quarantine)


def load_comparisons(
    sources: Sequence[Source], *, quarantine: Path | None = None, check: Callable[[Comparison], None] | None = None
) -> tuple[list[Comparison], LoadReport]:
    """Comparisons of all sources, in order. A row is bad too where `check` raises UserError for what is made of it."""

    def read(form: Format, row: Row) -> list[Comparison]:
        found = _comparisons(form, row)
        if check is not None:
            try:
                for comparison in found:
                    check(comparison)
            except UserError as problem:
                raise row.error(str(problem)) from None
        return found

    return _load(sources, "comparisons", read, quarantine)


def _conversations(form: Format, row: Row) -> list[Conversation]:
    return form.conversations(row) if form.conversations is not None else []


def _comparisons(form: Format, row: Row) -> list[Comparison]:
    return form.comparisons(row) if form.comparisons is not None else []


def _load(
    sources: Sequence[Source], wanted: Wanted, read: Callable[[Format, Row], list[_Item]], quarantine: Path | None
) -> tuple[list[_Item], LoadReport]:
    items: list[_Item] = []
    reports: list[PartReport] = []
    for source in sources:
        loader = _Loader(source, wanted, read)
        found = loader.run()
        if not found:
            raise DataError(
                f"no {wanted} in it ({loader.summary()}); check the file or remove the source", path=source.name
            )
        items += found
        reports += loader.reports
    bad = [row for report in reports for row in report.bad]
    if bad and quarantine is not None:
        write_bytes(
            quarantine, "".join(json.dumps(_quarantined(row), ensure_ascii=False) + "\n" for row in bad).encode()
        )
    return items, LoadReport(tuple(reports), quarantine if bad else None)


class _Loader(Generic[_Item]):
    """Reads one source; remembers ids across its files."""

    def __init__(self, source: Source, wanted: Wanted, read: Callable[[Format, Row], list[_Item]]) -> None:
        self.source, self.wanted = source, wanted
        self.read: Callable[[Format, Row], list[_Item]] = read
        self.reports: list[PartReport] = []
        self._seen: dict[str, str] = {}
        self._left = source.limit

    def run(self) -> list[_Item]:
        """Items of all files of the source, at most its limit."""
        found: list[_Item] = []
        for name, path in _without_beside(parts(self.source)):
            if self._left == 0:
                break
            found += self._part(name, path)
        return found

    def summary(self) -> str:
        """Rows read and skipped, in words."""
        rows, bad = sum(part.rows for part in self.reports), sum(len(part.bad) for part in self.reports)
        return f"{rows} rows read, {bad} of them bad" + (f"; first: {self._first_bad()}" if bad else "")

    def _first_bad(self) -> str:
        return next(str(row.error) for part in self.reports for row in part.bad)

    def _part(self, name: str, path: Path | None) -> list[_Item]:
        found: list[_Item] = []
        bad: list[BadRow] = []
        form: Format | None = None
        beside = None
        rows = 0
        for row in read_rows(name, path, self.source):
            rows += 1
            if isinstance(row, BadRow):
                self._refuse(row, bad)
                continue
            if form is None:
                form = choose(self.source.format, row, self.wanted)
                beside = form.prepare(path) if form.prepare is not None and path is not None else None
            try:
                found += self._items(form, Row(row.values, row.path, row.line, beside))
            except DataError as error:
                self._refuse(BadRow(error, dict(row.values)), bad)
            if self._left is not None and len(found) >= self._left:
                break
        kept = found[: self._left]
        self._left = None if self._left is None else self._left - len(kept)
        self.reports.append(PartReport(name, form.name if form is not None else "unknown", rows, len(kept), tuple(bad)))
        return kept

    def _items(self, form: Format, row: Row) -> list[_Item]:
        identity = form.row_id(row)
        if identity is not None and identity in self._seen:
            raise row.error(
                f"id {identity!r} was used before, at {self._seen[identity]}; ids must be unique, rename or remove one"
            )
        try:
            items = self.read(form, row)
        except ValidationError as error:
            raise row.error(f"{first_problem(error)}; correct the row") from None
        if identity is not None:
            self._seen[identity] = f"{row.path}:{row.line}"
        return items

    def _refuse(self, row: BadRow, bad: list[BadRow]) -> None:
        if not self.source.skip_bad:
            raise row.error
        bad.append(row)


def _without_beside(found: list[tuple[str, Path | None]]) -> Iterator[tuple[str, Path | None]]:
    """The files of a folder without those that are only looked up from others."""
    stems = {form.beside for form in FORMATS if form.beside is not None}
    for name, path in found:
        if len(found) == 1 or path is None or path.name.split(".")[0] not in stems:
            yield name, path


def _quarantined(row: BadRow) -> dict[str, Any]:
    content = row.content
    try:
        json.dumps(content)
    except (TypeError, ValueError):
        content = repr(content)
    return {"path": row.error.path, "line": row.error.line, "reason": row.reason, "row": content}
