"""Snapshots: named, fixed sets of judgments, which later judgments do not change."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from assent.core.errors import StoreError
from assent.core.hashing import hash_json
from assent.feedback.records.queue import Queue, Snapshot
from assent.feedback.tables.connection import insert_missing
from assent.feedback.tables.queue import (
    JudgmentRow,
    ProjectRow,
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


def touch_snapshots(connection: Connection, rater_id: str, *, now: float) -> tuple[Snapshot, ...]:
    """Mark the snapshots that hold judgments of a rater, so that nobody reads them again; returns them."""
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
