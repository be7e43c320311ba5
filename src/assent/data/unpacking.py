"""Reading packed files with a bound: a few kilobytes of gzip or Parquet can hold more than any memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assent.core.errors import DataError

MEGABYTE = 1 << 20
LONGEST_LINE = 64 * MEGABYTE
"""Bytes of one line, unpacked."""
MOST_AT_ONCE = 1024 * MEGABYTE
"""Unpacked bytes of what has to be in memory as a whole."""
_BATCH_ROWS = 32
_LEAST, _RATIO = 64 * MEGABYTE, 50  # text packs to a third or a tenth; rows that repeat themselves to a thirtieth


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, unpacked where its name ends in .gz, by their number. Raises DataError."""
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as stream:
            number = 0
            while raw := stream.readline(LONGEST_LINE + 1):
                number += 1
                if len(raw) > LONGEST_LINE:
                    most = LONGEST_LINE // MEGABYTE
                    raise DataError(f"the line is longer than {most} MB; split it", path=path, line=number)
                yield number, raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"not a whole gzip file ({error}); copy it again", path=path) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path=path) from None


def whole(path: Path) -> bytes:
    """All of a file that is parsed at once. Raises DataError where that would be too much for memory."""
    pieces, size = [], 0
    for _, raw in lines_of(path):
        size += len(raw)
        if path.name.endswith(".gz") and size > MOST_AT_ONCE:
            most = MOST_AT_ONCE // MEGABYTE
            raise DataError(f"unpacks to more than {most} MB of JSON; write one object a line, as .jsonl.gz", path=path)
        pieces.append(raw)
    return b"".join(pieces)


def batches(path: Path) -> Iterator[Any]:
    """The rows of a Parquet file, a few at a time: a value that stands once in it may be that of every row."""
    import pyarrow
    import pyarrow.parquet

    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=_BATCH_ROWS):
            if written_out(batch) > MOST_AT_ONCE // 2:
                most = MOST_AT_ONCE // 2 // MEGABYTE
                raise DataError(f"{batch.num_rows} rows unpack to more than {most} MB; shorten them", path=path)
            yield batch
    except (pyarrow.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"not a readable Parquet file ({first}); write it again", path=path) from None


def written_out(batch: Any) -> int:
    """Bytes of rows once every value is written out: a dictionary holds a value once for all rows that have it."""
    import pyarrow
    import pyarrow.compute

    size = 0
    for column in batch.columns:
        kind = str(column.type)
        if not pyarrow.types.is_dictionary(column.type):
            size += column.nbytes * (batch.num_rows if "dictionary" in kind or "run_end" in kind else 1)
        elif "string" in kind or "binary" in kind:
            lengths = pyarrow.compute.binary_length(column.dictionary)
            size += pyarrow.compute.sum(lengths.take(column.indices)).as_py() or 0
        else:
            size += column.dictionary.nbytes * batch.num_rows
    return size


def refuse_bomb(path: Path) -> None:
    """Raise DataError where a file that somebody sent unpacks to far more than it is. Nothing of it is kept."""
    packed = path.stat().st_size
    most = min(MOST_AT_ONCE, max(_LEAST, _RATIO * packed))
    if path.name.endswith(".parquet"):
        sizes = (written_out(batch) for batch in batches(path))
    elif path.name.endswith(".gz"):
        sizes = (len(raw) for _, raw in lines_of(path))
    else:
        return
    unpacked = 0
    for size in sizes:
        unpacked += size
        if unpacked > most:
            raise DataError(
                f"{packed:,} bytes unpack to more than {most // MEGABYTE} MB; send it in several files", path=path
            )
