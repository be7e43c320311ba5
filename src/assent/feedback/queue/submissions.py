"""Accepting judgments: each once, into a slot where one is free, never over another."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, false, func, insert, or_, select, update

from assent.core.errors import ConflictError, StoreError
from assent.core.types import Judgment
from assent.feedback.queue.assigned import is_for
from assent.feedback.queue.claims import Term, free_slot, lock_rater, mark_filled, take_slot
from assent.feedback.queue.presentations import complete, with_order
from assent.feedback.queue.set_aside import after_skip
from assent.feedback.queue.tasks import json_hash, refuse_nul
from assent.feedback.records.queue import Receipt, Status, Viewing
from assent.feedback.tables.queue import JudgmentEvent, JudgmentRow, Lease, ResponseRow, Slot, TaskResponse, TaskRow

# Built once, see `claims`.
_ANSWERS = (
    select(ResponseRow.id)
    .join(TaskResponse, TaskResponse.response_hash == ResponseRow.hash)
    .where(TaskResponse.task_id == bindparam("task_id"))
)
_KNOWN = select(JudgmentRow.task_id, JudgmentRow.content_hash).where(JudgmentRow.id == bindparam("id"))
_CURRENT = select(JudgmentRow.id, JudgmentRow.slot_id).where(
    JudgmentRow.task_id == bindparam("the_task_id"),
    JudgmentRow.rater_id == bindparam("the_rater_id"),
    JudgmentRow.superseded_by.is_(None),
)
# Locked for the whole transaction: the content of the task stays what the judgment was checked against (PostgreSQL).
_TASK = (
    select(TaskRow.project, TaskRow.purpose, TaskRow.replaced_at)
    .where(TaskRow.id == bindparam("task_id"))
    .with_for_update(read=True, key_share=True)
)
_HOLDER = select(Lease.rater_id, Lease.task_id).where(Lease.token == bindparam("token"))
# The rater's unspent lease on the task; an expired one counts until another rater has taken the slot.
_OWN_LEASE = and_(
    Lease.rater_id == bindparam("the_rater_id"), Lease.task_id == bindparam("the_task_id"), Lease.is_spent == false()
)
_OWN_SLOT = (
    select(Slot.id)
    .where(Slot.id == select(func.min(Lease.slot_id)).where(_OWN_LEASE).scalar_subquery())
    .with_for_update()
)
_SPEND = update(Lease).where(Lease.slot_id == bindparam("the_slot_id"), _OWN_LEASE).values(is_spent=True)


def submit(
    connection: Connection, judgment: Judgment, *, token: str | None, now: float, viewing: Viewing | None = None
) -> Receipt:
    """Keep a judgment. Submitting the same one again changes nothing.

    Where it does not say which order was shown, it is the one that was served.

    With the token of a lease that nobody else took over, it fills that slot; otherwise any free slot of its task; if
    none is free it is surplus. Raises StoreError for unknown ids, a stolen token, a ranking that does not fit the
    task, or a second judgment of a task that does not say what it supersedes.
    """
    lock_rater(connection, judgment.rater_id)
    judgment = with_order(connection, judgment)
    known = _known(connection, judgment)
    if known is not None:
        return known
    where = f"judgment {judgment.id!r} of task {judgment.task_id!r}"
    asked = connection.execute(_TASK, {"task_id": judgment.task_id}).first()
    if asked is None:
        raise StoreError(f"task {judgment.task_id!r} is not in the store")
    if asked.replaced_at is not None:
        _refuse_replaced(connection, judgment, token)
    check(judgment, task_answers(connection, judgment.task_id), where=where)
    old = _superseded(connection, judgment)
    slot_id, status = _settle(connection, judgment, token, old, now=now)
    if old is not None:
        connection.execute(update(JudgmentRow).where(JudgmentRow.id == old.id).values(superseded_by=judgment.id))
    presentation_id = complete(connection, judgment, viewing, now=now)
    values = row(judgment, slot_id=slot_id, presentation_id=presentation_id, now=now)
    values |= {"project": asked.project, "purpose": asked.purpose}
    connection.execute(insert(JudgmentRow), values)
    if viewing is not None and viewing.events:
        log(connection, judgment.id, "page", now=now, events=list(viewing.events))
    if old is not None:
        log(connection, old.id, "superseded", now=now, by=judgment.id)
    if status == "surplus":
        log(connection, judgment.id, "surplus", now=now)
    if status == "skipped":
        after_skip(connection, judgment.task_id, judgment.skip_reason, now=now)
    return Receipt(judgment.id, status)


def check(judgment: Judgment, answers: set[str], *, where: str) -> None:
    """Raise StoreError unless the judgment speaks of exactly the task's answers.

    A ranking covers every answer except those flagged unusable; the order shown, where given, shows each once.
    """
    if not judgment.rater_id:
        raise StoreError(f"{where} names no rater; give its rater_id")
    named = set(judgment.flags) | set(judgment.scores) | set(judgment.edits) | set(judgment.order_shown)
    named |= {note.completion_id for note in judgment.notes}
    ranked = set(judgment.ranking.ids) if judgment.ranking else set()
    unknown = sorted((named | ranked) - answers)
    if unknown:
        raise StoreError(f"{where} names unknown answers {unknown}; the task has {sorted(answers)}")
    unusable = {answer for answer, flags in judgment.flags.items() if "unusable" in flags}
    missing = sorted(answers - ranked - unusable)
    if judgment.ranking and missing:
        raise StoreError(f"{where} leaves out answers {missing}; rank them, tie them or flag them unusable")
    if judgment.order_shown and sorted(judgment.order_shown) != sorted(answers):
        raise StoreError(f"{where}: order_shown must show each answer once, got {list(judgment.order_shown)}")
    if judgment.ranking and judgment.skip_reason:
        raise StoreError(f"{where} ranks and gives a reason for not ranking; leave one of them out")
    refuse_nul(judgment.model_dump_json(), where=where)


def outcome(judgment: Judgment) -> str:
    """ranked, marked (it says something, but ranks nothing) or skipped."""
    if judgment.ranking is not None:
        return "ranked"
    says = judgment.flags or judgment.scores or judgment.edits or judgment.critique or judgment.notes
    return "marked" if says else "skipped"


def content_hash(judgment: Judgment) -> str:
    """Hash of what a judgment says and who says it, without its own id and its task's."""
    content = judgment.model_dump(mode="json", exclude={"id", "task_id"})
    for newer in (
        "notes",
        "skip_reason",
    ):  # empty, they leave the hash what it was before they existed; so do details
        if not content[newer]:
            del content[newer]
    return json_hash(content, where=f"judgment {judgment.id!r}")


