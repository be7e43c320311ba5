"""How many of the wanted judgments the people at work can still give, so that nothing waits for raters there are not.

A task wanted from three people is judged as far as it will be when everybody at work has judged or skipped it. At work
is who has judged something of the queue within the last seven days and may still sign in; before anybody has, all is
wanted. What was imported puts nobody to work.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, exists, select

from assent.feedback.queue.assigned import crews
from assent.feedback.queue.bringing import IMPORTED_LEASE
from assent.feedback.queue.claims import open_tasks
from assent.feedback.queue.judgments import counts, in_queue
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.tables.people import AccountRow
from assent.feedback.tables.queue import JudgmentRow, Lease, RaterRow, TaskRow

AT_WORK_SECONDS = 7 * 86_400.0
"""Who has judged nothing for so long is not waited for."""


def within_reach(connection: Connection, queue: Queue, *, now: float) -> Counts:
    """Judged slots of a queue, and how many there will be at most unless further raters come."""
    found = counts(connection, queue)
    seen = _seen(connection, queue)
    if found.have >= found.need or not seen:
        return found
    crew, named = _at_work(connection, queue, now=now), crews(connection, queue)
    left = 0
    for task in open_tasks(connection, queue):
        known = seen.get(task.task_id, set())
        if task.task_id in named:  # those it is for are waited for whether they have begun or not
            left += min(task.unjudged, len(named[task.task_id] - known))
            continue
        # What nobody has seen waits for somebody, also while nobody is at work.
        left += min(task.unjudged, max(len(crew - known), 0 if known else 1))
    return Counts(found.have, found.have + left)


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


def _at_work(connection: Connection, queue: Queue, *, now: float) -> set[str]:
    """Raters who judged something of the queue lately and may go on."""
    was_imported = exists().where(Lease.slot_id == JudgmentRow.slot_id, Lease.token.startswith(IMPORTED_LEASE))
    is_barred = exists().where(AccountRow.rater_id == JudgmentRow.rater_id, AccountRow.disabled_at.is_not(None))
    query = (
        select(JudgmentRow.rater_id)
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .join(RaterRow, RaterRow.id == JudgmentRow.rater_id)
        .where(in_queue(queue), JudgmentRow.submitted_at > now - AT_WORK_SECONDS, RaterRow.erased_at.is_(None))
        .where(~was_imported, ~is_barred)
    )
    return set(connection.execute(query.distinct()).scalars())
