"""Sequences whose items are made when they are asked for, so that a million of them need no memory as objects."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
Places = NDArray[np.int64]


class Lazy(Sequence[T_co]):
    """A sequence of which a subclass says how long it is and what stands `at` a place; that is made anew each time."""

    @abstractmethod
    def at(self, place: int) -> T_co:
        """The item at a place, 0 ≤ place < len(self)."""

    def __iter__(self) -> Iterator[T_co]:
        """Every item in order, one at a time."""
        return map(self.at, range(len(self)))

    @overload
    def __getitem__(self, place: int) -> T_co: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T_co]: ...
    def __getitem__(self, place: int | slice) -> T_co | Sequence[T_co]:
        """An item, or a view of some; places count from the end where they are negative. Raises IndexError."""
        if isinstance(place, slice):
            return Picked(self, np.arange(len(self), dtype=np.int64)[place])
        number = operator.index(place)
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError(f"place {place} of {len(self)}")
        return self.at(number)


class Picked(Lazy[T_co]):
    """Some items of a sequence, by their places [n], in that order."""

    def __init__(self, items: Sequence[T_co], places: Places) -> None:
        self._items, self._places = items, places

    def __len__(self) -> int:
        """How many were picked."""
        return len(self._places)

    def at(self, place: int) -> T_co:
        """The item of the sequence that was picked for this place."""
        return self._items[int(self._places[place])]


class Mapped(Lazy[T_co]):
    """What a function makes of the items at each place of sequences of one length."""

    def __init__(self, made: Callable[..., T_co], *sequences: Sequence[Any]) -> None:
        """Raises ValueError for sequences of different lengths."""
        if len({len(one) for one in sequences}) != 1:
            raise ValueError(f"one item of each is wanted, and there are {[len(one) for one in sequences]}")
        self._made, self._sequences = made, sequences

    def __len__(self) -> int:
        """That of each of the sequences."""
        return len(self._sequences[0])

    def at(self, place: int) -> T_co:
        """What is made of the items at this place."""
        return self._made(*(one[place] for one in self._sequences))


class Chained(Lazy[T_co]):
    """Several sequences, one after another."""

    def __init__(self, *sequences: Sequence[T_co]) -> None:
        self._sequences = sequences
        self._ends = np.cumsum([len(one) for one in sequences], dtype=np.int64)

    def __len__(self) -> int:
        """Items of all of them."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def at(self, place: int) -> T_co:
        """The item of the sequence that holds this place."""
        which = int(np.searchsorted(self._ends, place, side="right"))
        return self._sequences[which][place - (int(self._ends[which - 1]) if which else 0)]


def pick(items: Sequence[T], places: Places) -> Sequence[T]:
    """The items at these places: of a list a list, of anything else a view."""
    return [items[int(i)] for i in places] if isinstance(items, list) else Picked(items, places)


def places_where(items: Sequence[T], is_kept: Callable[[T], bool]) -> Places:
    """The places [n] of the items that are kept, in order; they are looked at one by one."""
    return np.flatnonzero(np.fromiter(map(is_kept, items), dtype=bool, count=len(items)))


def where(items: Sequence[T], is_kept: Callable[[T], bool]) -> Sequence[T]:
    """The items that are kept: of a list a list, of anything else a view."""
    return pick(items, places_where(items, is_kept))


def joined(one: Sequence[T], other: Sequence[T]) -> Sequence[T]:
    """One after the other: of lists a list, of anything else a view."""
    return [*one, *other] if isinstance(one, list) else Chained(one, other)
