"""Participants: people whom a crowd platform sends by a link with their id in it, one account for each id.

    who = checked_participant(("PROLIFIC_PID", "STUDY_ID"), {"PROLIFIC_PID": "5f1a", "STUDY_ID": "s"})
    account = store.accounts.participants.enter(token, who, now=now)      # the same account each time

Whoever has the link and an id comes in as that person, as these platforms want it; so an id never opens an account that
may do more than rate, or that has a password.
"""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, Engine, select, update

from assent.core.errors import StoreError
from assent.feedback.people import rows
from assent.feedback.people.crowd import Worker, workers
from assent.feedback.people.invitations import lasting, use
from assent.feedback.queue.claims import lock_rater
from assent.feedback.queue.participation import qualify
from assent.feedback.records.people import Account, Participant
from assent.feedback.tables.connection import insert_missing, read_transaction, write
from assent.feedback.tables.people import ParticipantRow
from assent.feedback.tables.studies import QualificationRow


class Participants:
    """The participants of a store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def enter(self, token: str, who: Participant, *, locale: str | None = None, now: float) -> Account | None:
        """The account of a participant, made where there is none; None where the invitation lets nobody in any more.

        Coming back uses no place of the invitation up. Raises StoreError for an account that an id may not open.
        """
        while True:
            try:
                return write(self._engine, lambda c: _enter(c, token, who, locale=locale, now=now))
            except _Raced:  # somebody came in by the same id at this moment (PostgreSQL): theirs is the account
                continue

    def workers(self, project: str) -> list[Worker]:
        """Everybody whom a platform sent to a project, with their work there, by id."""
        with read_transaction(self._engine) as connection:
            return workers(connection, project)

    def qualify(self, rater_id: str, project: str, *, is_passed: bool, now: float) -> None:
        """Let somebody do a project's work, or not, whatever they said of the known answers. Raises StoreError."""

        def work(connection: Connection) -> None:
            lock_rater(connection, rater_id)
            mine = (QualificationRow.project == project, QualificationRow.rater_id == rater_id)
            known = connection.execute(select(QualificationRow.tasks).where(*mine)).scalar()
            qualify(connection, rater_id, project, is_passed, known or 0, None, now)

        write(self._engine, work)


class _Raced(Exception):
    """Another process made the account of this participant first."""


def _enter(connection: Connection, token: str, who: Participant, *, locale: str | None, now: float) -> Account | None:
    mine = (ParticipantRow.source == who.source, ParticipantRow.external_id == who.external_id)
    rater_id = connection.execute(select(ParticipantRow.rater_id).where(*mine)).scalar()
    if rater_id is None:
        return _make(connection, token, who, locale=locale, now=now)
    invitation, account = lasting(connection, token, now=now), rows.known(connection, rater_id)
    if invitation is None:
        return None
    if account.is_disabled:
        raise StoreError("this account was disabled; ask whoever runs the study")
    if account.role != "rater" or account.has_password:
        raise StoreError("this account is entered with its password or a link of an admin; sign in")
    if invitation.project is not None and not account.may_rate(invitation.project):
        if use(connection, token, now=now) is None:
            return None
        rows.place(connection, rater_id, (*(account.projects or ()), invitation.project))
    values = {"details": dict(who.details), "seen_at": now}
    connection.execute(update(ParticipantRow).where(*mine).values(values))
    return rows.known(connection, rater_id)


def _make(connection: Connection, token: str, who: Participant, *, locale: str | None, now: float) -> Account | None:
    invitation = use(connection, token, now=now)
    if invitation is None:
        return None
    projects = None if invitation.project is None else (invitation.project,)
    login = f"participant-{secrets.token_hex(5)}"
    account = rows.create(connection, login, "rater", projects=projects, locale=locale, now=now)
    values = {"rater_id": account.rater_id, "seen_at": now, **vars(who), "details": dict(who.details)}
    insert_missing(connection, ParticipantRow, [values])
    kept = rows.known(connection, account.rater_id)
    if kept.participant is None:
        raise _Raced
    return kept
