"""One page of a project's tasks as the pages of admins list them, without reading the others."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, func, or_, select

from assent.feedback.quality.facts import TaskFacts
from assent.feedback.queue.gold import REPEAT_OF
from assent.feedback.queue.judgments import in_queue
from assent.feedback.queue.tasks import load_tasks
from assent.feedback.records.queue import OpenTask, Queue
from assent.feedback.tables.queue import Gold, PromptRow, Slot, TaskRow


@dataclass(frozen=True)
class ListedTask:
    """A task in the list."""

    facts: TaskFacts
    open: OpenTask | None
    """How many judgments it waits for; None where all are in."""
    is_gold: bool


@dataclass(frozen=True)
class TaskList:
    """A page of tasks by id, and how many there are."""

    rows: tuple[ListedTask, ...]
    total: int
    found: int
    """How many fit what was looked for."""


def list_tasks(connection: Connection, queue: Queue, *, find: str, page: int, size: int) -> TaskList:
    """The page of this number, from 1. `find`: words of the question, or an id; repeats are not listed."""
    listed = and_(in_queue(queue), TaskRow.meta[REPEAT_OF].as_string().is_(None))
    total = connection.execute(select(func.count()).select_from(TaskRow).where(listed)).scalar_one()
    wanted = and_(listed, _fits(connection.dialect.name, find)) if find else listed
    found = total if not find else connection.execute(_count(wanted)).scalar_one()
    some = select(TaskRow.id).join(PromptRow, PromptRow.hash == TaskRow.prompt_hash) if find else select(TaskRow.id)
    some = some.where(wanted).order_by(TaskRow.id).limit(size).offset((page - 1) * size)
    ids = list(connection.execute(some).scalars())
    tasks, waiting = load_tasks(connection, ids), _open(connection, ids)
    gold = set(connection.execute(select(Gold.task_id).where(Gold.task_id.in_(ids))).scalars())
    rows = tuple(ListedTask(TaskFacts.of(tasks[i]), waiting.get(i), i in gold) for i in ids)
    return TaskList(rows, total, found)


def count_gold(connection: Connection, project: str) -> int:
    """How many tasks of a project have a known answer."""
    is_of = exists().where(TaskRow.id == Gold.task_id, TaskRow.project == project)
    return connection.execute(select(func.count()).select_from(Gold).where(is_of)).scalar_one()


def _fits(dialect: str, find: str) -> ColumnElement[bool]:
    """Whether one of a prompt's turns holds these words, in capitals or not, or the task has this id."""
    if dialect == "sqlite":
        turns = func.json_each(PromptRow.messages).table_valued("value")
        text = func.casefold(func.json_extract(turns.c.value, "$.content"))  # its own lower() knows ASCII only
        holds = func.instr(text, find.casefold()) > 0
    else:
        turns = func.json_array_elements(PromptRow.messages).table_valued("value", joins_implicitly=True)
        holds = func.strpos(func.lower(turns.c.value.op("->>")("content")), func.lower(find)) > 0
    return or_(select(turns.c.value).where(holds).exists(), TaskRow.id == find)


def _count(wanted: ColumnElement[bool]) -> Select[int]:
    joined = select(func.count()).select_from(TaskRow).join(PromptRow, PromptRow.hash == TaskRow.prompt_hash)
    return joined.where(wanted)


def _open(connection: Connection, task_ids: list[str]) -> dict[str, OpenTask]:
    unjudged = func.count().filter(Slot.is_filled == false())
    rows = connection.execute(
        select(Slot.task_id, func.count(), unjudged)
        .where(Slot.task_id.in_(task_ids), Slot.reserved_for.is_(None))
        .group_by(Slot.task_id)
        .having(unjudged > 0)
    )
    return {row[0]: OpenTask(*row) for row in rows}
