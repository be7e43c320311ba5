"""Invitations: links with which people make their own accounts, in a role and a project, so many times and so long."""

from __future__ import annotations

import secrets
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Engine, insert, select, update

from assent.core.errors import StoreError
from assent.feedback.people import rows
from assent.feedback.people.passwords import hash_password
from assent.feedback.queue.tasks import refuse_nul
from assent.feedback.records.people import Account, Invitation, Role, Secret, checked_email, digest
from assent.feedback.tables.connection import read_transaction, write_transaction
from assent.feedback.tables.people import InvitationRow

INVITATION_SECONDS = 14 * 86_400.0
"""An invitation ends after this unless said otherwise."""
MOST_USES = 10_000


class Invitations:
    """The invitations of a store. Every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self,
        role: Role,
        *,
        project: str | None = None,
        note: str = "",
        max_uses: int = 1,
        lifetime: float = INVITATION_SECONDS,
        email: str | None = None,
        now: float,
    ) -> Secret[Invitation]:
        """Make an invitation to a project (None: to all). Its token is told this once. Raises StoreError.

        One to an address is for one person: their account gets the address, and they may come by a sign-in provider.
        """
        if email is not None and max_uses != 1:
            raise StoreError(f"an invitation to one address for {max_uses} people; take 1, or leave the address out")
        if not 1 <= max_uses <= MOST_USES or not 0 < lifetime <= 3660 * 86_400:
            raise StoreError(
                f"an invitation for {max_uses} people and {lifetime:.0f} seconds; take 1 to {MOST_USES} people and up"
                " to ten years"
            )
        refuse_nul(note + (project or ""), where="an invitation")
        token = secrets.token_urlsafe(18)
        values: dict[str, Any] = {"token_hash": digest(token), "role": role, "project": project, "note": note}
        values |= {"created_at": now, "expires_at": now + lifetime, "max_uses": max_uses, "uses": 0}
        values |= {"email": None if email is None else checked_email(email)}
        with write_transaction(self._engine) as connection:
            row = connection.execute(insert(InvitationRow).values(values).returning(InvitationRow)).one()
            return Secret(_invitation(row), token)

    def all(self, *, project: str | None = None) -> list[Invitation]:
        """All invitations, newest first, or those of a project."""
        query = select(InvitationRow).order_by(InvitationRow.id.desc())
        if project is not None:
            query = query.where(InvitationRow.project == project)
        with read_transaction(self._engine) as connection:
            return [_invitation(row) for row in connection.execute(query)]

    def find(self, token: str, *, now: float) -> Invitation | None:
        """What a token invites to; None for one that is used up, over, revoked or unknown."""
        query = select(InvitationRow).where(InvitationRow.token_hash == digest(token))
        with read_transaction(self._engine) as connection:
            row = connection.execute(query).first()
        found = None if row is None else _invitation(row)
        return found if found is not None and found.is_open(now) else None

    def lasting(self, token: str, *, now: float) -> Invitation | None:
        """The same, also where it is used up: whoever came by it may come back."""
        with read_transaction(self._engine) as connection:
            return lasting(connection, token, now=now)

    def revoke(self, invitation_id: int, *, now: float) -> bool:
        """Take an invitation back; False where there is none, or it was taken back before."""
        where = (InvitationRow.id == invitation_id, InvitationRow.revoked_at.is_(None))
        with write_transaction(self._engine) as connection:
            return connection.execute(update(InvitationRow).where(*where).values(revoked_at=now)).rowcount == 1

    def join(
        self, token: str, *, login: str, password: str | None = None, locale: str | None = None, now: float
    ) -> Account | None:
        """Make an account by an invitation; None where it is not open any more. Raises StoreError for a bad login."""
        with read_transaction(self._engine) as connection:
            rows.free_login(connection, login)  # a hash takes long: it is not made for a name that is taken
        kept = None if password is None else hash_password(password, login=login)
        with write_transaction(self._engine) as connection:
            found = use(connection, token, now=now)
            if found is None:
                return None
            account = make(connection, found, login, password_hash=kept, locale=locale, now=now)
            rows.set_email(connection, account.rater_id, found.email)
            return rows.known(connection, account.rater_id)

    def join_as(self, token: str, rater_id: str, *, now: float) -> Account | None:
        """Let an account that is there already into the invitation's project; its role stays as it is."""
        with write_transaction(self._engine) as connection:
            account = rows.known(connection, rater_id)
            found = use(connection, token, now=now)
            if found is None:
                return None
            add_project(connection, account, found)
            if account.email is None:
                rows.set_email(connection, rater_id, found.email)
            return rows.known(connection, rater_id)


def make(
    connection: Connection,
    invitation: Invitation,
    login: str,
    *,
    password_hash: str | None = None,
    locale: str | None = None,
    now: float,
) -> Account:
    """A new account with the role and the project of an invitation. Raises StoreError for a bad login."""
    projects = None if invitation.project is None else (invitation.project,)
    return rows.create(
        connection, login, invitation.role, password_hash=password_hash, projects=projects, locale=locale, now=now
    )


def add_project(connection: Connection, account: Account, invitation: Invitation) -> None:
    """Let an account into the project of an invitation; its role stays as it is."""
    if account.projects is not None:
        projects = None if invitation.project is None else (*account.projects, invitation.project)
        rows.place(connection, account.rater_id, projects)


def lasting(connection: Connection, token: str, *, now: float) -> Invitation | None:
    """An invitation for those who came by it before: also one that is used up, but neither over nor taken back."""
    row = connection.execute(select(InvitationRow).where(InvitationRow.token_hash == digest(token))).first()
    found = None if row is None else _invitation(row)
    return found if found is not None and found.revoked_at is None and found.expires_at > now else None


def use(connection: Connection, token: str, *, now: float) -> Invitation | None:
    """Count one use in one statement, so that the last place goes to one person only."""
    return next(iter(_use(connection, InvitationRow.token_hash == digest(token), now=now)), None)


def use_addressed(connection: Connection, email: str, *, now: float) -> list[Invitation]:
    """Use all open invitations to an address up, the oldest first."""
    return sorted(_use(connection, InvitationRow.email == email, now=now), key=lambda one: one.id)


def _use(connection: Connection, which: ColumnElement[bool], *, now: float) -> list[Invitation]:
    statement = (
        update(InvitationRow)
        .where(which, InvitationRow.uses < InvitationRow.max_uses)
        .where(InvitationRow.expires_at > now, InvitationRow.revoked_at.is_(None))
        .values(uses=InvitationRow.uses + 1)
    )
    return [_invitation(row) for row in connection.execute(statement.returning(InvitationRow))]


def _invitation(row: Any) -> Invitation:
    return Invitation(
        id=row.id,
        role=cast(Role, row.role),
        project=row.project,
        note=row.note,
        created_at=row.created_at,
        expires_at=row.expires_at,
        max_uses=row.max_uses,
        uses=row.uses,
        revoked_at=row.revoked_at,
        email=row.email,
    )
