"""The security log: sign-ins, refusals and what admins did, kept for so many days, without words of people.

    store.events.record(Event("account.changed", account=admin_id, about=rater_id), now=now)
    store.events.find(what="sign_in.wrong", limit=100)

`what` is a short name of two parts; pages translate the first part. Addresses are kept as keyed hashes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select, update

from assent.core.errors import StoreError
from assent.feedback.people.keyed import keyed, value_of, write_value
from assent.feedback.tables.connection import read_transaction, write_transaction
from assent.feedback.tables.people import SecurityEvent

LOG = logging.getLogger("assent.security")
DAYS, SHORTEST_DAYS, LONGEST_DAYS = 365, 1, 3650
"""How long events are kept unless an admin says otherwise, and what may be said."""
MOST_EVENTS = 200_000
"""The oldest go first beyond this: a flood of refusals does not fill the disk."""
_KEPT_DAYS = "security_log_days"
_LONGEST = 200
_PRUNE_EVERY = 500


@dataclass(frozen=True)
class Event:
    """Something that happened. `account` is a rater id, `about` an id, a number or a project's name; never words."""

    what: str
    account: str | None = None
    program: int | None = None
    address: str = ""
    """Where it came from; only its keyed hash is kept."""
    about: str = ""
    project: str | None = None


@dataclass(frozen=True)
class KeptEvent(Event):
    """An event as it is kept: numbered, with its time; `address` is a keyed hash."""

    id: int = 0
    at: float = 0.0


class Events:
    """The security log of a store. Every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, event: Event, *, now: float) -> None:
        """Keep an event, and say it to the logger `assent.security`."""
        with write_transaction(self._engine) as connection:
            values = {
                "at": now,
                "what": event.what[:_LONGEST],
                "account": event.account,
                "program": event.program,
                "address": keyed(connection, f"address {event.address}")[:16] if event.address else "",
                "about": event.about[:_LONGEST],
                "project": None if event.project is None else event.project[:_LONGEST],
            }
            number = connection.execute(insert(SecurityEvent).values(values).returning(SecurityEvent.id)).scalar_one()
            if number % _PRUNE_EVERY == 0:
                _prune(connection, now=now)
        LOG.info("%s", " ".join(f"{name}={value}" for name, value in values.items() if value not in (None, "")))

    def find(
        self, *, what: str = "", account: str = "", before: int | None = None, limit: int = 100
    ) -> list[KeptEvent]:
        """The newest events first: those whose `what` begins so, that an account did or that were done to it."""
        query = _filtered(what, account).order_by(SecurityEvent.id.desc()).limit(limit)
        if before is not None:
            query = query.where(SecurityEvent.id < before)
        with read_transaction(self._engine) as connection:
            return [_event(row) for row in connection.execute(query)]

    def all(self, *, what: str = "", account: str = "") -> Iterator[KeptEvent]:
        """Every event of that kind, newest first, read a piece at a time."""
        before: int | None = None
        while found := self.find(what=what, account=account, before=before, limit=1000):
            yield from found
            before = found[-1].id

    def kinds(self) -> list[str]:
        """Which kinds of events there are."""
        with read_transaction(self._engine) as connection:
            return list(
                connection.execute(select(SecurityEvent.what).distinct().order_by(SecurityEvent.what)).scalars()
            )

    @property
    def days(self) -> int:
        """For how many days events are kept."""
        with read_transaction(self._engine) as connection:
            return _days(connection)

    def keep_for(self, days: int, *, now: float) -> None:
        """Keep events for so many days from now on; older ones go at once. Raises StoreError."""
        if not SHORTEST_DAYS <= days <= LONGEST_DAYS:
            raise StoreError(f"the log cannot be kept for {days} days; take {SHORTEST_DAYS} to {LONGEST_DAYS}")
        with write_transaction(self._engine) as connection:
            write_value(connection, _KEPT_DAYS, str(days))
            _prune(connection, now=now)

    def prune(self, *, now: float) -> int:
        """Drop what is older than it is to be kept; how many events that were."""
        with write_transaction(self._engine) as connection:
            return _prune(connection, now=now)


def rename(connection: Connection, rater_id: str, tombstone: str) -> None:
    """Let events speak of a tombstone instead of a person; part of erasing them."""
    for column in (SecurityEvent.account, SecurityEvent.about):
        connection.execute(update(SecurityEvent).where(column == rater_id).values({column: tombstone}))


def _days(connection: Connection) -> int:
    return int(value_of(connection, _KEPT_DAYS) or DAYS)


def _prune(connection: Connection, *, now: float) -> int:
    oldest = now - _days(connection) * 86_400
    gone = connection.execute(delete(SecurityEvent).where(SecurityEvent.at < oldest)).rowcount
    newest = connection.execute(select(func.max(SecurityEvent.id))).scalar() or 0
    return gone + connection.execute(delete(SecurityEvent).where(SecurityEvent.id <= newest - MOST_EVENTS)).rowcount


def _filtered(what: str, account: str) -> Select[Any]:
    query = select(SecurityEvent)
    if what:
        query = query.where(SecurityEvent.what.startswith(what, autoescape=True))
    if account:
        query = query.where((SecurityEvent.account == account) | (SecurityEvent.about == account))
    return query


def _event(row: Any) -> KeptEvent:
    return KeptEvent(
        what=row.what,
        account=row.account,
        program=row.program,
        address=row.address,
        about=row.about,
        project=row.project,
        id=row.id,
        at=row.at,
    )
