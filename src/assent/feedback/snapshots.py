"""Snapshots of judgments, which never change, and erasure of raters, which says which of them it spoils."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from assent.core.errors import StoreError
from assent.core.hashing import hash_json
from assent.feedback.connection import insert_missing
from assent.feedback.records import Erasure, Queue, Snapshot
from assent.feedback.tables import (
    JudgmentEvent,
    JudgmentRow,
    Lease,
    Presentation,
    ProjectRow,
    RaterAttribute,
    RaterRow,
    SnapshotJudgment,
    SnapshotRow,
    TaskRow,
)


def take_snapshot(connection: Connection, name: str, queue: Queue, *, now: float) -> Snapshot:
    """Fix the current judgments of a queue under a name; skips are left out.

    A name is taken once: asked again, it gives the same snapshot back whatever was judged since.
    """
    found = connection.execute(
        select(SnapshotRow).where(SnapshotRow.name == name, SnapshotRow.touched_at.is_(None))
    ).first()
    if found is not None:
        if (found.project, found.purpose) != (queue.project, queue.purpose):
            raise StoreError(
                f"snapshot {name!r} is of another queue, {found.project}/{found.purpose}; choose another name"
            )
        return _snapshot(connection, found.id)
    contents = connection.execute(
        select(JudgmentRow.id, JudgmentRow.content_hash, TaskRow.content_hash)
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .where(TaskRow.project == queue.project, TaskRow.purpose == queue.purpose)
        .where(JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome.in_(["ranked", "marked"]))
    ).all()
    rows = sorted(tuple(row) for row in contents)
    insert_missing(connection, ProjectRow, [{"name": queue.project, "created_at": now}])
    values = {
        "name": name,
        "project": queue.project,
        "purpose": queue.purpose,
        "hash": hash_json(rows),
        "created_at": now,
    }
    snapshot_id = connection.execute(insert(SnapshotRow).values(values).returning(SnapshotRow.id)).scalar_one()
    members = [{"snapshot_id": snapshot_id, "judgment_id": judgment_id} for judgment_id, _, _ in rows]
    insert_missing(connection, SnapshotJudgment, members)
    return _snapshot(connection, snapshot_id)


def erase_rater(connection: Connection, rater_id: str, *, now: float) -> Erasure:
    """Forget a person: id, attributes and everything they said; their slots are free again.

    The emptied judgments stay as tombstones, so that importing the same file again does not bring them back.
    """
    found = connection.execute(select(RaterRow.erased_at).where(RaterRow.id == rater_id)).first()
    if found is None or found.erased_at is not None:
        raise StoreError(f"rater {rater_id!r} is not in the store, or already erased")
    snapshots = _touch_snapshots(connection, rater_id, now=now)
    said = list(connection.execute(select(JudgmentRow.id).where(JudgmentRow.rater_id == rater_id)).scalars())
    connection.execute(delete(RaterAttribute).where(RaterAttribute.rater_id == rater_id))
    connection.execute(delete(Lease).where(Lease.rater_id == rater_id))
    nobody: dict[str, Any] = {"locale": None, "client": None, "order_shown": []}
    connection.execute(update(Presentation).where(Presentation.rater_id == rater_id).values(nobody))
    nothing: dict[str, Any] = {
        "ranking": None,
        "critique": None,
        "seconds": None,
        "flags": {},
        "scores": {},
        "edits": {},
    }
    empty = update(JudgmentRow).where(JudgmentRow.rater_id == rater_id)
    connection.execute(empty.values(nothing | {"slot_id": None, "outcome": "erased", "content_hash": ""}))
    tombstone = f"erased-{secrets.token_hex(6)}"
    connection.execute(update(RaterRow).where(RaterRow.id == rater_id).values(id=tombstone, erased_at=now))
    events = [{"judgment_id": i, "kind": "erased", "at": now, "payload": {}} for i in said]
    if events:
        connection.execute(insert(JudgmentEvent), events)
    return Erasure(tombstone, len(said), snapshots)


def _touch_snapshots(connection: Connection, rater_id: str, *, now: float) -> tuple[Snapshot, ...]:
    touched = connection.execute(
        select(SnapshotRow.id)
        .where(SnapshotRow.touched_at.is_(None))
        .where(
            SnapshotRow.id.in_(
                select(SnapshotJudgment.snapshot_id)
                .join(JudgmentRow, JudgmentRow.id == SnapshotJudgment.judgment_id)
                .where(JudgmentRow.rater_id == rater_id)
            )
        )
        .order_by(SnapshotRow.id)
    ).scalars()
    snapshots = {snapshot_id: _snapshot(connection, snapshot_id) for snapshot_id in touched.all()}
    connection.execute(update(SnapshotRow).where(SnapshotRow.id.in_(list(snapshots))).values(touched_at=now))
    return tuple(snapshots.values())


def _snapshot(connection: Connection, snapshot_id: int) -> Snapshot:
    row = connection.execute(select(SnapshotRow).where(SnapshotRow.id == snapshot_id)).one()
    held = select(SnapshotJudgment.judgment_id).where(SnapshotJudgment.snapshot_id == snapshot_id)
    ids = sorted(connection.execute(held).scalars())
    return Snapshot(row.name, row.hash, Queue(row.project, row.purpose), tuple(ids))
