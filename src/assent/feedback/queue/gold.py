"""Tasks that measure a rater: those with a known answer and the rater's own earlier ones, in slots made for them."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, exists, func, select

from assent.core.hashing import hash_json
from assent.core.types import Task
from assent.feedback.queue.claims import Term, take_slot
from assent.feedback.queue.judgments import belongs
from assent.feedback.queue.tasks import insert_task_rows, load_tasks, slot_row, task_content, task_row
from assent.feedback.records.queue import Queue
from assent.feedback.tables.connection import upsert
from assent.feedback.tables.queue import Gold, JudgmentRow, Lease, Slot, TaskRow

REPEAT_OF = "repeat_of"
"""Key in the meta of a task asked again: the task that it repeats. Its id says nothing, for raters see ids."""
MADE = "made"
"""The service of a slot whose task was made for its rater: a turn of a chat, a battle."""


def unseen_gold(connection: Connection, term: Term, queue: Queue, rng: np.random.Generator) -> str | None:
    """A task with a known answer that the rater has not judged and does not hold, any as likely as another."""
    has_judged = exists().where(JudgmentRow.task_id == Gold.task_id, JudgmentRow.rater_id == term.rater_id)
    holds = exists().where(Lease.task_id == Gold.task_id, Lease.rater_id == term.rater_id, Lease.expires_at > term.now)
    is_aside = exists().where(TaskRow.id == Gold.task_id, TaskRow.set_aside_at.is_not(None))
    query = select(Gold.task_id).where(belongs(Gold.task_id), ~has_judged, ~holds, ~is_aside).order_by(Gold.task_id)
    found = connection.execute(query, vars(queue)).scalars().all()
    return found[int(rng.integers(len(found)))] if found else None


def task_to_repeat(
    connection: Connection, term: Term, queue: Queue, rng: np.random.Generator, *, after: int
) -> str | None:
    """A task that the rater judged at least `after` tasks ago and was not asked again, any as likely as another."""
    query = (
        select(
            JudgmentRow.task_id,
            JudgmentRow.outcome,
            TaskRow.kind,
            TaskRow.set_aside_at,
            TaskRow.meta[REPEAT_OF].as_string().label("first"),
        )
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .where(JudgmentRow.rater_id == term.rater_id, JudgmentRow.superseded_by.is_(None))
        .where(belongs(JudgmentRow.task_id))
        .order_by(JudgmentRow.submitted_at.desc(), JudgmentRow.id)
    )
    rows = connection.execute(query, vars(queue)).all()
    held = select(Lease.task_id).where(Lease.rater_id == term.rater_id, Lease.expires_at > term.now)
    known = {row.task_id for row in rows} | set(connection.execute(held).scalars())
    known_firsts = {row.first for row in rows}
    gold = set(connection.execute(select(Gold.task_id)).scalars())
    found = sorted(
        row.task_id
        for row in rows[after:]
        if row.outcome == "ranked"
        and row.set_aside_at is None
        and row.kind in ("rank", "pair", "rate")
        and row.task_id not in gold
        and row.first is None
        and row.task_id not in known_firsts
        and again_id(row.task_id) not in known
    )
    return found[int(rng.integers(len(found)))] if found else None


def again_id(task_id: str) -> str:
    """The id of a task asked again, as long as that of the first: no rater tells it from others."""
    return "t-" + hash_json(["again", task_id])[: max(12, len(task_id) - 2)]


def twin(connection: Connection, task_id: str, *, now: float) -> Task:
    """The same task under another id, so that it can be judged again; its meta names the first."""
    first = load_tasks(connection, [task_id])[task_id]
    again = first.model_copy(update={"id": again_id(task_id)})
    row = task_row(again, task_content(again), now=now, priority=0.0, meta={REPEAT_OF: task_id})
    insert_task_rows(connection, [again], [row], now=now)
    return again


def lend_reserved(connection: Connection, term: Term, task: Task, service: str) -> str | None:
    """Lend a task to a rater in a slot that only they may take, added where there is none; the lease's token."""
    own = select(Slot.id).where(Slot.task_id == task.id, Slot.reserved_for == term.rater_id, Slot.is_filled.is_(False))
    slot_id = connection.execute(own.order_by(Slot.n).limit(1)).scalar()
    while slot_id is None:  # again where another rater's slot took the number at the same moment (PostgreSQL)
        last = connection.execute(select(func.max(Slot.n)).where(Slot.task_id == task.id)).scalar()
        priority = connection.execute(select(TaskRow.priority).where(TaskRow.id == task.id)).scalar_one()
        values = slot_row(task, 0 if last is None else last + 1, place=-priority)
        values |= {"reserved_for": term.rater_id, "service": service}
        added = upsert(connection.dialect.name, Slot).values(values).on_conflict_do_nothing().returning(Slot.id)
        slot_id = connection.execute(added).scalar()
    return take_slot(connection, slot_id, task.id, term)
