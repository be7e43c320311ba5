"""Tasks for named people or groups only: they are given to nobody else, and to those before anything else."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, false, func, insert, or_, select, true

from assent.core.errors import StoreError
from assent.feedback.queue.claims import Term
from assent.feedback.queue.tasks import blocks, refuse_nul, refuse_unknown_tasks
from assent.feedback.queue.wanted import ASSIGNED, fit
from assent.feedback.records.queue import Assignment, Queue
from assent.feedback.tables.people import AccountRow
from assent.feedback.tables.queue import JudgmentRow, Lease, RaterRow, Slot, TaskRow
from assent.feedback.tables.studies import Assignee, GroupMember


def assign(connection: Connection, task_ids: Sequence[str], to: Assignment) -> None:
    """Give tasks to these people and groups only; to anybody where none is named. Replaces what held before.

    Raises StoreError for an unknown task, rater or group.
    """
    refuse_unknown_tasks(connection, task_ids)
    _refuse_unknown(connection, to)
    for block in blocks(sorted(set(task_ids))):
        connection.execute(delete(Assignee).where(Assignee.task_id.in_(block)))
        named = [(False, name) for name in to.raters] + [(True, name) for name in to.groups]
        rows = [{"task_id": task, "is_group": is_group, "name": name} for task in block for is_group, name in named]
        if rows:
            connection.execute(insert(Assignee), rows)
    fit(connection, task_ids)


def assignments(connection: Connection, task_ids: Sequence[str]) -> dict[str, Assignment]:
    """To whom tasks are assigned, by task, without those that anybody may judge."""
    found: dict[str, Assignment] = {}
    for block in blocks(list(task_ids)):
        query = select(Assignee).where(Assignee.task_id.in_(block)).order_by(Assignee.is_group, Assignee.name)
        for row in connection.execute(query):
            known = found.get(row.task_id, Assignment())
            raters = known.raters if row.is_group else (*known.raters, row.name)
            groups = (*known.groups, row.name) if row.is_group else known.groups
            found[row.task_id] = Assignment(raters, groups)
    return found


def crews(connection: Connection, queue: Queue) -> dict[str, set[str]]:
    """Who may judge each assigned task of a queue: people named or in a group, not erased, not barred."""
    is_named = and_(Assignee.is_group == false(), Assignee.name == RaterRow.id)
    groups = select(GroupMember.name).where(GroupMember.rater_id == RaterRow.id)
    is_member = and_(Assignee.is_group == true(), Assignee.name.in_(groups))
    is_barred = exists().where(AccountRow.rater_id == RaterRow.id, AccountRow.disabled_at.is_not(None))
    query = (
        select(TaskRow.id, RaterRow.id)
        .join(Assignee, Assignee.task_id == TaskRow.id)
        .outerjoin(RaterRow, and_(or_(is_named, is_member), RaterRow.erased_at.is_(None), ~is_barred))
        .where(TaskRow.project == queue.project, TaskRow.purpose == queue.purpose)
    )
    found: dict[str, set[str]] = {}
    for task_id, rater_id in connection.execute(query):
        found.setdefault(task_id, set())
        found[task_id] |= set() if rater_id is None else {rater_id}
    return found


def slots_for(connection: Connection, term: Term, queue: Queue, *, limit: int) -> list[tuple[int, str]]:
    """Free slots, at most one per task, of the tasks assigned to a rater that they do not know: slot and task."""
    first = func.min(Slot.id)
    query = select(first, Slot.task_id).where(_free(term, queue)).group_by(Slot.task_id, Slot.place)
    rows = connection.execute(query.order_by(Slot.place, first).limit(limit))
    return [(row[0], row[1]) for row in rows]


def count_for(connection: Connection, term: Term, queue: Queue) -> int:
    """How many tasks assigned to a rater they could take now."""
    return connection.execute(select(func.count(Slot.task_id.distinct())).where(_free(term, queue))).scalar_one()


def is_for(rater_id: str) -> ColumnElement[bool]:
    """Slots of tasks assigned to a rater, by name or by a group."""
    groups = select(GroupMember.name).where(GroupMember.rater_id == rater_id)
    is_named = and_(Assignee.is_group == false(), Assignee.name == rater_id)
    is_member = and_(Assignee.is_group == true(), Assignee.name.in_(groups))
    mine = select(Assignee.task_id).where(or_(is_named, is_member))
    return and_(Slot.reserved_for == ASSIGNED, Slot.task_id.in_(mine))


def groups(connection: Connection) -> dict[str, tuple[str, ...]]:
    """The ids of the raters in each group, by its name."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(select(GroupMember).order_by(GroupMember.name, GroupMember.rater_id)):
        found.setdefault(row.name, []).append(row.rater_id)
    return {name: tuple(members) for name, members in found.items()}


def set_group(connection: Connection, name: str, members: Collection[str]) -> None:
    """Say who is in a group; with nobody in it there is none. Raises StoreError for an unknown rater or a bad name."""
    refuse_nul(name, where="the group")
    if not name.strip() or len(name) > 80:
        raise StoreError(f"the group name {name[:40]!r} cannot be used; take 1 to 80 characters")
    _refuse_strangers(connection, members)
    connection.execute(delete(GroupMember).where(GroupMember.name == name))
    rows = [{"name": name, "rater_id": member} for member in sorted(set(members))]
    if rows:
        connection.execute(insert(GroupMember), rows)


def _free(term: Term, queue: Queue) -> ColumnElement[bool]:
    is_lent = exists().where(Lease.slot_id == Slot.id, or_(Lease.expires_at > term.now, Lease.is_spent == true()))
    has_judged = exists().where(JudgmentRow.task_id == Slot.task_id, JudgmentRow.rater_id == term.rater_id)
    own = Lease.__table__.alias("own")
    holds = exists().where(own.c.task_id == Slot.task_id, own.c.rater_id == term.rater_id, own.c.expires_at > term.now)
    of_queue = and_(Slot.project == queue.project, Slot.purpose == queue.purpose, Slot.is_filled == false())
    return and_(of_queue, is_for(term.rater_id), ~is_lent, ~has_judged, ~holds)


def _refuse_unknown(connection: Connection, to: Assignment) -> None:
    _refuse_strangers(connection, to.raters)
    there = set(groups(connection))
    strange = next((name for name in to.groups if name not in there), None)
    if strange is not None:
        raise StoreError(f"there is no group {strange!r}; put somebody into it first")


def _refuse_strangers(connection: Connection, raters: Collection[str]) -> None:
    query = select(RaterRow.id).where(RaterRow.id.in_(list(raters)), RaterRow.erased_at.is_(None))
    known = set(connection.execute(query).scalars())
    strange = next((one for one in raters if one not in known), None)
    if strange is not None:
        raise StoreError(f"rater {strange!r} is not known; take an id from the list of people")
