"""Reading and writing accounts inside a transaction that another module opened."""

from __future__ import annotations

import base64
import secrets
from typing import Any, cast

from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from assent.core.errors import StoreError
from assent.feedback.records.people import Account, Participant, Role, checked_login
from assent.feedback.tables.people import (
    AccountRow,
    ApiTokenRow,
    InvitationRow,
    Membership,
    OneTimeLink,
    ParticipantRow,
    SessionRow,
)
from assent.feedback.tables.queue import RaterRow

_FIRST_ADMIN = 4_113_310_002  # any fixed number: PostgreSQL's name for "somebody makes the first admin"


def create(
    connection: Connection,
    login: str,
    role: Role,
    *,
    password_hash: str | None = None,
    projects: tuple[str, ...] | None = None,
    locale: str | None = None,
    now: float,
) -> Account:
    """A new account with a new rater. Raises StoreError where the login is taken or cannot be used."""
    name = free_login(connection, login)
    rater_id = pseudonym()
    connection.execute(insert(RaterRow).values(id=rater_id, kind="person", created_at=now))
    values: dict[str, Any] = {"rater_id": rater_id, "login": name, "password_hash": password_hash, "role": role}
    values |= {"locale": locale, "sees_all": projects is None, "created_at": now}
    try:
        connection.execute(insert(AccountRow).values(values))
    except IntegrityError as error:  # somebody else took it at the same moment (PostgreSQL)
        raise StoreError(f"the login {name!r} is taken; choose another") from error
    place(connection, rater_id, projects)
    return known(connection, rater_id)


def free_login(connection: Connection, login: str) -> str:
    """A login as it is kept. Raises StoreError where it is taken or cannot be used."""
    name = checked_login(login)
    if connection.execute(select(AccountRow.rater_id).where(AccountRow.login == name)).first():
        raise StoreError(f"the login {name!r} is taken; choose another")
    return name


def by_email(connection: Connection, email: str | None) -> Account | None:
    """The account of an address."""
    found = select(AccountRow.rater_id).where(AccountRow.email == email)
    return None if email is None else find(connection, connection.execute(found).scalar())


def set_email(connection: Connection, rater_id: str, email: str | None) -> None:
    """Write an account's address. Raises StoreError where it is another's; none is taken away without being asked."""
    if email is not None:
        found = by_email(connection, email)
        if found is not None and found.rater_id != rater_id:
            raise StoreError(f"the address {email!r} is that of another account; take it away there first")
    try:
        connection.execute(update(AccountRow).where(AccountRow.rater_id == rater_id).values(email=email))
    except IntegrityError as error:  # somebody else took it at the same moment (PostgreSQL)
        raise StoreError(f"the address {email!r} is that of another account; take it away there first") from error


def pseudonym() -> str:
    """A new rater id that says nothing about the person."""
    return "r-" + base64.b32encode(secrets.token_bytes(8)).decode().rstrip("=").lower()


def accounts(connection: Connection) -> list[Account]:
    """All accounts sorted by login."""
    places: dict[str, list[str]] = {}
    for rater_id, project in connection.execute(select(Membership.rater_id, Membership.project)):
        places.setdefault(rater_id, []).append(project)
    rows = connection.execute(select(AccountRow).order_by(AccountRow.login)).all()
    known = {row.rater_id: _participant(row) for row in connection.execute(select(ParticipantRow))}
    return [_account(row, places.get(row.rater_id, []), known.get(row.rater_id)) for row in rows]


def find(connection: Connection, rater_id: str | None) -> Account | None:
    """One account."""
    row = connection.execute(select(AccountRow).where(AccountRow.rater_id == rater_id)).first()
    if row is None:
        return None
    found = connection.execute(select(ParticipantRow).where(ParticipantRow.rater_id == rater_id)).first()
    came = None if found is None else _participant(found)
    if row.sees_all:
        return _account(row, [], came)
    projects = connection.execute(select(Membership.project).where(Membership.rater_id == rater_id))
    return _account(row, list(projects.scalars()), came)


def known(connection: Connection, rater_id: str) -> Account:
    """One account. Raises StoreError where there is none."""
    account = find(connection, rater_id)
    if account is None:
        raise StoreError(f"there is no account of rater {rater_id!r}; look it up in the list of accounts")
    return account


def enabled(connection: Connection, rater_id: str | None) -> Account | None:
    """One account, if it may sign in."""
    account = None if rater_id is None else find(connection, rater_id)
    return None if account is None or account.is_disabled else account


