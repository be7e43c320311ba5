"""The crowd workers of a project: who they are to their platform, what they did, whether they passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from assent.feedback.records.people import Participant
from assent.feedback.tables.people import AccountRow, Membership, ParticipantRow
from assent.feedback.tables.queue import JudgmentRow, TaskRow
from assent.feedback.tables.studies import QualificationRow


@dataclass(frozen=True)
class Worker:
    """A crowd worker in a project."""

    rater_id: str
    participant: Participant
    judgments: int
    """Judgments that hold and say something, those of the qualification with them."""
    skips: int
    seconds: float
    """Active time of the judgments."""
    first_at: float | None
    last_at: float | None
    is_passed: bool | None
    """Whether they passed the qualification; None: not decided, or there is none."""
    score: float | None


def workers(connection: Connection, project: str) -> list[Worker]:
    """Everybody whom a platform sent to a project, by id."""
    is_said = JudgmentRow.outcome.in_(["ranked", "marked"])
    said = (
        select(
            JudgmentRow.rater_id,
            func.count().filter(is_said).label("judgments"),
            func.count().filter(JudgmentRow.outcome == "skipped").label("skips"),
            func.sum(JudgmentRow.seconds).filter(is_said).label("seconds"),
            func.min(JudgmentRow.submitted_at).label("first_at"),
            func.max(JudgmentRow.submitted_at).label("last_at"),
        )
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .where(TaskRow.project == project, JudgmentRow.superseded_by.is_(None))
        .group_by(JudgmentRow.rater_id)
        .subquery()
    )
    is_member = and_(Membership.rater_id == ParticipantRow.rater_id, Membership.project == project)
    passed = and_(QualificationRow.rater_id == ParticipantRow.rater_id, QualificationRow.project == project)
    query = (
        select(ParticipantRow, said, QualificationRow.is_passed, QualificationRow.score)
        .join(AccountRow, AccountRow.rater_id == ParticipantRow.rater_id)
        .outerjoin(Membership, is_member)
        .outerjoin(said, said.c.rater_id == ParticipantRow.rater_id)
        .outerjoin(QualificationRow, passed)
        .where(or_(Membership.project.is_not(None), said.c.judgments.is_not(None)))
        .order_by(ParticipantRow.source, ParticipantRow.external_id)
    )
    return [_worker(row) for row in connection.execute(query)]


def _worker(row: Any) -> Worker:
    return Worker(
        rater_id=row.rater_id,
        participant=Participant(row.source, row.external_id, row.details),
        judgments=row.judgments or 0,
        skips=row.skips or 0,
        seconds=row.seconds or 0.0,
        first_at=row.first_at,
        last_at=row.last_at,
        is_passed=row.is_passed,
        score=row.score,
    )
