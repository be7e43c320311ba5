"""The difference between two texts, line by line and inside a changed line word by word, in pieces to mark."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
CONTEXT = 2
"""Unchanged lines shown around a change."""
_ALIKE = 0.5
"""Lines less alike than this are shown as one gone and one new, not as a mixture of both."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a line."""

    kind: Literal["same", "gone", "new"]
    text: str


@dataclass(frozen=True)
class Line:
    """A line with what happened in it; `gap`: some unchanged lines are left out here."""

    kind: Literal["same", "gone", "new", "changed", "gap"]
    pieces: tuple[Piece, ...] = ()


def differences(before: str, after: str) -> list[Line]:
    """What became of `before`; empty where the texts are the same."""
    old, new = before.splitlines(), after.splitlines()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    lines: list[Line] = []
    for place, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if place or group[0][1]:
            lines.append(Line("gap"))
        for kind, a, b, c, d in group:
            if kind == "equal":
                lines += [Line("same", (Piece("same", text),)) for text in old[a:b]]
            else:
                lines += _replaced(old[a:b], new[c:d])
    return lines


def _replaced(old: list[str], new: list[str]) -> Iterator[Line]:
    """Lines in pairs while they are alike; the rest as gone and new."""
    pairs = min(len(old), len(new))
    for i in range(pairs):
        if difflib.SequenceMatcher(None, old[i], new[i]).ratio() >= _ALIKE:
            yield Line("changed", tuple(_pieces(old[i], new[i])))
        else:
            yield Line("gone", (Piece("gone", old[i]),))
            yield Line("new", (Piece("new", new[i]),))
    yield from (Line("gone", (Piece("gone", text),)) for text in old[pairs:])
    yield from (Line("new", (Piece("new", text),)) for text in new[pairs:])


def _pieces(old: str, new: str) -> Iterator[Piece]:
    a, b = _WORDS.findall(old), _WORDS.findall(new)
    for kind, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Piece("same", "".join(a[i:j]))
            continue
        if i < j:
            yield Piece("gone", "".join(a[i:j]))
        if k < m:
            yield Piece("new", "".join(b[k:m]))
