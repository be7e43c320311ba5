"""What raters have said so far: what one may still change, how far they are, and the facts for those who run it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, func, select

from assent.feedback.days import begin_of_day
from assent.feedback.queue.assigned import count_for
from assent.feedback.queue.candidates import Candidates, newcomer_for, taken_since
from assent.feedback.queue.claims import Term, lock_rater
from assent.feedback.queue.gold import REPEAT_OF
from assent.feedback.queue.judgments import IS_OF_QUEUE, judgment_of, select_judgments
from assent.feedback.queue.presentations import asked_of, read_presentations
from assent.feedback.queue.settings import settings_of
from assent.feedback.queue.tasks import load_tasks
from assent.feedback.records.queue import Queue, RaterProgress, SaidRow, Served
from assent.feedback.tables.queue import Gold, GuidelineVersion, JudgmentRow, Lease, Presentation, Slot, TaskRow

_TALKS = ("chat", "battle")


def recent(connection: Connection, rater_id: str, queue: Queue, *, limit: int, now: float) -> list[Served]:
    """What a rater submitted last, newest first, as long as the project's settings let them change it.

    Turns of conversations are not among them: the talk went on from what was said.
    """
    lock_rater(connection, rater_id)
    seconds = settings_of(connection, queue.project).undo_seconds
    query = (
        select_judgments()
        .add_columns(
            Presentation.propensity,
            GuidelineVersion.version,
            Slot.service,
            Lease.token,
        )
        .outerjoin(GuidelineVersion, GuidelineVersion.id == Presentation.guideline_id)
        .outerjoin(Slot, Slot.id == JudgmentRow.slot_id)
        .outerjoin(Lease, Lease.slot_id == JudgmentRow.slot_id)
        .where(IS_OF_QUEUE, JudgmentRow.rater_id == rater_id)
        .where(JudgmentRow.superseded_by.is_(None))
        .where(JudgmentRow.submitted_at >= now - seconds, TaskRow.kind.not_in(_TALKS))
        .order_by(None)
        .order_by(JudgmentRow.submitted_at.desc(), JudgmentRow.id)
        .limit(limit)
    )
    rows = connection.execute(query, vars(queue)).all()
    tasks = load_tasks(connection, [row.task_id for row in rows])
    shown = read_presentations(connection, rater_id, [row.task_id for row in rows])
    served = []
    for row in rows:
        order = row.order_shown or (shown[row.task_id].order_shown if row.task_id in shown else None)
        task = tasks[row.task_id]
        served.append(
            Served(
                task=task,
                token=row.token or "",
                expires_at=row.submitted_at + seconds,
                order=tuple(order or (completion.id for completion in task.completions)),
                guideline_version=row.version,
                service=row.service if row.service in ("gold", "repeat") else "normal",
                propensity=row.propensity,
                judgment=judgment_of(row),
            )
        )
    return served


def own(connection: Connection, rater_id: str, task_id: str) -> Served | None:
    """A task as a rater was shown it, with their lease and what holds of what they said; None if it never was."""
    shown = read_presentations(connection, rater_id, [task_id]).get(task_id)
    if shown is None:
        return None
    holds = (JudgmentRow.task_id == task_id, JudgmentRow.rater_id == rater_id, JudgmentRow.superseded_by.is_(None))
    said = connection.execute(select_judgments().where(*holds)).first()
    held = (Lease.task_id == task_id, Lease.rater_id == rater_id)
    lease = connection.execute(select(Lease).where(*held).order_by(Lease.is_spent, Lease.slot_id)).first()
    version = select(GuidelineVersion.version).where(GuidelineVersion.id == shown.guideline_id)
    return Served(
        task=load_tasks(connection, [task_id])[task_id],
        token="" if lease is None else lease.token,
        expires_at=0.0 if lease is None else lease.expires_at,
        order=tuple(shown.order_shown),
        guideline_version=connection.execute(version).scalar(),
        propensity=shown.propensity,
        judgment=None if said is None else judgment_of(said),
        asked=asked_of(connection, rater_id, task_id),
    )


def rater_progress(
    connection: Connection, rater_id: str, queue: Queue, *, now: float, then: RaterProgress | None = None
) -> RaterProgress:
    """How many tasks a rater has judged, and how many they could take.

    The latter is counted, or is what it was `then` less what this rater took since: what others did since is left out.
    """
    lock_rater(connection, rater_id)
    settings, term = settings_of(connection, queue.project), Term(rater_id, now=now, expires_at=now)
    midnight = begin_of_day(now, settings.timezone)
    today = func.count().filter(JudgmentRow.submitted_at >= midnight)
    query = (
        select(func.count(), today)
        .where(IS_OF_QUEUE, JudgmentRow.rater_id == rater_id)
        .where(JudgmentRow.superseded_by.is_(None))
        .where(JudgmentRow.outcome.in_(["ranked", "marked"]))
    )
    done = connection.execute(query, vars(queue)).one()
    since = now if then is None else then.counted_at
    taken = taken_since(connection, term, queue, since=since)
    if then is not None:
        waiting = max(then.waiting - (taken - then.taken), 0)
    else:
        candidates = Candidates(connection, term, queue, limit=1)
        left = newcomer_for(connection, rater_id, queue, tasks=settings.newcomer_tasks)
        further = candidates.further(depth=settings.newcomer_overlap, left=left)
        waiting = candidates.tasks() + count_for(connection, term, queue) + further
    return RaterProgress(done[0], done[1], waiting, counted_at=since, taken=taken)


def said(connection: Connection, project: str) -> list[SaidRow]:
    """The facts about every current judgment of a project, skips included, in the order they came."""
    holds = (TaskRow.project == project, JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome != "erased")
    query = select_said().where(*holds).order_by(JudgmentRow.submitted_at, JudgmentRow.id)
    return [SaidRow(*row) for row in connection.execute(query)]


def select_said() -> Select[Any]:
    """The fields of a SaidRow of every judgment; which ones, and in which order, is the caller's to say."""
    return (
        select(
            JudgmentRow.id,
            JudgmentRow.task_id,
            JudgmentRow.rater_id,
            TaskRow.kind,
            TaskRow.purpose,
            JudgmentRow.outcome,
            JudgmentRow.seconds,
            JudgmentRow.submitted_at,
            Gold.task_id.is_not(None),
            TaskRow.meta[REPEAT_OF].as_string(),
            Presentation.is_translated,
            JudgmentRow.slot_id.is_(None) & (JudgmentRow.outcome != "skipped"),
            Presentation.propensity,
            GuidelineVersion.version,
        )
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .outerjoin(Gold, Gold.task_id == JudgmentRow.task_id)
        .outerjoin(Presentation, Presentation.id == JudgmentRow.presentation_id)
        .outerjoin(GuidelineVersion, GuidelineVersion.id == Presentation.guideline_id)
    )
