"""Lists of core types as JSON lines inside artifacts."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from pydantic import BaseModel

from assent.core import files
from assent.core.lazy import Lazy

Item = TypeVar("Item", bound=BaseModel)


def write_records(path: Path, records: Iterable[BaseModel], *, is_private: bool = False) -> int:
    """Write one record a line, atomically; returns how many. Private is what people said: for the owner's eyes only.

    Records are asked for one by one, and none is held.
    """
    count = 0
    with files.writing(path, is_private=is_private) as stream:
        for record in records:
            stream.write(record.model_dump_json(exclude_defaults=True).encode() + b"\n")
            count += 1
    return count


def read_records(path: Path, kind: type[Item]) -> list[Item]:
    """Read what `write_records` wrote."""
    with path.open(encoding="utf-8") as stream:
        return [kind.model_validate_json(line) for line in stream]


class Records(Lazy[Item], Generic[Item]):
    """What `write_records` wrote, each record read when it is asked for: eight bytes of memory a record.

    The file must stay as it is, as those of artifacts do.
    """

    def __init__(self, path: Path, kind: type[Item]) -> None:
        self._kind = kind
        stream = path.open("rb")
        weakref.finalize(self, stream.close)
        self._number = stream.fileno()
        sizes = np.fromiter((len(line) for line in stream), dtype=np.int64)
        self._starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])

    @classmethod
    def laid(cls, path: Path, kind: type[Item], records: Iterable[Item]) -> Records[Item]:
        """Write records, none of which is held, for the owner's eyes only, and read them from there from now on."""
        write_records(path, records, is_private=True)
        return cls(path, kind)

    @classmethod
    def aside(cls, kind: type[Item], records: Iterable[Item]) -> Records[Item]:
        """Write records where temporary files lie, into one that is gone as soon as nobody reads it."""
        with tempfile.TemporaryDirectory(prefix="assent-") as folder:
            return cls.laid(Path(folder) / "records.jsonl", kind, records)  # an open file stays when its name is gone

    def __len__(self) -> int:
        """How many the file holds."""
        return len(self._starts) - 1

    def at(self, place: int) -> Item:
        """The record on this line."""
        start, end = self._starts[place : place + 2].tolist()
        return self._kind.model_validate_json(os.pread(self._number, end - start, start))
