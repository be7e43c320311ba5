"""How many judgments tasks wait for: as many as are wanted, none while a task is set aside, kept for those it is for.

A wanted judgment is a slot. What should not be waited for keeps its slot, marked as for `NOBODY`, so that nothing said
in it is lost, and the slot waits again when it should. `fit` makes slots follow what is noted of their tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, false, func, or_, select, update

from assent.feedback.tables.connection import insert_missing
from assent.feedback.tables.queue import Lease, Slot, TaskRow
from assent.feedback.tables.studies import Assignee

NOBODY = ""
"""`reserved_for` of a slot that is given to nobody: no rater has the empty id."""
ASSIGNED = "@"
"""`reserved_for` of a slot that waits for those its task is assigned to."""
_BLOCK = 500

IS_WANTED = or_(Slot.reserved_for.is_(None), Slot.reserved_for == ASSIGNED)
"""Slots that a judgment is wanted for, by anyone or by those named."""
_SLOTS = (
    select(Slot)
    .where(Slot.task_id.in_(bindparam("task_ids", expanding=True)), Slot.service == "normal")
    .order_by(Slot.id)
    .with_for_update()
)


def fit(connection: Connection, task_ids: Iterable[str]) -> None:
    """Make the slots of tasks say what is wanted of them; who holds one that is no longer wanted loses it."""
    ids = sorted(set(task_ids))
    for start in range(0, len(ids), _BLOCK):
        _fit(connection, ids[start : start + _BLOCK])


def fit_where_needed(connection: Connection, task_ids: Iterable[str]) -> None:
    """The same for those of the tasks whose slots are not simply what was queued: after slots were added or freed."""
    ids = sorted(set(task_ids))
    has_assignee = select(Assignee.task_id).where(Assignee.task_id == TaskRow.id).exists()
    is_special = or_(TaskRow.wanted.is_not(None), TaskRow.set_aside_at.is_not(None), has_assignee)
    for start in range(0, len(ids), _BLOCK):
        query = select(TaskRow.id).where(TaskRow.id.in_(ids[start : start + _BLOCK]), is_special)
        _fit(connection, sorted(connection.execute(query).scalars()))


def may_grow(connection: Connection, task_ids: Sequence[str]) -> set[str]:
    """Tasks that may get further slots than they have: not set aside, assigned to nobody, no number stated."""
    found: set[str] = set()
    has_assignee = select(Assignee.task_id).where(Assignee.task_id == TaskRow.id).exists()
    for start in range(0, len(task_ids), _BLOCK):
        query = select(TaskRow.id).where(TaskRow.id.in_(task_ids[start : start + _BLOCK]), ~has_assignee)
        query = query.where(TaskRow.set_aside_at.is_(None), TaskRow.wanted.is_(None))
        found |= set(connection.execute(query).scalars())
    return found


def _fit(connection: Connection, task_ids: Sequence[str]) -> None:
    if not task_ids:
        return
    named = set(connection.execute(select(Assignee.task_id).where(Assignee.task_id.in_(task_ids))).scalars())
    slots: dict[str, list[Any]] = {}
    for row in connection.execute(_SLOTS, {"task_ids": list(task_ids)}):
        slots.setdefault(row.task_id, []).append(row)
    lent = select(Lease.slot_id).where(Lease.task_id.in_(task_ids), Lease.is_spent == false())
    held = set(connection.execute(lent).scalars())
    marks: dict[int, str | None] = {}
    added: list[dict[str, Any]] = []
    for task in connection.execute(select(TaskRow).where(TaskRow.id.in_(task_ids)).order_by(TaskRow.id)).all():
        mark = ASSIGNED if task.id in named else None
        own = slots.get(task.id, [])
        free = [row for row in own if not row.is_filled and row.reserved_for in (None, NOBODY, ASSIGNED)]
        filled = sum(row.is_filled for row in own)
        waits = _waits(task, filled=filled, free=len(free))
        free.sort(key=lambda row: (row.id not in held, row.n))  # whoever is at work goes on
        wanted = {row.id: mark if i < waits else NOBODY for i, row in enumerate(free)}
        marks |= {row.id: wanted[row.id] for row in free if row.reserved_for != wanted[row.id]}
        if waits > len(free):
            added += _rows(connection, task, waits - len(free), mark=mark)
    _write(connection, marks)
    insert_missing(connection, Slot, added)


def _waits(task: Any, *, filled: int, free: int) -> int:
    """How many slots of a task should wait."""
    if task.set_aside_at is not None:
        return 0
    return free if task.wanted is None else max(int(task.wanted) - filled, 0)


def _rows(connection: Connection, task: Any, many: int, *, mark: str | None) -> list[dict[str, Any]]:
    last = connection.execute(select(func.max(Slot.n)).where(Slot.task_id == task.id)).scalar()
    first = 0 if last is None else last + 1
    row = {"task_id": task.id, "project": task.project, "purpose": task.purpose, "place": -task.priority}
    row |= {"is_filled": False, "reserved_for": mark, "service": "normal"}
    return [row | {"n": first + i} for i in range(many)]


def _write(connection: Connection, marks: Mapping[int, str | None]) -> None:
    by_mark: dict[str | None, list[int]] = {}
    for slot_id, mark in sorted(marks.items()):
        by_mark.setdefault(mark, []).append(slot_id)
    for mark, ids in by_mark.items():
        for start in range(0, len(ids), _BLOCK):
            block = ids[start : start + _BLOCK]
            connection.execute(update(Slot).where(Slot.id.in_(block)).values(reserved_for=mark))
            if mark == NOBODY:
                connection.execute(delete(Lease).where(Lease.slot_id.in_(block), Lease.is_spent == false()))
