"""Slots that wait, but not for this rater: those that are lent out, and those of tasks that the rater knows.

They are found from leases and judgments, which are fewer than what waits. Somebody who has judged thousands of tasks
would pay for all of them each time; of theirs, what was found is remembered for ten minutes, and looked at again with
what they judged since. Only a slot that was added meanwhile to a task of before is missed; it is never served, for that
is asked of each task by itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect, and_, bindparam, false, func, select, union_all

from assent.feedback.queue.tasks import blocks
from assent.feedback.tables.queue import JudgmentRow, Lease, Slot

MANY = 1_000
"""Judgments of a rater from which on what was found is remembered."""
_SECONDS = 600.0
_SKEW = 60.0  # seconds by which clocks and requests under way may differ
_MOST = 5_000  # raters remembered

# Built once, see `claims`. Parameters: rater_id, now.
IS_HELD = and_(Lease.is_spent == false(), Lease.expires_at > bindparam("now"))
IS_MINE = JudgmentRow.rater_id == bindparam("rater_id")
SLOTS = select(Slot.id, Slot.place, Slot.task_id, Slot.reserved_for, Slot.project, Slot.purpose).where(
    Slot.is_filled == false()
)
_LENT = (
    SLOTS.join(Lease, Lease.slot_id == Slot.id).where(IS_HELD),
    SLOTS.join(Lease, Lease.task_id == Slot.task_id).where(IS_HELD, Lease.rater_id == bindparam("rater_id")),
)
_JUDGED = SLOTS.join(JudgmentRow, JudgmentRow.task_id == Slot.task_id).where(IS_MINE)
_JUDGED_SINCE = _JUDGED.where(JudgmentRow.submitted_at >= bindparam("since"))
_AT_ONCE = union_all(*_LENT, _JUDGED)
_ONLY_LENT = union_all(*_LENT)
_SAID = select(func.count()).select_from(select(JudgmentRow.id).where(IS_MINE).limit(MANY + 1).subquery())


@dataclass(frozen=True)
class _Known:
    """Slots of tasks that a rater has judged, of all queues."""

    at: float
    since: float
    """The store's time then."""
    slots: tuple[int, ...]


_known: WeakKeyDictionary[Dialect, dict[str, _Known]] = WeakKeyDictionary()


def taken_slots(connection: Connection, where: Mapping[str, Any]) -> dict[int, Any]:
    """Slots of a queue that wait but are not free to a rater, by id; `where` names both, and the time.

    So that SQLite begins with leases and judgments, queue and reservation, without which none of its indexes of a
    queue's slots applies, are looked at here.
    """
    of_queue = (where["project"], where["purpose"], None)
    if connection.execute(_SAID, where).scalar_one() <= MANY:
        rows: Sequence[Any] = connection.execute(_AT_ONCE, where).all()
    else:
        rows = [*connection.execute(_ONLY_LENT, where).all(), *_judged(connection, where)]
    return {row.id: row for row in rows if (row.project, row.purpose, row.reserved_for) == of_queue}


def _judged(connection: Connection, where: Mapping[str, Any]) -> list[Any]:
    """Slots of tasks that the rater has judged."""
    known, rater_id, now = _known.setdefault(connection.dialect, {}), where["rater_id"], where["now"]
    then = known.get(rater_id)
    if then is None or time.monotonic() - then.at > _SECONDS or now < then.since:
        at = time.monotonic()
        rows: list[Any] = list(connection.execute(_JUDGED, where))
        if len(known) >= _MOST:
            known.clear()
    else:
        at = then.at
        rows = list(connection.execute(_JUDGED_SINCE, {**where, "since": then.since - _SKEW}))
        for block in blocks(then.slots):
            rows += connection.execute(SLOTS.where(Slot.id.in_(block)))
    known[rater_id] = _Known(at, now, tuple({row.id for row in rows}))
    return rows
