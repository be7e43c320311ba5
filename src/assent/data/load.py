"""Loading: sources in, core types out, and a report of what was read and what could not be used.

The first bad row is an error, unless its source says `skip_bad`: then bad rows go to a quarantine file and are counted.
Each row is read in the format that fits the columns in which it says something.
"""

from __future__ import annotations

import difflib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from pydantic import ValidationError

from assent.core import seeds
from assent.core.errors import DataError, UserError
from assent.core.lazy import Chained, pick
from assent.core.problems import first_problem
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.census import Tally
from assent.data.config import Source
from assent.data.formats import Said
from assent.data.load_report import LoadReport, PartReport, write_quarantine
from assent.data.rows import TEXT_SUFFIXES, BadRow, Row, parts, read_rows
from assent.data.sources import columns, prompts
from assent.data.sources.detect import FORMATS, Wanted, choose, fitting
from assent.data.sources.format import Format

LOOKED_AT = 64
"""Rows whose columns together decide what a file is."""
_Item = TypeVar("_Item", Prompt, Conversation, Comparison, Said)


Check = Callable[[Any], None]
"""Raises UserError for an item that cannot be used: then its row is bad."""
Lay = Callable[[int, Iterable[_Item]], Sequence[_Item]]
"""Puts the items of the source of this number, of which each is read when it is asked for, where they can be held."""


def load_conversations(
    sources: Sequence[Source], *, quarantine: Path | None = None, check: Check | None = None
) -> tuple[list[Conversation], LoadReport]:
    """Demonstrations of all sources, in order. Skipped bad rows are written to `quarantine` (JSON lines)."""
    return _load(sources, "demonstrations", _conversations, check, quarantine)


def load_prompts(
    sources: Sequence[Source], *, quarantine: Path | None = None, check: Check | None = None
) -> tuple[list[Prompt], LoadReport]:
    """Prompts of all sources, in order, from files of any kind."""
    return _load(sources, "prompts", Format.read_prompts, check, quarantine)


def load_comparisons(
    sources: Sequence[Source], *, quarantine: Path | None = None, check: Check | None = None
) -> tuple[list[Comparison], LoadReport]:
    """Comparisons of all sources, in order."""
    return _load(sources, "comparisons", _comparisons, check, quarantine)


def lay_conversations(
    sources: Sequence[Source], lay: Lay[Conversation], *, quarantine: Path | None = None, check: Check | None = None
) -> tuple[Sequence[Conversation], LoadReport]:
    """As `load_conversations`, where `lay` puts those of each source as they are read: in a file, if they are many."""
    return _lay(sources, "demonstrations", _conversations, check, quarantine, lay)


def lay_prompts(
    sources: Sequence[Source], lay: Lay[Prompt], *, quarantine: Path | None = None, check: Check | None = None
) -> tuple[Sequence[Prompt], LoadReport]:
    """As `load_prompts`, where `lay` puts them."""
    return _lay(sources, "prompts", Format.read_prompts, check, quarantine, lay)


def lay_comparisons(
    sources: Sequence[Source], lay: Lay[Comparison], *, quarantine: Path | None = None, check: Check | None = None
) -> tuple[Sequence[Comparison], LoadReport]:
    """As `load_comparisons`, where `lay` puts them."""
    return _lay(sources, "comparisons", _comparisons, check, quarantine, lay)


def load_said(
    sources: Sequence[Source], *, quarantine: Path | None = None, check: Check | None = None
) -> tuple[list[Said], LoadReport]:
    """Everything in all sources that a store takes in, in order: comparisons, and what else our own format holds."""
    return _load(sources, "comparisons", Format.read_said, check, quarantine)


def lay_said(
    sources: Sequence[Source], lay: Lay[Said], *, quarantine: Path | None = None, check: Check | None = None
) -> tuple[Sequence[Said], LoadReport]:
    """As `load_said`, where `lay` puts it."""
    return _lay(sources, "comparisons", Format.read_said, check, quarantine, lay)


def _conversations(form: Format, row: Row) -> list[Conversation]:
    return form.conversations(row) if form.conversations is not None else []


def _comparisons(form: Format, row: Row) -> list[Comparison]:
    return form.comparisons(row) if form.comparisons is not None else []


def _load(
    sources: Sequence[Source],
    wanted: Wanted,
    read: Callable[[Format, Row], list[_Item]],
    check: Check | None,
    quarantine: Path | None,
) -> tuple[list[_Item], LoadReport]:
    items, report = _lay(sources, wanted, read, check, quarantine, lambda _, found: list(found))
    return list(items), report


