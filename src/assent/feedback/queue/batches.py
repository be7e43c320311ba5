"""Bringing much in at once, all or nothing, while others go on: a block at a time where nobody looks, then all shown.

    with batches.hidden(engine, now=now) as batch:    # one at a time; another one waits
        batch.write(work, rows, batch.project)         # as often as wanted: rows of the project `batch.project`
        batch.show("support", last_work)               # moves them all, in the transaction of the last work

A batch is a project of its own that no list shows, and whatever is asked about tasks, slots and judgments is asked
about a project. On SQLite, where one writes at a time, a block keeps the others waiting for some hundredths of a
second, then pauses. Where a batch fails, its rows go again. Where its process dies, an `Observer` sees that its
beats stand still and takes them out. No clock is compared with that of another process.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, delete, exists, select, union, update

from assent.core.errors import AssentError, StoreError
from assent.core.garbage import spared
from assent.feedback.tables.arrivals import BatchRow
from assent.feedback.tables.connection import insert_missing, read_transaction, write
from assent.feedback.tables.queue import (
    Adjudication,
    Gold,
    GuidelineVersion,
    JudgmentEvent,
    JudgmentRow,
    Lease,
    Presentation,
    ProjectRow,
    PromptRow,
    RaterAttribute,
    RaterRow,
    ResponseRow,
    Slot,
    TaskResponse,
    TaskRow,
)
from assent.feedback.tables.studies import Assignee

BLOCK = 125
"""Tasks or comparisons in one transaction."""
DEAD_SECONDS = 30.0
"""A batch that does nothing for so long, by the watch of whoever waits, is taken for dead."""
_LONGEST_PAUSE = 0.05
_HIDDEN = "\x1f"  # no name that is printable begins so
_BATCH, _GONE = f"{_HIDDEN}batch-", f"{_HIDDEN}gone-"
_TAKEN_OUT = 100
_RATERS = RaterRow.__tablename__

Result = TypeVar("Result")


def is_hidden(project: str) -> bool:
    """Whether a project is a batch that is not whole yet, or on its way out."""
    return project.startswith(_HIDDEN)


def gone_name() -> str:
    """A new name for a project that is deleted, under which `take_out` finds it."""
    return _GONE + secrets.token_hex(8)


@dataclass
class Batch:
    """What is being brought in."""

    engine: Engine
    project: str
    now: float

    def write(self, work: Callable[..., Result], *given: Any) -> Result:
        """`work(connection, *given)` in a transaction of its own. Raises StoreError where the batch counts as dead."""

        def step(connection: Connection) -> Result:
            self._beat(connection)
            return work(connection, *given)

        result, took = _timed(lambda: write(self.engine, step))
        time.sleep(min(took / 2, _LONGEST_PAUSE))  # those who wait for the lock ask for it now and then only (SQLite)
        return result

    def show(self, project: str, work: Callable[..., Result], *given: Any) -> Result:
        """Move everything to a project and do `work(connection, *given)`, in one transaction; the batch is over."""

        def step(connection: Connection) -> Result:
            self._beat(connection)
            insert_missing(connection, ProjectRow, [{"name": project, "created_at": self.now}])
            connection.execute(update(Slot).where(Slot.project == self.project).values(project=project))
            connection.execute(update(TaskRow).where(TaskRow.project == self.project).values(project=project))
            result = work(connection, *given)
            connection.execute(delete(BatchRow).where(BatchRow.project == self.project))
            connection.execute(delete(ProjectRow).where(ProjectRow.name == self.project))
            return result

        return write(self.engine, step)

    def _beat(self, connection: Connection) -> None:
        mine = update(BatchRow).where(BatchRow.project == self.project).values(beats=BatchRow.beats + 1)
        if connection.execute(mine).rowcount != 1:
            raise StoreError("what was being brought in stood still and was taken out again; bring it once more")


@contextlib.contextmanager
def hidden(engine: Engine, *, now: float) -> Iterator[Batch]:
    """A new batch, when no other is on its way. What it has written goes again where the block raises."""
    with spared() as settle:
        settle()
        batch = Batch(engine, _begin(engine, now=now), now)
        try:
            yield batch
        except BaseException:
            with contextlib.suppress(AssentError):  # a full disk, say: then it is left for an `Observer`
                take_out(engine, batch.project)
            raise


def await_others(engine: Engine) -> None:
    """Wait until no batch is on its way; a dead one is taken out."""
    observer = Observer(engine)
    while observer.look():
        time.sleep(0.1)


class Observer:
    """Watches what is on its way, to tell a slow batch from a dead one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    def look(self) -> bool:
        """Whether a batch is on its way. Takes out what dead ones have left."""
        with read_transaction(self._engine) as connection:
            row = connection.execute(select(BatchRow.project, BatchRow.beats)).first()
            left = connection.execute(select(ProjectRow.name).where(ProjectRow.name.startswith(_HIDDEN))).scalars()
            orphans = [name for name in left if row is None or name != row.project]
        for name in orphans:
            take_out(self._engine, name)
        if row is None:
            return False
        if self._seen != (row.project, row.beats):
            self._seen, self._since = (row.project, row.beats), time.monotonic()
        elif time.monotonic() - self._since > DEAD_SECONDS:
            take_out(self._engine, row.project)
            return False
        return True


