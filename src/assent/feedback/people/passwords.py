"""Passwords as Argon2 hashes, a few at a time; and which ones are guessed first."""

from __future__ import annotations

import functools
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from assent.core.errors import StoreError

SHORTEST, LONGEST = 12, 200
LEAST_LEFT = 5
"""So many signs must be left of a password after everything is taken out of it that guessing programs try first."""
_HASHER = PasswordHasher()
_FEW = threading.BoundedSemaphore(2)  # each hash takes 64 MiB while it is made

_WORDS = """
    1q2w3e4r abc access admin administrator angel annotator april assent august baby baseball basketball batman
    beautiful butterfly changeme charlie cheese chocolate computer cookie daniel december default dragon february
    flower football forever freedom friday friend guest hallo hannah heart hello hockey hunter iloveyou january
    jennifer jessica jordan joshua july june killer letmein liverpool login london love lovely loveme maggie march
    master matrix matthew may mercedes michael michelle monday money monkey mother mustang ninja nothing november
    october pass passwd password passwort pepper pokemon princess purple qazwsx qwerty qwertz rater rating root
    samsung saturday secret september shadow soccer sommer spring starwars strawberry summer sunday sunshine super
    superman support sweet system temp test thursday tigger trustno trustnoone tuesday unknown user wednesday
    welcome whatever william willkommen winter wordpass zaq12wsx zxcvbnm
"""
_ROWS = (
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "qazwsxedcrfvtgb",
    "1qaz2wsx3edc4rfv",
)
_LEET = str.maketrans({"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})
_YEAR = re.compile(r"(?:19|20)\d\d")
_RUN = 4  # so many signs in a row that follow each other count as a run


def hash_password(password: str, *, login: str = "") -> str:
    """The hash to keep. Raises StoreError for a password that is too short, too long or guessed first."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise StoreError(
            f"a password of {len(password)} characters; use between {SHORTEST} and {LONGEST}, say a few words in a row"
        )
    if is_guessed(password, login):
        raise StoreError(
            "this password is among those that are guessed first: a common word, the login, a row of keys, digits"
            " alone or one sign again and again; use a few words that do not belong together"
        )
    with _FEW:
        return _HASHER.hash(password)


def is_password(password: str, kept: str | None) -> bool:
    """Is this the password of a kept hash? Takes as long where nothing is kept, so that nobody learns who exists."""
    with _FEW:
        try:
            return _HASHER.verify(kept or _nobody(), password[: LONGEST + 1]) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def is_guessed(password: str, login: str = "") -> bool:
    """Is little left of a password without common words, the login, years, rows of keys and repetitions?"""
    plain = "".join(unicodedata.normalize("NFKC", password).casefold().split())
    names = [part for part in re.split(r"[^\w]+|_", login.casefold()) if len(part) >= 3] + [login.casefold()]
    readings = {plain, plain.translate(_LEET)}
    return min(_left(reading, [name for name in names if name]) for reading in readings) < LEAST_LEFT


def _left(text: str, names: list[str]) -> int:
    """How many signs of a text say something: each sign counts twice at most, a repeated piece once."""
    for word in sorted({*_words(), *names, *(name.translate(_LEET) for name in names)}, key=len, reverse=True):
        text = text.replace(word, " ")
    text = _YEAR.sub(" ", text)
    text = "".join(_without_runs(text))
    text = _once(text.replace(" ", ""))
    letters = [sign for sign in text if sign.isalpha()]
    # Digits and marks at the end of a word are what everybody adds: four of them are worth one sign.
    return len(_no_more_than_twice(letters)) + (len(set(text)) - len(set(letters))) // 4


def _without_runs(text: str) -> Iterator[str]:
    """The signs of a text that are in no run: abcd, 4321, aaaa, or neighbours on a keyboard."""
    start = 0
    while start < len(text):
        end = max(_run(text, start, follows) for follows in (_steps_up, _steps_down, _is_same, _is_beside))
        if end - start < _RUN:
            yield text[start]
            end = start + 1
        start = end


def _run(text: str, start: int, follows: Callable[[str, str], bool]) -> int:
    end = start + 1
    while end < len(text) and follows(text[end - 1], text[end]):
        end += 1
    return end


def _steps_up(a: str, b: str) -> bool:
    return ord(b) - ord(a) == 1 or a + b == "90"


def _steps_down(a: str, b: str) -> bool:
    return ord(a) - ord(b) == 1 or a + b == "09"


def _is_same(a: str, b: str) -> bool:
    return a == b


def _is_beside(a: str, b: str) -> bool:
    return any(a + b in row or b + a in row for row in _ROWS)


def _once(text: str) -> str:
    """The piece that a text repeats from beginning to end, or the text."""
    for size in range(1, len(text) // 2 + 1):
        if (text[:size] * (len(text) // size + 1)).startswith(text):
            return text[:size]
    return text


def _no_more_than_twice(signs: list[str]) -> list[str]:
    return [sign for place, sign in enumerate(signs) if signs[:place].count(sign) < 2]


@functools.cache
def _words() -> frozenset[str]:
    return frozenset(_WORDS.split())


@functools.cache
def _nobody() -> str:
    return _HASHER.hash("nobody has this password")
