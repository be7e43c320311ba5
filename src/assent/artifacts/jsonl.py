"""Lists of core types as JSON lines inside artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from assent.core import files

Item = TypeVar("Item", bound=BaseModel)


def write_records(path: Path, records: Iterable[BaseModel]) -> int:
    """Write one record a line, atomically; returns how many. What people wrote is for the owner's eyes only."""
    lines = [record.model_dump_json(exclude_defaults=True) for record in records]
    files.write_text(path, "".join(line + "\n" for line in lines), is_private=True)
    return len(lines)


def read_records(path: Path, kind: type[Item]) -> list[Item]:
    """Read what `write_records` wrote."""
    with path.open(encoding="utf-8") as stream:
        return [kind.model_validate_json(line) for line in stream]
