"""How often somebody may try to sign in: counted in the database, so for all server processes together.

Addresses are counted by network: whoever has one IPv6 address has 2^64 of them, so those count as one. The limit per
login stops many machines that guess one password; it does not apply where that login came in lately, so that nobody
can keep others out of their accounts.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, text

from assent.core.errors import StoreError
from assent.feedback.people.keyed import keyed
from assent.feedback.tables.connection import upsert
from assent.feedback.tables.people import SignInAttempt, SignInPlace

WINDOW = 900.0
"""Attempts are forgotten after this many seconds."""
PER_LOGIN_AND_NETWORK, PER_NETWORK, PER_REGION, PER_LOGIN = 10, 60, 300, 100
"""The first is met by somebody who guesses one password, the second by one who tries many logins, the third by one who
has a whole /48 of IPv6, the fourth by many machines that guess one password."""
KNOWN_SECONDS = 90 * 86_400.0
"""How long a network is known as one from which a login came in."""
_NETWORK, _REGION = 64, 48  # bits of an IPv6 address that name a line, and a customer or a site


class TooManyAttempts(StoreError):
    """Too many attempts to sign in; `retry_after` says in how many seconds the next one is heard."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = math.ceil(max(retry_after, 1.0))
        super().__init__(f"too many attempts to sign in; wait {math.ceil(self.retry_after / 60)} minutes and try again")


@dataclass(frozen=True)
class Attempt:
    """One attempt: the keys that it counts under with the limit of each, and the key of where it came from."""

    limits: dict[str, int]
    both: str
    place: str


def attempt_of(connection: Connection, login: str, address: str) -> Attempt:
    """What an attempt is counted under. Hashed with the store's key: addresses and logins are not kept."""
    network, region = networks(address)
    both = keyed(connection, f"both {network} {login}")
    limits = {both: PER_LOGIN_AND_NETWORK, keyed(connection, f"network {network}"): PER_NETWORK}
    if region != network:
        limits[keyed(connection, f"region {region}")] = PER_REGION
    place = keyed(connection, f"place {network} {login}")
    known = select(SignInPlace.key).where(SignInPlace.key == place)
    if connection.execute(known).first() is None:
        limits[keyed(connection, f"login {login}")] = PER_LOGIN
    return Attempt(limits, both, place)


def networks(address: str) -> tuple[str, str]:
    """The line and the site that an address belongs to: itself for IPv4, /64 and /48 for IPv6."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address, address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped), str(found.ipv4_mapped)
        line, site = (ipaddress.IPv6Network((found, bits), strict=False) for bits in (_NETWORK, _REGION))
        return str(line), str(site)
    return str(found), str(found)


def admit(connection: Connection, attempt: Attempt, *, now: float) -> None:
    """Count an attempt before it is made. Raises TooManyAttempts."""
    forget_old(connection, now=now)
    limits = attempt.limits
    _wait_for_others(connection, limits)
    query = select(SignInAttempt.key, func.count(), func.min(SignInAttempt.at))
    counted = connection.execute(query.where(SignInAttempt.key.in_(list(limits))).group_by(SignInAttempt.key))
    waits = [oldest + WINDOW - now for key, count, oldest in counted if count >= limits[key]]
    if waits:
        raise TooManyAttempts(max(waits))
    connection.execute(insert(SignInAttempt), [{"key": key, "at": now} for key in limits])


def forgive(connection: Connection, attempt: Attempt, rater_id: str, *, now: float) -> None:
    """Uncount the attempt that succeeded and earlier failures of the same person there, and know the place."""
    connection.execute(delete(SignInAttempt).where(SignInAttempt.key == attempt.both))
    for key in attempt.limits:
        if key != attempt.both:
            uncount(connection, key)
    know(connection, attempt, rater_id, now=now)


def uncount(connection: Connection, key: str) -> None:
    """Take back the newest attempt that counts under a key."""
    newest = select(func.max(SignInAttempt.id)).where(SignInAttempt.key == key).scalar_subquery()
    connection.execute(delete(SignInAttempt).where(SignInAttempt.id == newest))


def know(connection: Connection, attempt: Attempt, rater_id: str, *, now: float) -> None:
    """Remember that an account came in from there."""
    statement = upsert(connection.dialect.name, SignInPlace).values(rater_id=rater_id, key=attempt.place, at=now)
    connection.execute(statement.on_conflict_do_update(index_elements=["rater_id", "key"], set_={"at": now}))


def forget_old(connection: Connection, *, now: float) -> None:
    """Drop what counts no more."""
    connection.execute(delete(SignInAttempt).where(SignInAttempt.at <= now - WINDOW))
    connection.execute(delete(SignInPlace).where(SignInPlace.at <= now - KNOWN_SECONDS))


def _wait_for_others(connection: Connection, limits: dict[str, int]) -> None:
    """Attempts under the same keys are counted one after the other (PostgreSQL; SQLite has one writer anyway)."""
    if connection.dialect.name == "postgresql":
        for key in sorted(limits):
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int(key[:15], 16)})
