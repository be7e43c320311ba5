"""Tasks in the store: adding them with their prompts, answers and slots, and reading them back."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Double, bindparam, func, or_, select, update

from assent.core.errors import StoreError
from assent.core.hashing import hash_bytes, hash_json
from assent.core.types import Completion, Message, Prompt, Task
from assent.feedback.queue.batches import is_hidden
from assent.feedback.queue.settings import refuse_archived_tasks
from assent.feedback.queue.wanted import IS_WANTED
from assent.feedback.tables.connection import insert_missing
from assent.feedback.tables.queue import ProjectRow, PromptRow, ResponseRow, Slot, TaskResponse, TaskRow

_BLOCK = 500  # rows per IN list: below SQLite's oldest limit on bound values
_NUL = re.compile(r"(?<!\\)(\\\\)*\\u0000")
Item = TypeVar("Item")

_WHERE = select(TaskRow.id, TaskRow.project).where(TaskRow.id.in_(bindparam("task_ids", expanding=True)))

_TASKS = (
    select(TaskRow, PromptRow.id.label("prompt_id"), PromptRow.messages, PromptRow.meta.label("prompt_meta"))
    .join(PromptRow, PromptRow.hash == TaskRow.prompt_hash)
    .where(TaskRow.id.in_(bindparam("task_ids", expanding=True)))
)
_ANSWERS = (
    select(ResponseRow, TaskResponse.task_id)
    .join(TaskResponse, TaskResponse.response_hash == ResponseRow.hash)
    .where(TaskResponse.task_id.in_(bindparam("task_ids", expanding=True)))
    .order_by(TaskResponse.n)
)


OTHER_CONTENT = "give the new task another id, or say that known tasks are replaced"
"""What to do where a known id comes with other content."""


class BeingBrought(StoreError):
    """A task is part of a batch that is not whole yet, see `batches`."""


def state_wanted(connection: Connection, wanted: Mapping[str, int]) -> None:
    """Note how many judgments are wanted of tasks at most; a number stated before is raised, never lowered."""
    rows = [{"the_id": task_id, "many": many} for task_id, many in sorted(wanted.items())]
    is_less = or_(TaskRow.wanted.is_(None), TaskRow.wanted < bindparam("many"))
    statement = update(TaskRow).where(TaskRow.id == bindparam("the_id"), is_less).values(wanted=bindparam("many"))
    if rows:
        connection.execute(statement, rows)


def slot_row(task: Task, n: int, *, place: float = 0.0) -> dict[str, Any]:
    """The row of a wanted judgment that any rater may give."""
    return {
        "task_id": task.id,
        "n": n,
        "project": task.project,
        "purpose": task.purpose,
        "place": place,
        "is_filled": False,
        "reserved_for": None,
        "service": "normal",
    }


def set_priorities(connection: Connection, priorities: Mapping[str, float]) -> int:
    """Give tasks another priority; returns how many are in the store. Unknown ids are passed over."""
    wrong = [task_id for task_id, priority in priorities.items() if not math.isfinite(priority)]
    if wrong:
        raise StoreError(f"the priority of task {wrong[0]!r} is {priorities[wrong[0]]}; give a finite number")
    rows = [{"the_id": task_id, "value": float(priority)} for task_id, priority in sorted(priorities.items())]
    if not rows:
        return 0
    known = known_contents(connection, priorities)
    connection.execute(
        update(TaskRow).where(TaskRow.id == bindparam("the_id")).values(priority=bindparam("value")), rows
    )
    place = update(Slot).where(Slot.task_id == bindparam("the_id")).values(place=-bindparam("value", type_=Double))
    connection.execute(place, rows)
    return len(known)


def task_ids(connection: Connection, project: str, purpose: str) -> list[str]:
    """Ids of all tasks of a queue, sorted."""
    query = select(TaskRow.id).where(TaskRow.project == project, TaskRow.purpose == purpose)
    return sorted(connection.execute(query).scalars())


def load_tasks(connection: Connection, task_ids: Iterable[str]) -> dict[str, Task]:
    """Tasks by id, as they were added."""
    tasks: dict[str, Task] = {}
    for block in blocks(list(task_ids)):
        found = connection.execute(_TASKS, {"task_ids": block}).all()
        answers: dict[str, list[Completion]] = {row.id: [] for row in found}
        prompt_ids = {row.id: row.prompt_id for row in found}
        for row in connection.execute(_ANSWERS, {"task_ids": block}):
            answers[row.task_id].append(_completion(row, prompt_ids[row.task_id]))
        for row in found:
            tasks[row.id] = Task.model_construct(
                id=row.id,
                prompt=_prompt(row),
                completions=tuple(answers[row.id]),
                kind=row.kind,
                purpose=row.purpose,
                project=row.project,
            )
    return tasks


def task_content(task: Task) -> str:
    """Hash of everything a rater would see, without the task's id and the order of its answers.

    Raises StoreError where the database could not give the task back as it is.
    """
    strays = [c.id for c in task.completions if c.prompt_id != task.prompt.id]
    if strays:
        raise StoreError(f"task {task.id!r}: answer {strays[0]!r} belongs to another prompt than {task.prompt.id!r}")
    content = task.model_dump(mode="json", exclude={"id"})
    content["completions"].sort(key=lambda completion: completion["id"])
    refuse_nul(task.id + task.model_dump_json(), where=f"task {task.id!r}")
    return json_hash(content, where=f"task {task.id!r}")


def task_row(task: Task, content: str, *, now: float, priority: float, meta: dict[str, Any]) -> dict[str, Any]:
    """The row of a task."""
    return {
        "id": task.id,
        "project": task.project,
        "prompt_hash": _prompt_hash(task.prompt),
        "kind": task.kind,
        "purpose": task.purpose,
        "priority": priority,
        "content_hash": content,
        "meta": meta,
        "created_at": now,
    }


def insert_task_rows(
    connection: Connection, tasks: Iterable[Task], rows: Sequence[dict[str, Any]], *, now: float
) -> set[str]:
    """Insert what is missing of tasks, their prompts, answers and projects; slots are the caller's affair.

    Returns the tasks that are in another project than their row says. Raises BeingBrought where that is one that
    nobody sees yet.
    """
    prompts, responses, members = {}, {}, []
    for task in tasks:
        prompt = _prompt_row(task.prompt)
        prompts[prompt["hash"]] = prompt
        for n, completion in enumerate(task.completions):
            response = _response_row(completion, prompt["hash"])
            responses[response["hash"]] = response
            members.append({"task_id": task.id, "response_hash": response["hash"], "n": n})
    projects = {row["project"]: {"name": row["project"], "created_at": now} for row in rows}
    insert_missing(connection, ProjectRow, list(projects.values()))
    insert_missing(connection, PromptRow, list(prompts.values()))
    insert_missing(connection, ResponseRow, list(responses.values()))
    insert_missing(connection, TaskRow, rows)
    insert_missing(connection, TaskResponse, members)
    return _elsewhere(connection, rows)


def clashes(connection: Connection, tasks: Sequence[Task], *, is_replacing: bool = False) -> dict[str, str]:
    """What is wrong with tasks whose ids are known: with other content, or in another project or queue; by id.

    `is_replacing`: other content alone is not wrong.
    """
    found: dict[str, str] = {}
    for block in blocks(tasks):
        query = select(TaskRow.id, TaskRow.content_hash, TaskRow.project, TaskRow.purpose)
        rows = {row.id: row for row in connection.execute(query.where(TaskRow.id.in_([task.id for task in block])))}
        for task in block:
            row = rows.get(task.id)
            if row is None or row.content_hash == task_content(task):
                continue
            if (row.project, row.purpose) == (task.project, task.purpose):
                if is_replacing:
                    continue
                found[task.id] = f"task {task.id!r} is in the store with other content; {OTHER_CONTENT}"
            else:
                where = f"project {row.project!r}" + (" for evaluation" if row.purpose == "evaluation" else "")
                found[task.id] = f"task {task.id!r} is in {where} already; give it another id here"
    return found


def known_contents(connection: Connection, task_ids: Iterable[str]) -> dict[str, str]:
    """Content hashes of the tasks that are in the store."""
    known: dict[str, str] = {}
    for block in blocks(list(task_ids)):
        found = connection.execute(select(TaskRow.id, TaskRow.content_hash).where(TaskRow.id.in_(block)))
        known |= {row.id: row.content_hash for row in found}
    return known


def refuse_unknown_tasks(connection: Connection, task_ids: Collection[str]) -> None:
    """Raise StoreError for a task that is not in the store, ConflictError for one of an archived project."""
    refuse_archived_tasks(connection, task_ids)
    known = known_contents(connection, task_ids)
    missing = next((task_id for task_id in task_ids if task_id not in known), None)
    if missing is not None:
        raise StoreError(f"task {missing!r} is not in the store; correct its id")


def known_places(connection: Connection, known: Iterable[str]) -> dict[str, float]:
    """Where tasks stand in their queue."""
    places: dict[str, float] = {}
    for block in blocks(list(known)):
        found = connection.execute(select(TaskRow.id, TaskRow.priority).where(TaskRow.id.in_(block)))
        places |= {row.id: -row.priority for row in found}
    return places


def slot_counts(connection: Connection, known: Iterable[str]) -> dict[str, int]:
    """How many judgments are wanted of known tasks."""
    counts: dict[str, int] = {}
    for block in blocks(list(known)):
        query = select(Slot.task_id, func.count()).where(Slot.task_id.in_(block), Slot.service == "normal", IS_WANTED)
        counts |= {row[0]: row[1] for row in connection.execute(query.group_by(Slot.task_id))}
    return counts


def json_hash(value: Any, *, where: str) -> str:
    """Hash of a JSON value. Raises StoreError where it holds something that is not JSON (NaN, an object)."""
    try:
        return hash_json(value)
    except (TypeError, ValueError) as error:
        raise StoreError(f"{where} holds a value that is not JSON ({error}); remove it or make it a string") from None


def refuse_nul(text: str, *, where: str) -> None:
    """Raise StoreError for a NUL character, plain or as JSON writes it; PostgreSQL cannot hold one."""
    if "\x00" in text or ("\\u0000" in text and _NUL.search(text)):
        raise StoreError(f"{where} contains a NUL character (\\u0000); remove it")


def blocks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Slices short enough for one IN list."""
    for start in range(0, len(items), _BLOCK):
        yield items[start : start + _BLOCK]


