"""Reading judgments back: one by one, or gathered as comparisons that a reward model learns from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, collate, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute

from assent.core.errors import StoreError
from assent.core.types import Comparison, Judgment, Marked, Note, Ranking, Rater
from assent.feedback.queue.tasks import blocks, load_tasks
from assent.feedback.queue.wanted import IS_WANTED
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.tables.connection import stream
from assent.feedback.tables.queue import (
    JudgmentRow,
    Presentation,
    RaterAttribute,
    RaterRow,
    Slot,
    SnapshotJudgment,
    SnapshotRow,
    TaskRow,
)

PIECE = 5000
"""Rows that are fetched from the database at once where many are read."""
_TASKS_AT_ONCE = 500
"""Tasks whose judgments are held at once where those of many are read."""


def counts(connection: Connection, queue: Queue) -> Counts:
    """Judged slots and all slots of a queue.

    Gold and repeats are not counted; a slot reserved for one rater is, once it is judged. What is set aside is not, nor
    what is no longer wanted.
    """
    is_filled = Slot.is_filled == true()
    is_counted = or_(is_filled, IS_WANTED)
    row = connection.execute(
        select(func.count().filter(is_filled), func.count().filter(is_counted)).select_from(Slot).where(_counted(queue))
    ).one()
    return Counts(row[0], row[1])


def has_judged_more(connection: Connection, queue: Queue, *, than: int) -> bool:
    """Whether more slots of a queue are judged than so many: not all are counted."""
    judged = select(Slot.id).where(_counted(queue), Slot.is_filled == true())
    return connection.execute(judged.offset(than).limit(1)).first() is not None


def read_judgments(connection: Connection, queue: Queue, *, with_superseded: bool = False) -> list[Judgment]:
    """Judgments of a queue sorted by id, surplus and skips included, erased ones not."""
    query = select_judgments().where(in_queue(queue))
    if not with_superseded:
        query = query.where(JudgmentRow.superseded_by.is_(None))
    return [judgment_of(row) for row in connection.execute(query)]


def read_comparisons(connection: Connection, queue: Queue, *, snapshot: str | None = None) -> Iterator[Comparison]:
    """Every task of a queue that has rankings, sorted by task id; its rankings sorted by rater.

    Read while the transaction lasts, a block of tasks at a time. `snapshot` is a hash: then exactly the rankings it
    holds. Raises StoreError for an unknown one, or one that contained an erased rater.
    """
    for said in _said(connection, queue, ("ranked",), snapshot=snapshot):
        yield from comparisons_of(connection, said)


def comparisons_of(connection: Connection, said: Mapping[str, Iterable[Judgment]]) -> Iterator[Comparison]:
    """The comparisons of some tasks with these rankings, by task id. Raises StoreError for an unknown task."""
    tasks, metas = load_tasks(connection, said), _metas(connection, said)
    for task_id, judgments in said.items():
        task = tasks[task_id]
        if len(task.completions) > 1:
            meta = metas[task_id]
            yield Comparison(prompt=task.prompt, completions=task.completions, judgments=tuple(judgments), meta=meta)


def read_marked(connection: Connection, queue: Queue, *, snapshot: str | None = None) -> Iterator[Marked]:
    """Every task of a queue with judgments that rank no two answers and yet say something; see `read_comparisons`."""
    for said in _said(connection, queue, ("ranked", "marked"), snapshot=snapshot):
        tasks = load_tasks(connection, said)
        for task_id, judgments in said.items():
            answers = tasks[task_id].completions
            marks = tuple(j for j in judgments if j.ranking is None or len(answers) == 1)
            if marks:
                yield Marked(prompt=tasks[task_id].prompt, completions=answers, judgments=marks)


def _said(
    connection: Connection, queue: Queue, outcomes: Collection[str], *, snapshot: str | None
) -> Iterator[dict[str, tuple[Judgment, ...]]]:
    """Judgments of a queue with these outcomes by task, sorted by task and rater, a block of tasks at a time."""
    query = select_judgments().where(in_queue(queue), JudgmentRow.outcome.in_(list(outcomes)))
    if snapshot is None:
        query = query.where(JudgmentRow.superseded_by.is_(None))
    else:
        held = select(SnapshotJudgment.judgment_id).where(
            SnapshotJudgment.snapshot_id == snapshot_id(connection, snapshot)
        )
        query = query.where(JudgmentRow.id.in_(held))
    in_order = query.order_by(None).order_by(by_bytes(connection, JudgmentRow.task_id))
    rows = stream(connection, in_order, piece=PIECE)
    by_task = ((t, [judgment_of(row) for row in some]) for t, some in groupby(rows, key=lambda row: row.task_id))
    while block := dict(islice(by_task, _TASKS_AT_ONCE)):
        yield {task_id: tuple(sorted(some, key=lambda j: (j.rater_id, j.id))) for task_id, some in block.items()}


def trainers(connection: Connection, rater_ids: Collection[str]) -> set[str]:
    """Those of the raters who have given judgments to learn from, in any project; skips do not count."""
    found: set[str] = set()
    said = select(JudgmentRow.rater_id)
    labels = said.where(JudgmentRow.purpose == "reward", JudgmentRow.outcome.in_(["ranked", "marked"])).distinct()
    for block in blocks(sorted(rater_ids)):
        found |= set(connection.execute(labels.where(JudgmentRow.rater_id.in_(block))).scalars())
    return found


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


def select_judgments(*, with_erased: bool = False) -> Select[Any]:
    """Judgments that were not erased, with the order shown, sorted by id; `judgment_of` reads a row."""
    every = (
        select(JudgmentRow, Presentation.order_shown)
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .outerjoin(Presentation, Presentation.id == JudgmentRow.presentation_id)
        .order_by(JudgmentRow.id)
    )
    return every if with_erased else every.where(JudgmentRow.outcome != "erased")


def in_queue(queue: Queue) -> ColumnElement[bool]:
    """Tasks of a queue."""
    return and_(TaskRow.project == queue.project, TaskRow.purpose == queue.purpose)


IS_OF_QUEUE = and_(JudgmentRow.project == bindparam("project"), JudgmentRow.purpose == bindparam("purpose"))
"""Judgments of a queue, whose fields are parameters: where the other conditions leave few, for no index begins so."""


def belongs(task_id: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Whether a row that names a task is of a queue (its fields are parameters), asked row by row.

    Where the other conditions leave few rows: of a join, SQLite would read all tasks of the queue first.
    """
    own = TaskRow.__table__.alias("own_task")
    of_task = select(own.c.project).where(own.c.id == task_id, own.c.purpose == bindparam("purpose"))
    return of_task.scalar_subquery() == bindparam("project")


