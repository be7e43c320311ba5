"""What a GGUF file says before its weights: metadata, and name, shape and type of every tensor.

The layout is that of the GGUF specification, versions 2 and 3, little-endian: b"GGUF", version, count of tensors, count
of pairs, the pairs (key, type, value), the tensors (name, dimensions, type, offset). Read here and not by the package
gguf, which takes seconds for a large vocabulary, because a plan of a run reads it each time.
"""

from __future__ import annotations

import functools
import math
import mmap
import struct
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from assent.core.errors import ModelError

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_DEEPEST = 4
"""Arrays may hold arrays; no file needs more."""
PLAIN = {0: "float32", 1: "float16", 30: "bfloat16"}
"""Numbers of the types that are plain numbers, and their names here; all others are quantized blocks."""


class TensorFacts(NamedTuple):
    """What is said of one tensor."""

    shape: tuple[int, ...]
    """The innermost dimension first, as the file has it."""
    type: int
    """Its number in the specification."""

    @property
    def numbers(self) -> int:
        """How many weights it has."""
        return math.prod(self.shape)


class Header(NamedTuple):
    """What a file says before its weights."""

    metadata: dict[str, Any]
    tensors: dict[str, TensorFacts]

    @property
    def numbers(self) -> Counter[int]:
        """How many weights there are of each type."""
        found: Counter[int] = Counter()
        for tensor in self.tensors.values():
            found[tensor.type] += tensor.numbers
        return found


def read_header(file: Path) -> Header:
    """The header of a file. Raises ModelError where it cannot be read."""
    try:
        stat = file.stat()
        return _read(file, stat.st_mtime_ns, stat.st_size)
    except (OSError, ValueError, struct.error, OverflowError, MemoryError) as error:
        said = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise ModelError(f"{file}: it cannot be read as GGUF ({said}); fetch it again") from error


@functools.lru_cache(maxsize=4)
def _read(file: Path, _changed: int, _size: int) -> Header:
    """The header; time and size only keep apart what is cached."""
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return _Reader(view).header()


class _Reader:
    """Walks through the bytes; `struct` and the view itself refuse what lies beyond their end."""

    def __init__(self, view: mmap.mmap) -> None:
        self._view, self._at = view, 0

    def header(self) -> Header:
        if self._view[:4] != b"GGUF":
            raise ValueError("it does not begin with GGUF")
        self._at = 4
        if (version := self._number("I")) not in (2, 3):
            raise ValueError(f"version {version}; 2 and 3 are known")
        count, pairs = self._number("Q"), self._number("Q")
        metadata = {}
        for _ in range(pairs):
            key = self._string()
            metadata[key] = self._value(self._number("I"))
        return Header(metadata, dict(self._tensor() for _ in range(count)))

    def _tensor(self) -> tuple[str, TensorFacts]:
        name = self._string()
        shape = tuple(self._number("Q") for _ in range(self._number("I")))
        kind = self._number("I")
        self._number("Q")  # where it lies
        return name, TensorFacts(shape, kind)

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == _STRING:
            return self._string()
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind != _ARRAY or depth == _DEEPEST:
            raise ValueError(f"a value of type {kind} at byte {self._at}")
        inner, count = self._number("I"), self._number("Q")
        if inner not in _NUMBERS:
            return [self._value(inner, depth + 1) for _ in range(count)]
        form = f"<{count}{_NUMBERS[inner]}"
        found = struct.unpack_from(form, self._view, self._at)
        self._at += struct.calcsize(form)
        return list(found)

    def _number(self, form: str) -> Any:
        (found,) = struct.unpack_from(f"<{form}", self._view, self._at)
        self._at += struct.calcsize(f"<{form}")
        return found

    def _string(self) -> str:
        length = self._number("Q")
        if length > len(self._view) - self._at:
            raise ValueError(f"it ends within a text of {length} bytes at byte {self._at}")
        self._at += length
        return self._view[self._at - length : self._at].decode("utf-8", "replace")