def _elsewhere(connection: Connection, rows: Sequence[dict[str, Any]]) -> set[str]:
    wanted = {row["id"]: row["project"] for row in rows}
    found: dict[str, str] = {}
    for block in blocks(list(wanted)):
        found |= {row.id: row.project for row in connection.execute(_WHERE, {"task_ids": block})}
    elsewhere = {task_id for task_id, project in found.items() if project != wanted[task_id]}
    for task_id in sorted(elsewhere):
        if is_hidden(found[task_id]):
            raise BeingBrought(f"task {task_id!r} is being brought in at this moment; try again when that is done")
    return elsewhere


def _prompt_hash(prompt: Prompt) -> str:
    return json_hash(prompt.model_dump(mode="json"), where=f"prompt {prompt.id!r}")


def _prompt(row: Any) -> Prompt:
    """The prompt of a row. Plain turns are not checked once more, for speed; others hold records of their own."""
    said, tools = row.messages, ()
    if said and "tools" in said[0]:
        tools, said = tuple(said[0]["tools"]), said[1:]
    messages = tuple(
        Message.model_construct(**turn) if turn.keys() == {"role", "content"} else Message.model_validate(turn)
        for turn in said
    )
    return Prompt.model_construct(messages=messages, id=row.prompt_id, meta=row.prompt_meta, tools=tools)


