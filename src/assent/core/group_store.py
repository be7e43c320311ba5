"""Many groups as one flat array of token ids: four bytes a token, where arrays of their own take hundreds more."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from assent.core.group import Group, TokenIds, TokenMask
from assent.core.lazy import Lazy


class GroupStore(Lazy[Group]):
    """Groups that were put in one after another, each made anew when it is asked for, equal in every token."""

    def __init__(self, groups: Iterable[Group] = ()) -> None:
        self._tokens, self._ends = array("i"), array("q", [0])
        """All tokens, and where each prompt and each continuation ends."""
        self._parts = array("q", [0])
        """Before which of these ends each group stands."""
        self._masks: dict[int, bytes] = {}
        """Which tokens count, in eight to a byte, of groups of which not all do."""
        for group in groups:
            self.append(group)

    def append(self, group: Group) -> None:
        """Put in one more."""
        for ids in (group.prompt, *group.continuations):
            self._tokens.frombytes(np.asarray(ids, dtype=np.int32).tobytes())
            self._ends.append(len(self._tokens))
        if not all(mask.all() for mask in group.is_scored):
            self._masks[len(self)] = np.packbits(np.concatenate(group.is_scored)).tobytes()
        self._parts.append(len(self._ends) - 1)

    def __len__(self) -> int:
        """How many were put in."""
        return len(self._parts) - 1

    def at(self, place: int) -> Group:
        """The group that was put in at this place."""
        ends = self._ends[self._parts[place] : self._parts[place + 1] + 1]
        ids = np.array(self._tokens[ends[0] : ends[-1]], dtype=np.int64)
        prompt, *continuations = np.split(ids, np.array(ends[1:-1], dtype=np.int64) - ends[0])
        return Group(prompt, tuple(continuations), self._scored(place, continuations))

    def _scored(self, place: int, continuations: list[TokenIds]) -> tuple[TokenMask, ...]:
        packed = self._masks.get(place)
        if packed is None:
            return ()
        lengths = [len(one) for one in continuations]
        bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=sum(lengths)).astype(bool)
        return tuple(np.split(bits, np.cumsum(lengths)[:-1]))
