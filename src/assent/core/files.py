"""Writing files so that a reader never sees half of one.

A file appears under its name only when whole; a directory likewise. Errors of the disk become one clear line.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import json
import os
import pwd
import shlex
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from assent.core.errors import RunError, UnreadableError, UserError

_TEMPORARY = ".partial-"


PRIVATE = 0o600
"""The mode of a file that holds words of people, or what lets somebody in: nobody else on the machine reads it."""
_AS_USUAL = 0o666  # what the umask takes its part from


@contextlib.contextmanager
def writing(path: Path, *, is_private: bool = False) -> Iterator[IO[bytes]]:
    """A stream to write to, atomically: a temporary file beside `path`, flushed to disk and renamed over it.

    Where the block ends with an error, nothing is left of it and what stood under `path` stays.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.parent / f"{_TEMPORARY}{path.name}-{uuid.uuid4().hex[:8]}"
        try:
            mode = PRIVATE if is_private else _AS_USUAL
            with open(partial, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        _sync_directory(path.parent)


def write_bytes(path: Path, content: bytes, *, is_private: bool = False) -> None:
    """Write atomically, as `writing`."""
    with writing(path, is_private=is_private) as stream:
        stream.write(content)


def write_text(path: Path, content: str, *, is_private: bool = False) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, content.encode(), is_private=is_private)


def make_private(path: Path) -> None:
    """Make an empty file that only its owner may read; one that is there stays as it is."""
    with disk_errors(path), contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE))


def is_open_to_others(path: Path) -> bool:
    """May other users of the machine read a file, by its mode?"""
    return os.name == "posix" and path.is_file() and bool(path.stat().st_mode & 0o077)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented, keys in the given order; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Fill a directory that appears under `path` only when the block ends without error.

    An older directory of that name is replaced. What a killed process left behind is removed
    by `remove_partials`.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.parent / f"{_TEMPORARY}{path.name}-{uuid.uuid4().hex[:8]}"
        partial.mkdir()
        try:
            yield partial
            _sync_tree(partial)
            if path.exists():
                old = path.parent / f"{_TEMPORARY}old-{path.name}-{uuid.uuid4().hex[:8]}"
                path.replace(old)
                partial.replace(path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                partial.replace(path)
            _sync_directory(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def readable(folder: Path, pattern: str = "*") -> None:
    """Give the files of a folder the permissions that a new file gets here; safetensors writes for its owner only."""
    mask = os.umask(0)
    os.umask(mask)
    for path in folder.rglob(pattern):
        if path.is_file():
            path.chmod(0o666 & ~mask)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; of what is gone meanwhile, none. Links are not followed."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size if path.exists() else 0
    return sum(one.lstat().st_size for one in path.rglob("*") if one.is_file() and not one.is_symlink())


def remove_partials(parent: Path) -> None:
    """Delete what interrupted writes left in `parent`."""
    for partial in parent.glob(f"{_TEMPORARY}*"):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


_UNWRITABLE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG,
    errno.ELOOP, errno.EISDIR,
)  # fmt: skip


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or an unwritable place into one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"disk full while writing {path}: free some space and run the same command again (nothing is lost)"
            ) from error
        if error.errno in _UNWRITABLE:
            raise UserError(
                f"cannot write {path}: {error.strerror}; choose another folder or fix its permissions"
            ) from error
        raise


@contextlib.contextmanager
def reading(path: Path, *, around: Path | None = None) -> Iterator[None]:
    """Turn a file that may not be read into one clear line: whose it is, and the command with which they let the
    reader in: to `around`, where more that is theirs lies, else to the folder of the file."""
    try:
        yield
    except (PermissionError, UnreadableError) as error:
        if isinstance(error, UnreadableError):
            if around is None:
                raise
            meant = error.path
        else:
            meant = Path(error.filename) if isinstance(error.filename, str | os.PathLike) else path
        folder = (around or meant.parent).absolute()
        raise UnreadableError(f"cannot read {meant}: {_way_in(meant, folder)}", path=meant) from error


def _way_in(path: Path, folder: Path) -> str:
    """Whose a file, or the folder around it, is, and how they let the groups of this process into `folder`."""
    for one in (path, *path.parents):
        with contextlib.suppress(OSError):
            found = one.stat()
            break
    else:
        return "you may not read it, nor see whose it is; ask who made it"
    owner, theirs = _user(found.st_uid)
    said = f"it belongs to {owner}, and you may not read it; "
    where = shlex.quote(str(folder))
    mine = {os.getgid(), *os.getgroups()}
    if found.st_gid in mine:
        return f"{said}{owner} lets your group in with: chmod -R g+rX {where}"
    if shared := sorted(_group(number) for number in mine & theirs):
        return f"{said}{owner} lets your group in with: chgrp -R {shared[0]} {where} && chmod -R g+rX {where}"
    return f"{said}you share no group with {owner}: have {owner} put a copy where you may read it: cp -r {where} PLACE"


def _user(number: int) -> tuple[str, set[int]]:
    """The name of a user, and the numbers of their groups, as far as the machine knows them."""
    try:
        known = pwd.getpwuid(number)
    except KeyError:
        return f"user {number}", set()
    return known.pw_name, set(os.getgrouplist(known.pw_name, known.pw_gid))


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _sync_tree(directory: Path) -> None:
    for path in directory.rglob("*"):
        if path.is_dir():
            _sync_directory(path)
        else:
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
    _sync_directory(directory)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
