"""Replacing known tasks: new content under a known id, without mixing what was said of the old with the new.

A task that nobody has judged gets the new content; who was lent the old one is refused, see `submissions`. One that was
judged stays as it is with its judgments, set aside, and the new content becomes a task `ID.2`, `ID.3` … that notes
which one it replaces. All tasks that began as one id are its family, of which one is at work: the same file once more
finds its content in the family and changes nothing, and an earlier content that is sent again is brought back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, delete, exists, or_, select, update

from assent.core.errors import StoreError
from assent.core.types import Ranking, Task
from assent.feedback.queue.adding import add_in, add_tasks, at_once
from assent.feedback.queue.batches import drop_unused, is_hidden
from assent.feedback.queue.set_aside import bring_back, set_aside
from assent.feedback.queue.settings import refuse_archived
from assent.feedback.queue.tasks import blocks, insert_task_rows, task_content, task_row
from assent.feedback.records.queue import Replaced
from assent.feedback.tables.connection import read_transaction
from assent.feedback.tables.queue import (
    Adjudication,
    Gold,
    JudgmentRow,
    Lease,
    Presentation,
    TaskResponse,
    TaskRow,
)


def replace_tasks(
    engine: Engine,
    tasks: Sequence[Task],
    *,
    slots: int | Mapping[str, int],
    priority: float,
    now: float,
    is_cap: bool = False,
) -> Replaced:
    """Add tasks of one project; known ones with other content are replaced.

    Raises StoreError, before anything is changed, where an id is known in another project or queue.
    """
    with read_transaction(engine) as connection:
        refuse_archived(connection, tasks[0].project)
        other = sorted(_others(connection, tasks))
    rest = [task for task in tasks if task.id not in set(other)]
    added = 0
    if rest:
        added = add_tasks(engine, rest, slots=slots, priority=priority, now=now, is_cap=is_cap)
    found = Replaced({task.id: task.id for task in tasks}, added)
    if not other:
        return found
    wanted = {task_id: slots if isinstance(slots, int) else slots.get(task_id, 1) for task_id in other}
    how = _How(wanted, priority, now, is_cap)
    return at_once(engine, _replace, [task for task in tasks if task.id in wanted], how, found)


@dataclass(frozen=True)
class _How:
    slots: Mapping[str, int]
    priority: float
    now: float
    is_cap: bool


@dataclass
class _Counted:
    changed: int = 0
    set_aside: int = 0
    gold_dropped: int = 0
    ids: dict[str, str] = field(default_factory=dict)


def _others(connection: Connection, tasks: Sequence[Task]) -> set[str]:
    """Ids that are known with other content. Raises StoreError where they are known elsewhere."""
    found = set()
    for block in blocks(tasks):
        query = select(TaskRow.id, TaskRow.content_hash, TaskRow.project, TaskRow.purpose, TaskRow.set_aside_why)
        rows = {row.id: row for row in connection.execute(query.where(TaskRow.id.in_([task.id for task in block])))}
        for task in block:
            row = rows.get(task.id)
            if row is None or (row.content_hash == task_content(task) and row.set_aside_why != "replaced"):
                continue
            if (row.project, row.purpose) != (task.project, task.purpose) and not is_hidden(row.project):
                raise StoreError(f"task {task.id!r} is in project {row.project!r} already; give it another id here")
            found.add(task.id)
    return found


def _replace(connection: Connection, tasks: Sequence[Task], how: _How, found: Replaced) -> Replaced:
    counted = _Counted()
    for task in tasks:
        counted.ids[task.id] = _replace_one(connection, task, how, counted)
    ids = {**found.ids, **counted.ids}
    return Replaced(ids, found.added, counted.changed, counted.set_aside, counted.gold_dropped)


def _replace_one(connection: Connection, task: Task, how: _How, counted: _Counted) -> str:
    """Give the family of a task this content; the id of the member that has it."""
    content = task_content(task)
    is_family = or_(TaskRow.id == task.id, TaskRow.replaces == task.id)
    # Locked against judgments that are on their way, see `submissions` (PostgreSQL).
    family = connection.execute(select(TaskRow).where(is_family).order_by(TaskRow.id).with_for_update()).all()
    has_it = next((row for row in family if row.content_hash == content), None)
    at_work = [row for row in family if row.set_aside_why != "replaced" and row is not has_it]
    if has_it is not None:
        if has_it.set_aside_why == "replaced":
            bring_back(connection, [has_it.id], now=how.now)
            counted.set_aside += 1
        _put_aside(connection, at_work, now=how.now)
        return str(has_it.id)
    untouched = next((row for row in at_work if not _is_judged(connection, row.id)), None)
    if untouched is not None:
        mine = task.model_copy(update={"id": untouched.id})
        counted.gold_dropped += _change(connection, mine, content, now=how.now)
        _add(connection, mine, how, slots=how.slots[task.id])
        counted.changed += 1
        return mine.id
    _put_aside(connection, at_work, now=how.now)
    fresh = task.model_copy(update={"id": _free_id(connection, task.id)})
    _add(connection, fresh, how, slots=how.slots[task.id])
    connection.execute(update(TaskRow).where(TaskRow.id == fresh.id).values(replaces=task.id))
    counted.set_aside += 1
    return fresh.id


def _put_aside(connection: Connection, rows: Sequence[Any], *, now: float) -> None:
    """Set aside those at work; one that is aside for another reason keeps that, and is not at work anyway."""
    set_aside(connection, [row.id for row in rows], "replaced", now=now)
    if rows:
        connection.execute(
            update(TaskRow).where(TaskRow.id.in_([row.id for row in rows])).values(set_aside_why="replaced")
        )


def _is_judged(connection: Connection, task_id: str) -> bool:
    said = exists().where(JudgmentRow.task_id == task_id)
    decided = exists().where(Adjudication.task_id == task_id)
    return bool(connection.execute(select(or_(said, decided))).scalar())


def _change(connection: Connection, task: Task, content: str, *, now: float) -> int:
    """Give a task that nobody has judged other content; how many known answers went since they did not fit it."""
    old = connection.execute(select(TaskRow.prompt_hash).where(TaskRow.id == task.id)).scalar_one()
    shown = select(TaskResponse.response_hash).where(TaskResponse.task_id == task.id)
    answers = connection.execute(shown).scalars().all()
    for table in (Lease, Presentation, TaskResponse):
        connection.execute(delete(table).where(table.task_id == task.id))
    row = task_row(task, content, now=now, priority=0.0, meta={})
    insert_task_rows(connection, [task], [row], now=now)  # the row itself is there and stays as it is
    values = {name: row[name] for name in ("prompt_hash", "kind", "content_hash")} | {"replaced_at": now}
    connection.execute(update(TaskRow).where(TaskRow.id == task.id).values(values))
    drop_unused(connection, answers, [old])
    return _drop_gold(connection, task)


def _add(connection: Connection, task: Task, how: _How, *, slots: int) -> None:
    add_in(connection, [task], slots=slots, priority=how.priority, now=how.now, is_cap=how.is_cap)


def _drop_gold(connection: Connection, task: Task) -> int:
    ranking = connection.execute(select(Gold.ranking).where(Gold.task_id == task.id)).scalar()
    if ranking is None or set(Ranking.model_validate(ranking).ids) == {c.id for c in task.completions}:
        return 0
    connection.execute(delete(Gold).where(Gold.task_id == task.id))
    return 1


def _free_id(connection: Connection, task_id: str) -> str:
    """`ID.2`, or the next that no task has."""
    number = 2
    while connection.execute(select(TaskRow.id).where(TaskRow.id == f"{task_id}.{number}")).first() is not None:
        number += 1
    return f"{task_id}.{number}"
