"""How far one person's part in a project reaches: known answers before the work, and so many judgments in all."""

from __future__ import annotations

from sqlalchemy import Connection, exists, func, select

from assent.core.types import Ranking
from assent.feedback.quality.rater_quality import gold_hits
from assent.feedback.queue.judgments import IS_OF_QUEUE, in_queue, judgment_of, select_judgments
from assent.feedback.records.queue import Participation, Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.tables.connection import upsert
from assent.feedback.tables.queue import Gold, JudgmentRow, TaskRow
from assent.feedback.tables.studies import QualificationRow


def participation(
    connection: Connection, rater_id: str, queue: Queue, settings: ProjectSettings, *, is_counted: bool = True
) -> Participation:
    """How far a person is. What a qualification asked is no part of the work.

    Unless `is_counted`, what was done is counted only where the settings limit it, and is 0 otherwise.
    """
    mine = (QualificationRow.project == queue.project, QualificationRow.rater_id == rater_id)
    decided = connection.execute(select(QualificationRow).where(*mine)).first()
    query = (
        select(func.count())
        .select_from(JudgmentRow)
        .where(JudgmentRow.rater_id == rater_id, JudgmentRow.project == queue.project)
        .where(JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome.in_(["ranked", "marked"]))
    )
    asked = 0
    if decided is None and settings.qualification_tasks:
        asked = min(settings.qualification_tasks, _known_answers(connection, queue))
    said = _gold_said(connection, rater_id, queue) if asked else 0
    most, done = settings.judgments_per_person, 0
    if is_counted or most is not None:
        done = max(connection.execute(query).scalar_one() - (decided.tasks if decided else 0), 0)
    return Participation(
        done=done,
        left=None if most is None else max(most - done, 0),
        is_passed=None if decided is None else decided.is_passed,
        to_qualify=max(asked - said, 0),
        is_measured=asked > 0,
    )


def decide(connection: Connection, rater_id: str, queue: Queue, settings: ProjectSettings, *, now: float) -> bool:
    """Whether a person who judged the known answers passes: noted once, whatever is corrected or changed later."""
    query = select_judgments().join(Gold, Gold.task_id == JudgmentRow.task_id).add_columns(Gold.ranking.label("known"))
    query = query.where(in_queue(queue), JudgmentRow.rater_id == rater_id, JudgmentRow.superseded_by.is_(None))
    query = query.where(JudgmentRow.outcome.in_(["ranked", "marked"])).order_by(None)
    rows = connection.execute(query.order_by(JudgmentRow.submitted_at, JudgmentRow.id)).all()
    rows = rows[: settings.qualification_tasks]
    gold = {row.task_id: Ranking.model_validate(row.known) for row in rows}
    hits = [hit for _, hit in gold_hits([judgment_of(row) for row in rows], gold)]
    score = sum(hits) / len(hits) if hits else 0.0
    qualify(connection, rater_id, queue.project, score >= settings.qualification_pass, len(rows), score, now)
    return score >= settings.qualification_pass


def qualify(
    connection: Connection,
    rater_id: str,
    project: str,
    is_passed: bool,
    tasks: int,
    score: float | None,
    now: float,
) -> None:
    """Note whether a person may do the work of a project."""
    values = {"is_passed": is_passed, "tasks": tasks, "score": score, "decided_at": now}
    statement = upsert(connection.dialect.name, QualificationRow).values(project=project, rater_id=rater_id, **values)
    keys = [QualificationRow.project, QualificationRow.rater_id]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))


def _known_answers(connection: Connection, queue: Queue) -> int:
    query = select(func.count()).select_from(Gold).join(TaskRow, TaskRow.id == Gold.task_id)
    return connection.execute(query.where(in_queue(queue), TaskRow.set_aside_at.is_(None))).scalar_one()


def _gold_said(connection: Connection, rater_id: str, queue: Queue) -> int:
    """Known answers that a person judged or skipped: none comes twice."""
    is_gold = exists().where(Gold.task_id == JudgmentRow.task_id)
    query = select(func.count()).select_from(JudgmentRow).where(IS_OF_QUEUE, is_gold)
    query = query.where(JudgmentRow.rater_id == rater_id, JudgmentRow.superseded_by.is_(None))
    return connection.execute(query, vars(queue)).scalar_one()
