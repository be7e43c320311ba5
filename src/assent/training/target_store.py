"""Targets of many comparisons as columns laid end to end: a hundred bytes each, where their tensors take thousands."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import fields
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from assent.algorithms.columns import Columns
from assent.algorithms.likelihoods import Pairs
from assent.algorithms.rater_likelihood import Votes
from assent.core.lazy import Lazy
from assent.training.targets import Target

_Columns = TypeVar("_Columns", bound=Columns)
_TYPES = {torch.int64: "i", torch.bool: "b", torch.float32: "f"}
"""How a column's values are kept."""


class TargetStore(Lazy[Target]):
    """Targets that were put in one after another, each made anew when it is asked for, equal in every number.

    It holds what `target_of` gives: rankings with their pairs and votes, no scores and no chances.
    """

    def __init__(self) -> None:
        self._pairs, self._votes = Table(Pairs), Table(Votes)
        self._tiers, self._tier_ends = array("i"), array("q", [0])
        """Of each ranking how many tiers it has, and of each tier how many answers it has and which."""
        self._raters, self._rater_ends = array("i"), array("q", [0])
        self._names: list[str] = []
        self._number: dict[str, int] = {}

    def append(self, target: Target) -> None:
        """Put in one more. Raises ValueError for one with scores or chances."""
        if target.scores is not None or target.chance is not None:
            raise ValueError("a store of targets holds rankings, and this target has scores or chances beside them")
        self._pairs.append(target.pairs)
        self._votes.append(target.votes)
        for ranking in target.tiers:
            self._tiers.append(len(ranking))
            for tier in ranking:
                self._tiers.extend((len(tier), *tier))
        self._tier_ends.append(len(self._tiers))
        for name in target.raters:
            if name not in self._number:
                self._number[name] = len(self._names)
                self._names.append(name)
            self._raters.append(self._number[name])
        self._rater_ends.append(len(self._raters))

    def __len__(self) -> int:
        """How many were put in."""
        return len(self._tier_ends) - 1

    def at(self, place: int) -> Target:
        """The target that was put in at this place."""
        raters = self._raters[self._rater_ends[place] : self._rater_ends[place + 1]]
        tiers = _tiers(self._tiers[self._tier_ends[place] : self._tier_ends[place + 1]])
        return Target(tiers, self._pairs.at(place), self._votes.at(place), tuple(self._names[i] for i in raters))


class Table(Lazy[_Columns], Generic[_Columns]):
    """Columns of one kind, those of many places laid end to end."""

    def __init__(self, kind: type[_Columns]) -> None:
        self._kind = kind
        self._types: dict[str, torch.dtype] = {}
        self._columns: dict[str, array[float]] = {}
        self._ends = array("q", [0])

    def append(self, part: _Columns) -> None:
        """Put in those of one more place."""
        for field in fields(self._kind):
            values: Tensor = getattr(part, field.name)
            kept = self._columns.setdefault(field.name, array(_TYPES[values.dtype]))
            self._types.setdefault(field.name, values.dtype)
            kept.frombytes(values.numpy().astype(kept.typecode).tobytes())
        self._ends.append(self._ends[-1] + len(values))

    def __len__(self) -> int:
        """Of how many places there are some."""
        return len(self._ends) - 1

    def at(self, place: int) -> _Columns:
        """Those of one place."""
        start, end = self._ends[place], self._ends[place + 1]
        return self._kind(*(self._column(field.name, start, end) for field in fields(self._kind)))

    def _column(self, name: str, start: int, end: int) -> Tensor:
        return torch.from_numpy(np.array(self._columns[name][start:end])).to(self._types[name])


def _tiers(encoded: Sequence[int]) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Rankings from how many tiers each has, how many answers each of these, and which."""
    values = iter(encoded)
    return tuple(tuple(tuple(next(values) for _ in range(next(values))) for _ in range(count)) for count in values)
