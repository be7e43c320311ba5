"""Snapshots: named, fixed sets of judgments, which later judgments do not change."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, func, insert, literal, select, update

from assent.core.errors import StoreError
from assent.core.hashing import hash_json_list
from assent.feedback.queue.judgments import IS_OF_QUEUE, PIECE, by_bytes
from assent.feedback.records.queue import Queue, Snapshot
from assent.feedback.tables.connection import analyze, insert_missing, stream
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
    insert_missing(connection, ProjectRow, [{"name": queue.project, "created_at": now}])
    values = {
        "name": name,
        "project": queue.project,
        "purpose": queue.purpose,
        "hash": "",
        "created_at": now,
    }
    snapshot_id = connection.execute(insert(SnapshotRow).values(values).returning(SnapshotRow.id)).scalar_one()
    said = (
        select(literal(snapshot_id), JudgmentRow.id)
        .where(IS_OF_QUEUE.params(vars(queue)))
        .where(JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome.in_(["ranked", "marked"]))
        .order_by(JudgmentRow.id)  # an index that grows at its end grows many times faster
    )
    connection.execute(insert(SnapshotJudgment).from_select(["snapshot_id", "judgment_id"], said))
    analyze(connection, SnapshotJudgment)
    digest = hash_json_list(_contents(connection, snapshot_id))
    connection.execute(update(SnapshotRow).where(SnapshotRow.id == snapshot_id).values(hash=digest))
    return _snapshot(connection, snapshot_id)


def _contents(connection: Connection, snapshot_id: int) -> Iterator[tuple[str, str, str]]:
    """Judgment, its content and that of its task, sorted by the bytes of the id; read piece by piece."""
    query = (
        select(JudgmentRow.id, JudgmentRow.content_hash, TaskRow.content_hash)
        .join(SnapshotJudgment, SnapshotJudgment.judgment_id == JudgmentRow.id)
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .where(SnapshotJudgment.snapshot_id == snapshot_id)
        .order_by(by_bytes(connection, JudgmentRow.id))
    )
    for row in stream(connection, query, piece=PIECE):
        yield row[0], row[1], row[2]


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
    held = select(func.count()).select_from(SnapshotJudgment).where(SnapshotJudgment.snapshot_id == snapshot_id)
    return Snapshot(row.name, row.hash, Queue(row.project, row.purpose), connection.execute(held).scalar_one())