def take_out(engine: Engine, project: str) -> None:
    """Delete a batch, or a deleted project, with everything that came with it, a block at a time."""
    write(engine, lambda connection: connection.execute(delete(BatchRow).where(BatchRow.project == project)))
    is_over = False
    while not is_over:
        is_over, took = _timed(lambda: write(engine, lambda connection: _take_out_block(connection, project)))
        time.sleep(min(took / 2, _LONGEST_PAUSE))


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def _begin(engine: Engine, *, now: float) -> str:
    project = _BATCH + secrets.token_hex(8)

    def work(connection: Connection) -> bool:
        insert_missing(connection, BatchRow, [{"id": 1, "project": project, "beats": 0}])
        if connection.execute(select(BatchRow.project)).scalar() != project:
            return False
        insert_missing(connection, ProjectRow, [{"name": project, "created_at": now}])
        return True

    while True:
        await_others(engine)
        if write(engine, work):
            return project


def _take_out_block(connection: Connection, project: str) -> bool:
    """Delete some tasks with all that depends on them; whether it was the last block."""
    task_ids = (
        connection.execute(select(TaskRow.id).where(TaskRow.project == project).limit(_TAKEN_OUT)).scalars().all()
    )
    raters = _delete_tasks(connection, task_ids)
    if project.startswith(_GONE):
        drop_strangers(connection, raters)
    else:
        came_with_it = select(ProjectRow.created_at).where(ProjectRow.name == project).scalar_subquery()
        is_told = exists().where(RaterAttribute.rater_id == RaterRow.id)
        drop_strangers(connection, raters, RaterRow.created_at == came_with_it, ~is_told)
    if len(task_ids) < _TAKEN_OUT:
        connection.execute(delete(GuidelineVersion).where(GuidelineVersion.project == project))
        connection.execute(delete(ProjectRow).where(ProjectRow.name == project))
        return True
    return False


def drop_strangers(connection: Connection, rater_ids: Collection[str], *where: ColumnElement[bool]) -> None:
    """Delete those raters whom nothing in the store speaks of any more: no account, no judgment, no group."""
    ids = sorted(rater_ids)
    tables = [table for table in RaterRow.metadata.sorted_tables if table.name != RaterAttribute.__tablename__]
    pointers = [
        column
        for table in tables
        for column in table.columns
        if any(key.column.table.name == _RATERS for key in column.foreign_keys)
    ]
    unused = [~exists().where(column == RaterRow.id) for column in pointers]
    for start in range(0, len(ids), _TAKEN_OUT):
        mine = RaterRow.id.in_(ids[start : start + _TAKEN_OUT])
        found = connection.execute(select(RaterRow.id).where(mine, *unused, *where)).scalars().all()
        connection.execute(delete(RaterAttribute).where(RaterAttribute.rater_id.in_(found)))
        connection.execute(delete(RaterRow).where(RaterRow.id.in_(found)))


def _delete_tasks(connection: Connection, task_ids: Any) -> list[str]:
    """Delete tasks, what was said of them, and the texts that no other task has; who had been asked."""
    judged = select(JudgmentRow.id).where(JudgmentRow.task_id.in_(task_ids))
    raters = union(
        select(JudgmentRow.rater_id).where(JudgmentRow.task_id.in_(task_ids)),
        select(Presentation.rater_id).where(Presentation.task_id.in_(task_ids)),
        select(Lease.rater_id).where(Lease.task_id.in_(task_ids)),
        select(Adjudication.adjudicator_id).where(Adjudication.task_id.in_(task_ids)),
    )
    answers = select(TaskResponse.response_hash).where(TaskResponse.task_id.in_(task_ids)).distinct()
    prompts = select(TaskRow.prompt_hash).where(TaskRow.id.in_(task_ids)).distinct()
    found = [list(connection.execute(query).scalars()) for query in (raters, answers, prompts)]
    connection.execute(delete(JudgmentEvent).where(JudgmentEvent.judgment_id.in_(judged)))
    for table in (JudgmentRow, Presentation, Lease, Slot, TaskResponse, Gold, Adjudication, Assignee):
        connection.execute(delete(table).where(table.task_id.in_(task_ids)))
    connection.execute(delete(TaskRow).where(TaskRow.id.in_(task_ids)))
    drop_unused(connection, found[1], found[2])
    return found[0]


def drop_unused(connection: Connection, answers: Sequence[str], prompts: Sequence[str]) -> None:
    """Delete those of the answers and prompts (by hash) that no task has any more."""
    is_shown = exists().where(TaskResponse.response_hash == ResponseRow.hash)
    for start in range(0, len(answers), _TAKEN_OUT):
        block = answers[start : start + _TAKEN_OUT]
        connection.execute(delete(ResponseRow).where(ResponseRow.hash.in_(block), ~is_shown))
    is_asked = exists().where(TaskRow.prompt_hash == PromptRow.hash)
    has_answers = exists().where(ResponseRow.prompt_hash == PromptRow.hash)
    for start in range(0, len(prompts), _TAKEN_OUT):
        block = prompts[start : start + _TAKEN_OUT]
        connection.execute(delete(PromptRow).where(PromptRow.hash.in_(block), ~is_asked, ~has_answers))
