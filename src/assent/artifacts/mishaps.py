"""Mishaps inside a stage, told in one line: a full disk, and a batch whose loss or gradient was not finite."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from assent.core import files
from assent.core.errors import NonFiniteError

SPOILED = "nonfinite.json"
"""In a stage's log folder: the rows, as token ids, whose loss or gradient was not finite."""


@contextlib.contextmanager
def disk(work: Path) -> Iterator[None]:
    """One clear line for a full disk anywhere inside a stage, also where safetensors hides the error number.

    Errors other than a full disk keep their own words: the stage may have failed to read something.
    """
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        problem = OSError(int(number[1]), os.strerror(int(number[1])))
        with files.disk_errors(work):
            raise problem from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        with files.disk_errors(work):
            raise


@contextlib.contextmanager
def spoiled_batch(path: Path) -> Iterator[None]:
    """Keep the batch whose loss or gradient was not finite, so that somebody can look at it."""
    try:
        yield
    except NonFiniteError as error:
        if not error.batch:
            raise
        files.write_json(path, {"error": str(error), "rows": list(error.batch)})
        raise NonFiniteError(f"{error}. Its rows are in {path}", batch=error.batch) from None
