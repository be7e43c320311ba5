"""Lending tasks to raters: each slot to one rater at a time, no task twice to the same rater."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, Select, and_, delete, exists, false, func, or_, select

from assent.core.errors import StoreError
from assent.feedback.assign import Candidate, choose
from assent.feedback.connection import upsert
from assent.feedback.records import Claim, OpenTask, Queue
from assent.feedback.tables import JudgmentRow, Lease, RaterRow, Slot, TaskRow
from assent.feedback.tasks import load_tasks


@dataclass(frozen=True)
class Term:
    """Who borrows, when, and until when."""

    rater_id: str
    now: float
    expires_at: float


def claim(
    connection: Connection, term: Term, queue: Queue, *, limit: int, tasks: Collection[str] | None
) -> list[Claim]:
    """Lend up to `limit` tasks of a queue (or only of those named); fewer where fewer are free."""
    lock_rater(connection, term.rater_id)
    held: dict[str, str] = {}
    while len(held) < limit:
        wanted = limit - len(held)
        free = _free_slots(term, queue, tasks=tasks).limit(4 * wanted + 16)
        chosen = choose([Candidate(*row) for row in connection.execute(free)], limit=wanted)
        if not chosen:
            break
        tokens = {
            candidate.task_id: take_slot(connection, candidate.slot_id, candidate.task_id, term)
            for candidate in sorted(chosen, key=lambda c: c.slot_id)  # one order for all: no two wait in a ring
        }
        held |= {c.task_id: token for c in chosen if (token := tokens[c.task_id]) is not None}
    loaded = load_tasks(connection, held)
    return [Claim(loaded[task_id], token, term.expires_at) for task_id, token in held.items()]


def take_slot(connection: Connection, slot_id: int, task_id: str, term: Term, *, is_spent: bool = False) -> str | None:
    """Take one slot if it is free, in one statement that two processes cannot both win; the lease's token, or None."""
    lease = {
        "task_id": task_id,
        "rater_id": term.rater_id,
        "token": secrets.token_urlsafe(18),
        "expires_at": term.expires_at,
        "is_spent": is_spent,
    }
    statement = upsert(connection, Lease).values(slot_id=slot_id, **lease)
    statement = statement.on_conflict_do_update(
        index_elements=[Lease.slot_id], set_=lease, where=and_(Lease.is_spent == false(), Lease.expires_at <= term.now)
    )
    return connection.execute(statement.returning(Lease.token)).scalar()


def release(connection: Connection, rater_id: str) -> int:
    """Give back every slot that a rater holds and has not judged; returns how many."""
    lock_rater(connection, rater_id)
    return connection.execute(delete(Lease).where(Lease.rater_id == rater_id, Lease.is_spent == false())).rowcount


def open_tasks(connection: Connection, queue: Queue) -> list[OpenTask]:
    """Tasks with unjudged slots, lent out or not, sorted by id."""
    unjudged = func.count().filter(or_(Lease.slot_id.is_(None), Lease.is_spent == false()))
    rows = connection.execute(
        select(TaskRow.id, func.count(), unjudged)
        .join(Slot, Slot.task_id == TaskRow.id)
        .outerjoin(Lease, Lease.slot_id == Slot.id)
        .where(TaskRow.project == queue.project, TaskRow.purpose == queue.purpose)
        .group_by(TaskRow.id)
        .having(unjudged > 0)
    )
    return sorted((OpenTask(*row) for row in rows), key=lambda task: task.task_id)


def lock_rater(connection: Connection, rater_id: str) -> None:
    """Make a rater's own requests wait for each other (PostgreSQL; SQLite has one writer anyway).

    Raises StoreError for an unknown or erased rater.
    """
    query = select(RaterRow.erased_at).where(RaterRow.id == rater_id).with_for_update(key_share=True)
    row = connection.execute(query).first()
    if row is None:
        raise StoreError(f"rater {rater_id!r} is not known; register the rater first")
    if row.erased_at is not None:
        raise StoreError(f"rater {rater_id!r} was erased; register a new one")


def _free_slots(term: Term, queue: Queue, *, tasks: Collection[str] | None) -> Select[int, str, int, float]:
    is_free = or_(Lease.slot_id.is_(None), and_(Lease.is_spent == false(), Lease.expires_at <= term.now))
    has_judged = exists().where(JudgmentRow.task_id == TaskRow.id, JudgmentRow.rater_id == term.rater_id)
    own = Lease.__table__.alias("own")
    is_judging = exists().where(
        own.c.task_id == TaskRow.id, own.c.rater_id == term.rater_id, own.c.expires_at > term.now
    )
    query = (
        select(Slot.id, Slot.task_id, Slot.n, TaskRow.priority)
        .join(TaskRow, TaskRow.id == Slot.task_id)
        .outerjoin(Lease, Lease.slot_id == Slot.id)
        .where(TaskRow.project == queue.project, TaskRow.purpose == queue.purpose)
        .where(is_free, ~has_judged, ~is_judging)
        .order_by(TaskRow.priority.desc(), Slot.n, Slot.id)
        .with_for_update(of=Slot, skip_locked=True)
    )
    return query if tasks is None else query.where(TaskRow.id.in_(tasks))
