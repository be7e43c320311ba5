"""Locks that the kernel lets go of when their process ends, however it ends: of a run's folder, of one stage's work."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from assent.core import files
from assent.core.errors import UserError

ENDING = ".lock"
_IN_USE = ".in-use"


def lock_run(root: Path) -> IO[str]:
    """Hold the folder of a run for the life of the returned file. Raises UserError where another process holds it."""
    stream = _opened(root / ENDING)
    if not _taken(stream, fcntl.LOCK_EX):
        holder = _holder(stream)
        stream.close()
        raise UserError(
            f"another run (process {holder}) is working in {root}; wait for it, stop it, or choose another folder"
        )
    _sign(stream)
    return stream


def is_locked(root: Path) -> bool:
    """Whether a process works in the folder of a run now. Nothing is written, and the lock is not kept."""
    path = root / ENDING
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return not _taken(stream, fcntl.LOCK_SH)


@contextlib.contextmanager
def only_one(path: Path, *, wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file `path`; where another process holds it, call `wait` with its number and wait for it.

    The file is gone afterwards, so what was locked is looked for again by whoever waited.
    """
    stream = _opened(path)
    is_said = False
    while True:
        if not _taken(stream, fcntl.LOCK_EX):
            if not is_said:
                wait(_holder(stream))
                is_said = True
            fcntl.flock(stream, fcntl.LOCK_EX)
        if _is_there(path, stream):
            break
        stream.close()  # whoever held it has removed it: a lock on a file without a name keeps nobody out
        stream = _opened(path)
    try:
        _sign(stream)
        yield
    finally:
        path.unlink(missing_ok=True)
        stream.close()


def use(home: Path, *, alone: Callable[[], None]) -> IO[str]:
    """Say that a run uses the artifacts of `home`, for the life of the returned file; many may at once.

    `alone` is called first where nobody else does: what was left unfinished is then nobody's.
    """
    stream = _opened(home / _IN_USE)
    if _taken(stream, fcntl.LOCK_EX):
        for left in (home / "work").glob(f".*{ENDING}"):
            left.unlink(missing_ok=True)
        alone()
    fcntl.flock(stream, fcntl.LOCK_SH)
    return stream


@contextlib.contextmanager
def nobody_else(home: Path) -> Iterator[None]:
    """Keep runs from starting in `home` while something is deleted there. Raises UserError where one is at work."""
    stream = _opened(home / _IN_USE)
    try:
        if not _taken(stream, fcntl.LOCK_EX):
            raise UserError(f"a run is at work in {home}; wait for its end, or stop it")
        yield
    finally:
        stream.close()


def _opened(path: Path) -> IO[str]:
    with files.disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+", encoding="utf-8")


def _taken(stream: IO[Any], how: int) -> bool:
    try:
        fcntl.flock(stream, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise UserError(
            f"cannot lock {stream.name}: {error.strerror}; runs need a disk that knows file locks"
        ) from None
    return True


def _is_there(path: Path, stream: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _holder(stream: IO[str]) -> str:
    """Number of the process that holds a lock, as it signed."""
    stream.seek(0)
    return stream.read().strip() or "unknown"


def _sign(stream: IO[str]) -> None:
    stream.truncate(0)
    stream.write(f"{os.getpid()}\n")
    stream.flush()
