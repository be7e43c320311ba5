"""API tokens: secrets with which programs act for an account, with at most a role."""

from __future__ import annotations

import secrets
from typing import Any, cast

from sqlalchemy import Connection, Engine, insert, select

from assent.core.errors import StoreError
from assent.feedback.people import rows
from assent.feedback.queue.tasks import refuse_nul
from assent.feedback.records.people import Account, ApiToken, Role, Secret, at_most, digest
from assent.feedback.tables.connection import read_transaction, write_transaction
from assent.feedback.tables.people import ApiTokenRow

PREFIX = "assent_"
"""Tokens begin with this, so that one that leaks into a file is recognized."""


class ApiTokens:
    """The API tokens of a store. Every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self,
        rater_id: str,
        name: str,
        *,
        role: Role | None = None,
        lifetime: float | None = None,
        asked_by: int | None = None,
        now: float,
    ) -> Secret[ApiToken]:
        """Make a token that acts for an account with at most `role`. It is told this once. Raises StoreError.

        `asked_by` is the number of the token that asks for it: the new one ends when that one does, and with it.
        """
        refuse_nul(name, where="the name of a token")
        token = PREFIX + secrets.token_urlsafe(24)
        with write_transaction(self._engine) as connection:
            account = rows.known(connection, rater_id)
            values = {"token_hash": digest(token), "rater_id": rater_id, "name": name, "created_at": now}
            values |= {"role": at_most(role or account.role, account.role)}
            values |= {"expires_at": None if lifetime is None else now + lifetime, "parent_hash": None}
            if asked_by is not None:
                values |= _below(connection, asked_by, values)
            row = connection.execute(insert(ApiTokenRow).values(values).returning(ApiTokenRow)).one()
            return Secret(_token(row), token)

    def all(self, rater_id: str | None = None) -> list[ApiToken]:
        """Tokens, newest first; of one account where named."""
        query = select(ApiTokenRow).order_by(ApiTokenRow.id.desc())
        if rater_id is not None:
            query = query.where(ApiTokenRow.rater_id == rater_id)
        with read_transaction(self._engine) as connection:
            return [_token(row) for row in connection.execute(query)]

    def revoke(self, token_id: int, *, now: float) -> bool:
        """End a token and those it asked for; False where there is none, or it was ended before."""
        query = select(ApiTokenRow.token_hash).where(ApiTokenRow.id == token_id, ApiTokenRow.revoked_at.is_(None))
        with write_transaction(self._engine) as connection:
            return rows.end_with_children(connection, list(connection.execute(query).scalars()), now=now) > 0

    def account(self, token: str, *, now: float) -> Account | None:
        """For whom a token acts, with the role it gives; None for one that is ended, over or unknown."""
        found = self.spoken_for(token, now=now)
        return None if found is None else found[0]

    def spoken_for(self, token: str, *, now: float) -> tuple[Account, int] | None:
        """For whom a token acts, with the role it gives, and the token's number; None as for `account`."""
        with read_transaction(self._engine) as connection:
            row = connection.execute(select(ApiTokenRow).where(ApiTokenRow.token_hash == digest(token))).first()
            account = None if row is None else _account(connection, row, now=now)
        return None if row is None or account is None else (account, row.id)


def _account(connection: Connection, row: Any, *, now: float) -> Account | None:
    """The account of a token in the least of the roles of the token, its account, and whatever asked for it."""
    account = _own(connection, row, now=now)
    while account is not None and row.parent_hash is not None:
        row = connection.execute(select(ApiTokenRow).where(ApiTokenRow.token_hash == row.parent_hash)).first()
        parent = None if row is None else _own(connection, row, now=now)
        account = None if parent is None else account.with_role(at_most(account.role, parent.role))
    return account


def _own(connection: Connection, row: Any, *, now: float) -> Account | None:
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    account = rows.enabled(connection, row.rater_id)
    return None if account is None else account.with_role(at_most(cast(Role, row.role), account.role))


def _below(connection: Connection, asked_by: int, values: dict[str, Any]) -> dict[str, Any]:
    """What a token may be that another asks for: it outlives and outranks that one in nothing."""
    parent = connection.execute(select(ApiTokenRow).where(ApiTokenRow.id == asked_by)).first()
    if parent is None or parent.revoked_at is not None:
        raise StoreError("the token that asks for another is ended; ask an admin for a new one")
    ends = [end for end in (values["expires_at"], parent.expires_at) if end is not None]
    role = at_most(values["role"], cast(Role, parent.role))
    return {"parent_hash": parent.token_hash, "expires_at": min(ends, default=None), "role": role}


def _token(row: Any) -> ApiToken:
    return ApiToken(
        id=row.id,
        rater_id=row.rater_id,
        name=row.name,
        role=cast(Role, row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
