"""Numbering: a shuffle of 0 … n - 1 that is computed one element at a time, forwards and backwards.

A keyed Feistel network over the smallest even number of bits, walked until it falls inside the range (Black and
Rogaway 2002, "Ciphers with arbitrary finite domains", section 4). It gives random access, no repeats, no table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from assent.core import seeds

_ROUNDS = 4
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Shuffle:
    """A permutation of range(size) named by `seed` and `names`; the same on every machine."""

    size: int
    keys: tuple[int, ...]
    half_bits: int

    @classmethod
    def of(cls, size: int, seed: int, *names: str | int) -> Shuffle:
        """The shuffle of range(size) of the stream `names` under `seed`; size at least 1."""
        return _shuffle(size, seed, names)

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self.size:
            raise IndexError(f"index {index} is outside range({self.size})")
        value = self._forwards(index)
        while value >= self.size:
            value = self._forwards(value)
        return value

    def index(self, value: int) -> int:
        """Where `value` stands: shuffle[shuffle.index(value)] == value."""
        if not 0 <= value < self.size:
            raise ValueError(f"value {value} is outside range({self.size})")
        index = self._backwards(value)
        while index >= self.size:
            index = self._backwards(index)
        return index

    def _forwards(self, value: int) -> int:
        left, right = value >> self.half_bits, value & ((1 << self.half_bits) - 1)
        for key in self.keys:
            left, right = right, left ^ self._mix(right, key)
        return left << self.half_bits | right

    def _backwards(self, value: int) -> int:
        left, right = value >> self.half_bits, value & ((1 << self.half_bits) - 1)
        for key in reversed(self.keys):
            left, right = right ^ self._mix(left, key), left
        return left << self.half_bits | right

    def _mix(self, half: int, key: int) -> int:
        mixed = (half + key) * 0x9E3779B97F4A7C15 & _MASK
        mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93 & _MASK
        return mixed >> 64 - self.half_bits


@lru_cache(maxsize=4096)
def _shuffle(size: int, seed: int, names: tuple[str | int, ...]) -> Shuffle:
    if size < 1:
        raise ValueError(f"a shuffle needs at least one element, got {size}")
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    return Shuffle(size, tuple(seeds.derive(seed, *names, r) for r in range(_ROUNDS)), half_bits)
