"""What was judged last in a queue: all that a look at a large project reads, so that it takes no longer as it grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from assent.core.types import Comparison, Judgment
from assent.feedback.queue.claims import WAITING
from assent.feedback.queue.history import select_said
from assent.feedback.queue.judgments import IS_OF_QUEUE, comparisons_of, judgment_of, select_judgments
from assent.feedback.queue.tasks import blocks
from assent.feedback.records.queue import OpenTask, Queue, SaidRow
from assent.feedback.tables.queue import JudgmentRow, Slot

NEWEST = 2000
"""Of a queue with more judgments, what has to be read one by one is read of the tasks that were judged last, which
hold so many: a look takes about as long as reading these."""
_HOLDS = (JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome != "erased")


@dataclass(frozen=True)
class Newest:
    """The tasks that were judged last, with all that was said of each, and when anything was said of late."""

    judgments: Sequence[Judgment]
    """All current judgments of those tasks, sorted by id: what raters say of one another's judgments stays whole."""
    rows: Sequence[SaidRow]
    """The facts about them, in the order they came."""
    times: Sequence[float]
    """When each judgment of the whole queue since `since` was submitted, skips left out, after the very first one."""
    waiting: Sequence[OpenTask]
    """The first tasks that wait, of which only the slots that wait are counted."""


def read_newest(connection: Connection, queue: Queue, *, limit: int, since: float, waiting: int) -> Newest:
    """The tasks of the `limit` judgments that came last, the times since `since`, and the first `waiting` slots."""
    where = vars(queue)
    judgments: list[Judgment] = []
    rows: list[SaidRow] = []
    for block in blocks(sorted(_last_tasks(connection, where, limit))):
        of_tasks = (*_HOLDS, JudgmentRow.task_id.in_(block))
        judgments += [judgment_of(row) for row in connection.execute(select_judgments().where(*of_tasks))]
        rows += [SaidRow(*row) for row in connection.execute(select_said().where(*of_tasks))]
    first_waiting = select(Slot.task_id).where(WAITING).order_by(Slot.place, Slot.n, Slot.id).limit(waiting).subquery()
    count = select(first_waiting.c.task_id, func.count()).group_by(first_waiting.c.task_id)
    open_tasks = [OpenTask(task_id, n, n) for task_id, n in connection.execute(count, where)]
    return Newest(
        judgments=sorted(judgments, key=lambda one: one.id),
        rows=sorted(rows, key=lambda row: (row.submitted_at, row.judgment_id)),
        times=_times(connection, where, since),
        waiting=sorted(open_tasks, key=lambda task: task.task_id),
    )


def newest_comparisons(connection: Connection, queue: Queue, *, limit: int) -> Iterator[Comparison]:
    """The tasks of the `limit` judgments that came last with all their rankings, sorted by task and rater."""
    for block in blocks(sorted(_last_tasks(connection, vars(queue), limit))):
        ranked = select_judgments().where(*_HOLDS, JudgmentRow.outcome == "ranked", JudgmentRow.task_id.in_(block))
        said: dict[str, list[Judgment]] = {}
        for row in connection.execute(ranked.order_by(None).order_by(JudgmentRow.rater_id, JudgmentRow.id)):
            said.setdefault(row.task_id, []).append(judgment_of(row))
        yield from comparisons_of(connection, dict(sorted(said.items())))


def _last_tasks(connection: Connection, where: dict[str, Any], limit: int) -> set[str]:
    """The tasks of the `limit` judgments of a queue that came last.

    Sought among twice as many of the store's last numbers each time: of one query for them all PostgreSQL would read
    every judgment, for it cannot know how many of them are of the queue.
    """
    last = connection.execute(select(func.max(JudgmentRow.number))).scalar() or 0
    span = 2 * limit
    while True:
        query = select(JudgmentRow.task_id).where(*_HOLDS, JudgmentRow.number > last - span)
        query = query.where(IS_OF_QUEUE).order_by(JudgmentRow.number.desc()).limit(limit)
        found = connection.execute(query, where).scalars().all()
        if len(found) == limit or span >= last:
            return set(found)
        span *= 2


def _times(connection: Connection, where: dict[str, Any], since: float) -> list[float]:
    said = select(JudgmentRow.submitted_at).where(*_HOLDS, JudgmentRow.outcome != "skipped")
    said = said.where(IS_OF_QUEUE).order_by(JudgmentRow.submitted_at)
    found = list(connection.execute(said.where(JudgmentRow.submitted_at > since), where).scalars())
    first = connection.execute(said.limit(1), where).scalar()
    return found if first is None or first > since else [first, *found]
