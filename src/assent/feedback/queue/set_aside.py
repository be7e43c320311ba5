"""Tasks set aside: kept with all that was said of them, but given to nobody and not waited for; and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from assent.feedback.queue.gold import REPEAT_OF, again_id
from assent.feedback.queue.settings import settings_of
from assent.feedback.queue.tasks import blocks, refuse_unknown_tasks
from assent.feedback.queue.wanted import fit
from assent.feedback.records.queue import AsideReason
from assent.feedback.tables.queue import JudgmentRow, TaskRow

BROKEN = "broken"
"""The skip reason "shown wrongly", as the page sends it."""


def set_aside(connection: Connection, task_ids: Sequence[str], why: AsideReason, *, now: float) -> int:
    """Set tasks aside; returns how many were not. Raises StoreError for an unknown one."""
    refuse_unknown_tasks(connection, task_ids)
    values = {"set_aside_at": now, "set_aside_why": why}
    changed = _change(connection, task_ids, TaskRow.set_aside_at.is_(None), values)
    fit(connection, changed)
    return len(changed)


def bring_back(connection: Connection, task_ids: Sequence[str], *, now: float) -> int:
    """Let tasks that were set aside be judged again; returns how many were. Raises StoreError for an unknown one."""
    refuse_unknown_tasks(connection, task_ids)
    values = {"set_aside_at": None, "set_aside_why": None, "brought_back_at": now}
    changed = _change(connection, task_ids, TaskRow.set_aside_at.is_not(None), values)
    fit(connection, changed)
    return len(changed)


def after_decision(connection: Connection, task_id: str, *, has_answer: bool, now: float) -> None:
    """A task that was found to have no answer waits for nobody; a later decision that it has one brings it back."""
    if not has_answer:
        set_aside(connection, [task_id], "decision", now=now)
        return
    row = connection.execute(select(TaskRow.set_aside_why).where(TaskRow.id == task_id)).scalar()
    if row == "decision":
        bring_back(connection, [task_id], now=now)


def after_skip(connection: Connection, task_id: str, reason: str | None, *, now: float) -> None:
    """Set a task aside once as many raters skipped it as shown wrongly as its project says.

    A task asked again counts as the one that it repeats.
    """
    if reason != BROKEN:
        return
    known = select(TaskRow.project, TaskRow.meta[REPEAT_OF].as_string().label("first")).where(TaskRow.id == task_id)
    row = connection.execute(known).one()
    most = settings_of(connection, row.project).set_aside_after
    if most == 0:
        return
    first = row.first or task_id
    # Locked, so that of two skips at the same moment the second one sees the first (PostgreSQL).
    task = connection.execute(select(TaskRow).where(TaskRow.id == first).with_for_update(key_share=True)).one()
    who = select(func.count(JudgmentRow.rater_id.distinct())).where(
        JudgmentRow.task_id.in_([first, again_id(first)]),
        JudgmentRow.superseded_by.is_(None),
        JudgmentRow.outcome == "skipped",
        JudgmentRow.skip_reason == BROKEN,
        JudgmentRow.submitted_at >= (task.brought_back_at or 0.0),
    )
    if task.set_aside_at is None and connection.execute(who).scalar_one() >= most:
        set_aside(connection, [first], "skips", now=now)


def _change(connection: Connection, task_ids: Sequence[str], where: Any, values: dict[str, Any]) -> list[str]:
    changed: list[str] = []
    for block in blocks(sorted(set(task_ids))):
        statement = update(TaskRow).where(TaskRow.id.in_(block), where).values(values).returning(TaskRow.id)
        changed += connection.execute(statement).scalars()
    return changed
