"""Lending tasks to raters: each slot to one rater at a time, no task twice to the same rater."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, delete, exists, false, func, select, update

from assent.core.errors import StoreError
from assent.feedback.queue.assign import Candidate, choose
from assent.feedback.queue.tasks import load_tasks
from assent.feedback.queue.wanted import IS_WANTED, fit_where_needed
from assent.feedback.records.queue import Claim, OpenTask, Queue
from assent.feedback.tables.connection import upsert
from assent.feedback.tables.queue import JudgmentRow, Lease, RaterRow, Slot

# Statements that every request needs are built once: building one takes longer than SQLite takes to answer it.
WAITING = and_(
    Slot.project == bindparam("project"),
    Slot.purpose == bindparam("purpose"),
    Slot.is_filled == false(),
    Slot.reserved_for.is_(None),
)
"""Slots of a queue (its fields are the parameters) that wait for a judgment by anyone, lent out or not."""
_RATER = select(RaterRow.erased_at).where(RaterRow.id == bindparam("rater_id")).with_for_update(key_share=True)
_UNLOCKED = select(Slot.id).where(Slot.id == bindparam("slot_id")).with_for_update(skip_locked=True)
_FILL = update(Slot).where(Slot.id == bindparam("the_slot_id")).values(is_filled=True)
_LEASE = ("task_id", "rater_id", "token", "expires_at", "is_spent")


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
        free = _free_slots(term, tasks=tasks).limit(4 * wanted + 16)
        chosen = choose([Candidate(*row) for row in connection.execute(free, vars(queue))], limit=wanted)
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
    """Take one slot if it is free, in one statement that two processes cannot both win; the lease's token, or None.

    Everybody locks a slot before its lease, so that no two wait for each other (PostgreSQL).
    """
    lease = (task_id, term.rater_id, secrets.token_urlsafe(18), term.expires_at, is_spent)
    values = {f"new_{name}": value for name, value in zip(_LEASE, lease, strict=True)}
    values |= {"new_slot_id": slot_id, "now": term.now}
    token = connection.execute(_take(connection.dialect.name), values).scalar()
    if token is not None and is_spent:
        mark_filled(connection, slot_id)
    return token


def lock_slot(connection: Connection, slot_id: int) -> bool:
    """Make others pass a slot over until this transaction ends (PostgreSQL); False where somebody else did so first."""
    return connection.execute(_UNLOCKED, {"slot_id": slot_id}).first() is not None


def mark_filled(connection: Connection, slot_id: int) -> None:
    """Say on the slot that its lease is spent."""
    connection.execute(_FILL, {"the_slot_id": slot_id})


def free_slot(connection: Connection, slot_id: int) -> None:
    """Give a judged slot back to the queue, where its task still wants it."""
    freed = update(Slot).where(Slot.id == slot_id).values(is_filled=False).returning(Slot.task_id)
    task_id = connection.execute(freed).scalar_one()
    connection.execute(delete(Lease).where(Lease.slot_id == slot_id))
    fit_where_needed(connection, [task_id])


def release(connection: Connection, rater_id: str) -> int:
    """Give back every slot that a rater holds and has not judged; returns how many."""
    lock_rater(connection, rater_id)
    return connection.execute(delete(Lease).where(Lease.rater_id == rater_id, Lease.is_spent == false())).rowcount


def lapse(connection: Connection, rater_id: str, tokens: Collection[str], *, now: float) -> int:
    """End these leases of a rater now; returns how many. Others may take the tasks at once; what nobody has taken is
    still the rater's, who may judge it, renew it, or is lent it first (`again`).
    """
    lock_rater(connection, rater_id)
    mine = (Lease.rater_id == rater_id, Lease.token.in_(list(tokens)), Lease.is_spent == false())
    return connection.execute(update(Lease).where(*mine, Lease.expires_at > now).values(expires_at=now)).rowcount


def release_others(connection: Connection, queue: Queue, *, keep: Collection[str]) -> int:
    """Give back every slot of a queue that raters other than these hold and have not judged; returns how many."""
    slots = select(Slot.id).where(
        Slot.project == queue.project, Slot.purpose == queue.purpose, Slot.reserved_for.is_(None)
    )
    held = and_(Lease.slot_id.in_(slots), Lease.is_spent == false(), Lease.rater_id.not_in(list(keep)))
    return connection.execute(delete(Lease).where(held)).rowcount


def open_tasks(connection: Connection, queue: Queue) -> list[OpenTask]:
    """Tasks with unjudged slots, lent out or not, sorted by id."""
    unjudged = func.count().filter(Slot.is_filled == false())
    rows = connection.execute(
        select(Slot.task_id, func.count(), unjudged)
        .where(Slot.project == queue.project, Slot.purpose == queue.purpose, IS_WANTED)
        .group_by(Slot.task_id)
        .having(unjudged > 0)
    )
    return sorted((OpenTask(*row) for row in rows), key=lambda task: task.task_id)


def lock_rater(connection: Connection, rater_id: str) -> None:
    """Make a rater's own requests wait for each other (PostgreSQL; SQLite has one writer anyway).

    Raises StoreError for an unknown or erased rater.
    """
    row = connection.execute(_RATER, {"rater_id": rater_id}).first()
    if row is None:
        raise StoreError(f"rater {rater_id!r} is not known; register the rater first")
    if row.erased_at is not None:
        raise StoreError(f"rater {rater_id!r} was erased; register a new one")


@functools.cache
def _take(dialect: str) -> Any:
    """The statement of `take_slot`."""
    new: Any = upsert(dialect, Lease).values({name: bindparam(f"new_{name}") for name in ("slot_id", *_LEASE)})
    is_free = and_(Lease.is_spent == false(), Lease.expires_at <= bindparam("now"))
    replaced = {name: new.excluded[name] for name in _LEASE}
    return new.on_conflict_do_update(index_elements=[Lease.slot_id], set_=replaced, where=is_free).returning(
        Lease.token
    )


def _free_slots(term: Term, *, tasks: Collection[str] | None) -> Select[int, str, int, float]:
    is_lent = exists().where(Lease.slot_id == Slot.id, Lease.expires_at > term.now)
    has_judged = exists().where(JudgmentRow.task_id == Slot.task_id, JudgmentRow.rater_id == term.rater_id)
    own = Lease.__table__.alias("own")
    is_judging = exists().where(
        own.c.task_id == Slot.task_id, own.c.rater_id == term.rater_id, own.c.expires_at > term.now
    )
    query = (
        select(Slot.id, Slot.task_id, Slot.n, (-Slot.place).label("priority"))
        .where(WAITING, ~is_lent, ~has_judged, ~is_judging)
        .order_by(Slot.place, Slot.n, Slot.id)
        .with_for_update(of=Slot, skip_locked=True)
    )
    return query if tasks is None else query.where(Slot.task_id.in_(tasks))
