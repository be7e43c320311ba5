"""Reading judgments back: one by one, or gathered as comparisons that a reward model learns from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select, true

from assent.core.errors import StoreError
from assent.core.types import Comparison, Judgment, Ranking, Rater
from assent.feedback.records import Counts, Queue
from assent.feedback.tables import (
    JudgmentRow,
    Lease,
    Presentation,
    RaterAttribute,
    RaterRow,
    Slot,
    SnapshotJudgment,
    SnapshotRow,
    TaskRow,
)
from assent.feedback.tasks import blocks, load_tasks


def counts(connection: Connection, queue: Queue) -> Counts:
    """Judged slots and all slots of a queue."""
    in_queue = and_(TaskRow.project == queue.project, TaskRow.purpose == queue.purpose)
    need = select(func.count()).select_from(Slot).join(TaskRow, TaskRow.id == Slot.task_id).where(in_queue)
    have = need.join(Lease, Lease.slot_id == Slot.id).where(Lease.is_spent == true())
    return Counts(connection.execute(have).scalar_one(), connection.execute(need).scalar_one())


def read_judgments(connection: Connection, queue: Queue, *, with_superseded: bool = False) -> list[Judgment]:
    """Judgments of a queue sorted by id, surplus and skips included, erased ones not."""
    query = _select_judgments().where(_in_queue(queue))
    if not with_superseded:
        query = query.where(JudgmentRow.superseded_by.is_(None))
    return [_judgment(row) for row in connection.execute(query)]


def read_comparisons(connection: Connection, queue: Queue, *, snapshot: str | None = None) -> list[Comparison]:
    """Every task of a queue that has rankings, sorted by task id; its rankings sorted by rater.

    `snapshot` is a hash: then exactly the rankings it holds. Raises StoreError for an unknown one, or one that
    contained an erased rater.
    """
    query = _select_judgments().where(_in_queue(queue), JudgmentRow.outcome == "ranked")
    if snapshot is None:
        query = query.where(JudgmentRow.superseded_by.is_(None))
    else:
        held = select(SnapshotJudgment.judgment_id).where(
            SnapshotJudgment.snapshot_id == _snapshot_id(connection, snapshot)
        )
        query = query.where(JudgmentRow.id.in_(held))
    judgments: dict[str, list[Judgment]] = {}
    for row in connection.execute(query):
        judgments.setdefault(row.task_id, []).append(_judgment(row))
    tasks = load_tasks(connection, judgments)
    metas = _metas(connection, list(judgments))
    return [
        Comparison(
            prompt=tasks[task_id].prompt,
            completions=tasks[task_id].completions,
            judgments=tuple(sorted(judgments[task_id], key=lambda j: (j.rater_id, j.id))),
            meta=metas[task_id],
        )
        for task_id in sorted(judgments)
        if len(tasks[task_id].completions) > 1
    ]


def read_raters(connection: Connection) -> list[Rater]:
    """All raters with what they said about themselves, sorted by id, without the erased."""
    attributes: dict[str, dict[str, str]] = {}
    for rater_id, name, value in connection.execute(
        select(RaterAttribute.rater_id, RaterAttribute.name, RaterAttribute.value).order_by(RaterAttribute.name)
    ):
        attributes.setdefault(rater_id, {})[name] = value
    rows = connection.execute(
        select(RaterRow.id, RaterRow.kind).where(RaterRow.erased_at.is_(None)).order_by(RaterRow.id)
    )
    return [Rater(id=rater_id, kind=kind, attributes=attributes.get(rater_id, {})) for rater_id, kind in rows]


def _select_judgments() -> Select[Any]:
    return (
        select(JudgmentRow, Presentation.order_shown)
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .outerjoin(Presentation, Presentation.id == JudgmentRow.presentation_id)
        .where(JudgmentRow.outcome != "erased")
        .order_by(JudgmentRow.id)
    )


def _in_queue(queue: Queue) -> ColumnElement[bool]:
    return and_(TaskRow.project == queue.project, TaskRow.purpose == queue.purpose)


def _judgment(row: Any) -> Judgment:
    """The judgment as it was submitted."""
    return Judgment.model_construct(
        task_id=row.task_id,
        rater_id=row.rater_id,
        ranking=None if row.ranking is None else Ranking.model_validate(row.ranking),
        id=row.id,
        flags={answer: tuple(flags) for answer, flags in row.flags.items()},
        scores=row.scores,
        critique=row.critique,
        edits=row.edits,
        order_shown=tuple(row.order_shown or ()),
        seconds=row.seconds,
        supersedes=row.supersedes,
    )


def _snapshot_id(connection: Connection, digest: str) -> int:
    query = select(SnapshotRow.id, SnapshotRow.name, SnapshotRow.touched_at).where(SnapshotRow.hash == digest)
    row = connection.execute(query.order_by(SnapshotRow.id)).first()
    if row is None:
        raise StoreError(f"snapshot {digest!r} is not in the store")
    if row.touched_at is not None:
        raise StoreError(f"snapshot {row.name!r} held judgments of a rater who was erased since; take a new one")
    return row.id


def _metas(connection: Connection, task_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    metas: dict[str, dict[str, Any]] = {}
    for block in blocks(list(task_ids)):
        found = connection.execute(select(TaskRow.id, TaskRow.meta).where(TaskRow.id.in_(block)))
        metas |= {row.id: row.meta for row in found}
    return metas
