"""Alphabets of the encodings: pure functions from text to text and back, with no words around them."""

from __future__ import annotations

import string
import unicodedata

from assent.redteam.operators.template_files import template_file

_LOWER = string.ascii_lowercase
_WORDS = template_file("alphabets")
MORSE = dict(zip(_WORDS["morse_letters"], _WORDS["morse"].split(), strict=True))
NATO = dict(zip(_LOWER, _WORDS["nato"].split(), strict=True))
FIRST_WORDS = dict(zip(_LOWER, _WORDS["first_words"].split(), strict=True))
_DIGITS = _WORDS["digits"].split()
_BRAILLE = dict(zip(_LOWER, "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵", strict=True))
_LEET = str.maketrans("aeiostb", "4310578")
_UNLEET = str.maketrans("4310578", "aeiostb")
_LOOKALIKE = dict(zip("aceiopsxyABCEHIKMOPTX", "асеіорѕхуАВСЕНІКМОРТХ", strict=True))
ZERO_WIDTH = "\u200b"
_TAGS = 0xE0000
_RLO, _PDF = "\u202e", "\u202c"
_MARKS = "\u0300\u0301\u0308\u0316\u0323\u0331\u0336"


def shifted(text: str, by: int) -> str:
    """Letters moved along the alphabet; the rest stays."""
    turned = _LOWER[by % 26 :] + _LOWER[: by % 26]
    return text.translate(str.maketrans(_LOWER + _LOWER.upper(), turned + turned.upper()))


def mirrored(text: str) -> str:
    """Atbash: a is z, b is y. Its own inverse."""
    back = _LOWER[::-1]
    return text.translate(str.maketrans(_LOWER + _LOWER.upper(), back + back.upper()))


def morse(text: str) -> str:
    """Letters apart by a space, words by a slash with spaces; what has no sign stays as it is."""
    return " / ".join(" ".join(MORSE.get(letter, letter) for letter in word) for word in text.lower().split())


def from_morse(text: str) -> str:
    """The lower-case text of `morse`."""
    back = {code: letter for letter, code in MORSE.items()}
    return " ".join("".join(back.get(code, code) for code in word.split()) for word in text.split(" / "))


def spelled(text: str) -> str:
    """The spelling alphabet, words apart by a dash."""
    names = {**NATO, **{str(digit): name for digit, name in enumerate(_DIGITS)}}
    return " - ".join(" ".join(names.get(letter, letter) for letter in word) for word in text.lower().split())


def from_spelled(text: str) -> str:
    """The lower-case text of `spelled`."""
    back = {name: letter for letter, name in NATO.items()} | {name: str(n) for n, name in enumerate(_DIGITS)}
    return " ".join("".join(back.get(name, name) for name in word.split()) for word in text.split(" - "))


def braille(text: str) -> str:
    """Letters as braille cells, case lost."""
    return "".join(_BRAILLE.get(letter, letter) for letter in text.lower())


def from_braille(text: str) -> str:
    """The lower-case text of `braille`."""
    back = {cell: letter for letter, cell in _BRAILLE.items()}
    return "".join(back.get(letter, letter) for letter in text)


def leet(text: str) -> str:
    """Some letters as digits, case lost."""
    return text.lower().translate(_LEET)


def from_leet(text: str) -> str:
    """The lower-case text of `leet`; digits that were there before come back as letters."""
    return text.translate(_UNLEET)


def lookalike(text: str) -> str:
    """Latin letters as the Cyrillic ones that look the same."""
    return "".join(_LOOKALIKE.get(letter, letter) for letter in text)


def from_lookalike(text: str) -> str:
    """The text of `lookalike`."""
    back = {other: letter for letter, other in _LOOKALIKE.items()}
    return "".join(back.get(letter, letter) for letter in text)


def zero_width(text: str) -> str:
    """A space of no width after every letter."""
    return "".join(letter + ZERO_WIDTH for letter in text)


def from_zero_width(text: str) -> str:
    """The text without spaces of no width."""
    return text.replace(ZERO_WIDTH, "")


def tagged(text: str) -> str:
    """ASCII as Unicode tag characters, which most programs do not show."""
    return "".join(chr(_TAGS + ord(letter)) if 0x20 <= ord(letter) < 0x7F else letter for letter in text)


def from_tagged(text: str) -> str:
    """The text of `tagged`."""
    return "".join(chr(ord(a) - _TAGS) if _TAGS + 0x20 <= ord(a) < _TAGS + 0x7F else a for a in text)


def overridden(text: str) -> str:
    """Letters from back to front between signs that turn the direction, so that it looks as it was."""
    return _RLO + text[::-1] + _PDF


def from_overridden(text: str) -> str:
    """The text of `overridden`."""
    return text.removeprefix(_RLO).removesuffix(_PDF)[::-1]


def zalgo(text: str) -> str:
    """Two combining marks on every letter."""
    return "".join(
        letter + _MARKS[n % len(_MARKS)] + _MARKS[(n + 3) % len(_MARKS)] if letter.isalnum() else letter
        for n, letter in enumerate(text)
    )


def without_marks(text: str) -> str:
    """The text without combining marks."""
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


def reversed_words(text: str) -> str:
    """Words from last to first. Its own inverse, up to the width of spaces."""
    return " ".join(reversed(text.split()))


def paired(text: str) -> str:
    """Pieces of three letters joined by a plus sign."""
    return " + ".join(f'"{text[n : n + 3]}"' for n in range(0, len(text), 3))


def from_paired(text: str) -> str:
    """The text of `paired`."""
    return "".join(piece[1:-1] for piece in text.split(" + "))


def numbered(text: str) -> str:
    """Letters as their numbers, a = 1, apart by dashes; spaces between words."""
    return " ".join(
        "-".join(str(_LOWER.index(a) + 1) if a in _LOWER else a for a in word) for word in text.lower().split()
    )


def from_numbered(text: str) -> str:
    """The lower-case text of `numbered`; digits that were there before come back as letters."""
    return " ".join(
        "".join(_LOWER[int(a) - 1] if a.isascii() and a.isdigit() and 1 <= int(a) <= 26 else a for a in word.split("-"))
        for word in text.split(" ")
    )
