"""Raw rows: one mapping per line of a file or per row of a dataset, each knowing where it stands."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assent.core import hub
from assent.core.errors import DataError
from assent.data.census import Tally
from assent.data.config import Source
from assent.data.tables import TABLE_SUFFIXES, Torn, table_rows
from assent.data.unpacking import batches, lines_of, whole
from assent.data.values import is_said, plain, turns_in

TEXT_SUFFIXES = (".txt", ".txt.gz")
SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet", *TABLE_SUFFIXES, *TEXT_SUFFIXES)
PASSAGE_CHARACTERS = 4000
"""From this length on a passage of plain text ends at the next blank line."""
HALF = re.compile("[\ud800-\udfff]")
"""Half a character (a lone surrogate): JSON can write it and nothing can store it."""
_TURNS = {"messages", "conversations", "conversation", "conversation_a", "conversation_b", "prompt", "chosen"}
_TURNS |= {"rejected", "completion", "context", "history"}
"""Columns whose text may be messages written as JSON."""
_SAVED_DATASET = ("dataset_info.json", "dataset_dict.json", "state.json")


@dataclass(frozen=True)
class Row:
    """One row under its expected column names. `line` is the line of a JSONL file, else the row's number from 1."""

    values: Mapping[str, Any]
    """The columns that say something; a null and a NaN are as if the column were not there."""
    path: str
    line: int
    beside: Mapping[Any, Any] | None = None
    """What the format read from a file beside this one (UKP keeps its texts there)."""
    nulls: frozenset[str] = frozenset()
    """Columns that are there and say nothing."""
    raw: Mapping[str, Any] | None = None
    """The row as the file holds it."""
    unread: frozenset[str] = frozenset()
    """Keys of turns that the source says to ignore, as in "messages.name"."""
    shared: frozenset[str] = frozenset()
    """Columns that mean the same in every format and are read for this one (a system prompt, a history)."""
    tally: Tally = field(default_factory=Tally, compare=False)
    """What became of the row's columns; every column that `need` gives out counts as read."""

    def with_values(self, values: Mapping[str, Any]) -> Row:
        """The same row with other columns."""
        return replace(self, values=values)

    def error(self, reason: str) -> DataError:
        """The error to raise when this row cannot be used."""
        return DataError(" ".join(reason.split()), path=self.path, line=self.line)

    def has(self, *names: str) -> bool:
        """Whether every one of these columns is there and says something."""
        return all(is_said(self.values.get(name)) for name in names)

    def need(self, name: str) -> Any:
        """A column's value. Raises DataError naming the nearest column when it is missing or null."""
        value = self.values.get(name)
        if is_said(value):
            self.tally.read(name)
            return value
        if name in self.values or name in self.nulls:
            raise self.error(f"{name!r} is null; fill it or skip such rows with skip_bad")
        near = difflib.get_close_matches(name, self.values, n=1)
        found = ", ".join(map(str, self.values)) or "no columns"
        if near:
            raise self.error(
                f"column {name!r} is missing; did you mean {near[0]!r}? Then add columns: {{{name}: {near[0]}}}"
            )
        raise self.error(
            f"column {name!r} is missing, found: {found}; if one of these holds it, add columns: {{{name}: ITS_NAME}}"
        )

    def text(self, name: str) -> str:
        """A column that holds text with something in it, as it stands."""
        return self.spoken(self.need(name), name)

    def spoken(self, value: Any, name: str) -> str:
        """Check that `value`, found at `name`, is text with something in it."""
        if not isinstance(value, str):
            raise self.error(f"{name!r} should be text, got {type(value).__name__} {_shown(value)}")
        if not value.strip():
            raise self.error(f"{name!r} is empty; fill it or skip such rows with skip_bad")
        if half := HALF.search(value):
            place = half.start() + 1
            raise self.error(f"{name!r} holds half a character (a lone surrogate) at {place}; save the text anew")
        return value

    def optional_text(self, name: str) -> str:
        """A column that may be missing, null or blank: then the empty text."""
        value = self.values.get(name)
        if not is_said(value):
            return ""
        if isinstance(value, str) and not value.strip():
            self.tally.read(name)
            return ""
        return self.text(name)

    def listed(self, name: str) -> list[Any]:
        """A column that holds a list with something in it."""
        value = self.need(name)
        if not isinstance(value, list | tuple) or not value:
            raise self.error(f"{name!r} should be a list with something in it, got {_shown(value)}")
        return list(value)


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used: where it stands, why, and its content for the quarantine file."""

    error: DataError
    content: Any

    @property
    def reason(self) -> str:
        """The error without its place."""
        return str(self.error).removeprefix(f"{self.error.path}:{self.error.line}: ")


def parts(source: Source) -> list[tuple[str, Path | None]]:
    """The files of a source, sorted, as (name, path); one part without a path for a hub dataset.

    Raises DataError when nothing is there or a file has an unknown ending.
    """
    if source.hub is not None:
        saved = Path(source.hub)
        return [(source.hub, saved if saved.is_dir() else None)]
    path = source.path
    assert path is not None
    if not path.exists():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*")], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "check the path"
        raise DataError(f"no such file or folder; {hint}", path=path)
    if path.is_dir() and not _is_saved_dataset(path):
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES))
        # Plain text beside data files is a licence or a README.
        files = [p for p in files if not p.name.endswith(TEXT_SUFFIXES)] or files
        if not files:
            raise DataError(f"the folder holds no data file; readable are {', '.join(SUFFIXES)}", path=path)
        return [(str(p), p) for p in files]
    if path.is_file() and not path.name.endswith(SUFFIXES):
        raise DataError(f"unknown ending; readable are {', '.join(SUFFIXES)}", path=path)
    return [(str(path), path)]


def read_rows(name: str, path: Path | None, source: Source) -> Iterator[Row | BadRow]:
    """Rows of one part of a source with `source.columns` applied; lines that are no JSON object come as BadRow."""
    if path is None:
        raw = _from_hub(source)
    elif path.is_dir():
        raw = _from_saved(path, source)
    else:
        raw = _from_file(path)
    for line, content in raw:
        yield content if isinstance(content, BadRow) else _row(content, name, line, source)


def _row(content: Mapping[str, Any], name: str, line: int, source: Source) -> Row | BadRow:
    """A row as readers see it: renamed, without what the source ignores and what says nothing."""
    renamed = _renamed(content, name, line, source.columns)
    if isinstance(renamed, BadRow):
        return renamed
    tally = Tally()
    # A column that gives way to a renamed one is there, and not read.
    tally.ignore(*(key for key in source.columns if is_said(content.get(key)) and key not in source.columns.values()))
    unread = {key for key in source.ignore if "." in key and key not in renamed}
    tally.ignore(*(key for key in source.ignore if is_said(renamed.get(key))))
    kept = {key: value for key, value in renamed.items() if key not in source.ignore}
    said = {key: value for key, value in kept.items() if is_said(value)}
    for key in _TURNS & said.keys():
        found = turns_in(said[key]) if isinstance(said[key], str) else None
        if found is not None:
            said[key] = found
            tally.drop(f"{key} read from JSON text")
    nulls = frozenset(kept.keys() - said.keys())
    return Row(said, name, line, nulls=nulls, raw=content, unread=frozenset(unread), tally=tally)


def _renamed(values: Mapping[str, Any], name: str, line: int, columns: Mapping[str, str]) -> Mapping[str, Any] | BadRow:
    if not columns:
        return values
    for expected, actual in columns.items():
        if actual not in values:
            near = difflib.get_close_matches(actual, values, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"found: {', '.join(map(str, values))}"
            reason = f"columns names {actual!r} for {expected!r}, which is not there; {hint}"
            return BadRow(DataError(reason, path=name, line=line), dict(values))
    taken = set(columns.values())
    renamed = {key: value for key, value in values.items() if key not in taken and key not in columns}
    return renamed | {expected: values[actual] for expected, actual in columns.items()}


_Raw = Iterator[tuple[int, dict[str, Any] | BadRow]]


def _from_file(path: Path) -> _Raw:
    if path.name.endswith(".parquet"):
        return _from_parquet(path)
    if path.name.endswith((".json", ".json.gz")):
        return _from_json(path)
    if path.name.endswith(TEXT_SUFFIXES):
        return _from_text(path)
    if path.name.endswith(TABLE_SUFFIXES):
        return _from_table(path)
    return _from_lines(path)


def _from_lines(path: Path) -> _Raw:
    for line, raw in lines_of(path):
        if raw.strip():
            yield line, _object(raw, path, line)


def _object(raw: bytes, path: Path, line: int) -> dict[str, Any] | BadRow:
    """The JSON object on one line, or why there is none."""
    text = raw.decode("utf-8", errors="replace").rstrip("\r\n")
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
        if isinstance(value, dict):
            return value
        reason = f"expected an object with named columns, got {_shown(value)}"
    except _Twice as twice:
        reason = f"the name {twice.args[0]!r} stands twice in one object; keep one"
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 (byte {error.start + 1}); save the file as UTF-8"
    except json.JSONDecodeError as error:
        reason = f"not valid JSON: {error.msg} at column {error.colno}; fix the line or skip such rows with skip_bad"
    except ValueError:
        reason = "not valid JSON: it holds a number of thousands of digits; shorten it"
    except RecursionError:
        reason = "JSON nested too deeply"
    return BadRow(DataError(reason, path=path, line=line), text)


def _from_json(path: Path) -> _Raw:
    """A list of objects, `{"data": [...]}`, one object, or JSON lines under a .json name."""
    content = whole(path)
    try:
        value = json.loads(content, object_pairs_hook=_once)
    except _Twice as twice:
        reason = f"the name {twice.args[0]!r} stands twice in one object; keep one"
        raise DataError(reason, path=path) from None
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 (byte {error.start + 1}); save the file as UTF-8", path=path) from None
    except json.JSONDecodeError as error:
        if not content.lstrip().startswith(b"{"):
            raise DataError(
                f"not valid JSON: {error.msg} at column {error.colno}", path=path, line=error.lineno
            ) from None
        yield from _from_lines(path)
        return
    except (ValueError, RecursionError):
        reason = "not usable JSON: nested too deeply, or a number of thousands of digits; rewrite the file"
        raise DataError(reason, path=path) from None
    if isinstance(value, dict):
        value = _listed(value, path) if isinstance(value.get("data"), list) else [value]
    if not isinstance(value, list):
        raise DataError(f"expected a list of objects, got {_shown(value)}", path=path)
    for number, item in enumerate(value, start=1):
        if isinstance(item, dict):
            yield number, item
        else:
            reason = f"expected an object with named columns, got {_shown(item)}"
            yield number, BadRow(DataError(reason, path=path, line=number), item)


def _listed(value: Mapping[str, Any], path: Path) -> list[Any]:
    """The rows below `data`. Raises DataError where what stands beside them could be about every row."""
    odd = [name for name, said in value.items() if name != "data" and isinstance(said, list | dict) and said]
    odd += [name for name in ("system", "system_prompt") if value.get(name)]
    if odd:
        named = ", ".join(map(repr, odd))
        raise DataError(
            f"beside 'data' stands {named}, which no row holds; put it into the rows or remove it", path=path
        )
    return list(value["data"])


def _from_table(path: Path) -> _Raw:
    for line, found in table_rows(path, lines_of(path)):
        yield line, BadRow(found.error, found.fields) if isinstance(found, Torn) else found


def _from_text(path: Path) -> _Raw:
    """Plain text as rows of `text`: passages of about PASSAGE_CHARACTERS, cut at blank lines; `line` is a passage's
    first line."""
    held: list[str] = []
    begin, size = 1, 0
    for number, raw in lines_of(path):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            reason = f"not UTF-8 (byte {error.start + 1}); save the file as UTF-8"
            raise DataError(reason, path=path, line=number) from None
        if not held:
            begin = number
        held.append(text)
        size += len(text)
        if size >= PASSAGE_CHARACTERS and not text.strip():
            yield begin, {"text": "".join(held).strip()}
            held, size = [], 0
    if "".join(held).strip():
        yield begin, {"text": "".join(held).strip()}


def _from_parquet(path: Path) -> _Raw:
    number = 0
    for batch in batches(path):
        for values in batch.to_pylist():
            number += 1
            yield number, plain(values)


def _from_saved(path: Path, source: Source) -> _Raw:
    import datasets

    if not _is_saved_dataset(path):
        raise DataError("not a folder saved by `datasets`; give it as `path` if it holds data files", path=path)
    try:
        dataset = datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise DataError(f"`datasets` cannot read this folder: {_first_line(error)}", path=path) from None
    if isinstance(dataset, datasets.DatasetDict):
        if source.split not in dataset:
            raise DataError(f"no split {source.split!r}; there are {', '.join(dataset)}", path=path)
        dataset = dataset[source.split]
    yield from enumerate(map(plain, dataset), start=1)


def _from_hub(source: Source) -> _Raw:
    import datasets

    away = hub.unreachable()
    try:
        dataset = datasets.load_dataset(source.hub, source.subset, split=source.split)
    except hub.faults(ValueError, KeyError) as error:
        said = f"not cached here, and {away}; check the network" if away else _first_line(error)
        reason = f"cannot be loaded from the hub: {said}{'' if away else '; check name, subset and split'}"
        raise DataError(reason, path=source.hub) from None
    yield from enumerate(map(plain, dataset), start=1)


class _Twice(ValueError):
    """A name that stands twice in one JSON object, with different values."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next((name for name, value in pairs if found[name] != value), None)
        if twice is not None:
            raise _Twice(twice)
    return found


def _is_saved_dataset(path: Path) -> bool:
    return any((path / name).is_file() for name in _SAVED_DATASET)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