def _lay(
    sources: Sequence[Source],
    wanted: Wanted,
    read: Callable[[Format, Row], list[_Item]],
    check: Check | None,
    quarantine: Path | None,
    lay: Lay[_Item],
) -> tuple[Sequence[_Item], LoadReport]:
    items: list[Sequence[_Item]] = []
    reports: list[PartReport] = []
    weights: list[str] = []
    for number, source in enumerate(sources):
        loader = _Loader(source, wanted, read, check)
        found = lay(number, loader.items())
        if not len(found):
            raise DataError(
                f"no {wanted} in it ({loader.summary()}); check the file or remove the source", path=source.name
            )
        weighed = _weighed(found, source, wanted)
        if source.weight != 1:
            weights.append(f"{source.name}: weight {source.weight:g} makes {len(weighed)} items of {len(found)}")
        items.append(weighed)
        reports += loader.reports
    bad = [row for report in reports for row in report.bad]
    if bad and quarantine is not None:
        write_quarantine(quarantine, bad, is_private=wanted == "comparisons")
    return Chained(*items), LoadReport(tuple(reports), quarantine if bad else None, tuple(weights))


def _weighed(items: Sequence[_Item], source: Source, wanted: Wanted) -> Sequence[_Item]:
    """All items as often as the whole part of the weight says, and once more the share that its rest says.

    Which ones is drawn from how many there are and nothing else, so that the same file gives the same items anywhere.
    """
    if source.weight > 1 and wanted != "demonstrations":
        reason = f"weight {source.weight:g} would repeat {wanted}, which count once each; give at most 1"
        raise DataError(reason, path=source.name)
    if source.weight == 1:
        return items
    whole, rest = divmod(source.weight, 1)
    drawn = seeds.stream(0, "weight").permutation(len(items))[: round(rest * len(items))]
    return pick(items, np.concatenate([np.tile(np.arange(len(items)), int(whole)), np.sort(drawn)]))


@dataclass
class _Part:
    """What was counted in a file so far."""

    rows: int = 0
    items: int = 0
    bad: list[BadRow] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    formats: Counter[str] = field(default_factory=Counter)

    def is_full(self, limit: int | None) -> bool:
        """Whether there are as many items as there may be."""
        return limit is not None and self.items >= limit


