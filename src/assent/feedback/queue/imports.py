"""Importing what was said elsewhere: comparisons, and tasks with everything known about them, all or nothing."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from sqlalchemy import Connection, Engine, select

from assent.core.lazy import Mapped, Picked
from assent.core.types import Comparison, Rater, RaterKind
from assent.data import aside
from assent.data.formats import Said
from assent.data.task_records import Guideline, TaskRecord
from assent.feedback.queue import told
from assent.feedback.queue.adding import at_once
from assent.feedback.queue.batches import BLOCK, hidden
from assent.feedback.queue.bringing import Bringing
from assent.feedback.queue.brought import checked, task_of
from assent.feedback.queue.order import number, number_brought
from assent.feedback.queue.tasks import known_contents, refuse_nul
from assent.feedback.queue.told import Placed
from assent.feedback.records.queue import ImportCounts, Queue
from assent.feedback.tables.connection import insert_missing, read_transaction
from assent.feedback.tables.queue import ProjectRow

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class _How:
    """What is the same for everything that is imported at once."""

    queue: Queue
    kind: RaterKind
    """What raters are of whom the file does not say it."""
    now: float
    kinds: dict[str, RaterKind] = field(default_factory=dict)
    guidelines: tuple[Guideline, ...] = ()

    def bringing(self, connection: Connection, placed: Placed, *, hidden: str | None = None) -> Bringing:
        """An import in a transaction."""
        return Bringing(connection, self.queue, self.kind, self.now, placed, self.kinds, hidden)


def import_said(
    engine: Engine, items: Sequence[Said], *, queue: Queue, rater_kind: RaterKind, now: float
) -> ImportCounts:
    """Add what was said of tasks, so that the same file imported again adds nothing.

    A task keeps its id where the file gives one, else it is named by its content. Where one rater ranks the same
    answers twice and differently, the second ranking becomes a repeat of the task: both are kept. Each judgment brings
    its own slot, so nothing imported waits for a rater. A large file comes in a block at a time where nobody sees it,
    so that raters are answered meanwhile, and is shown as a whole; a block of it is held at a time. Raises StoreError
    where an id stands for something else here.
    """
    kinds: dict[str, RaterKind] = {}
    guidelines: dict[str, Guideline] = {}
    records = array("q")
    for place, item in enumerate(items):
        match item:
            case Rater():
                kinds[item.id] = item.kind
            case Guideline():
                refuse_unusable(item)
                guidelines[item.name] = item
            case _:
                records.append(place)
    how = _How(queue, rater_kind, now, kinds, tuple(guidelines.values()))
    every = Mapped(_record, _at(items, records))
    if len(every) <= BLOCK:
        return at_once(engine, _bring, list(every), how)
    with hidden(engine, now=now) as batch:
        placed = batch.write(told.place, how.guidelines, batch.project)
        with read_transaction(engine) as connection:
            unseen, others, counts = _sorted_out(connection, every, how)
        for block in _blocks(unseen):
            counts = counts.plus(batch.write(_hide, block, how, placed, batch.project))
        return counts.plus(batch.show(queue.project, _bring_last, others, how, placed))


def refuse_unusable(item: Said) -> None:
    """Raise StoreError for what no import takes: so that whoever reads a file can say in which line."""
    if isinstance(item, Comparison | TaskRecord):
        record = _record(item)
        checked(record, Queue(purpose=record.task.purpose))
    elif isinstance(item, Guideline):
        refuse_nul(item.text, where=f"guideline {item.version}")


def _at(items: Sequence[_Item], places: array[int]) -> Picked[_Item]:
    """The items at these places, none of which is held."""
    return Picked(items, np.array(places, dtype=np.int64))


def _blocks(records: Sequence[TaskRecord]) -> Iterator[list[TaskRecord]]:
    """A block of them at a time."""
    for start in range(0, len(records), BLOCK):
        yield list(records[start : start + BLOCK])


def _record(item: Comparison | TaskRecord) -> TaskRecord:
    return aside.as_record(item) if isinstance(item, Comparison) else item


def _bring(connection: Connection, records: Sequence[TaskRecord], how: _How) -> ImportCounts:
    """Bring records in in one transaction."""
    _lock(connection, how)
    placed = told.place(connection, how.guidelines, how.queue.project)
    importing = _added(connection, records, how, placed)
    number(connection, importing.new)
    return importing.counts.plus(_told(placed))


def _bring_last(connection: Connection, records: Sequence[TaskRecord], how: _How, unseen: Placed) -> ImportCounts:
    """The same with the guidelines and the numbers of all that was brought before them unseen."""
    _lock(connection, how)
    placed = told.settle(connection, unseen, how.guidelines, how.queue.project)
    importing = _added(connection, records, how, placed)
    number_brought(connection, how.queue.project)
    return importing.counts.plus(_told(placed))


def _told(placed: Placed) -> ImportCounts:
    return ImportCounts(guidelines=placed.added, renumbered=placed.renumbered)


def _lock(connection: Connection, how: _How) -> None:
    """Let imports into one project wait for each other, so that two of the same file end as one."""
    insert_missing(connection, ProjectRow, [{"name": how.queue.project, "created_at": how.now}])
    mine = select(ProjectRow.name).where(ProjectRow.name == how.queue.project)
    connection.execute(mine.with_for_update(key_share=True))


def _added(connection: Connection, records: Sequence[TaskRecord], how: _How, placed: Placed) -> Bringing:
    importing = how.bringing(connection, placed)
    for block in _blocks(records):
        importing.add(block)
    return importing


def _hide(
    connection: Connection, records: Sequence[TaskRecord], how: _How, placed: Placed, project: str
) -> ImportCounts:
    importing = how.bringing(connection, placed, hidden=project)
    importing.add(records)
    return importing.counts


def _sorted_out(
    connection: Connection, records: Sequence[TaskRecord], how: _How
) -> tuple[Sequence[TaskRecord], Sequence[TaskRecord], ImportCounts]:
    """Records of tasks that are not in the store yet, those that touch what is there, and the count of the known.

    Only the first can be brought in unseen: a judgment of a task that others see is seen with it.
    """
    importing = how.bringing(connection, Placed())
    unseen, others = array("q"), array("q")
    for start, block in zip(range(0, len(records), BLOCK), _blocks(records), strict=True):
        items = [checked(record, how.queue) for record in block]
        fresh = {id(item) for item in importing.without_known([item for some in items for item in some])}
        ids = [task_of(record, how.queue)[0].id for record in block]
        there = known_contents(connection, set(ids))
        for place, (record, some, task_id) in enumerate(zip(block, items, ids, strict=True), start):
            own = {item.judgment.id for item in some}
            is_apart = all(item.judgment.supersedes in own or not item.judgment.supersedes for item in some)
            is_known = bool(some) and not any(id(item) in fresh for item in some)
            if is_known and not record.decisions and (record.facts is None or record.facts.gold is None):
                importing.count(comparisons=1, known=len(some))
            elif is_known or task_id in there or not is_apart:
                others.append(place)
            else:
                unseen.append(place)
    return _at(records, unseen), _at(records, others), importing.counts
