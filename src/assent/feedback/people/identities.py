"""Identities: people as sign-in providers know them, each linked with one account, found by issuer and subject.

    who = Identity("https://login.example.org", "248289761001", "anna@example.org")
    account = store.accounts.identities.enter(who, address="10.0.0.7", now=now)     # NotLetIn says why not
    store.accounts.identities.link(account.rater_id, who, now=now)                  # by somebody who is signed in

An account is linked for the first time where the provider has verified the account's own address. Names that people
chose for themselves decide nothing: anybody could have taken the address of somebody else as a name.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, select

from assent.core.errors import StoreError
from assent.feedback.people import rows, sign_in
from assent.feedback.people.invitations import add_project, make, use_addressed
from assent.feedback.people.keyed import keyed
from assent.feedback.records.people import Account, Identity, Invitation
from assent.feedback.tables.connection import insert_missing, read_transaction, write, write_transaction
from assent.feedback.tables.people import IdentityRow

FAILURES = 30
"""So many people in a row may fail to come in from one network in `sign_in.WINDOW` seconds."""


class NotLetIn(StoreError):
    """Somebody whom a provider knows and who does not come in. `reason` is one word for the log."""

    def __init__(self, reason: str, said: str) -> None:
        self.reason = reason
        super().__init__(said)


@dataclass(frozen=True)
class Newcomers:
    """Unknown people get the account of a rater; `projects` None: for all."""

    projects: tuple[str, ...] | None = None


class Identities:
    """The identities of a store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def seal(self, text: str) -> str:
        """A mark of what a browser keeps while its person is at a provider; only this store can make it."""
        with write_transaction(self._engine) as connection:
            return keyed(connection, f"sign-on {text}")

    def admit(self, address: str, *, now: float) -> None:
        """Count an attempt before a provider is asked. Raises TooManyAttempts; whoever comes in takes it back."""
        with write_transaction(self._engine) as connection:
            sign_in.admit(connection, _attempt(connection, address), now=now)

    def enter(
        self,
        who: Identity,
        *,
        newcomers: Newcomers | None = None,
        address: str = "",
        locale: str | None = None,
        now: float,
    ) -> Account:
        """The account of somebody whom a provider vouches for, linked or made where that is due. Raises NotLetIn."""

        def work(connection: Connection) -> Account:
            account = _account_of(connection, who, newcomers, locale=locale, now=now)
            sign_in.forgive(connection, _attempt(connection, address), account.rater_id, now=now)
            return account

        while True:
            try:
                return write(self._engine, work)
            except _Raced:  # another browser of theirs came first (PostgreSQL): that made the account
                continue

    def link(self, rater_id: str, who: Identity, *, now: float) -> None:
        """Link somebody who is signed in with themselves at a provider. Raises NotLetIn where that is another's."""

        def work(connection: Connection) -> None:
            rows.known(connection, rater_id)
            _link(connection, rater_id, who, now=now)

        write(self._engine, work)

    def of(self, rater_id: str) -> list[Identity]:
        """How providers know an account."""
        query = select(IdentityRow).where(IdentityRow.rater_id == rater_id).order_by(IdentityRow.issuer)
        with read_transaction(self._engine) as connection:
            return [Identity(row.issuer, row.subject) for row in connection.execute(query)]

    def unlink(self, rater_id: str) -> int:
        """Let no provider sign an account in any more; how many could. One that has its address links it anew."""
        with write_transaction(self._engine) as connection:
            return connection.execute(delete(IdentityRow).where(IdentityRow.rater_id == rater_id)).rowcount


class _Raced(Exception):
    """Another process made the account of this person first."""


def _attempt(connection: Connection, address: str) -> sign_in.Attempt:
    network = sign_in.networks(address)[0]
    key = keyed(connection, f"provider {network}")
    return sign_in.Attempt({key: FAILURES}, key, keyed(connection, f"provider place {network}"))


def _account_of(
    connection: Connection, who: Identity, newcomers: Newcomers | None, *, locale: str | None, now: float
) -> Account:
    account = _linked(connection, who)
    if account is None:
        account = rows.by_email(connection, who.email)
        if account is not None and not account.is_disabled:
            _link(connection, account.rater_id, who, now=now)
    if account is not None and account.is_disabled:
        raise NotLetIn("disabled", "this account was disabled; ask whoever runs the service")
    invitations = [] if who.email is None else use_addressed(connection, who.email, now=now)
    if account is None:
        if not invitations and newcomers is None:
            raise _stranger(who)
        try:
            account = _made(connection, who, invitations, newcomers, locale=locale, now=now)
        except StoreError:  # the name, the address or the subject was free a moment ago
            raise _Raced from None
    for invitation in invitations:
        add_project(connection, rows.known(connection, account.rater_id), invitation)
    return rows.known(connection, account.rater_id)


def _made(
    connection: Connection,
    who: Identity,
    invitations: list[Invitation],
    newcomers: Newcomers | None,
    *,
    locale: str | None,
    now: float,
) -> Account:
    login = _free_login(connection, who)
    if invitations:
        account = make(connection, invitations[0], login, locale=locale, now=now)
    else:
        projects = None if newcomers is None else newcomers.projects
        account = rows.create(connection, login, "rater", projects=projects, locale=locale, now=now)
    rows.set_email(connection, account.rater_id, who.email)
    _link(connection, account.rater_id, who, now=now)
    return account


def _stranger(who: Identity) -> NotLetIn:
    if who.email is None:
        return NotLetIn(
            "unverified",
            "the provider vouches for no e-mail address of yours, so nobody knows who you are here; sign in as before"
            " and connect the provider on your own page, or ask whoever runs the service",
        )
    return NotLetIn("unknown", "nobody here has your e-mail address; ask whoever runs the service for an invitation")


def _linked(connection: Connection, who: Identity) -> Account | None:
    mine = (IdentityRow.issuer == who.issuer, IdentityRow.subject == who.subject)
    return rows.find(connection, connection.execute(select(IdentityRow.rater_id).where(*mine)).scalar())


def _link(connection: Connection, rater_id: str, who: Identity, *, now: float) -> None:
    values = {"issuer": who.issuer, "subject": who.subject, "rater_id": rater_id, "linked_at": now}
    insert_missing(connection, IdentityRow, [values])
    linked = _linked(connection, who)
    if linked is None:  # addresses are given to new people once their owners leave
        raise NotLetIn(
            "other_person",
            "this account is connected with another person of the provider; an admin can undo that on its page",
        )
    if linked.rater_id != rater_id:
        raise NotLetIn("other_account", "the provider's account is connected with another account here; sign in to it")


def _free_login(connection: Connection, who: Identity) -> str:
    """The address, or a made-up name where there is none or somebody took it as theirs."""
    try:
        return rows.free_login(connection, who.email or "")
    except StoreError:
        return f"person-{secrets.token_hex(5)}"