def row(judgment: Judgment, *, slot_id: int | None, presentation_id: int | None, now: float) -> dict[str, Any]:
    """The row of a judgment, but for its task's project and purpose; the order shown is kept in its presentation."""
    values = judgment.model_dump(mode="json", exclude={"order_shown"})
    return values | {
        "details": values.get("details"),
        "slot_id": slot_id,
        "presentation_id": presentation_id,
        "outcome": outcome(judgment),
        "content_hash": content_hash(judgment),
        "submitted_at": now,
    }


def task_answers(connection: Connection, task_id: str) -> set[str]:
    """Ids of a task's answers. Raises StoreError for an unknown task."""
    answers = set(connection.execute(_ANSWERS, {"task_id": task_id}).scalars())
    if not answers:
        raise StoreError(f"task {task_id!r} is not in the store")
    return answers


def log(connection: Connection, judgment_id: str, kind: str, *, now: float, **payload: Any) -> None:
    """Append to the log of a judgment."""
    values = {"judgment_id": judgment_id, "kind": kind, "at": now, "payload": payload}
    connection.execute(insert(JudgmentEvent), values)


def _known(connection: Connection, judgment: Judgment) -> Receipt | None:
    if not judgment.id:
        raise StoreError(f"a judgment of task {judgment.task_id!r} has no id; the client gives it a UUID")
    found = connection.execute(_KNOWN, {"id": judgment.id}).first()
    if found is None:
        return None
    if tuple(found) != (judgment.task_id, content_hash(judgment)):
        raise ConflictError(
            f"judgment {judgment.id!r} is in the store with other content; a correction needs its own id"
        )
    return Receipt(judgment.id, "known")


