"""Who did how much work: one row for each rater and project, in a period, as a table for pay.

A judgment that was corrected counts once, as its last correction, on the day of that one. What an erased rater said is
gone, and so is its row. Days begin and end in the time zone of each project.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from assent.core.errors import StoreError
from assent.data import cells
from assent.feedback.queue.batches import is_hidden
from assent.feedback.queue.gold import REPEAT_OF
from assent.feedback.queue.settings import settings_of
from assent.feedback.tables.people import AccountRow, ParticipantRow
from assent.feedback.tables.queue import Gold, JudgmentRow, ProjectRow, RaterRow, TaskRow
from assent.feedback.tables.studies import QualificationRow

COLUMNS = (
    *("project", "rater_id", "kind", "login", "source", "participant", "completion_code"),
    *("judgments", "gold", "repeats", "skips", "seconds", "skip_seconds", "first", "last", "passed", "score"),
)
_YEARS = range(1971, 9999)


@dataclass(frozen=True)
class Period:
    """Days, both included; None: without beginning or end."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, first: str, last: str) -> Period:
        """Days as they are written, empty for none. Raises StoreError for what is no day, or in wrong order."""
        period = cls(_day(first), _day(last))
        if period.first is not None and period.last is not None and period.first > period.last:
            raise StoreError(f"the first day, {first}, comes after the last, {last}; exchange them")
        return period

    def seconds(self, timezone: str) -> tuple[float | None, float | None]:
        """When it begins and ends in a time zone, in seconds since 1970, the end not included."""
        after = None if self.last is None else self.last + timedelta(days=1)
        begin, end = (None if d is None else _midnight(d, timezone) for d in (self.first, after))
        return begin, end


@dataclass(frozen=True)
class Work:
    """What one rater did in one project."""

    project: str
    rater_id: str
    kind: str
    """person, simulated, …"""
    login: str | None
    """Of those who have an account."""
    source: str | None
    """The parameter by which a crowd platform named them; None for others."""
    participant: str | None
    """Their id there."""
    completion_code: str | None
    """The project's, for those whom a platform sent."""
    judgments: int
    """Judgments that hold and say something."""
    gold: int
    """Those of them whose answer is known."""
    repeats: int
    """Those of them that were asked again."""
    skips: int
    seconds: float
    """Active time of the judgments."""
    skip_seconds: float
    first: str
    """When the first of all came, in the project's time zone."""
    last: str
    passed: bool | None
    """Whether they passed the qualification; None: not decided, or there is none."""
    score: float | None


def work(connection: Connection, project: str | None, period: Period) -> list[Work]:
    """The work in a project, or in all, by project and rater."""
    names = [project] if project is not None else sorted(connection.execute(select(ProjectRow.name)).scalars())
    return [row for name in names if not is_hidden(name) for row in _of_project(connection, name, period)]


def as_csv(found: Iterable[Work]) -> bytes:
    """A table for spreadsheets, in which no cell begins a formula."""
    return cells.table(COLUMNS, ([_cell(getattr(one, name)) for name in COLUMNS] for one in found))


def _cell(value: Any) -> str | int | float | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return round(value, 3) if isinstance(value, float) else value


def _of_project(connection: Connection, project: str, period: Period) -> list[Work]:
    settings = settings_of(connection, project)
    people = _people(connection, project)
    found = []
    for row in _sums(connection, project, period.seconds(settings.timezone)):
        who = people.get(row.rater_id, {})
        found.append(
            Work(
                project=project,
                rater_id=row.rater_id,
                kind=row.kind,
                login=who.get("login"),
                source=who.get("source"),
                participant=who.get("participant"),
                completion_code=(settings.completion_code or None) if who.get("source") else None,
                judgments=row.judgments,
                gold=row.gold,
                repeats=row.repeats,
                skips=row.skips,
                seconds=row.seconds or 0.0,
                skip_seconds=row.skip_seconds or 0.0,
                first=_local(row.first, settings.timezone),
                last=_local(row.last, settings.timezone),
                passed=who.get("passed"),
                score=who.get("score"),
            )
        )
    return found


def _sums(connection: Connection, project: str, seconds: tuple[float | None, float | None]) -> Sequence[Any]:
    """Sums over the judgments that hold, by rater."""
    is_said = JudgmentRow.outcome.in_(["ranked", "marked"])
    is_skip = JudgmentRow.outcome == "skipped"
    is_again = TaskRow.meta[REPEAT_OF].as_string().is_not(None)
    query = (
        select(
            JudgmentRow.rater_id,
            RaterRow.kind,
            func.count().filter(is_said).label("judgments"),
            func.count().filter(is_said, Gold.task_id.is_not(None)).label("gold"),
            func.count().filter(is_said, is_again).label("repeats"),
            func.count().filter(is_skip).label("skips"),
            func.sum(JudgmentRow.seconds).filter(is_said).label("seconds"),
            func.sum(JudgmentRow.seconds).filter(is_skip).label("skip_seconds"),
            func.min(JudgmentRow.submitted_at).label("first"),
            func.max(JudgmentRow.submitted_at).label("last"),
        )
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .join(RaterRow, RaterRow.id == JudgmentRow.rater_id)
        .outerjoin(Gold, Gold.task_id == JudgmentRow.task_id)
        .where(TaskRow.project == project, JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome != "erased")
        .group_by(JudgmentRow.rater_id, RaterRow.kind)
        .order_by(JudgmentRow.rater_id)
    )
    begin, end = seconds
    query = query if begin is None else query.where(JudgmentRow.submitted_at >= begin)
    query = query if end is None else query.where(JudgmentRow.submitted_at < end)
    return connection.execute(query).all()


def _people(connection: Connection, project: str) -> dict[str, dict[str, Any]]:
    """What is known of raters besides their work: login, id of a platform, qualification."""
    found: dict[str, dict[str, Any]] = {}
    for account in connection.execute(select(AccountRow.rater_id, AccountRow.login)):
        found.setdefault(account.rater_id, {})["login"] = account.login
    for one in connection.execute(select(ParticipantRow)):
        found.setdefault(one.rater_id, {}).update(source=one.source, participant=one.external_id)
    for passed in connection.execute(select(QualificationRow).where(QualificationRow.project == project)):
        found.setdefault(passed.rater_id, {}).update(passed=passed.is_passed, score=passed.score)
    return found


def _day(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        day = None
    if day is None or day.year not in _YEARS:
        raise StoreError(f"{text.strip()[:40]!r} is no day; write it as 2026-01-31")
    return day


def _midnight(day: date, timezone: str) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).timestamp()


def _local(seconds: float, timezone: str) -> str:
    return datetime.fromtimestamp(seconds, ZoneInfo(timezone)).isoformat(timespec="seconds")
