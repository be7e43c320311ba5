"""Accounts: who may sign in, in which role, by password or one-time link, in which projects.

    made = store.accounts.invitations.add("rater", project="support", now=now)        # made.token goes into a link
    account = store.accounts.invitations.join(made.token, login="Anna", now=now)      # a password is optional
    token = store.accounts.start_session(account.rater_id, now=now)
    store.accounts.session(token, now=now)                                            # the account, None once over

Secrets are random and kept as hashes. Logins are compared without case; rater ids are generated pseudonyms.
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from assent.core.errors import StoreError
from assent.feedback.people import rows, sign_in
from assent.feedback.people.invitations import Invitations
from assent.feedback.people.participants import Participants
from assent.feedback.people.passwords import hash_password, is_password
from assent.feedback.people.profiles import Profiles
from assent.feedback.people.tokens import ApiTokens
from assent.feedback.records.people import Account, Role, clean_login, digest
from assent.feedback.tables.connection import read_transaction, write_transaction
from assent.feedback.tables.people import AccountRow, OneTimeLink, SessionRow

DAY = 86_400.0
SESSION_SECONDS = 14 * DAY
"""A session ends this long after it was last used."""
LINK_SECONDS = DAY
"""A one-time link ends after this unless said otherwise."""
ADMIN_LOGIN = "admin"
_SEEN_AGAIN = 3600.0  # the last use of a session is written down at most this often


class Accounts:
    """The accounts of a store. Every method is one transaction, those that check a password are two."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.invitations = Invitations(engine)
        self.tokens = ApiTokens(engine)
        self.profiles = Profiles(engine)
        self.participants = Participants(engine)

    def create(
        self,
        login: str,
        role: Role,
        *,
        password: str | None = None,
        projects: tuple[str, ...] | None = None,
        locale: str | None = None,
        now: float,
    ) -> Account:
        """Make an account and its rater; `projects` None: all. Raises StoreError where the login is taken or bad."""
        kept = None if password is None else hash_password(password)
        with write_transaction(self._engine) as connection:
            return rows.create(connection, login, role, password_hash=kept, projects=projects, locale=locale, now=now)

    def first_admin(self, *, now: float) -> str | None:
        """Where there is no admin yet, make one and return the token of a link that signs them in; else None."""
        is_admin = select(AccountRow.rater_id).where(AccountRow.role == "admin")
        try:
            with write_transaction(self._engine) as connection:
                if connection.execute(is_admin).first():
                    return None
                account = rows.create(connection, ADMIN_LOGIN, "admin", now=now)
                return _new_link(connection, account.rater_id, lifetime=LINK_SECONDS, now=now)
        except StoreError:
            with read_transaction(self._engine) as connection:
                if connection.execute(is_admin).first():  # another process was faster (PostgreSQL)
                    return None
            raise

    def admin_link(self, *, now: float) -> str:
        """The token of a new link for the oldest admin who may sign in."""
        token = self.first_admin(now=now)
        if token is not None:
            return token
        query = select(AccountRow.rater_id).where(AccountRow.role == "admin", AccountRow.disabled_at.is_(None))
        with write_transaction(self._engine) as connection:
            oldest = connection.execute(query.order_by(AccountRow.created_at)).scalars().first()
            return _new_link(connection, str(oldest), lifetime=LINK_SECONDS, now=now)

    def all(self) -> list[Account]:
        """All accounts, sorted by login."""
        with read_transaction(self._engine) as connection:
            return rows.accounts(connection)

    def get(self, rater_id: str) -> Account | None:
        """The account of a rater."""
        with read_transaction(self._engine) as connection:
            return rows.find(connection, rater_id)

    def by_login(self, login: str) -> Account | None:
        """The account of a login."""
        with read_transaction(self._engine) as connection:
            query = select(AccountRow.rater_id).where(AccountRow.login == clean_login(login))
            return rows.find(connection, connection.execute(query).scalar())

    def change(
        self,
        rater_id: str,
        *,
        role: Role | None = None,
        locale: str | None = None,
        is_disabled: bool | None = None,
        now: float,
    ) -> Account:
        """Change what is given; disabling signs out. Raises StoreError for the last admin or an unknown id."""
        values: dict[str, Any] = {"role": role, "locale": locale}
        values = {name: value for name, value in values.items() if value is not None}
        if is_disabled is not None:
            values["disabled_at"] = now if is_disabled else None
        with write_transaction(self._engine) as connection:
            before = rows.known(connection, rater_id)
            if values:
                connection.execute(update(AccountRow).where(AccountRow.rater_id == rater_id).values(**values))
            if is_disabled:
                rows.end_sessions(connection, rater_id)
            if before.role == "admin" and (is_disabled or role is not None):
                rows.refuse_no_admin(connection)
            return rows.known(connection, rater_id)

    def set_projects(self, rater_id: str, projects: tuple[str, ...] | None) -> Account:
        """Say in which projects an account may rate; None: in all. Raises StoreError for an unknown id."""
        with write_transaction(self._engine) as connection:
            rows.known(connection, rater_id)
            rows.place(connection, rater_id, projects)
            return rows.known(connection, rater_id)

    def set_password(self, rater_id: str, password: str | None) -> None:
        """Replace or remove the password and end all sessions. Raises StoreError for a bad one or an unknown id."""
        kept = None if password is None else hash_password(password)
        with write_transaction(self._engine) as connection:
            rows.known(connection, rater_id)
            connection.execute(update(AccountRow).where(AccountRow.rater_id == rater_id).values(password_hash=kept))
            rows.end_sessions(connection, rater_id)

    def check_password(self, login: str, password: str, *, address: str, now: float) -> Account | None:
        """The account, where login and password are right. Raises TooManyAttempts, counted by login and address."""
        name = clean_login(login)
        limits = sign_in.keys(name, address)
        with write_transaction(self._engine) as connection:
            sign_in.admit(connection, limits, now=now)
            query = select(AccountRow.rater_id, AccountRow.password_hash).where(AccountRow.login == name)
            row = connection.execute(query).first()
        if not is_password(password, None if row is None else row.password_hash) or row is None:
            return None
        with write_transaction(self._engine) as connection:
            sign_in.forgive(connection, limits, now=now)
            return rows.enabled(connection, row.rater_id)

    def new_link(self, rater_id: str, *, lifetime: float = LINK_SECONDS, now: float) -> str:
        """The token of a link that signs an account in, once. Raises StoreError for an unknown id."""
        with write_transaction(self._engine) as connection:
            rows.known(connection, rater_id)
            return _new_link(connection, rater_id, lifetime=lifetime, now=now)

    def link(self, token: str, *, now: float) -> Account | None:
        """Whom a one-time link would sign in; None for one that is used, over or unknown."""
        query = select(OneTimeLink.rater_id).where(
            OneTimeLink.token_hash == digest(token), OneTimeLink.used_at.is_(None), OneTimeLink.expires_at > now
        )
        with read_transaction(self._engine) as connection:
            return rows.enabled(connection, connection.execute(query).scalar())

    def use_link(self, token: str, *, now: float) -> Account | None:
        """Use a one-time link up; None for one that is used, over or unknown."""
        statement = (
            update(OneTimeLink)
            .where(OneTimeLink.token_hash == digest(token), OneTimeLink.used_at.is_(None))
            .where(OneTimeLink.expires_at > now)
            .values(used_at=now)
        )
        with write_transaction(self._engine) as connection:
            rater_id = connection.execute(statement.returning(OneTimeLink.rater_id)).scalar()
            return rows.enabled(connection, rater_id)

    def start_session(self, rater_id: str, *, lifetime: float = SESSION_SECONDS, now: float) -> str:
        """Sign a browser in; the token of the session."""
        token = secrets.token_urlsafe(24)
        row = {"token_hash": digest(token), "rater_id": rater_id, "created_at": now, "seen_at": now}
        with write_transaction(self._engine) as connection:
            connection.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
            connection.execute(insert(SessionRow).values(**row, expires_at=now + lifetime))
        return token

    def session(self, token: str, *, now: float) -> Account | None:
        """Whose session this is; None where it is over. Its end moves on while it is used."""
        query = select(SessionRow).where(SessionRow.token_hash == digest(token), SessionRow.expires_at > now)
        with read_transaction(self._engine) as connection:
            row = connection.execute(query).first()
            account = None if row is None else rows.enabled(connection, row.rater_id)
        if row is not None and account is not None and now - row.seen_at > _SEEN_AGAIN:
            lifetime = row.expires_at - row.seen_at
            with write_transaction(self._engine) as connection:
                statement = update(SessionRow).where(SessionRow.token_hash == digest(token))
                connection.execute(statement.values(seen_at=now, expires_at=now + lifetime))
        return account

    def end_session(self, token: str) -> None:
        """Sign one browser out."""
        with write_transaction(self._engine) as connection:
            connection.execute(delete(SessionRow).where(SessionRow.token_hash == digest(token)))

    def end_sessions(self, rater_id: str) -> int:
        """Sign an account out everywhere; how many sessions there were."""
        with write_transaction(self._engine) as connection:
            return rows.end_sessions(connection, rater_id)


def _new_link(connection: Connection, rater_id: str, *, lifetime: float, now: float) -> str:
    token = secrets.token_urlsafe(24)
    values = {"token_hash": digest(token), "rater_id": rater_id, "created_at": now, "expires_at": now + lifetime}
    connection.execute(insert(OneTimeLink).values(values))
    return token
