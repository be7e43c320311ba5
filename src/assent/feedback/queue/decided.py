"""Decisions of adjudicators and known answers that come in with a task, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from assent.core.errors import StoreError
from assent.core.hashing import hash_json
from assent.data.task_records import TaskRecord
from assent.feedback.queue.tasks import blocks, known_contents
from assent.feedback.tables.queue import Adjudication, Gold, JudgmentRow

_DECISIONS = select(
    Adjudication.adjudicator_id, Adjudication.decided_at, Adjudication.ranking, Adjudication.reason
).where(Adjudication.task_id == bindparam("task_id"))


def lay(connection: Connection, record: TaskRecord, own: str, judgment_ids: Sequence[str]) -> tuple[int, int]:
    """Note what was decided about a task and what its answer is; how many of both are new.

    It is the task `own`, or the one that the judgments are of: what was said here comes back to where it was said.
    Raises StoreError where another answer is known here.
    """
    gold = None if record.facts is None else record.facts.gold
    if not record.decisions and gold is None:
        return 0, 0
    task_id = own if known_contents(connection, [own]) else _task_of(connection, judgment_ids)
    if task_id is None:
        return 0, 0
    there = Counter(_decided(*row) for row in connection.execute(_DECISIONS, {"task_id": task_id}))
    new = 0
    for decision in record.decisions:
        plain = None if decision.ranking is None else decision.ranking.model_dump(mode="json")
        said = _decided(decision.adjudicator, decision.at, plain, decision.reason)
        if there[said]:
            there[said] -= 1
            continue
        values = {"task_id": task_id, "adjudicator_id": decision.adjudicator, "ranking": plain}
        connection.execute(insert(Adjudication).values(reason=decision.reason, decided_at=decision.at, **values))
        new += 1
    if gold is None:
        return new, 0
    known = connection.execute(select(Gold).where(Gold.task_id == task_id)).first()
    ranking = gold.ranking.model_dump(mode="json")
    if known is None:
        connection.execute(insert(Gold).values(task_id=task_id, ranking=ranking, note=gold.note, set_at=gold.at))
        return new, 1
    if known.ranking != ranking:
        raise StoreError(f"task {task_id!r} has another known answer here; take one of them back before the import")
    return new, 0


def _decided(adjudicator: str, at: float, ranking: Any, reason: str) -> str:
    return hash_json([adjudicator, at, ranking, reason])


def _task_of(connection: Connection, judgment_ids: Sequence[str]) -> str | None:
    """The first task that holds one of the judgments."""
    found: set[str] = set()
    for block in blocks(judgment_ids):
        found |= set(connection.execute(select(JudgmentRow.task_id).where(JudgmentRow.id.in_(block))).scalars())
    return min(found, default=None)
