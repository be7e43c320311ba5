"""API tokens: secrets with which programs act for an account, with at most a role."""

from __future__ import annotations

import secrets
from typing import Any, cast

from sqlalchemy import Engine, insert, select, update

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
        self, rater_id: str, name: str, *, role: Role | None = None, lifetime: float | None = None, now: float
    ) -> Secret[ApiToken]:
        """Make a token that acts for an account with at most `role`. It is told this once. Raises StoreError."""
        refuse_nul(name, where="the name of a token")
        token = PREFIX + secrets.token_urlsafe(24)
        with write_transaction(self._engine) as connection:
            account = rows.known(connection, rater_id)
            values = {"token_hash": digest(token), "rater_id": rater_id, "name": name, "created_at": now}
            values |= {"role": at_most(role or account.role, account.role)}
            values |= {"expires_at": None if lifetime is None else now + lifetime}
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
        """End a token; False where there is none, or it was ended before."""
        where = (ApiTokenRow.id == token_id, ApiTokenRow.revoked_at.is_(None))
        with write_transaction(self._engine) as connection:
            return connection.execute(update(ApiTokenRow).where(*where).values(revoked_at=now)).rowcount == 1

    def account(self, token: str, *, now: float) -> Account | None:
        """For whom a token acts, with the role it gives; None for one that is ended, over or unknown."""
        with read_transaction(self._engine) as connection:
            row = connection.execute(select(ApiTokenRow).where(ApiTokenRow.token_hash == digest(token))).first()
            if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
                return None
            account = rows.enabled(connection, row.rater_id)
        return None if account is None else account.with_role(at_most(cast(Role, row.role), account.role))


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
