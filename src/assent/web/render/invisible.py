"""Characters that hide or reorder text, written out so that a rater sees what is there.

A direction override makes "gpj.exe" look like "exe.jpg", an escape code recolours a terminal, a zero-width character
hides a word from a reader. Each is shown as what it is: `‹U+202E›`, or as its picture where Unicode has one: `␛`.
What scripts and emoji need (joiners, direction marks, Thai word breaks, flags) stays.
"""

from __future__ import annotations

import re

_MAX_MARKS = 8
"""Combining marks on one letter. Vietnamese needs two, Hebrew with accents four; a tower covers other lines."""

_NEEDS_WORD_BREAKS = "\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff"  # Thai, Lao, Tibetan, Burmese, Khmer
_HIDDEN = re.compile(
    "(?P<flag>\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f)"
    f"|(?P<wordbreak>(?<=[{_NEEDS_WORD_BREAKS}])\u200b|\u200b(?=[{_NEEDS_WORD_BREAKS}]))"
    "|(?P<control>[\x00-\x08\x0b\x0c\x0e-\x1f\x7f])"
    "|(?P<named>(?P<one>[\x80-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff])(?P=one)*)"
    "|(?P<surrogate>[\ud800-\udfff])"
    "|(?P<tower>(?P<kept>[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    f"\ufe20-\ufe2f]{{{_MAX_MARKS}}})[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u20d0-\u20ff\ufe20-\ufe2f]+)"
)
_SUSPICIOUS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u200b\u2028-\u202e\u2060-\u206f\u20d0-\u20ff\ud800-\udfff\ufe20-\ufe2f\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)


def show(text: str) -> str:
    """The text with every hiding or reordering character written out; line ends become newlines.

    A lone surrogate, which no encoding can carry, becomes U+FFFD.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _HIDDEN.sub(_written, text) if _SUSPICIOUS.search(text) else text


def _written(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "flag" | "wordbreak":
            return match.group()
        case "control":
            return "\u2421" if match.group() == "\x7f" else chr(0x2400 + ord(match.group()))
        case "surrogate":
            return "\ufffd"
        case "tower":
            return f"{match['kept']}‹{len(match.group()) - _MAX_MARKS} marks›"
    times = len(match.group())
    return f"‹U+{ord(match['one']):04X}›" if times == 1 else f"‹U+{ord(match['one']):04X} ×{times}›"