def judgment_of(row: Any) -> Judgment:
    """The judgment as it was submitted."""
    return Judgment.model_construct(
        task_id=row.task_id,
        rater_id=row.rater_id,
        ranking=None if row.ranking is None else Ranking.model_validate(row.ranking),
        id=row.id,
        flags={answer: tuple(flags) for answer, flags in row.flags.items()},
        scores=row.scores,
        critique=row.critique,
        notes=tuple(Note.model_validate(note) for note in row.notes),
        edits=row.edits,
        order_shown=tuple(row.order_shown or ()),
        seconds=row.seconds,
        skip_reason=row.skip_reason,
        supersedes=row.supersedes,
        details=row.details or {},
    )


def snapshot_id(connection: Connection, digest: str) -> int:
    """The snapshot of a hash. Raises StoreError for an unknown one, or one that held an erased rater."""
    query = select(SnapshotRow.id, SnapshotRow.name, SnapshotRow.touched_at).where(SnapshotRow.hash == digest)
    row = connection.execute(query.order_by(SnapshotRow.id)).first()
    if row is None:
        raise StoreError(f"snapshot {digest!r} is not in the store")
    if row.touched_at is not None:
        raise StoreError(f"snapshot {row.name!r} held judgments of a rater who was erased since; take a new one")
    return row.id


def by_bytes(connection: Connection, column: ColumnElement[str] | InstrumentedAttribute[str]) -> Any:
    """A column to sort by as Python sorts: SQLite compares bytes, PostgreSQL as its database was made."""
    return column if connection.dialect.name == "sqlite" else collate(column, "C")


def _metas(connection: Connection, task_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    metas: dict[str, dict[str, Any]] = {}
    for block in blocks(list(task_ids)):
        found = connection.execute(select(TaskRow.id, TaskRow.meta).where(TaskRow.id.in_(block)))
        metas |= {row.id: row.meta for row in found}
    return metas


def _counted(queue: Queue) -> ColumnElement[bool]:
    """Slots of a queue but those of gold and repeats."""
    is_own = Slot.service.in_(["normal", "made"])
    return and_(Slot.project == queue.project, Slot.purpose == queue.purpose, is_own)
