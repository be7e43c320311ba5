"""Shingles of many texts at once: runs of three words as 64-bit hashes in one flat array.

A shingle is hashed from the hashes of its words. That any two of n different ones have the same hash has a chance of
n² / 2⁶⁵ (one in ten thousand for sixty million); two texts would then seem to share one shingle more than they do.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SHINGLE_WORDS = 3
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)  # odd, so one to one
_MOST_KNOWN = 1 << 18
"""Words whose hashes are remembered."""
_PARTS, _SHIFT = 16, np.uint64(60)
"""In which shingles are counted, by their first four bits, so that a sixteenth of them is copied at a time."""
_AT_ONCE = 1 << 20
"""Shingles that are looked through together."""


def normalized(text: str) -> str:
    """Lower case, words only, one space between: what has to be equal for two texts to say the same."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


@dataclass(frozen=True, eq=False)
class Shingled:
    """Texts as what comparing them needs."""

    first: Ints
    """[N] of every text the place of the first one that is equal after normalization."""
    distinct: Ints
    """[n] places of those first ones, in order; what follows is of each of these."""
    numbers: Words
    """[n] hash of the numbers that stand in it."""
    starts: Ints
    """[n + 1] where its shingles begin."""
    flat: Words
    """All shingles, those of a text sorted and each once."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> Shingled:
        """Read the texts once, holding none."""
        hasher, seen = _Hasher(), dict[int, int]()
        first, distinct, numbers, starts, flat = array("q"), array("q"), array("Q"), array("q", [0]), array("Q")
        for place, text in enumerate(texts):
            norm = normalized(text)
            # A text without any word ("???") is compared as it stands.
            earlier = seen.setdefault(hash_text(norm or text), place)
            first.append(earlier)
            if earlier < place:
                continue
            distinct.append(place)
            counts = sorted(Counter(_NUMBER.findall(text)).items())
            numbers.append(hash_text(repr(counts)) if counts else 0)
            flat.frombytes(hasher.shingles(norm.split()).tobytes())
            starts.append(len(flat))
        return cls(_plain(first), _plain(distinct), _plain(numbers), _plain(starts), _plain(flat))

    @property
    def sizes(self) -> Ints:
        """[n] shingles of each text."""
        return np.diff(self.starts)

    def shingles(self, text: int) -> Words:
        """Those of one distinct text, sorted."""
        return self.flat[self.starts[text] : self.starts[text + 1]]

    def block(self, begin: int, end: int) -> tuple[Words, Ints]:
        """Those of the distinct texts from `begin` to `end`, and of each the number of its text, from 0 at `begin`."""
        starts = self.starts[begin : end + 1]
        return self.flat[starts[0] : starts[-1]], np.repeat(np.arange(end - begin), np.diff(starts))

    def repeated(self) -> tuple[Words, Ints]:
        """Shingles that stand in two texts or more, sorted, and in how many each stands."""
        found = [self._repeated(part) for part in range(_PARTS)]
        return np.concatenate([one for one, _ in found]), np.concatenate([count for _, count in found])

    def _repeated(self, part: int) -> tuple[Words, Ints]:
        cuts = (self.flat[begin : begin + _AT_ONCE] for begin in range(0, len(self.flat), _AT_ONCE))
        own = [cut[cut >> _SHIFT == part] for cut in cuts]
        some = np.concatenate([np.zeros(0, dtype=np.uint64), *own])
        some.sort()
        starts = np.flatnonzero(np.concatenate([np.ones(min(len(some), 1), dtype=bool), some[1:] != some[:-1]]))
        counts = np.diff(np.append(starts, len(some)))
        return some[starts[counts > 1]], counts[counts > 1]


class _Hasher:
    """Hashes words, each once as long as it is remembered."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._none = hash_text("")  # no word is empty

    def shingles(self, words: list[str]) -> Words:
        """Runs of three words, sorted, each once; of a shorter text the whole text."""
        if not words:
            return np.zeros(0, dtype=np.uint64)
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        known = self._known
        for word in words:
            if word not in known:
                known[word] = hash_text(word)
        hashes = [known[word] for word in words] + [self._none] * (SHINGLE_WORDS - len(words))
        of_word = np.array(hashes, dtype=np.uint64)
        count = len(of_word) - SHINGLE_WORDS + 1
        mixed = np.zeros(count, dtype=np.uint64)
        for place, factor in enumerate(_FACTORS):
            mixed = _stirred(mixed + of_word[place : place + count] * factor)
        return np.unique(mixed)


def _stirred(values: Words) -> Words:
    """Every bit moved by every other (the end of MurmurHash3), one to one."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


def _plain(values: array[int]) -> NDArray[Any]:
    """The same memory as a numpy array."""
    return np.frombuffer(values, dtype=np.dtype(values.typecode)) if len(values) else np.zeros(0, values.typecode)


def hash_text(text: str) -> int:
    """64 bits of a text."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
