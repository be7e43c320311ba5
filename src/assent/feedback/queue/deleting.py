"""Deleting a project with everything in it, for good: what would go is counted, and its rows leave the database.

A project is first moved, in one transaction, to a name that nobody sees; from then on it is gone for everybody. Its
tasks follow a block at a time, as a batch that was given up, so that raters of other projects are answered meanwhile;
where the process dies, whoever looks after batches next finishes it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, exists, false, func, insert, select, update
from sqlalchemy.orm import aliased

from assent.core.errors import ConflictError, StoreError
from assent.feedback.queue.batches import drop_strangers, gone_name, take_out
from assent.feedback.queue.settings import is_archived
from assent.feedback.records.queue import Contents
from assent.feedback.tables.connection import empty_log, write
from assent.feedback.tables.conversations import ConversationRow
from assent.feedback.tables.people import AccountRow, InvitationRow, Membership, ParticipantRow
from assent.feedback.tables.queue import (
    Adjudication,
    GuidelineVersion,
    JudgesRow,
    JudgmentRow,
    ProjectRow,
    Slot,
    SnapshotJudgment,
    SnapshotRow,
    TaskRow,
)
from assent.feedback.tables.studies import QualificationRow
from assent.feedback.tables.webhooks import WebhookRow


def delete_project(engine: Engine, name: str, *, now: float) -> Contents:
    """Delete an archived project and what is in it; says what it was.

    Numbers of judgments are not given again, so whoever follows other projects by a cursor goes on. Raises StoreError
    for an unknown project, ConflictError for one that is not archived.
    """
    gone = gone_name()

    def work(connection: Connection) -> Contents:
        found = contents(connection, name)
        if not is_archived(connection, name):
            raise ConflictError(f"project {name!r} is not archived; archive it first, then delete it")
        _move(connection, name, gone, now=now)
        return found

    held = write(engine, work)
    take_out(engine, gone)
    empty_log(engine)
    return held


def contents(connection: Connection, name: str) -> Contents:
    """What is in a project. Raises StoreError for an unknown one."""
    if connection.execute(select(ProjectRow.name).where(ProjectRow.name == name)).first() is None:
        raise StoreError(f"project {name!r} is not in the store; correct its name")

    def many(table: Any, *where: ColumnElement[bool]) -> int:
        return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()

    tasks = select(TaskRow.id).where(TaskRow.project == name)
    return Contents(
        tasks=many(TaskRow, TaskRow.project == name),
        judgments=many(JudgmentRow, JudgmentRow.task_id.in_(tasks)),
        decisions=many(Adjudication, Adjudication.task_id.in_(tasks)),
        guidelines=many(GuidelineVersion, GuidelineVersion.project == name),
        snapshots=many(SnapshotRow, SnapshotRow.project == name),
        conversations=many(ConversationRow, ConversationRow.project == name),
        webhooks=many(WebhookRow, WebhookRow.project == name),
        invitations=many(InvitationRow, InvitationRow.project == name),
        members=many(Membership, Membership.project == name),
        accounts=len(_workers_of(connection, name)),
    )


def _move(connection: Connection, name: str, gone: str, *, now: float) -> None:
    """Delete what depends on the project itself, and put its tasks and guidelines where nobody sees them."""
    connection.execute(insert(ProjectRow).values(name=gone, created_at=now, archived_at=now))
    workers = _workers_of(connection, name)
    connection.execute(delete(AccountRow).where(AccountRow.rater_id.in_(workers)))
    taken = select(SnapshotRow.id).where(SnapshotRow.project == name)
    connection.execute(delete(SnapshotJudgment).where(SnapshotJudgment.snapshot_id.in_(taken)))
    # Of judges, a note about another project with the same tasks stays: that one is there, and its judges have it.
    for table in (SnapshotRow, WebhookRow, InvitationRow, Membership, ConversationRow, QualificationRow, JudgesRow):
        connection.execute(delete(table).where(table.project == name))
    for moved in (TaskRow, Slot, GuidelineVersion):
        connection.execute(update(moved).where(moved.project == name).values(project=gone))
    connection.execute(delete(ProjectRow).where(ProjectRow.name == name))
    drop_strangers(connection, workers)


def _workers_of(connection: Connection, name: str) -> list[str]:
    """Crowd workers who may rate in this project alone: their accounts were made for it."""
    elsewhere = aliased(Membership)
    only_here = ~exists().where(elsewhere.rater_id == Membership.rater_id, elsewhere.project != name)
    query = (
        select(Membership.rater_id)
        .join(ParticipantRow, ParticipantRow.rater_id == Membership.rater_id)
        .join(AccountRow, AccountRow.rater_id == Membership.rater_id)
        .where(Membership.project == name, only_here, AccountRow.sees_all == false(), AccountRow.role == "rater")
    )
    return list(connection.execute(query).scalars())
