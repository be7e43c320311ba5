"""Long lists in pages: tasks and judgments of a queue, raters, snapshots. Each page goes on after the last one's key.

A page costs the same wherever it is, and what is added meanwhile neither repeats nor hides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import Engine, and_, false, func, select

from assent.core.types import Comparison, Judgment, Marked, Purpose, Rater, Task
from assent.data.task_records import Guideline, TaskRecord
from assent.feedback.queue import leaving, newest, reach
from assent.feedback.queue.batches import is_hidden
from assent.feedback.queue.gold import MADE, REPEAT_OF
from assent.feedback.queue.judgments import (
    IS_OF_QUEUE,
    has_judged_more,
    in_queue,
    judgment_of,
    read_comparisons,
    read_marked,
    select_judgments,
)
from assent.feedback.queue.order import refuse_foreign
from assent.feedback.queue.tasks import load_tasks
from assent.feedback.records.queue import Awaited, Queue, Quorum
from assent.feedback.tables.connection import read_transaction
from assent.feedback.tables.queue import (
    GuidelineVersion,
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

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Activity:
    """How much a rater has judged, skips not counted, and when last."""

    judgments: int
    last: float


@dataclass(frozen=True)
class Listed:
    """A judgment with what became of it."""

    judgment: Judgment
    outcome: str
    """ranked, marked, skipped or erased."""
    submitted_at: float
    number: int
    """Its place in the order of commits."""
    superseded_by: str | None
    propensity: float | None
    """Probability with which the queue chose the task for the rater; None where it was not drawn."""
    guideline_version: int | None
    """What the rater had been told."""
    repeat_of: str | None
    """The task that this one asked again without saying so."""


@dataclass(frozen=True)
class ListedSnapshot:
    """A snapshot, without its contents. `touched_at`: when a rater in it was erased, after which nobody can read it."""

    name: str
    hash: str
    project: str
    purpose: Purpose
    judgments: int
    created_at: float
    touched_at: float | None


class Listing:
    """The lists of a store; every method is one transaction. `store.listing` is one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tasks(self, queue: Queue, *, after: str = "", limit: int) -> list[Task]:
        """Tasks of a queue by id, those that come after the id `after`."""
        query = select(TaskRow.id).where(in_queue(queue), TaskRow.id > after).order_by(TaskRow.id).limit(limit)
        with read_transaction(self._engine) as connection:
            ids = list(connection.execute(query).scalars())
            found = load_tasks(connection, ids)
        return [found[task_id] for task_id in ids]

    def has_tasks(self, queue: Queue) -> bool:
        """Whether anything was ever asked in a queue."""
        with read_transaction(self._engine) as connection:
            return connection.execute(select(TaskRow.id).where(in_queue(queue)).limit(1)).first() is not None

    def page_of_ids(self, queue: Queue, *, page: int, size: int) -> tuple[list[str], int]:
        """The tasks of a page by number, from 1, sorted by id, and how many there are in all; repeats are left out."""
        listed = (in_queue(queue), TaskRow.meta[REPEAT_OF].as_string().is_(None))
        query = select(TaskRow.id).where(*listed).order_by(TaskRow.id).limit(size).offset((page - 1) * size)
        with read_transaction(self._engine) as connection:
            total = connection.execute(select(func.count()).select_from(TaskRow).where(*listed)).scalar_one()
            return list(connection.execute(query).scalars()), total

    def repeats(self, queue: Queue) -> dict[str, str]:
        """Tasks that raters were asked again without being told -> the task that each repeats."""
        first = TaskRow.meta[REPEAT_OF].as_string()
        query = select(TaskRow.id, first).where(in_queue(queue), first.is_not(None))
        with read_transaction(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def judgments(
        self,
        queue: Queue,
        *,
        after: tuple[int, str] | None = None,
        limit: int,
        with_superseded: bool = False,
        with_erased: bool = False,
    ) -> list[Listed]:
        """Judgments of a queue in the order they were committed; `after` is number and id of the last one seen.

        Whoever goes on from there gets every judgment once, see `order`. An erased one comes again, emptied.
        Raises ConflictError where the store was put back to an older copy since.
        """
        seen = (Presentation.propensity, GuidelineVersion.version, TaskRow.meta[REPEAT_OF].as_string().label("first"))
        query = select_judgments(with_erased=with_erased).add_columns(*seen)
        query = query.outerjoin(GuidelineVersion, GuidelineVersion.id == Presentation.guideline_id)
        query = query.where(IS_OF_QUEUE, JudgmentRow.number > (0 if after is None else after[0]))
        query = query.order_by(None).order_by(JudgmentRow.number).limit(limit)
        if not with_superseded:
            query = query.where(JudgmentRow.superseded_by.is_(None))
        with read_transaction(self._engine) as connection:
            if after is not None:
                refuse_foreign(connection, *after)
            return [_listed(row) for row in connection.execute(query, vars(queue))]

    def records(self, queue: Queue, *, snapshot: str | None = None) -> list[TaskRecord]:
        """Every task of a queue with everything known about it, or what a snapshot's hash holds; sorted by id."""
        with read_transaction(self._engine) as connection:
            return leaving.read_records(connection, queue, snapshot=snapshot)

    def guidelines(self, project: str) -> list[Guideline]:
        """What the raters of a project were told, oldest first."""
        with read_transaction(self._engine) as connection:
            return leaving.read_guidelines(connection, project)

    def raters(self, *, after: str = "", limit: int) -> list[Rater]:
        """Raters by id with what they said about themselves, without the erased."""
        query = select(RaterRow.id, RaterRow.kind).where(RaterRow.erased_at.is_(None), RaterRow.id > after)
        with read_transaction(self._engine) as connection:
            rows = connection.execute(query.order_by(RaterRow.id).limit(limit)).all()
            about = select(RaterAttribute).where(RaterAttribute.rater_id.in_([row.id for row in rows]))
            attributes: dict[str, dict[str, str]] = {}
            for said in connection.execute(about.order_by(RaterAttribute.name)):
                attributes.setdefault(said.rater_id, {})[said.name] = said.value
        return [Rater(id=row.id, kind=row.kind, attributes=attributes.get(row.id, {})) for row in rows]

    def rater(self, rater_id: str) -> Rater | None:
        """One rater; None for one that is unknown or erased."""
        with read_transaction(self._engine) as connection:
            row = connection.execute(select(RaterRow).where(RaterRow.id == rater_id)).first()
            about = select(RaterAttribute.name, RaterAttribute.value).where(RaterAttribute.rater_id == rater_id)
            said = connection.execute(about.order_by(RaterAttribute.name)).all()
        if row is None or row.erased_at is not None:
            return None
        return Rater(id=row.id, kind=row.kind, attributes={one.name: one.value for one in said})

    def awaited(self, queue: Queue, *, now: float, quorum: Quorum) -> list[Awaited]:
        """Who may still judge something of a queue, those with most tasks first."""
        with read_transaction(self._engine) as connection:
            return reach.awaited(connection, queue, now=now, quorum=quorum)

    def newest(self, queue: Queue, *, limit: int, since: float, waiting: int) -> newest.Newest:
        """What was judged last in a queue, see `newest.read_newest`."""
        with read_transaction(self._engine) as connection:
            return newest.read_newest(connection, queue, limit=limit, since=since, waiting=waiting)

    def has_judged_more(self, queue: Queue, *, than: int) -> bool:
        """Whether more slots of a queue are judged than so many, of those that `counts` counts."""
        with read_transaction(self._engine) as connection:
            return has_judged_more(connection, queue, than=than)

    def newest_comparisons(self, queue: Queue, *, limit: int) -> list[Comparison]:
        """The tasks of the `limit` judgments that came last in a queue, with all their rankings."""
        with read_transaction(self._engine) as connection:
            return list(newest.newest_comparisons(connection, queue, limit=limit))

    def activity(self) -> dict[str, Activity]:
        """What every rater has done in all projects; who has judged nothing is not in it."""
        said = (JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome.in_(["ranked", "marked"]))
        is_shown = JudgmentRow.number.is_not(None)  # not yet of a batch that is being brought in
        query = select(JudgmentRow.rater_id, func.count(), func.max(JudgmentRow.submitted_at))
        with read_transaction(self._engine) as connection:
            rows = connection.execute(query.where(*said, is_shown).group_by(JudgmentRow.rater_id))
            return {rater_id: Activity(judgments, last) for rater_id, judgments, last in rows}

    def held(self, rater_id: str, queue: Queue, *, now: float) -> int:
        """How many tasks of a queue a rater has on loan."""
        mine = and_(Lease.rater_id == rater_id, Lease.is_spent == false(), Lease.expires_at > now)
        query = select(func.count()).select_from(Lease).join(Slot, Slot.id == Lease.slot_id).where(mine)
        query = query.where(Slot.project == queue.project, Slot.purpose == queue.purpose, Slot.service != MADE)
        with read_transaction(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def queues_of(self, rater_id: str) -> list[Queue]:
        """The queues in which a rater has judged."""
        query = select(JudgmentRow.project, JudgmentRow.purpose)
        with read_transaction(self._engine) as connection:
            rows = connection.execute(query.where(JudgmentRow.rater_id == rater_id).distinct()).all()
        found = (Queue(project, cast(Purpose, purpose)) for project, purpose in rows if not is_hidden(project))
        return sorted(found, key=lambda queue: (queue.project, queue.purpose))

    def with_comparisons(
        self, queue: Queue, use: Callable[[Iterator[Comparison]], _Made], *, snapshot: str | None = None
    ) -> _Made:
        """What `use` makes of the store's `comparisons`, which are read as it asks for them, so that few are held.

        It is one read of the store however long it takes.
        """
        with read_transaction(self._engine) as connection:
            return use(read_comparisons(connection, queue, snapshot=snapshot))

    def marked(self, queue: Queue, *, snapshot: str | None = None) -> list[Marked]:
        """Tasks with what was said of them without ranking two answers; of a snapshot's hash, or as things are now."""
        with read_transaction(self._engine) as connection:
            return list(read_marked(connection, queue, snapshot=snapshot))

    def erased(self, queue: Queue) -> list[str]:
        """Ids of the judgments of a queue whose raters were erased, sorted."""
        query = select(JudgmentRow.id).join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        with read_transaction(self._engine) as connection:
            found = connection.execute(query.where(in_queue(queue), JudgmentRow.outcome == "erased"))
            return sorted(found.scalars())

    def snapshots(self, project: str) -> list[ListedSnapshot]:
        """All snapshots of a project, oldest first."""
        size = (
            select(func.count())
            .select_from(SnapshotJudgment)
            .where(SnapshotJudgment.snapshot_id == SnapshotRow.id)
            .scalar_subquery()
        )
        query = select(SnapshotRow, size.label("size")).where(SnapshotRow.project == project)
        with read_transaction(self._engine) as connection:
            return [_snapshot(row) for row in connection.execute(query.order_by(SnapshotRow.id))]


def _listed(row: Any) -> Listed:
    return Listed(
        judgment=judgment_of(row),
        outcome=row.outcome,
        submitted_at=row.submitted_at,
        number=row.number,
        superseded_by=row.superseded_by,
        propensity=row.propensity,
        guideline_version=row.version,
        repeat_of=row.first,
    )


def _snapshot(row: Any) -> ListedSnapshot:
    return ListedSnapshot(
        name=row.name,
        hash=row.hash,
        project=row.project,
        purpose=row.purpose,
        judgments=row.size,
        created_at=row.created_at,
        touched_at=row.touched_at,
    )
