"""Tasks that measure a rater: those with a known answer and the rater's own earlier ones, in slots made for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Connection, Select, exists, false, func, select

from assent.core.hashing import hash_json
from assent.core.types import Task
from assent.feedback.queue.claims import Term, take_slot
from assent.feedback.queue.judgments import IS_OF_QUEUE, belongs
from assent.feedback.queue.tasks import insert_task_rows, load_tasks, slot_row, task_content, task_row
from assent.feedback.records.queue import Queue
from assent.feedback.tables.connection import upsert
from assent.feedback.tables.queue import Gold, JudgmentRow, Lease, Slot, TaskRow

REPEAT_OF = "repeat_of"
"""Key in the meta of a task asked again: the task that it repeats. Its id says nothing, for raters see ids."""
_MANY, _TRIES = 1_000, 24
"""From so many judgments of a rater on not all of them are read to find one to repeat."""
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
    count = select(func.count()).select_from(JudgmentRow).where(JudgmentRow.rater_id == term.rater_id)
    said = connection.execute(count).scalar_one()
    if said > _MANY:
        found = _any_to_repeat(connection, term, queue, rng, after=after, said=said)
        if found is not None:
            return found
    rows = connection.execute(_said(term), vars(queue)).all()
    known = {row.task_id for row in rows} | set(connection.execute(_held(term)).scalars())
    known_firsts = {row.first for row in rows}
    gold = set(connection.execute(select(Gold.task_id)).scalars())
    free = sorted(
        row.task_id
        for row in rows[after:]
        if _may_repeat(row) and row.task_id not in gold | known_firsts and not known.intersection(_twins(row.task_id))
    )
    return free[int(rng.integers(len(free)))] if free else None


def _any_to_repeat(
    connection: Connection, term: Term, queue: Queue, rng: np.random.Generator, *, after: int, said: int
) -> str | None:
    """The same for somebody who judged thousands, without reading all of them: tries some; None where none will do."""
    mine = select(JudgmentRow.task_id).where(JudgmentRow.rater_id == term.rater_id)
    late = set(connection.execute(_said(term).limit(after), vars(queue)).scalars())
    for _ in range(_TRIES):
        nth = mine.order_by(JudgmentRow.task_id).offset(int(rng.integers(said))).limit(1)
        task_id = connection.execute(nth).scalar()
        if task_id is None or task_id in late:
            continue
        rows = connection.execute(_said(term).where(JudgmentRow.task_id == task_id), vars(queue)).all()
        is_again = exists(mine.where(JudgmentRow.task_id.in_(_twins(task_id))))
        is_gold = exists().where(Gold.task_id == task_id)
        if not rows or not _may_repeat(rows[0]) or connection.execute(select(is_again | is_gold)).scalar_one():
            continue
        if connection.execute(_held(term).where(Lease.task_id.in_(_twins(task_id)))).first() is not None:
            continue
        # What was said again and again stands as often among what was drawn from.
        times = len(connection.execute(mine.where(JudgmentRow.task_id == task_id)).all())
        if rng.random() * times < 1:
            return task_id
    return None


def _said(term: Term) -> Select[Any]:
    """What the rater judged of a queue (its fields are parameters), the newest first."""
    return (
        select(
            JudgmentRow.task_id,
            JudgmentRow.outcome,
            TaskRow.kind,
            TaskRow.set_aside_at,
            TaskRow.meta[REPEAT_OF].as_string().label("first"),
        )
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .where(JudgmentRow.rater_id == term.rater_id, JudgmentRow.superseded_by.is_(None))
        .where(IS_OF_QUEUE)
        .order_by(JudgmentRow.submitted_at.desc(), JudgmentRow.id)
    )


def _held(term: Term) -> Select[Any]:
    """Tasks on loan to the rater; those whose lease is spent are judged."""
    return select(Lease.task_id).where(
        Lease.rater_id == term.rater_id, Lease.is_spent == false(), Lease.expires_at > term.now
    )


def _may_repeat(row: Any) -> bool:
    is_asked = row.outcome == "ranked" and row.kind in ("rank", "pair", "rate")
    return is_asked and row.set_aside_at is None and row.first is None


def _twins(task_id: str) -> tuple[str, str]:
    """Ids under which a task is asked again, now and in stores of before."""
    return again_id(task_id), f"{task_id}~again"


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
