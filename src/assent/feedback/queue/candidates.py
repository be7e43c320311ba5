"""What a rater could be given next: the free slots of a queue, counted and drawn from without reading them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, and_, bindparam, exists, false, func, select, union, union_all

from assent.feedback.queue.assign import Pool, propensity
from assent.feedback.queue.claims import WAITING, Term
from assent.feedback.queue.judgments import IS_OF_QUEUE, belongs
from assent.feedback.queue.reach import AT_WORK_SECONDS
from assent.feedback.queue.taken import IS_HELD, IS_MINE, SLOTS, taken_slots
from assent.feedback.queue.tasks import blocks
from assent.feedback.queue.waiting import any_of, count_anew, count_tasks, waiting
from assent.feedback.queue.wanted import may_grow
from assent.feedback.records.queue import Queue
from assent.feedback.tables.queue import JudgmentRow, Lease, RaterRow, Slot

_RECENT = 60  # judgments of others among which a newcomer's tasks are sought

# Built once, see `claims`. Parameters: project, purpose, rater_id, now, place, task_id.
_IS_SAID = and_(JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome.in_(["ranked", "marked"]))
_IN_ORDER = select(Slot.id, Slot.task_id).where(WAITING).order_by(Slot.place, Slot.n, Slot.id)
_AT_PLACE = _IN_ORDER.where(Slot.place == bindparam("place"))
_NTH = {query: query.limit(1).offset(bindparam("n")) for query in (_IN_ORDER, _AT_PLACE)}
_SLOTS_OF_TASK = SLOTS.where(Slot.task_id == bindparam("task_id"))
_JUDGED = select(JudgmentRow.id).where(IS_MINE, _IS_SAID, IS_OF_QUEUE).limit(bindparam("many"))
_AT_WORK = select(func.count()).where(
    RaterRow.id != bindparam("rater_id"),
    RaterRow.erased_at.is_(None),
    exists().where(
        JudgmentRow.rater_id == RaterRow.id,
        JudgmentRow.submitted_at > bindparam("since"),
        IS_OF_QUEUE,
    ),
)
_JUDGED_BY_OTHERS = (
    select(JudgmentRow.task_id)
    .where(~IS_MINE, _IS_SAID, IS_OF_QUEUE)
    .order_by(JudgmentRow.submitted_at.desc())
    .limit(_RECENT)
)
_JUDGED_TASKS = select(JudgmentRow.task_id).where(IS_MINE)
_HELD_TASKS = select(Lease.task_id).where(IS_HELD, Lease.rater_id == bindparam("rater_id"))
_KNOWN = union(_JUDGED_TASKS, _HELD_TASKS)
_FIRST_SAID_SINCE = and_(JudgmentRow.submitted_at >= bindparam("since"), JudgmentRow.supersedes.is_(None))
_TAKEN_HERE = union(
    _JUDGED_TASKS.where(_FIRST_SAID_SINCE, IS_OF_QUEUE), _HELD_TASKS.where(belongs(Lease.task_id))
).subquery()
_FOR_ANYBODY = exists().where(Slot.task_id == _TAKEN_HERE.c.task_id, Slot.reserved_for.is_(None))
_COUNT_TAKEN = select(func.count()).select_from(_TAKEN_HERE).where(_FOR_ANYBODY)
_COUNT_HELD = select(func.count()).select_from(_HELD_TASKS.where(belongs(Lease.task_id)).subquery())
_KNOWN_TASK = union_all(
    _JUDGED_TASKS.where(JudgmentRow.task_id == bindparam("task_id")),
    _HELD_TASKS.where(Lease.task_id == bindparam("task_id")),
).limit(1)


@dataclass(frozen=True)
class Free:
    """A slot that a rater may take; `slot_id` is None for one that would be added to its task."""

    slot_id: int | None
    task_id: str


class Candidates:
    """The free slots of one rater: those that wait, without those lent out and those of tasks the rater knows.

    Counted when made, for up to `limit` draws, or a little before where many wait (`waiting`). What others take or add
    meanwhile shows when a slot is about to be taken; the propensity is that of what was counted.
    """

    def __init__(self, connection: Connection, term: Term, queue: Queue, *, limit: int) -> None:
        self._connection = connection
        self._where = {**vars(queue), "rater_id": term.rater_id, "now": term.now}
        self._taken = taken_slots(connection, self._where)
        places = len({slot.place for slot in self._taken.values()}) + limit
        self._waiting = waiting(connection, self._where, places=max(places, 1), beside=len(self._taken))
        self._shared: dict[str, Free] = {}

    def share(self, depth: int) -> None:
        """Put the tasks first that others have judged, up to `depth` raters each: the rater is new."""
        found = _shared(self._connection, self._where, depth)
        self._shared = {free.task_id: free for free in found if free.slot_id not in self._taken}

    def pool(self) -> Pool:
        """How many slots are free, and how many top candidates there are."""
        top = len(self._shared) or self._top()[1]
        return Pool(self._waiting.total - len(self._taken), top)

    def tasks(self) -> int:
        """How many tasks have a free slot."""
        taken = Counter(slot.task_id for slot in self._taken.values())
        blocked = 0
        for block in blocks(sorted(taken)):
            query = select(Slot.task_id, func.count().filter(Slot.reserved_for.is_(None)))
            query = query.where(Slot.task_id.in_(block), Slot.is_filled == false())
            rows = self._connection.execute(query.group_by(Slot.task_id))
            blocked += sum(taken[task_id] >= slots for task_id, slots in rows)
        return count_tasks(self._connection, self._where, self._waiting) - blocked

    def further(self, *, depth: int, left: int) -> int:
        """How many tasks beyond those a newcomer may be asked: judged by others, but by fewer than `depth`.

        `left`: for how many tasks they are a newcomer yet, what they hold included. These come while anything else
        waits.
        """
        left -= self._connection.execute(_COUNT_HELD, self._where).scalar_one()
        if left <= 0 or self._waiting.total <= len(self._taken):
            return 0
        shared = _shared(self._connection, self._where, depth)
        return min(left, sum(free.slot_id is None for free in shared))

    def draw(self, pool: Pool, rng: np.random.Generator, *, among_all: bool) -> Free | None:
        """One of the free slots, or of the top candidates, each as likely as another; None where all are gone."""
        if self._shared and not among_all:
            return list(self._shared.values())[int(rng.integers(len(self._shared)))]
        place = None if among_all else self._top()[0]
        query = _IN_ORDER if among_all else _AT_PLACE
        where = self._where | {"place": place}
        free = pool.free if among_all else pool.top
        taken = sum(among_all or slot.place == place for slot in self._taken.values())
        found = any_of(self._connection, self._where, self._waiting, rng, but=self._taken, place=place, free=free)
        if found is not None:
            return Free(*found)
        for _ in range(16 if free > taken // 4 else 0):  # any that waits, again where it is taken
            row = self._connection.execute(_NTH[query], where | {"n": int(rng.integers(free + taken))}).first()
            if row is not None and row.id not in self._taken:
                return Free(*row)
        rows = [row for row in self._connection.execute(query, where) if row.id not in self._taken]
        if not rows:
            count_anew(self._connection, self._where)
        return Free(*rows[int(rng.integers(len(rows)))]) if rows else None

    def knows(self, task_id: str) -> bool:
        """Whether the rater has judged or holds a task, which may have got a slot only after these were counted."""
        return self._connection.execute(_KNOWN_TASK, self._where | {"task_id": task_id}).first() is not None

    def slots_of(self, task_id: str) -> Sequence[Any]:
        """The slots of a task that wait for anybody."""
        rows = self._connection.execute(_SLOTS_OF_TASK, {"task_id": task_id})
        return [row for row in rows if row.reserved_for is None]

    def propensity(self, pool: Pool, task_id: str, slots: Sequence[Any], *, random_share: float) -> float:
        """Probability that a task with these slots was drawn from the pool."""
        free = [slot for slot in slots if slot.id not in self._taken]
        top = sum(slot.place == self._top()[0] for slot in free)
        if self._shared:
            top = int(task_id in self._shared)
        return min(1.0, propensity(pool, free=len(free), top=top, random_share=random_share))

    def leave_out(self, task_id: str, slots: Sequence[Any]) -> None:
        """Do not offer a task any more."""
        self._taken |= {slot.id: slot for slot in slots}
        self._shared.pop(task_id, None)

    def _top(self) -> tuple[float | None, int]:
        """The lowest place with a free slot, and how many are free there."""
        taken = Counter(slot.place for slot in self._taken.values())
        for place, count in self._waiting.places.items():
            if count > taken[place]:
                return place, count - taken[place]
        return None, 0


def is_newcomer(connection: Connection, rater_id: str, queue: Queue, *, tasks: int) -> bool:
    """Whether a rater has judged fewer than `tasks` tasks of a queue."""
    return newcomer_for(connection, rater_id, queue, tasks=tasks) > 0


def newcomer_for(connection: Connection, rater_id: str, queue: Queue, *, tasks: int) -> int:
    """For how many tasks yet a rater is new, who is new for `tasks` of a queue."""
    if tasks == 0:
        return 0
    where = {**vars(queue), "rater_id": rater_id, "many": tasks}
    return tasks - len(connection.execute(_JUDGED, where).all())


def taken_since(connection: Connection, term: Term, queue: Queue, *, since: float) -> int:
    """How many tasks that anybody may judge a rater holds, or has judged or skipped for the first time since a time."""
    where = {**vars(queue), "rater_id": term.rater_id, "now": term.now, "since": since}
    return connection.execute(_COUNT_TAKEN, where).scalar_one()


def raters_at_work(connection: Connection, rater_id: str, queue: Queue, *, now: float) -> int:
    """How many raters judged in a queue within the last week, with this one."""
    where = {**vars(queue), "rater_id": rater_id, "since": now - AT_WORK_SECONDS}
    return 1 + connection.execute(_AT_WORK, where).scalar_one()


def _shared(connection: Connection, where: Mapping[str, Any], depth: int) -> list[Free]:
    """One slot of each task that somebody else judged of late and fewer than `depth` raters have or will."""
    judged = set(connection.execute(_JUDGED_BY_OTHERS, where).scalars())
    task_ids = sorted(judged - set(connection.execute(_KNOWN, where).scalars()))
    slots: dict[str, list[Any]] = {}
    for block in blocks(task_ids):
        query = select(Slot).where(Slot.task_id.in_(block), Slot.service == "normal").order_by(Slot.n)
        for row in connection.execute(query):
            slots.setdefault(row.task_id, []).append(row)
    found = []
    growing = may_grow(connection, sorted(slots))
    for task_id, rows in slots.items():
        if all(row.reserved_for for row in rows):
            continue
        waits = next((row for row in rows if not row.is_filled and row.reserved_for is None), None)
        if waits is not None:
            found.append(Free(waits.id, task_id))
        elif len(rows) < depth and task_id in growing:
            found.append(Free(None, task_id))
    return found
