"""Erasing a rater: what they are and what they said goes, a tombstone stays, the snapshots it spoils are named."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, delete, false, insert, select, true, update

from assent.core.errors import ConflictError, StoreError
from assent.feedback.people import events as log
from assent.feedback.people.rows import end_tokens, forget, is_only_admin
from assent.feedback.queue.batches import drop_unused
from assent.feedback.queue.gold import MADE
from assent.feedback.queue.order import number
from assent.feedback.queue.snapshots import touch_snapshots
from assent.feedback.queue.tasks import blocks
from assent.feedback.queue.wanted import fit_where_needed
from assent.feedback.records.queue import Erasure
from assent.feedback.tables.conversations import ConversationRow
from assent.feedback.tables.queue import (
    Adjudication,
    JudgmentEvent,
    JudgmentRow,
    Lease,
    Presentation,
    PromptRow,
    RaterAttribute,
    RaterRow,
    ResponseRow,
    Slot,
    TaskResponse,
    TaskRow,
)
from assent.feedback.tables.studies import Assignee, GroupMember, QualificationRow

_UNSEEN: dict[str, Any] = {"locale": None, "client": None, "order_shown": [], "is_translated": None, "activity": {}}
_UNSAID: dict[str, Any] = {
    "ranking": None,
    "critique": None,
    "seconds": None,
    "flags": {},
    "scores": {},
    "notes": [],
    "edits": {},
    "skip_reason": None,
    "details": None,
    "slot_id": None,
    "outcome": "erased",
    "content_hash": "",
    "number": None,  # it is told to those who follow judgments once more, as erased
}
_NO_WORDS = [{"role": "user", "content": "(erased)"}]


def erase_rater(connection: Connection, rater_id: str, *, now: float) -> Erasure:
    """Forget a person: id, account, attributes and everything they said; their slots are free again.

    The emptied judgments stay as tombstones, so that importing the same file again does not bring them back.
    """
    found = connection.execute(select(RaterRow.erased_at).where(RaterRow.id == rater_id)).first()
    if found is None or found.erased_at is not None:
        raise StoreError(f"rater {rater_id!r} is not in the store, or already erased")
    if is_only_admin(connection, rater_id):
        raise ConflictError("this is the last admin; make another account an admin first")
    snapshots = touch_snapshots(connection, rater_id, now=now)
    mine = select(JudgmentRow.id).where(JudgmentRow.rater_id == rater_id)
    said = connection.execute(mine).scalars().all()
    _free_slots(connection, rater_id)
    connection.execute(update(JudgmentEvent).where(JudgmentEvent.judgment_id.in_(mine)).values(payload={}))
    connection.execute(update(JudgmentRow).where(JudgmentRow.rater_id == rater_id).values(_UNSAID))
    connection.execute(update(Presentation).where(Presentation.rater_id == rater_id).values(_UNSEEN))
    connection.execute(update(Adjudication).where(Adjudication.adjudicator_id == rater_id).values(reason=""))
    _empty_conversations(connection, rater_id)
    connection.execute(delete(RaterAttribute).where(RaterAttribute.rater_id == rater_id))
    end_tokens(connection, rater_id, now=now)
    forget(connection, rater_id)
    tombstone = f"erased-{secrets.token_hex(6)}"
    log.rename(connection, rater_id, tombstone)
    connection.execute(update(RaterRow).where(RaterRow.id == rater_id).values(id=tombstone, erased_at=now))
    connection.execute(update(Slot).where(Slot.reserved_for == rater_id).values(reserved_for=tombstone))
    for table in (GroupMember, QualificationRow):
        connection.execute(delete(table).where(table.rater_id == tombstone))
    mine_alone = Assignee.is_group == false()
    connection.execute(update(Assignee).where(mine_alone, Assignee.name == rater_id).values(name=tombstone))
    events = [{"judgment_id": i, "kind": "erased", "at": now, "payload": {}} for i in said]
    if events:
        connection.execute(insert(JudgmentEvent), events)
    number(connection, said)
    return Erasure(tombstone, len(said), snapshots)


def _free_slots(connection: Connection, rater_id: str) -> None:
    filled = select(Lease.slot_id).where(Lease.rater_id == rater_id, Lease.is_spent == true())
    freed = update(Slot).where(Slot.id.in_(filled)).values(is_filled=False).returning(Slot.task_id)
    task_ids = connection.execute(freed).scalars().all()
    connection.execute(delete(Lease).where(Lease.rater_id == rater_id))
    fit_where_needed(connection, task_ids)


def _empty_conversations(connection: Connection, rater_id: str) -> None:
    """Take the words out that a person wrote to the models of a chat or a battle, and what was answered to them."""
    connection.execute(delete(ConversationRow).where(ConversationRow.rater_id == rater_id))
    made = select(Slot.task_id).where(Slot.reserved_for == rater_id, Slot.service == MADE)
    task_ids = connection.execute(made).scalars().all()
    if not task_ids:
        return
    # A row of its own, since rows are found by the hash of their words: others may say the same words later.
    nothing = f"erased-{secrets.token_hex(12)}"
    connection.execute(insert(PromptRow).values(hash=nothing, id=nothing, messages=_NO_WORDS, meta={}))
    emptied = {"prompt_hash": nothing, "text": "", "text_hash": "", "source": "", "is_finished": True, "meta": {}}
    for block in blocks(task_ids):
        of_tasks = TaskResponse.task_id.in_(block)
        query = select(ResponseRow.hash, ResponseRow.id).join(
            TaskResponse, TaskResponse.response_hash == ResponseRow.hash
        )
        answers = connection.execute(query.where(of_tasks).distinct()).all()
        prompts = (
            connection.execute(select(TaskRow.prompt_hash).where(TaskRow.id.in_(block)).distinct()).scalars().all()
        )
        rows = [{"hash": f"erased-{secrets.token_hex(12)}", "id": answer.id, **emptied} for answer in answers]
        if rows:
            connection.execute(insert(ResponseRow), rows)
        for answer, row in zip(answers, rows, strict=True):
            pointer = update(TaskResponse).where(of_tasks, TaskResponse.response_hash == answer.hash)
            connection.execute(pointer.values(response_hash=row["hash"]))
        cleared = {"prompt_hash": nothing, "meta": {}, "content_hash": ""}
        connection.execute(update(TaskRow).where(TaskRow.id.in_(block)).values(cleared))
        drop_unused(connection, [answer.hash for answer in answers], prompts)