def _superseded(connection: Connection, judgment: Judgment) -> Any:
    """The judgment that this one corrects, None for a first one."""
    current = connection.execute(_CURRENT, _own(judgment)).first()
    if current is None and judgment.supersedes is None:
        return None
    if current is None or current.id != judgment.supersedes:
        has = "nothing" if current is None else repr(current.id)
        raise ConflictError(
            f"judgment {judgment.id!r} supersedes {judgment.supersedes!r}, but the current judgment of rater "
            f"{judgment.rater_id!r} on task {judgment.task_id!r} is {has}; name that one to correct it"
        )
    return current


def _settle(
    connection: Connection, judgment: Judgment, token: str | None, old: Any, *, now: float
) -> tuple[int | None, Status]:
    """Which slot a judgment fills: that of the one it corrects, the rater's own lease, or any free one."""
    _refuse_stolen(connection, judgment, token)
    if outcome(judgment) == "skipped":
        _free_slots(connection, judgment, old)
        return None, "skipped"
    slot_id = None if old is None else old.slot_id
    if slot_id is None:
        slot_id = _own_slot(connection, judgment)
    if slot_id is None:
        slot_id = _any_slot(connection, judgment, now=now)
    # A rater may hold two slots of a task, where the lease of one had ended before the other was lent.
    connection.execute(delete(Lease).where(_OWN_LEASE), _own(judgment))
    return slot_id, "surplus" if slot_id is None else "stored"


def _refuse_stolen(connection: Connection, judgment: Judgment, token: str | None) -> None:
    holder = connection.execute(_HOLDER, {"token": token or ""}).first()
    if holder is not None and tuple(holder) != (judgment.rater_id, judgment.task_id):
        raise ConflictError(
            f"judgment {judgment.id!r} comes with a lease of another rater or task; claim the task first"
        )


def _refuse_replaced(connection: Connection, judgment: Judgment, token: str | None) -> None:
    """Raise ConflictError where a task got other content since this rater was lent it, see `replacing`.

    Its leases ended then, so whoever has one was shown what is asked now; a correction corrects what was said of it.
    """
    if judgment.supersedes is not None:
        return
    if connection.execute(_HOLDER, {"token": token or ""}).first() is None:
        raise ConflictError(
            f"task {judgment.task_id!r} got other content since it was given out, so judgment {judgment.id!r} may speak"
            " of what is not asked any more; ask for the task again"
        )


def _own(judgment: Judgment) -> dict[str, Any]:
    """Parameters that name a judgment's task and rater."""
    return {"the_task_id": judgment.task_id, "the_rater_id": judgment.rater_id}


def _own_slot(connection: Connection, judgment: Judgment) -> int | None:
    slot_id = connection.execute(_OWN_SLOT, _own(judgment)).scalar()
    if slot_id is None:
        return None
    if connection.execute(_SPEND, _own(judgment) | {"the_slot_id": slot_id}).rowcount == 0:
        return None
    mark_filled(connection, slot_id)
    return slot_id


def _any_slot(connection: Connection, judgment: Judgment, *, now: float) -> int | None:
    term = Term(judgment.rater_id, now=now, expires_at=now)
    is_theirs = or_(Slot.reserved_for.is_(None), Slot.reserved_for == judgment.rater_id, is_for(judgment.rater_id))
    slots = select(Slot.id).where(Slot.task_id == judgment.task_id, Slot.is_filled == false(), is_theirs)
    for slot_id in connection.execute(slots.order_by(Slot.n).with_for_update()).scalars().all():
        if take_slot(connection, slot_id, judgment.task_id, term, is_spent=True) is not None:
            return slot_id
    return None


def _free_slots(connection: Connection, judgment: Judgment, old: Any) -> None:
    """A skip gives its slot back to the queue, and that of the judgment it takes back."""
    connection.execute(delete(Lease).where(_OWN_LEASE), _own(judgment))
    if old is not None and old.slot_id is not None:
        free_slot(connection, old.slot_id)
