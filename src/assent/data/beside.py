"""What is read together with the file or folder that a source names: a format's texts beside it, hidden files in it."""

from __future__ import annotations

from pathlib import Path

from assent.core.errors import DataError
from assent.data.config import Source
from assent.data.rows import Row, parts, read_rows
from assent.data.sources.detect import FORMATS
from assent.data.sources.format import Format


def read_beside(source: Source) -> tuple[Path, ...]:
    """Paths of the files that reading a source opens besides those that its folder shows; sorted."""
    path = source.path
    if path is None or not path.exists():
        return ()
    if path.is_dir():
        return tuple(file for file in _files(source) if _is_hidden(file.relative_to(path)))
    beside = [(form, file) for form in FORMATS if form.beside is not None for file in _named(path.parent, form.beside)]
    return tuple(sorted(file for form, file in beside if file != path and _is_of(form, source, path)))


def _files(source: Source) -> list[Path]:
    try:
        return [path for _, path in parts(source) if path is not None and path != source.path]
    except DataError:
        return []  # no file that can be read: loading says so


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _named(folder: Path, stem: str) -> list[Path]:
    return [file for file in folder.glob(f"{stem}.*") if file.is_file()]


def _is_of(form: Format, source: Source, path: Path) -> bool:
    """Whether a file is read as this format."""
    if source.format != "auto":
        return source.format == form.name
    try:
        first = next((row for row in read_rows(str(path), path, source) if isinstance(row, Row)), None)
    except DataError:
        return False
    return first is not None and form.matches(first.values)