class _Loader(Generic[_Item]):
    """Reads one source; remembers ids across its files."""

    def __init__(
        self, source: Source, wanted: Wanted, read: Callable[[Format, Row], list[_Item]], check: Check | None = None
    ) -> None:
        self.source, self.wanted, self.check = source, wanted, check
        self.read: Callable[[Format, Row], list[_Item]] = read
        self.reports: list[PartReport] = []
        self._seen: dict[str, tuple[str, int]] = {}
        self._columns: set[str] = set()
        self._left = source.limit

    def items(self) -> Iterator[_Item]:
        """Items of all files of the source, at most its limit, as they are read; then there is a report of each."""
        for name, path in _without_beside(parts(self.source)):
            if self._left == 0:
                break
            yield from self._part(name, path)
        if self._left is None:
            self._check_ignored()

    def _check_ignored(self) -> None:
        for name in self.source.ignore:
            if name not in self._columns and "." not in name:
                near = difflib.get_close_matches(name, self._columns, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"found: {', '.join(sorted(self._columns))}"
                raise DataError(f"ignore names the column {name!r}, which no row has; {hint}", path=self.source.name)

    def summary(self) -> str:
        """Rows read and skipped, in words."""
        rows, bad = sum(part.rows for part in self.reports), sum(len(part.bad) for part in self.reports)
        return f"{rows} rows read, {bad} of them bad" + (f"; first: {self._first_bad()}" if bad else "")

    def _first_bad(self) -> str:
        return next(str(row.error) for part in self.reports for row in part.bad)

    def _part(self, name: str, path: Path | None) -> Iterator[_Item]:
        part = _Part()
        for item in self._part_items(name, path, part):
            if not part.is_full(self._left):
                part.items += 1
                yield item
        self._left = None if self._left is None else self._left - part.items
        named = ", ".join(name for name, _ in part.formats.most_common()) or "unknown"
        if name.endswith(TEXT_SUFFIXES):
            named = "plain text"  # whatever reader takes a row of one text
        part.bad.sort(key=lambda row: row.error.line or 0)
        report = PartReport(name, named, part.rows, part.items, tuple(part.bad), part.tally.census())
        self.reports.append(report)

    def _part_items(self, name: str, path: Path | None, part: _Part) -> Iterator[_Item]:
        """Every item of a file, counted; none of further rows once there are as many as the limit leaves."""
        held: dict[str, tuple[Format, list[Row]]] = {}
        for placed in self._placed(name, path):
            part.rows += 1
            if isinstance(placed, BadRow):
                self._refuse(placed, part.bad)
                continue
            form, row = placed
            part.formats[form.name] += 1
            if form.regroup is not None and self.wanted in form.regrouped:
                held.setdefault(form.columns, (form, []))[1].append(row)
                if form.is_closed:
                    part.tally.add(Tally(Counter(row.values.keys())))
                continue
            yield from self._read(form, row, part.bad, part.tally)
            if part.is_full(self._left):
                break
        for form, alike in held.values():
            assert form.regroup is not None
            for made in form.regroup(alike):
                if isinstance(made, BadRow):
                    self._refuse(made, part.bad)
                else:
                    yield from self._read(form, made, part.bad, part.tally)

    def _placed(self, name: str, path: Path | None) -> Iterator[tuple[Format, Row] | BadRow]:
        """Every row with the format that it is in."""
        rows = read_rows(name, path, self.source)
        first = list(itertools.islice(rows, LOOKED_AT))
        usual = self._usual([row for row in first if isinstance(row, Row)])
        beside: dict[str, Mapping[Any, Any]] = {}
        for row in itertools.chain(first, rows):
            if isinstance(row, BadRow):
                yield row
                continue
            self._columns |= row.values.keys() | row.nulls | row.tally.ignored.keys()
            if usual is None:
                usual = choose(self.source.format, row, self.wanted)
            form = fitting(self.source.format, row, self.wanted) or usual
            if form.prepare is not None and path is not None and form.name not in beside:
                beside[form.name] = form.prepare(path)
            shared = frozenset() if form.is_closed else columns.SHARED - form.owns
            yield form, replace(row, beside=beside.get(form.name), shared=shared)

    def _usual(self, rows: list[Row]) -> Format | None:
        """The format of most of the first rows of a file, else by all columns in which they say something together.

        None where all are bad. A row that fits no format is read as this one, so that its reader says what is missing.
        """
        if not rows:
            return None
        found = [form for row in rows if (form := fitting(self.source.format, row, self.wanted)) is not None]
        if found:
            counts = Counter(form.columns for form in found)
            return max(found, key=lambda form: counts[form.columns])
        union: dict[str, Any] = {}
        for row in rows:
            union = {**row.values, **union}
        return choose(self.source.format, rows[0].with_values(union), self.wanted)

    def _read(self, form: Format, row: Row, bad: list[BadRow], tally: Tally) -> list[_Item]:
        try:
            found = self._items(form, row)
        except DataError as error:
            self._refuse(BadRow(error, dict(row.raw if row.raw is not None else row.values)), bad)
            return []
        # What regrouping made of rows is no column of the file.
        row.tally.used = Counter(
            {name: n for name, n in row.tally.used.items() if name in self._columns or "." in name}
        )
        tally.add(row.tally)
        return found

    def _items(self, form: Format, row: Row) -> list[_Item]:
        identity = form.row_id(row)
        if identity is not None and identity in self._seen:
            path, line = self._seen[identity]
            raise row.error(
                f"id {identity!r} was used before, at {path}:{line}; ids must be unique, rename or remove one"
            )
        try:
            items = self.read(form, row)
            if form.is_closed:
                row.tally.read(*(row.values if form.regroup is None else ()))
            else:
                items = self._settled(form, row, items)
        except ValidationError as error:
            raise row.error(f"{first_problem(error)}; correct the row") from None
        except RecursionError:
            raise row.error("nested too deeply to be read; leave the row out") from None
        self._try(row, items)
        if identity is not None:
            self._seen[identity] = row.path, row.line
        return items

    def _try(self, row: Row, items: list[_Item]) -> None:
        """Refuse a row of which something was made that cannot be used, its meta included."""
        try:
            for item in items:
                if self.check is not None:
                    self.check(item)
        except UserError as problem:
            raise row.error(str(problem)) from None

    def _settled(self, form: Format, row: Row, items: list[_Item]) -> list[_Item]:
        """Count or refuse the columns that the reader left; those of a prompt's row become its meta."""
        ids = {name for name in row.values if name == "id" and form.row_id(row) is not None}
        row.tally.read(*ids)
        if self.wanted == "prompts" and (form.conversations is not None or form is prompts.FORMAT):
            own = columns.meta(row, form.ignores)
            items = [_with_meta(item, own) for item in items] if own else items
        texts = [item for item in items if isinstance(item, Prompt | Conversation | Comparison)]
        columns.settle(row, texts, ignores=form.ignores, wanted=self.wanted)
        return items

    def _refuse(self, row: BadRow, bad: list[BadRow]) -> None:
        if not self.source.skip_bad:
            way_on = "" if "skip_bad" in row.reason else "; or skip such rows with skip_bad"
            raise DataError(row.reason + way_on, path=row.error.path, line=row.error.line) from row.error
        bad.append(row)


def _with_meta(item: _Item, own: Mapping[str, Any]) -> _Item:
    return item.model_copy(update={"meta": {**own, **item.meta}}) if isinstance(item, Prompt | Conversation) else item


def _without_beside(found: list[tuple[str, Path | None]]) -> Iterator[tuple[str, Path | None]]:
    """The files of a folder without those that are only looked up from others."""
    stems = {form.beside for form in FORMATS if form.beside is not None}
    for name, path in found:
        if len(found) == 1 or path is None or path.name.split(".")[0] not in stems:
            yield name, path
