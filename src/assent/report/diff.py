"""What changed between two answers, word by word, and text made harmless to look at."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
_REWRITTEN = 0.3
"""Below this share of words in common, marking single words says nothing."""
_DIRECTION = {"\u061c", "\u200e", "\u200f", "\ufeff"}
"""Invisible marks that turn text, or hide at its start, beside the ranges named in `_is_hidden`."""


@dataclass(frozen=True)
class Piece:
    """A stretch of an answer."""

    text: str
    is_changed: bool


@dataclass(frozen=True)
class Diff:
    """Both answers, cut where they differ."""

    before: tuple[Piece, ...]
    after: tuple[Piece, ...]
    in_common: float
    """Share of words in common, 0 to 1."""
    is_rewritten: bool
    """True where too little is in common for marks to help; then nothing is marked."""


def word_diff(before: str, after: str) -> Diff:
    """Mark the words of `before` that went and those of `after` that came."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    # Spaces are in every text; counted, they would make strangers look alike.
    words = sum(not token.isspace() for token in (*old, *new))
    same = sum(not token.isspace() for i, _, size in matcher.get_matching_blocks() for token in old[i : i + size])
    shared = 2 * same / words if words else 1.0
    if shared < _REWRITTEN:
        return Diff((Piece(before, False),), (Piece(after, False),), shared, True)
    went, came = [False] * len(old), [False] * len(new)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind != "equal":
            went[i:j], came[k:m] = [True] * (j - i), [True] * (m - k)
    return Diff(_pieces(old, went), _pieces(new, came), shared, False)


def change(before: str, after: str) -> float:
    """Quick measure of how much two texts differ, 0 (the same words) to 1."""
    return (
        1 - difflib.SequenceMatcher(None, _TOKEN.findall(before), _TOKEN.findall(after), autojunk=False).quick_ratio()
    )


def visible(text: str) -> str:
    """The text with control characters, turned directions and halves of characters spelled out: ⟨U+202E⟩."""
    return "".join(f"⟨U+{ord(c):04X}⟩" if _is_hidden(c) else c for c in text)


def _is_hidden(character: str) -> bool:
    if character in "\n\t":
        return False
    code = ord(character)
    turns = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    return turns or character in _DIRECTION or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _pieces(tokens: Sequence[str], is_changed: list[bool]) -> tuple[Piece, ...]:
    """Join neighbours; a space between two changed words is changed too, so that marks do not flicker."""
    marks = list(is_changed)
    for i in range(1, len(tokens) - 1):
        if tokens[i].isspace() and marks[i - 1] and marks[i + 1]:
            marks[i] = True
    pieces: list[Piece] = []
    for token, mark in zip(tokens, marks, strict=True):
        if pieces and pieces[-1].is_changed == mark:
            pieces[-1] = Piece(pieces[-1].text + token, mark)
        else:
            pieces.append(Piece(token, mark))
    return tuple(pieces)
