"""Assent's own file format: one core record per row, with a version, as JSON lines or Parquet.

    {"assent": 1, "kind": "comparison", "record": {"prompt": {...}, "completions": [...], "judgments": [...]}}
    {"assent": 2, "kind": "task", "record": {"task": {...}, "judgments": [...], "facts": {...}}}
    {"assent": 2, "kind": "guideline", "record": {"version": 1, "text": "...", "created_at": 1760000000.0}}

In Parquet the record is JSON text, because meta fields are free-form and Parquet columns are not.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from assent.core.errors import DataError
from assent.core.files import write_bytes
from assent.core.problems import first_problem
from assent.core.types import Comparison, Conversation, Prompt, Rater
from assent.data.task_records import Guideline, TaskRecord

VERSION = 2
"""The newest version of a row; a row has the version in which its kind came."""
Item = Prompt | Conversation | Comparison | Rater | TaskRecord | Guideline
Said = Comparison | TaskRecord | Guideline | Rater
"""What leaves a store and comes back into one."""
_KINDS: dict[str, tuple[int, type[Item]]] = {
    "prompt": (1, Prompt),
    "conversation": (1, Conversation),
    "comparison": (1, Comparison),
    "rater": (1, Rater),
    "task": (2, TaskRecord),
    "guideline": (2, Guideline),
}


def write(path: Path, items: Iterable[Item]) -> int:
    """Write items atomically to .jsonl, .jsonl.gz or .parquet, and return how many. Same items, same bytes."""
    try:
        if path.name.endswith(".parquet"):
            rows = [to_row(item) for item in items]
            content, count = record_table(rows), len(rows)
        elif path.name.endswith((".jsonl", ".jsonl.gz")):
            content, count = json_lines(path, (to_row(item) for item in items))
        else:
            raise DataError("unknown ending; choose .jsonl, .jsonl.gz or .parquet", path=path)
    except (ValueError, TypeError) as error:
        raise DataError(f"an item's meta or scores hold what JSON cannot: {error}; remove it", path=path) from None
    write_bytes(path, content)
    return count


def to_row(item: Item) -> dict[str, Any]:
    """The row of one item; fields that say nothing are left out."""
    kind = kind_of(item)
    record = item.model_dump() if kind == "rater" else item.model_dump(exclude_defaults=True)
    return {"assent": _KINDS[kind][0], "kind": kind, "record": record}


def from_row(values: Mapping[str, Any]) -> Item:
    """The item of one row. Raises ValueError saying what does not fit."""
    version, kind = values.get("assent"), values.get("kind")
    if not isinstance(version, int):
        raise ValueError(f"'assent' should be the format's version number, got {version!r}")
    if version > VERSION:
        raise ValueError(f"written in format version {version}, this Assent reads up to {VERSION}; upgrade Assent")
    if kind not in _KINDS:
        raise ValueError(f"kind {kind!r} is unknown; known: {', '.join(_KINDS)}")
    record = values.get("record")
    if isinstance(record, str):
        record = json.loads(record)
    try:
        return _KINDS[str(kind)][1].model_validate(record)
    except ValidationError as error:
        raise ValueError(first_problem(error, _KINDS[str(kind)][1])) from None


def kind_of(item: Item) -> str:
    """The name under which an item is written."""
    return next(name for name, (_, kind) in _KINDS.items() if type(item) is kind)


def json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> tuple[bytes, int]:
    """Rows as JSON lines, gzipped where the name says so, and their number."""
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
    content = "".join(lines).encode()
    # mtime 0: the same rows give the same bytes on any day.
    return (gzip.compress(content, mtime=0) if path.name.endswith(".gz") else content), len(lines)


def parquet_bytes(columns: Mapping[str, list[Any]]) -> bytes:
    """Columns as one Parquet file in memory."""
    import pyarrow
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(columns)), sink)
    return sink.getvalue()


def record_table(rows: list[dict[str, Any]]) -> bytes:
    """Our own rows as Parquet, each record as JSON text."""
    columns = {
        "assent": [row["assent"] for row in rows],
        "kind": [row["kind"] for row in rows],
        "record": [json.dumps(row["record"], ensure_ascii=False, allow_nan=False) for row in rows],
    }
    return parquet_bytes(columns)
