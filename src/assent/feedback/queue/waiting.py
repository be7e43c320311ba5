"""What waits in a queue: how many slots at its first places, how many in all, and any one of them.

A long queue is not counted through for each task that is served. Its first slots are, so that what is urgent is seen at
once; the count of all others is remembered for as many seconds as there are ten thousands of them, a minute at most.
Where R tasks are judged or added a second, it is thus off by R / 10,000 of itself at most, and so are propensities.
What was added since the count, and is not urgent, is drawn from the next count on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from sqlalchemy import Connection, Dialect, bindparam, func, select

from assent.feedback.queue.claims import WAITING
from assent.feedback.tables.queue import Slot

MANY = 20_000
"""So many of the first slots are counted each time."""
_PER_SECOND, _OLDEST = 10_000, 60.0
_AT_ONCE, _TRIES = 32, 4
_SPARSEST = 16
"""Where fewer ids than one of so many are those of free slots, none may be among those that are drawn."""

_NTH = select(Slot.place).where(WAITING).order_by(Slot.place, Slot.n, Slot.id).limit(1).offset(bindparam("nth"))
_COUNT_BY_PLACE = (
    select(Slot.place, func.count()).where(WAITING).group_by(Slot.place).order_by(Slot.place).limit(bindparam("places"))
)
_COUNT_BEFORE = _COUNT_BY_PLACE.where(Slot.place < bindparam("place"))
_COUNT_BEYOND = select(func.count()).where(WAITING, Slot.place > bindparam("place"))
_COUNT_ALL = select(
    func.count(), func.min(Slot.id), func.max(Slot.id), func.count().filter(Slot.place == bindparam("place"))
).where(WAITING)
_COUNT_TASKS = select(func.count(Slot.task_id.distinct())).where(WAITING)
_NAMED = select(Slot.id, Slot.task_id).where(Slot.id.in_(bindparam("ids", expanding=True)), WAITING)
_NAMED_AT = _NAMED.where(Slot.place == bindparam("place"))


@dataclass
class Counted:
    """A count of a whole queue, and of one of its places, as it was at a time."""

    at: float
    place: float
    total: int
    low: int
    high: int
    """Ids between which all of them lay."""
    at_place: int
    tasks: int | None = None
    """Counted where somebody asks: it takes several times as long."""

    def holds(self, place: float) -> bool:
        """Whether it is new enough, and of this place."""
        return self.place == place and time.monotonic() - self.at < min(self.total / _PER_SECOND, _OLDEST)


@dataclass(frozen=True)
class Waiting:
    """The slots that wait in a queue, lent out or not."""

    places: Mapping[float, int]
    """How many wait at each of the first places, from the lowest."""
    total: int
    counted: Counted | None = None
    """What is remembered of them, where they are many."""


_counted: WeakKeyDictionary[Dialect, dict[tuple[str, str], Counted]] = WeakKeyDictionary()
"""By database, of which each has a dialect of its own (an engine may be made anew for each transaction), and queue."""


def waiting(connection: Connection, where: Mapping[str, Any], *, places: int, beside: int) -> Waiting:
    """What waits, and how many at each of the first `places`; `where` names the queue.

    `beside` of the slots are of no use to whoever asks.
    """
    last = connection.execute(_NTH, {**where, "nth": MANY + beside}).scalar()
    if last is None:
        return _short(connection, where, places)
    first = dict(connection.execute(_COUNT_BEFORE, {**where, "place": last, "places": places}).tuples().all())
    known = _counted.setdefault(connection.dialect, {})
    whole = known.get(_queue(where))
    if whole is None or not whole.holds(last):
        began = time.monotonic()
        whole = Counted(began, last, *connection.execute(_COUNT_ALL, {**where, "place": last}).one())
        known[_queue(where)] = whole
    if len(first) < places:
        first[last] = whole.at_place
    return Waiting(first, max(MANY + beside + 1, whole.total), whole)


def _short(connection: Connection, where: Mapping[str, Any], places: int) -> Waiting:
    """A queue that is counted through, each slot once."""
    first = dict(connection.execute(_COUNT_BY_PLACE, {**where, "places": places}).tuples().all())
    beyond = 0
    if first:
        beyond = connection.execute(_COUNT_BEYOND, {**where, "place": max(first)}).scalar_one()
    return Waiting(first, sum(first.values()) + beyond)


def count_tasks(connection: Connection, where: Mapping[str, Any], waits: Waiting) -> int:
    """How many tasks have a slot that waits; of a long queue, how many had when it was counted."""
    whole = waits.counted
    if whole is not None and whole.tasks is not None:
        return whole.tasks
    found = connection.execute(_COUNT_TASKS, where).scalar_one()
    if whole is not None:
        whole.tasks = found
    return found


def count_anew(connection: Connection, where: Mapping[str, Any]) -> None:
    """Do not believe what is remembered of a queue: something that should have been there was not."""
    _counted.get(connection.dialect, {}).pop(_queue(where), None)


def any_of(
    connection: Connection,
    where: Mapping[str, Any],
    waits: Waiting,
    rng: np.random.Generator,
    *,
    but: Mapping[int, Any],
    place: float | None,
    free: int,
) -> tuple[int, str] | None:
    """One of the `free` slots that wait at a place, or at any, each as likely as another; None where they are few.

    Ids are drawn until one is that of such a slot: to find the n-th of a long queue, all before it would be read.
    """
    whole = waits.counted
    if whole is None or free * _SPARSEST < whole.high - whole.low:
        return None
    query = _NAMED if place is None else _NAMED_AT
    for _ in range(_TRIES):
        ids = rng.integers(whole.low, whole.high + 1, size=_AT_ONCE).tolist()
        found = {row.id: row.task_id for row in connection.execute(query, {**where, "ids": ids, "place": place})}
        for one in ids:
            if one in found and one not in but:
                return one, found[one]
    return None


def _queue(where: Mapping[str, Any]) -> tuple[str, str]:
    return where["project"], where["purpose"]