def place(connection: Connection, rater_id: str, projects: tuple[str, ...] | None) -> None:
    """Let an account rate in these projects only; None: in all."""
    connection.execute(delete(Membership).where(Membership.rater_id == rater_id))
    connection.execute(update(AccountRow).where(AccountRow.rater_id == rater_id).values(sees_all=projects is None))
    rows = [{"rater_id": rater_id, "project": project} for project in sorted(set(projects or ()))]
    if rows:
        connection.execute(insert(Membership), rows)


def end_sessions(connection: Connection, rater_id: str) -> int:
    """Sign an account out everywhere."""
    return connection.execute(delete(SessionRow).where(SessionRow.rater_id == rater_id)).rowcount


def end_links(connection: Connection, rater_id: str, *, now: float) -> None:
    """Close the one-time links of an account that nobody used."""
    mine = (OneTimeLink.rater_id == rater_id, OneTimeLink.used_at.is_(None))
    connection.execute(update(OneTimeLink).where(*mine).values(used_at=now))


def end_tokens(connection: Connection, rater_id: str, *, now: float) -> int:
    """End the API tokens of an account, and with them those they asked for."""
    mine = (ApiTokenRow.rater_id == rater_id, ApiTokenRow.revoked_at.is_(None))
    query = select(ApiTokenRow.token_hash).where(*mine)
    return end_with_children(connection, list(connection.execute(query).scalars()), now=now)


def end_with_children(connection: Connection, hashes: list[str], *, now: float) -> int:
    """End tokens, the tokens they asked for, the tokens those asked for; how many that were."""
    ended = 0
    while hashes:
        open_ = (ApiTokenRow.token_hash.in_(hashes), ApiTokenRow.revoked_at.is_(None))
        ended += connection.execute(update(ApiTokenRow).where(*open_).values(revoked_at=now)).rowcount
        children = select(ApiTokenRow.token_hash).where(
            ApiTokenRow.parent_hash.in_(hashes), ApiTokenRow.revoked_at.is_(None)
        )
        hashes = list(connection.execute(children).scalars())
    return ended


def lock_first_admin(connection: Connection) -> None:
    """Let nobody else look whether there is an admin and make one until this transaction ends (PostgreSQL).

    Where there is no admin yet, there is no row to lock: two servers would each see none, and each make one.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _FIRST_ADMIN})


def lock_admins(connection: Connection) -> None:
    """Let nobody else change who is an admin until this transaction ends (PostgreSQL; SQLite has one writer anyway)."""
    connection.execute(select(AccountRow.rater_id).where(AccountRow.role == "admin").with_for_update()).all()


def is_only_admin(connection: Connection, rater_id: str) -> bool:
    """Could nobody let others in without this account?"""
    query = select(AccountRow.rater_id).where(AccountRow.role == "admin", AccountRow.disabled_at.is_(None))
    return list(connection.execute(query.with_for_update()).scalars()) == [rater_id]


def refuse_no_admin(connection: Connection) -> None:
    """Raise StoreError where nobody is left who could let others in."""
    query = select(func.count()).select_from(AccountRow)
    if not connection.execute(query.where(AccountRow.role == "admin", AccountRow.disabled_at.is_(None))).scalar():
        raise StoreError("this is the last admin; make another account an admin first")


def forget(connection: Connection, rater_id: str) -> None:
    """Delete the account of a rater with its sessions, links, tokens and memberships; part of erasing them.

    Notes of used-up invitations go too: they may say whom they were for, and which one it was nobody wrote down.
    So do invitations to their address.
    """
    used_up = InvitationRow.uses >= InvitationRow.max_uses
    mine = select(AccountRow.email).where(AccountRow.rater_id == rater_id, AccountRow.email.is_not(None))
    to_me = InvitationRow.email.in_(mine)
    connection.execute(update(InvitationRow).where(used_up | to_me).values(note="", email=None))
    connection.execute(delete(AccountRow).where(AccountRow.rater_id == rater_id))


def _participant(row: Any) -> Participant:
    return Participant(row.source, row.external_id, row.details)


def _account(row: Any, projects: list[str], participant: Participant | None) -> Account:
    return Account(
        rater_id=row.rater_id,
        login=row.login,
        role=cast(Role, row.role),
        locale=row.locale,
        has_password=row.password_hash is not None,
        has_second_factor=row.totp_secret is not None,
        projects=None if row.sees_all else tuple(sorted(projects)),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        participant=participant,
        email=row.email,
    )
