"""Tables as text: rows of .csv and .tsv files, all of whose values are text, an empty field saying nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.core.errors import DataError

TABLE_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_FIELD = 2**31 - 1
"""The longest field, in characters; csv's own limit of 128 KiB is shorter than some conversations."""


@dataclass(frozen=True)
class Torn:
    """A row whose fields do not fit the columns."""

    error: DataError
    fields: list[str]


def table_rows(path: Path, lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, dict[str, Any] | Torn]]:
    """(line on which a row begins, the row by the names of the first line), or why it cannot be used."""
    csv.field_size_limit(_FIELD)
    delimiter = "\t" if ".tsv" in path.name else ","
    reader = csv.reader(_texts(path, lines), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    while True:
        begin = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"not a readable table: {error}; write it again", path=path, line=begin) from None
        if not fields:
            continue
        if names is None:
            names = _names(path, fields, delimiter)
        elif len(fields) != len(names):
            reason = f"{len(fields)} fields for {len(names)} columns; quote fields that hold {delimiter!r} or line ends"
            yield begin, Torn(DataError(reason, path=path, line=begin), fields)
        else:
            yield begin, {name: field or None for name, field in zip(names, fields, strict=True)}


def _names(path: Path, fields: list[str], delimiter: str) -> list[str]:
    twice = next((name for name in fields if fields.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"the first line names column {twice!r} twice; name each once", path=path, line=1)
    if len(fields) == 1 and any(mark in fields[0] for mark in ";\t,|"):
        raise DataError(
            f"the first line, {fields[0][:60]!r}, is one column; separate columns by {delimiter!r}", path=path, line=1
        )
    return fields


def _texts(path: Path, lines: Iterator[tuple[int, bytes]]) -> Iterator[str]:
    for number, raw in lines:
        try:
            yield raw.decode("utf-8")
        except UnicodeDecodeError as error:
            reason = f"not UTF-8 (byte {error.start + 1}); save the file as UTF-8"
            raise DataError(reason, path=path, line=number) from None
