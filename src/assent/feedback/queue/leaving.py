"""Reading tasks with everything known about them, for an export: one state of the store, however long it takes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from assent.core.types import Judgment, Ranking
from assent.data.task_records import Circumstances, Decision, Event, Guideline, KnownAnswer, TaskFacts, TaskRecord
from assent.feedback.queue.gold import REPEAT_OF
from assent.feedback.queue.judgments import in_queue, judgment_of, select_judgments, snapshot_id
from assent.feedback.queue.tasks import load_tasks
from assent.feedback.records.queue import Queue
from assent.feedback.tables.queue import (
    Adjudication,
    Gold,
    GuidelineVersion,
    JudgmentEvent,
    JudgmentRow,
    Presentation,
    Slot,
    SnapshotJudgment,
    TaskRow,
)

_SEEN = ("shown_at", "propensity", "locale", "is_translated", "activity", "asked")
_FACTS = ("created_at", "priority", "propensity", "wanted", "set_aside_at", "set_aside_why", "brought_back_at")


def read_guidelines(connection: Connection, project: str) -> list[Guideline]:
    """What the raters of a project were told, oldest first."""
    query = select(GuidelineVersion).where(GuidelineVersion.project == project).order_by(GuidelineVersion.version)
    return [_guideline(row) for row in connection.execute(query)]


def read_records(connection: Connection, queue: Queue, *, snapshot: str | None = None) -> list[TaskRecord]:
    """Every task of a queue, or those of a snapshot with the judgments it holds and without decisions; sorted by id."""
    is_meant = in_queue(queue)
    judged = select_judgments().where(is_meant)
    if snapshot is not None:
        held = select(SnapshotJudgment.judgment_id)
        held = held.where(SnapshotJudgment.snapshot_id == snapshot_id(connection, snapshot))
        judged = judged.where(JudgmentRow.id.in_(held))
    told = {row.id: _guideline(row).name for row in connection.execute(select(GuidelineVersion))}
    rows = connection.execute(
        judged.add_columns(Slot.service, *_seen()).outerjoin(Slot, Slot.id == JudgmentRow.slot_id)
    )
    judgments: dict[str, list[Judgment]] = defaultdict(list)
    times: dict[str, dict[str, float]] = defaultdict(dict)
    about: dict[str, dict[str, Circumstances]] = defaultdict(dict)
    events = _events(connection, is_meant) if snapshot is None else {}
    for row in rows:
        judgments[row.task_id].append(judgment_of(row))
        times[row.task_id][row.id] = row.submitted_at
        how = _circumstances(row, told, events.get(row.id, ()))
        if how != Circumstances():
            about[row.task_id][row.id] = how
    query = select(TaskRow, Gold.ranking, Gold.note, Gold.set_at).outerjoin(Gold, Gold.task_id == TaskRow.id)
    is_there = TaskRow.content_hash != ""  # a conversation whose words were erased has none
    found = {row.id: row for row in connection.execute(query.where(is_meant, is_there))}
    wanted = sorted(found if snapshot is None else judgments.keys() & found.keys())
    tasks = load_tasks(connection, wanted)
    decisions = _decisions(connection, is_meant) if snapshot is None else {}
    return [
        TaskRecord(
            task=tasks[task_id].model_copy(update={"project": "default"}),
            judgments=tuple(sorted(judgments[task_id], key=lambda j: (times[task_id][j.id], j.id))),
            facts=_facts(found[task_id], told),
            times=times[task_id],
            about=about[task_id],
            decisions=tuple(decisions.get(task_id, ())),
            meta={name: value for name, value in found[task_id].meta.items() if name != REPEAT_OF},
        )
        for task_id in wanted
    ]


def _seen() -> list[Any]:
    return [Presentation.guideline_id, *(getattr(Presentation, name).label(f"seen_{name}") for name in _SEEN)]


def _circumstances(row: Any, told: dict[int, str], events: Any) -> Circumstances:
    seen = {name: getattr(row, f"seen_{name}") for name in _SEEN}
    holds = row.superseded_by is None  # the slot of one that was corrected is that of its correction
    return Circumstances(
        service=(row.service if holds else None) or "normal",
        is_surplus=holds and row.slot_id is None and row.outcome != "skipped",
        guideline=told.get(row.guideline_id),
        events=tuple(events),
        **{name: value for name, value in seen.items() if value is not None},
    )


def _facts(row: Any, told: dict[int, str]) -> TaskFacts:
    gold = None if row.ranking is None else KnownAnswer(ranking=_ranking(row.ranking), note=row.note, at=row.set_at)
    return TaskFacts(
        **{name: getattr(row, name) for name in _FACTS},
        guideline=told.get(row.guideline_id),
        repeat_of=row.meta.get(REPEAT_OF),
        gold=gold,
    )


def _events(connection: Connection, is_meant: ColumnElement[bool]) -> dict[str, list[Event]]:
    """What happened to judgments, in turn."""
    query = (
        select(JudgmentEvent)
        .join(JudgmentRow, JudgmentRow.id == JudgmentEvent.judgment_id)
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .where(is_meant)
        .order_by(JudgmentEvent.id)
    )
    found: dict[str, list[Event]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.judgment_id].append(Event(kind=row.kind, at=row.at, payload=row.payload))
    return found


def _decisions(connection: Connection, is_meant: ColumnElement[bool]) -> dict[str, list[Decision]]:
    """Decisions by task, oldest first."""
    query = select(Adjudication).join(TaskRow, TaskRow.id == Adjudication.task_id).where(is_meant)
    found: dict[str, list[Decision]] = defaultdict(list)
    for row in connection.execute(query.order_by(Adjudication.id)):
        ranking = None if row.ranking is None else _ranking(row.ranking)
        decision = Decision(adjudicator=row.adjudicator_id, at=row.decided_at, ranking=ranking, reason=row.reason)
        found[row.task_id].append(decision)
    return found


def _ranking(value: Any) -> Ranking:
    return Ranking.model_validate(value)


def _guideline(row: Any) -> Guideline:
    return Guideline(version=row.version, text=row.text, created_at=row.created_at)
