"""Bringing in rankings that exist already, from a file in any format that can be read, all of it or nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from assent.core.errors import DataError
from assent.data.config import FormatName, Source
from assent.data.rows import SUFFIXES
from assent.data.unpacking import refuse_bomb
from assent.feedback.records.queue import ImportCounts, Queue
from assent.feedback.said_files import read_said
from assent.feedback.store import Store


def bring_rankings(
    store: Store, queue: Queue, content: bytes, *, name: str, format: FormatName = "auto", now: float
) -> ImportCounts:
    """Put the rankings of a file into a queue; the same ones again add nothing.

    Raises DataError with the name the sender gave and the line of the first row that cannot be used.
    """
    ending = next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(suffix)), None)
    if ending is None:
        raise DataError(f"unknown ending; readable are {', '.join(SUFFIXES)}", path=name)
    with tempfile.TemporaryDirectory(prefix="assent-") as folder:
        path = Path(folder) / f"rankings{ending}"
        path.write_bytes(content)
        try:
            refuse_bomb(path)
            given, _ = read_said([Source(path=path, format=format)])
        except DataError as error:
            said = str(error).removeprefix(f"{error.path}:{error.line}: ").removeprefix(f"{error.path}: ")
            raise DataError(said.replace(str(path), name), path=name, line=error.line) from None
    return store.import_comparisons(given.comparisons, queue, now=now)
