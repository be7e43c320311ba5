"""Bringing comparisons back with what stands beside them: times of judgments, and decisions of adjudicators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from assent.core.types import Comparison, Ranking, RaterKind
from assent.data import aside
from assent.feedback.queue.imports import import_comparisons
from assent.feedback.records.queue import ImportCounts, Queue
from assent.feedback.tables.connection import insert_missing, write
from assent.feedback.tables.queue import Adjudication, JudgmentRow, RaterRow


def bring(
    engine: Engine, comparisons: Iterable[Comparison], *, queue: Queue, rater_kind: RaterKind, now: float
) -> ImportCounts:
    """Import comparisons; judgments that are new keep the time at which they were given, and decisions come along.

    The same file again adds nothing. Raises StoreError as `import_comparisons`.
    """
    taken = [aside.taken(comparison) for comparison in comparisons]
    plain = [comparison for comparison, _ in taken]
    counts = import_comparisons(engine, plain, queue=queue, rater_kind=rater_kind, now=now)
    beside = [(comparison, found) for comparison, found in taken if found]
    if beside:
        write(engine, lambda connection: _lay(connection, beside, now=now))
    return counts


def _lay(connection: Connection, beside: list[tuple[Comparison, dict[str, Any]]], *, now: float) -> None:
    times = [{"the_id": name, "at": float(at)} for _, found in beside for name, at in found.get("times", {}).items()]
    if times:
        # Only what came in just now: a judgment that was here already has its own time.
        newest = JudgmentRow.submitted_at == now
        statement = update(JudgmentRow).where(JudgmentRow.id == bindparam("the_id"), newest)
        connection.execute(statement.values(submitted_at=bindparam("at")), times)
    for comparison, found in beside:
        for decision in found.get("decisions", []):
            _decide(connection, comparison, decision)


def _decide(connection: Connection, comparison: Comparison, decision: dict[str, Any]) -> None:
    """Note a decision about the task of a comparison, once."""
    name, at = str(decision["adjudicator"]), float(decision["at"])
    ranking = None if decision.get("ranking") is None else Ranking.model_validate(decision["ranking"])
    first = select(JudgmentRow.task_id).where(JudgmentRow.id.in_([j.id for j in comparison.judgments if j.id]))
    task_id = connection.execute(first.order_by(JudgmentRow.task_id)).scalars().first()
    same = select(Adjudication.id).where(
        Adjudication.task_id == task_id, Adjudication.adjudicator_id == name, Adjudication.decided_at == at
    )
    if task_id is None or connection.execute(same).first() is not None:
        return
    insert_missing(connection, RaterRow, [{"id": name, "kind": "person", "created_at": at}])
    plain = None if ranking is None else ranking.model_dump(mode="json")
    values = {"task_id": task_id, "adjudicator_id": name, "ranking": plain, "decided_at": at}
    connection.execute(insert(Adjudication).values(reason=str(decision.get("reason", "")), **values))
