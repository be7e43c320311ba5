"""How tasks stand: judged, waited for, skipped and why, set aside; searched by their texts or ids."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, String, case, cast, exists, func, or_, select, true

from assent.core.shown import shown
from assent.core.types import Task
from assent.feedback.queue.assigned import assignments
from assent.feedback.queue.gold import REPEAT_OF, again_id
from assent.feedback.queue.judgments import in_queue
from assent.feedback.queue.tasks import blocks, load_tasks
from assent.feedback.queue.wanted import IS_WANTED
from assent.feedback.records.queue import Queue, State, TaskState
from assent.feedback.tables.queue import JudgmentRow, PromptRow, ResponseRow, Slot, TaskResponse, TaskRow

_STEP = 500


def states(connection: Connection, task_ids: Sequence[str]) -> dict[str, TaskState]:
    """How tasks stand, by id. What a rater was asked again counts for the task of the first time."""
    found: dict[str, TaskState] = {}
    for block in blocks(list(task_ids)):
        skips: dict[str, dict[str, int]] = {}
        firsts = {again_id(task_id): task_id for task_id in block}
        for task_id, reason, many in connection.execute(_skips([*block, *firsts])):
            reasons = skips.setdefault(firsts.get(task_id, task_id), {})
            reasons[reason] = reasons.get(reason, 0) + many
        slots = {row.task_id: row for row in connection.execute(_slots(block))}
        said = {row[0]: row[1] for row in connection.execute(_judgments(block))}
        assigned = assignments(connection, block)
        for row in connection.execute(select(TaskRow).where(TaskRow.id.in_(block))):
            own = slots.get(row.id)
            state = TaskState(
                task_id=row.id,
                wanted=0 if own is None else own.wanted,
                unjudged=0 if own is None else own.unjudged,
                judgments=said.get(row.id, 0),
                skips=skips.get(row.id, {}),
                aside=row.set_aside_why,
                aside_at=row.set_aside_at,
            )
            found[row.id] = state if row.id not in assigned else replace(state, assigned=assigned[row.id])
    return found


def page(
    connection: Connection,
    queue: Queue,
    *,
    state: State | None = None,
    find: str = "",
    disputed: Collection[str] = (),
    after: str = "",
    limit: int,
) -> list[tuple[Task, TaskState]]:
    """Tasks of a queue by id that stand in a state and hold a text, those after the id `after`, without repeats."""
    found: list[tuple[Task, TaskState]] = []
    while len(found) < limit:
        ids = list(connection.execute(_candidates(queue, state, find, disputed, after)).scalars())
        if not ids:
            break
        after = ids[-1]
        loaded, known = load_tasks(connection, ids), states(connection, ids)
        found += [
            (loaded[i], known[i])
            for i in ids
            if (not find or holds(loaded[i], find)) and (state is None or known[i].is_in(state, disputed=disputed))
        ]
        if len(ids) < _STEP:
            break
    return found[:limit]


def holds(task: Task, text: str) -> bool:
    """Whether a task has this id, or the text stands in its prompt or answers, whatever its case."""
    wanted = text.casefold()
    texts = [one.text for one in shown(task.prompt)] + [one.text for one in task.completions]
    return task.id == text or any(wanted in one.casefold() for one in texts)


def _candidates(queue: Queue, state: State | None, find: str, disputed: Collection[str], after: str) -> Any:
    """Ids among which a page is sought: all that may fit, so that little is loaded in vain."""
    repeats = TaskRow.meta[REPEAT_OF].as_string()
    query = select(TaskRow.id).where(in_queue(queue), TaskRow.id > after, repeats.is_(None))
    match state:
        case "open":
            waits = exists().where(Slot.task_id == TaskRow.id, Slot.is_filled.is_(False), IS_WANTED)
            query = query.where(waits)
        case "done":
            query = query.where(TaskRow.set_aside_at.is_(None))
        case "skipped":
            query = query.where(TaskRow.id.in_(_skipped_ids()))
        case "aside":
            query = query.where(TaskRow.set_aside_at.is_not(None))
        case "disputed":
            query = query.where(TaskRow.id.in_(sorted(disputed)[:5000]))
        case None:
            pass
    # SQLite folds the case of ASCII only: other texts are looked at one by one.
    if find.isascii() and find.isprintable() and not set(find) & {'"', "\\"}:
        in_prompt = exists().where(PromptRow.hash == TaskRow.prompt_hash, _like(cast(PromptRow.messages, String), find))
        in_answer = exists().where(
            TaskResponse.task_id == TaskRow.id,
            ResponseRow.hash == TaskResponse.response_hash,
            _like(ResponseRow.text, find),
        )
        if find:
            query = query.where(or_(TaskRow.id == find, in_prompt, in_answer))
    return query.order_by(TaskRow.id).limit(_STEP)


def _like(column: Any, text: str) -> Any:
    return column.icontains(text, autoescape=True)


def _skipped_ids() -> Any:
    first = func.coalesce(TaskRow.meta[REPEAT_OF].as_string(), TaskRow.id)
    skipped = select(first).join(JudgmentRow, JudgmentRow.task_id == TaskRow.id)
    return skipped.where(JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome == "skipped")


def _slots(block: Sequence[str]) -> Any:
    is_filled = Slot.is_filled == true()
    wanted = func.sum(case((or_(is_filled, IS_WANTED), 1), else_=0)).label("wanted")
    unjudged = func.sum(case((is_filled, 0), (IS_WANTED, 1), else_=0)).label("unjudged")
    query = select(Slot.task_id, wanted, unjudged).where(Slot.task_id.in_(block), Slot.service.in_(["normal", "made"]))
    return query.group_by(Slot.task_id)


def _judgments(block: Sequence[str]) -> Any:
    query = select(JudgmentRow.task_id, func.count()).where(JudgmentRow.task_id.in_(block))
    query = query.where(JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome.in_(["ranked", "marked"]))
    return query.group_by(JudgmentRow.task_id)


def _skips(task_ids: Sequence[str]) -> Any:
    reason = func.coalesce(JudgmentRow.skip_reason, "")
    query = select(JudgmentRow.task_id, reason, func.count()).where(JudgmentRow.task_id.in_(task_ids))
    query = query.where(JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome == "skipped")
    return query.group_by(JudgmentRow.task_id, reason)
