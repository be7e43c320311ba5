"""Hashes of large files, remembered by size and times, so that weights are read once and not at every command.

A file whose place, size, times and inode are those of before is taken to be the same; every write changes its ctime,
so only a disk that fails on its own goes unseen, until the bytes are used: inside `reading_everything` each is read.
They are kept in `$ASSENT_CACHE`, by default `$XDG_CACHE_HOME/assent` or `~/.cache/assent`: models lie outside of
projects, and a project that may only be read is planned too. The file may be deleted; where it cannot be written,
hashes are remembered for the life of the process.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from assent.core import files
from assent.core.errors import AssentError
from assent.core.hashing import hash_file

CACHE = "ASSENT_CACHE"
"""Environment variable: the folder of what can be made again."""
KEPT = "digests.json"
"""In that folder: path -> size, mtime_ns, ctime_ns, inode, device, SHA-256."""
_LARGE = 1 << 20
_SETTLED_SECONDS = 2.0
"""A file changed more lately is read again: a second change within one tick of the clock would not show."""
_MOST = 10_000  # files remembered
_EVERY_SECONDS = 2.0  # between two writes of the cache

_Look = tuple[int, int, int, int, int]


def digest_of(path: Path) -> str:
    """SHA-256 of a file; of a large one as remembered, where nobody has written to it since it was read.

    Raises UnreadableError where it may not be read.
    """
    with files.reading(path):
        look = _look(path)
        known = None if _reads_everything or look[0] < _LARGE else _known(path, look)
        found = hash_file(path) if known is None else known
    if look[0] < _LARGE or known is not None:
        return found
    if look == _look(path) and time.time() - max(look[1:3]) / 1e9 > _SETTLED_SECONDS:
        _keep(path, look, found)
    return found


def note(path: Path, digest: str) -> None:
    """Remember what a file was hashed to while it was written; nobody writes to it any more."""
    look = _look(path)
    if look[0] >= _LARGE:
        _keep(path, look, digest)


@contextlib.contextmanager
def reading_everything() -> Iterator[None]:
    """Inside the block every byte is read, whatever is remembered."""
    global _reads_everything
    before, _reads_everything = _reads_everything, True
    try:
        yield
    finally:
        _reads_everything = before


def cache_folder() -> Path | None:
    """Where it is kept; None where the user has no home."""
    if said := os.environ.get(CACHE):
        return Path(said)
    with contextlib.suppress(RuntimeError):
        above = os.environ.get("XDG_CACHE_HOME")
        return (Path(above) if above else Path.home() / ".cache") / "assent"
    return None


def write() -> None:
    """Add what this process has read to the cache; what others added meanwhile stays."""
    global _written
    folder = cache_folder()
    _written = time.monotonic()
    if folder is None or not _new:
        return
    kept = {**_read(folder / KEPT), **_new}
    # The files seen last stand last.
    newest = {path: kept[path] for path in list(kept)[-_MOST:]}
    # A cache is no reason to fail: where it cannot be written, files are read again by the next process.
    with contextlib.suppress(AssentError, OSError):
        files.write_json(folder / KEPT, newest)
        _new.clear()


_reads_everything = False
_seen: dict[str, tuple[_Look, str]] = {}
_new: dict[str, list[int | str]] = {}
_read_from: set[Path] = set()
_written = 0.0
atexit.register(write)


def _look(path: Path) -> _Look:
    about = path.stat()
    return (about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_dev)


def _known(path: Path, look: _Look) -> str | None:
    folder = cache_folder()
    if folder is not None and folder not in _read_from:
        _read_from.add(folder)
        for name, entry in _read(folder / KEPT).items():
            _seen.setdefault(name, ((*entry[:5],), entry[5]))  # type: ignore[arg-type]
    seen = _seen.get(os.path.realpath(path))
    return seen[1] if seen is not None and seen[0] == look else None


def _keep(path: Path, look: _Look, digest: str) -> None:
    name = os.path.realpath(path)
    _seen[name] = (look, digest)
    _new.pop(name, None)
    _new[name] = [*look, digest]
    if time.monotonic() - _written > _EVERY_SECONDS:
        write()


def _read(path: Path) -> dict[str, list[int | str]]:
    """What is kept; nothing where there is no such file, or one that cannot be read."""
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return {name: entry for name, entry in kept.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 6
        and all(isinstance(one, int) for one in entry[:5])
        and isinstance(entry[5], str)
        and len(entry[5]) == 64
    )