def _prompt_row(prompt: Prompt) -> dict[str, Any]:
    """The row of a prompt; the tools stand before the turns, in an entry of their own."""
    messages = [message.model_dump(mode="json") for message in prompt.messages]
    messages = [{"tools": list(prompt.tools)}, *messages] if prompt.tools else messages
    return {"hash": _prompt_hash(prompt), "id": prompt.id, "messages": messages, "meta": prompt.meta}


def _response_row(completion: Completion, prompt_hash: str) -> dict[str, Any]:
    meta = dict(completion.meta)
    sampler = meta.pop("sampler") if isinstance(meta.get("sampler"), dict) else None
    seed = meta.pop("seed") if type(meta.get("seed")) is int and abs(meta["seed"]) < 2**63 else None
    return {
        "hash": json_hash([prompt_hash, completion.model_dump(mode="json")], where=f"answer {completion.id!r}"),
        "id": completion.id,
        "prompt_hash": prompt_hash,
        "text": completion.text,
        "text_hash": hash_bytes(completion.text.encode()),
        "source": completion.source,
        "sampler": sampler,
        "seed": seed,
        "is_finished": completion.finished,
        "meta": meta,
    }


def _completion(row: Any, prompt_id: str) -> Completion:
    meta = dict(row.meta)
    if row.sampler is not None:
        meta["sampler"] = row.sampler
    if row.seed is not None:
        meta["seed"] = row.seed
    return Completion.model_construct(
        prompt_id=prompt_id, text=row.text, id=row.id, source=row.source, finished=row.is_finished, meta=meta
    )
