"""How many of the wanted judgments people can still give, and who: so that nothing waits for raters there are not.

A task wanted from three people is judged as far as it will be when everybody at work has judged or skipped it. At work
is who has judged something of the queue within the last seven days and may still sign in; before anybody has, all is
wanted. What was imported puts nobody to work. A quorum names people who are waited for before they have begun, or says
how many different ones; who is not known yet may judge any task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, exists, func, select

from assent.feedback.queue.assigned import crews
from assent.feedback.queue.bringing import IMPORTED_LEASE
from assent.feedback.queue.claims import open_tasks
from assent.feedback.queue.judgments import counts, in_queue
from assent.feedback.records.queue import Awaited, Counts, Queue, Quorum
from assent.feedback.tables.people import AccountRow
from assent.feedback.tables.queue import JudgmentRow, Lease, RaterRow, TaskRow

AT_WORK_SECONDS = 7 * 86_400.0
"""Who has judged nothing for so long is not waited for."""


@dataclass(frozen=True)
class _Crew:
    """Who is waited for in a queue."""

    last: Mapping[str, float | None]
    """When each judged last, by rater; None: named, and has not begun."""
    strangers: tuple[str, ...]
    """Logins that were named and have no account."""
    more: int
    """Further people, whoever they are."""

    @property
    def unknown(self) -> int:
        """People who are no raters yet."""
        return len(self.strangers) + self.more


def within_reach(connection: Connection, queue: Queue, *, now: float, quorum: Quorum) -> Counts:
    """Judged slots of a queue, and how many there will be at most unless further raters come."""
    found = counts(connection, queue)
    seen = _seen(connection, queue)
    if found.have >= found.need or not seen:
        return found
    crew, named = _crew(connection, queue, quorum, now=now), crews(connection, queue)
    left = 0
    for task in open_tasks(connection, queue):
        known = seen.get(task.task_id, set())
        if task.task_id in named:  # those it is for are waited for whether they have begun or not
            left += min(task.unjudged, len(named[task.task_id] - known))
            continue
        # What nobody has seen waits for somebody, also while nobody is at work.
        left += min(task.unjudged, max(len(crew.last.keys() - known) + crew.unknown, 0 if known else 1))
    return Counts(found.have, found.have + left)


def awaited(connection: Connection, queue: Queue, *, now: float, quorum: Quorum) -> list[Awaited]:
    """Who may still judge something of a queue, those with most tasks first, whoever else it waits for at last.

    Nobody where nobody has begun and nobody is named: all is wanted, of whoever comes.
    """
    seen, named = _seen(connection, queue), crews(connection, queue)
    crew = _crew(connection, queue, quorum, now=now)
    if not (seen or named or crew.last or crew.unknown):
        return []
    left: Counter[str] = Counter()
    free = orphaned = 0
    for task in open_tasks(connection, queue):
        known = seen.get(task.task_id, set())
        is_free = task.task_id not in named
        candidates = (crew.last.keys() if is_free else named[task.task_id]) - known
        left.update(candidates)
        free += is_free
        orphaned += is_free and not candidates and not known
    query = select(AccountRow.rater_id, AccountRow.login).where(AccountRow.rater_id.in_(list(left)))
    logins = {row.rater_id: row.login for row in connection.execute(query)}
    found = [
        Awaited(
            logins.get(rater_id, rater_id),
            tasks,
            last=(last := crew.last.get(rater_id)),
            until=None if last is None or logins.get(rater_id) in quorum.logins else last + AT_WORK_SECONDS,
        )
        for rater_id, tasks in left.items()
    ]
    found.sort(key=lambda one: (-one.tasks, one.name))
    if free:
        found += [Awaited(login, free, has_account=False) for login in crew.strangers]
    whoever = free if crew.more else orphaned
    return [*found, Awaited("", whoever, people=max(crew.more, 1))] if whoever else found


def _crew(connection: Connection, queue: Queue, quorum: Quorum, *, now: float) -> _Crew:
    begun = _begun(connection, queue)
    query = select(AccountRow.login, AccountRow.rater_id, AccountRow.disabled_at).where(
        AccountRow.login.in_(quorum.logins)
    )
    accounts = {row.login: row for row in connection.execute(query)}
    named = {row.rater_id for row in accounts.values() if row.disabled_at is None}
    at_work = {rater_id: at for rater_id, at in begun.items() if at > now - AT_WORK_SECONDS}
    strangers = tuple(login for login in quorum.logins if login not in accounts)
    more = max(quorum.number - len(begun.keys() | named) - len(strangers), 0) if begun or quorum.number > 1 else 0
    return _Crew({one: begun.get(one) for one in at_work.keys() | named}, strangers, more)


def _seen(connection: Connection, queue: Queue) -> Mapping[str, set[str]]:
    """Who judged or skipped which task; the erased are forgotten."""
    query = (
        select(JudgmentRow.task_id, JudgmentRow.rater_id)
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .where(in_queue(queue), JudgmentRow.outcome != "erased")
    )
    seen: dict[str, set[str]] = {}
    for task_id, rater_id in connection.execute(query):
        seen.setdefault(task_id, set()).add(rater_id)
    return seen


def _begun(connection: Connection, queue: Queue) -> dict[str, float]:
    """When raters who may go on judged something of the queue last."""
    was_imported = exists().where(Lease.slot_id == JudgmentRow.slot_id, Lease.token.startswith(IMPORTED_LEASE))
    is_barred = exists().where(AccountRow.rater_id == JudgmentRow.rater_id, AccountRow.disabled_at.is_not(None))
    query = (
        select(JudgmentRow.rater_id, func.max(JudgmentRow.submitted_at).label("last"))
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .join(RaterRow, RaterRow.id == JudgmentRow.rater_id)
        .where(in_queue(queue), RaterRow.erased_at.is_(None), ~was_imported, ~is_barred)
        .group_by(JudgmentRow.rater_id)
    )
    return {row.rater_id: row.last for row in connection.execute(query)}
