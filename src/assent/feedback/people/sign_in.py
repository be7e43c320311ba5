"""How often somebody may try to sign in: counted in the database, so for all server processes together."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sqlalchemy import Connection, delete, func, insert, select, text

from assent.core.errors import StoreError
from assent.feedback.records.people import digest
from assent.feedback.tables.people import SignInAttempt

WINDOW = 900.0
"""Attempts are forgotten after this many seconds."""
PER_LOGIN_AND_ADDRESS, PER_ADDRESS, PER_LOGIN = 10, 60, 100
"""The first is met by somebody who guesses one password, the second by one who tries many logins, the third by many
machines that guess one password; high enough that nobody is easily kept out of their own account."""


class TooManyAttempts(StoreError):
    """Too many attempts to sign in; `retry_after` says in how many seconds the next one is heard."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = math.ceil(max(retry_after, 1.0))
        super().__init__(f"too many attempts to sign in; wait {math.ceil(self.retry_after / 60)} minutes and try again")


def keys(login: str, address: str) -> Mapping[str, int]:
    """What an attempt is counted under, with the limit of each. Hashed: addresses and logins are not kept."""
    limits = {f"both {address} {login}": PER_LOGIN_AND_ADDRESS, f"address {address}": PER_ADDRESS}
    return {digest(key): limit for key, limit in (limits | {f"login {login}": PER_LOGIN}).items()}


def admit(connection: Connection, limits: Mapping[str, int], *, now: float) -> None:
    """Count an attempt before it is made. Raises TooManyAttempts."""
    connection.execute(delete(SignInAttempt).where(SignInAttempt.at <= now - WINDOW))
    _wait_for_others(connection, limits)
    query = select(SignInAttempt.key, func.count(), func.min(SignInAttempt.at))
    counted = connection.execute(query.where(SignInAttempt.key.in_(list(limits))).group_by(SignInAttempt.key))
    waits = [oldest + WINDOW - now for key, count, oldest in counted if count >= limits[key]]
    if waits:
        raise TooManyAttempts(max(waits))
    connection.execute(insert(SignInAttempt), [{"key": key, "at": now} for key in limits])


def forgive(connection: Connection, limits: Mapping[str, int], *, now: float) -> None:
    """Uncount the attempt that succeeded, and earlier failures of the same person at the same place."""
    both = min(limits, key=lambda key: limits[key])
    connection.execute(delete(SignInAttempt).where(SignInAttempt.key == both))
    for key in limits:
        if key != both:
            newest = select(func.max(SignInAttempt.id)).where(SignInAttempt.key == key).scalar_subquery()
            connection.execute(delete(SignInAttempt).where(SignInAttempt.id == newest))


def _wait_for_others(connection: Connection, limits: Mapping[str, int]) -> None:
    """Attempts under the same keys are counted one after the other (PostgreSQL; SQLite has one writer anyway)."""
    if connection.dialect.name == "postgresql":
        for key in sorted(limits):
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int(key[:15], 16)})
