"""Queueing tasks, all or nothing: a few in one transaction, many in a batch, so that raters are answered meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from assent.core.errors import StoreError
from assent.core.types import Task
from assent.feedback.queue.batches import BLOCK, await_others, hidden
from assent.feedback.queue.settings import refuse_archived
from assent.feedback.queue.tasks import (
    BeingBrought,
    insert_task_rows,
    known_contents,
    known_places,
    slot_counts,
    slot_row,
    state_wanted,
    task_content,
    task_row,
)
from assent.feedback.queue.wanted import fit_where_needed
from assent.feedback.tables.connection import insert_missing, read_transaction, write
from assent.feedback.tables.queue import Slot

Result = TypeVar("Result")


def add_tasks(
    engine: Engine,
    tasks: Sequence[Task],
    *,
    slots: int | Mapping[str, int],
    priority: float,
    now: float,
    is_cap: bool = False,
) -> int:
    """Add tasks that are not there yet, with their slots; returns how many were new.

    A known task with a higher number of slots gets the missing ones, unless another number was stated for it. With
    `is_cap` the number is stated: no more are asked for. Raises StoreError where a known id comes with other content.
    """
    queued = replace(_queued(tasks, slots, priority, now), is_cap=is_cap)
    projects = {task.project for task in tasks}
    if len(tasks) <= BLOCK or len(projects) > 1:
        return at_once(engine, queued.add)
    with hidden(engine, now=now) as batch:
        with read_transaction(engine) as connection:
            known = queued.known(connection)
        fresh = [task for task in queued.tasks if task.id not in known]
        for start in range(0, len(fresh), BLOCK):
            block = fresh[start : start + BLOCK]
            raced = batch.write(queued.hide, block, batch.project)
            known |= {task_id: queued.contents[task_id] for task_id in raced}
        late = [task for task in queued.tasks if task.id in known]
        batch.show(projects.pop(), queued.deepen, late, known)
    return len(queued.contents.keys() - known.keys())


def add_in(
    connection: Connection,
    tasks: Sequence[Task],
    *,
    slots: int,
    priority: float = 0.0,
    now: float,
    is_cap: bool = False,
) -> int:
    """The same as part of a transaction. Raises BeingBrought where a batch holds one of them."""
    return replace(_queued(tasks, slots, priority, now), is_cap=is_cap).add(connection)


def at_once(engine: Engine, work: Callable[..., Result], *given: Any) -> Result:
    """`work(connection, *given)` in one writing transaction, after a batch that holds one of its tasks."""
    while True:
        try:
            return write(engine, lambda connection: work(connection, *given))
        except BeingBrought:
            await_others(engine)


@dataclass(frozen=True)
class _Queued:
    """Tasks on their way into the store."""

    tasks: Sequence[Task]
    contents: Mapping[str, str]
    wanted: Mapping[str, int]
    """Slots by task."""
    priority: float
    now: float
    is_cap: bool = False
    """Whether the slots are stated: no more are asked for."""

    def add(self, connection: Connection) -> int:
        """Add them all."""
        known = self.known(connection)
        insert_task_rows(connection, self.tasks, [self._row(task) for task in self.tasks], now=self.now)
        self.deepen(connection, self.tasks, known)
        return len(self.contents.keys() - known.keys())

    def hide(self, connection: Connection, tasks: Sequence[Task], project: str) -> set[str]:
        """Add some in a project that nobody sees; those that another has added meanwhile."""
        caps = [{"wanted": self.wanted[task.id] if self.is_cap else None, "project": project} for task in tasks]
        rows = [self._row(task) | cap for task, cap in zip(tasks, caps, strict=True)]
        raced = insert_task_rows(connection, tasks, rows, now=self.now)
        self._refuse_other_contents(known_contents(connection, raced))
        mine = [task for task in tasks if task.id not in raced]
        slots = [self._slot(task, n) | {"project": project} for task in mine for n in range(self.wanted[task.id])]
        insert_missing(connection, Slot, slots)
        return raced

    def deepen(self, connection: Connection, tasks: Sequence[Task], known: Collection[str]) -> None:
        """Give tasks the slots that they miss; `known` are those that were there before."""
        places = known_places(connection, [task.id for task in tasks])
        if self.is_cap:
            had = slot_counts(connection, known)
            many = {task.id: self.wanted[task.id] for task in tasks}
            state_wanted(connection, {task_id: n for task_id, n in many.items() if n > had.get(task_id, 0)})
        rows = [self._slot(t, n, place=places[t.id]) for t in tasks for n in range(self.wanted[t.id])]
        insert_missing(connection, Slot, rows)
        fit_where_needed(connection, known)

    def known(self, connection: Connection) -> dict[str, str]:
        """Contents of those that are there already. Raises StoreError where one is another."""
        for project in sorted({task.project for task in self.tasks}):
            refuse_archived(connection, project)
        known = known_contents(connection, self.contents)
        self._refuse_other_contents(known)
        return known

    def _refuse_other_contents(self, known: Mapping[str, str]) -> None:
        for task_id, content in known.items():
            if content != self.contents[task_id]:
                raise StoreError(f"task {task_id!r} is in the store with other content; give the new task another id")

    def _row(self, task: Task) -> dict[str, Any]:
        return task_row(task, self.contents[task.id], now=self.now, priority=self.priority, meta={})

    def _slot(self, task: Task, n: int, *, place: float | None = None) -> dict[str, Any]:
        return slot_row(task, n, place=-self.priority if place is None else place)


def _queued(tasks: Sequence[Task], slots: int | Mapping[str, int], priority: float, now: float) -> _Queued:
    wanted = {t.id: slots if isinstance(slots, int) else slots.get(t.id, 1) for t in tasks}
    return _Queued(tasks, _contents(tasks), wanted, priority, now)


def _contents(tasks: Iterable[Task]) -> dict[str, str]:
    """Hashes by id. Raises StoreError where one id comes twice with different content."""
    contents: dict[str, str] = {}
    for task in tasks:
        content = task_content(task)
        if contents.setdefault(task.id, content) != content:
            raise StoreError(f"task {task.id!r} comes twice with different content; give each its own id")
    return contents
