"""Accounts: who may sign in, in which role, by password or one-time link, in which projects.

    made = store.accounts.invitations.add("rater", project="support", now=now)        # made.token goes into a link
    account = store.accounts.invitations.join(made.token, login="Anna", now=now)      # a password is optional
    token = store.accounts.start_session(account.rater_id, now=now)
    store.accounts.session(token, now=now)                                            # the account, None once over

Secrets are random and kept as hashes. Logins are compared without case; rater ids are generated pseudonyms. A new
password, signing out everywhere and disabling end what was handed out before: sessions, links and, but for a password
that is the first one, API tokens.
"""

from __future__ import annotations

import itertools
import secrets
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from assent.feedback.people import rows, second_factor, sign_in
from assent.feedback.people.identities import Identities
from assent.feedback.people.invitations import Invitations
from assent.feedback.people.keyed import keyed
from assent.feedback.people.participants import Participants
from assent.feedback.people.passwords import hash_password, is_password
from assent.feedback.people.profiles import Profiles
from assent.feedback.people.tokens import ApiTokens
from assent.feedback.people.work import Period, Work, work
from assent.feedback.records.people import Account, Role, Session, checked_email, clean_login, digest
from assent.feedback.tables.connection import read_transaction, write_transaction
from assent.feedback.tables.people import AccountRow, OneTimeLink, SessionRow

DAY = 86_400.0
SESSION_SECONDS = 14 * DAY
"""A session ends this long after it was last used."""
LONGEST_SESSION = 60 * DAY
"""A session ends this long after it began, however much it is used."""
FRESH_SECONDS = 900.0
"""Whoever came in by a link may set a password without the old one this long."""
LINK_SECONDS = DAY
"""A one-time link ends after this unless said otherwise."""
ADMIN_LOGIN = "admin"
JOINS = 60
"""So many attempts to join may come to nothing from one network in `sign_in.WINDOW` seconds."""
ASKED_PER_ADDRESS, ASKED_PER_NETWORK = 3, 20
"""So many links by e-mail may be asked for in `sign_in.WINDOW` seconds: for one address, and from one network."""
_SEEN_AGAIN = 3600.0  # the last use of a session is written down at most this often


class Accounts:
    """The accounts of a store. Every method is one transaction, those that check a password are two."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.invitations = Invitations(engine)
        self.tokens = ApiTokens(engine)
        self.profiles = Profiles(engine)
        self.participants = Participants(engine)
        self.identities = Identities(engine)

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
        kept = None if password is None else hash_password(password, login=login)
        with write_transaction(self._engine) as connection:
            return rows.create(connection, login, role, password_hash=kept, projects=projects, locale=locale, now=now)

    def first_admin(self, *, now: float) -> str | None:
        """Where there is no admin yet, make one and return the token of a link that signs them in; else None."""
        is_admin = select(AccountRow.rater_id).where(AccountRow.role == "admin")
        with write_transaction(self._engine) as connection:
            rows.lock_first_admin(connection)
            if connection.execute(is_admin).first():
                return None
            account = rows.create(connection, _admin_login(connection), "admin", now=now)
            return _new_link(connection, account.rater_id, lifetime=LINK_SECONDS, now=now)

    def admin_link(self, *, now: float) -> str:
        """The token of a new link for the oldest admin who may sign in; their second factor is taken away.

        For whoever has the machine: the way back for an admin who lost everything.
        """
        token = self.first_admin(now=now)
        if token is not None:
            return token
        query = select(AccountRow.rater_id).where(AccountRow.role == "admin", AccountRow.disabled_at.is_(None))
        with write_transaction(self._engine) as connection:
            oldest = connection.execute(query.order_by(AccountRow.created_at)).scalars().first()
            second_factor.remove(connection, str(oldest))
            return _new_link(connection, str(oldest), lifetime=LINK_SECONDS, now=now)

    def all(self) -> list[Account]:
        """All accounts, sorted by login."""
        with read_transaction(self._engine) as connection:
            return rows.accounts(connection)

    def work(self, project: str | None, period: Period) -> list[Work]:
        """Who did how much in a project, or in all, by project and rater, also those without an account: for pay."""
        with read_transaction(self._engine) as connection:
            return work(connection, project, period)

    def get(self, rater_id: str) -> Account | None:
        """The account of a rater."""
        with read_transaction(self._engine) as connection:
            return rows.find(connection, rater_id)

    def by_login(self, login: str) -> Account | None:
        """The account of a login."""
        with read_transaction(self._engine) as connection:
            query = select(AccountRow.rater_id).where(AccountRow.login == clean_login(login))
            return rows.find(connection, connection.execute(query).scalar())

    def by_email(self, email: str) -> Account | None:
        """The account of an address, if it may sign in."""
        with read_transaction(self._engine) as connection:
            found = rows.by_email(connection, email)
            return None if found is None or found.is_disabled else found

    def set_email(self, rater_id: str, email: str | None) -> Account:
        """Say an account's address; None: it has none. Raises StoreError for one that is no address or another's."""
        clean = None if email is None else checked_email(email)
        with write_transaction(self._engine) as connection:
            rows.known(connection, rater_id)
            rows.set_email(connection, rater_id, clean)
            return rows.known(connection, rater_id)

    def change(
        self,
        rater_id: str,
        *,
        role: Role | None = None,
        locale: str | None = None,
        is_disabled: bool | None = None,
        now: float,
    ) -> Account:
        """Change what is given; disabling ends sessions, links and tokens. Raises StoreError for the last admin or an
        unknown id."""
        values: dict[str, Any] = {"role": role, "locale": locale}
        values = {name: value for name, value in values.items() if value is not None}
        if is_disabled is not None:
            values["disabled_at"] = now if is_disabled else None
        with write_transaction(self._engine) as connection:
            rows.lock_admins(connection)
            before = rows.known(connection, rater_id)
            if values:
                connection.execute(update(AccountRow).where(AccountRow.rater_id == rater_id).values(**values))
            if is_disabled:
                _end_everything(connection, rater_id, now=now)
            if before.role == "admin" and (is_disabled or role is not None):
                rows.refuse_no_admin(connection)
            return rows.known(connection, rater_id)

    def set_projects(self, rater_id: str, projects: tuple[str, ...] | None) -> Account:
        """Say in which projects an account may rate; None: in all. Raises StoreError for an unknown id."""
        with write_transaction(self._engine) as connection:
            rows.known(connection, rater_id)
            rows.place(connection, rater_id, projects)
            return rows.known(connection, rater_id)

    def set_password(self, rater_id: str, password: str | None, *, now: float) -> None:
        """Replace or remove the password and end sessions and links; tokens too, unless it is the first password.

        Raises StoreError for a bad one or an unknown id.
        """
        account = self.get(rater_id)
        login = "" if account is None else account.login
        kept = None if password is None else hash_password(password, login=login)
        with write_transaction(self._engine) as connection:
            had_one = rows.known(connection, rater_id).has_password
            connection.execute(update(AccountRow).where(AccountRow.rater_id == rater_id).values(password_hash=kept))
            _end_everything(connection, rater_id, now=now, with_tokens=had_one)

    def check_password(
        self, login: str, password: str, *, address: str, code: str | None = "", now: float
    ) -> Account | None:
        """The account, where login and password are right, and the code where it has a second factor (None: not asked).

        Raises TooManyAttempts, counted by login and network; CodeNeeded where only the code is missing or wrong.
        """
        name = clean_login(login)
        with write_transaction(self._engine) as connection:
            attempt = sign_in.attempt_of(connection, name, address)
            sign_in.admit(connection, attempt, now=now)
            query = select(AccountRow.rater_id, AccountRow.password_hash).where(AccountRow.login == name)
            row = connection.execute(query).first()
        if not is_password(password, None if row is None else row.password_hash) or row is None:
            return None
        with write_transaction(self._engine) as connection:
            account = rows.enabled(connection, row.rater_id)
            if account is not None and code is not None:
                second_factor.check(connection, account, code, now=now)
            sign_in.forgive(connection, attempt, row.rater_id, now=now)
            return account

    def begin_second_factor(self, rater_id: str, secret: str, code: str, *, now: float) -> None:
        """Ask for codes of an app from now on. Raises CodeNeeded where this code is not one of the secret's."""
        with write_transaction(self._engine) as connection:
            second_factor.begin(connection, rows.known(connection, rater_id), secret, code, now=now)

    def end_second_factor(self, rater_id: str) -> None:
        """Ask for no codes any more."""
        with write_transaction(self._engine) as connection:
            second_factor.remove(connection, rater_id)

    def admit_joining(self, address: str, *, now: float) -> None:
        """Count an attempt to join by an invitation, until `joined` takes it back. Raises TooManyAttempts."""
        with write_transaction(self._engine) as connection:
            attempt = sign_in.attempt_of(connection, "", address)
            sign_in.admit(connection, sign_in.Attempt({attempt.both: JOINS}, attempt.both, attempt.place), now=now)

    def joined(self, address: str) -> None:
        """Take back an attempt that succeeded: many people of one house come in by one invitation."""
        with write_transaction(self._engine) as connection:
            sign_in.uncount(connection, sign_in.attempt_of(connection, "", address).both)

    def admit_asking(self, email: str, address: str, *, now: float) -> None:
        """Count somebody asking for a link by e-mail, known or not. Raises TooManyAttempts."""
        with write_transaction(self._engine) as connection:
            asked = keyed(connection, f"mail {clean_login(email)}")
            place = keyed(connection, f"mail from {sign_in.networks(address)[0]}")
            limits = {asked: ASKED_PER_ADDRESS, place: ASKED_PER_NETWORK}
            sign_in.admit(connection, sign_in.Attempt(limits, asked, place), now=now)

    def tidy(self, *, now: float) -> None:
        """Drop attempts, links and sessions that count no more."""
        with write_transaction(self._engine) as connection:
            sign_in.forget_old(connection, now=now)
            connection.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
            connection.execute(delete(OneTimeLink).where(OneTimeLink.expires_at <= now - 30 * DAY))

    def new_link(self, rater_id: str, *, lifetime: float = LINK_SECONDS, now: float) -> str:
        """The token of a link that signs an account in, once; earlier ones end. Raises StoreError for an unknown id."""
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

    def use_link(self, token: str, *, address: str = "", code: str = "", now: float) -> Account | None:
        """Use a one-time link up; None for one that is used, over or unknown. Raises CodeNeeded, and then it is not."""
        statement = (
            update(OneTimeLink)
            .where(OneTimeLink.token_hash == digest(token), OneTimeLink.used_at.is_(None))
            .where(OneTimeLink.expires_at > now)
            .values(used_at=now)
        )
        with write_transaction(self._engine) as connection:
            rater_id = connection.execute(statement.returning(OneTimeLink.rater_id)).scalar()
            account = rows.enabled(connection, rater_id)
            if account is not None:
                second_factor.check(connection, account, code, now=now)
                sign_in.know(
                    connection, sign_in.attempt_of(connection, account.login, address), account.rater_id, now=now
                )
            return account

    def admit_code(self, login: str, *, address: str, now: float) -> None:
        """Count an attempt to give a code with a link. Raises TooManyAttempts."""
        with write_transaction(self._engine) as connection:
            sign_in.admit(connection, sign_in.attempt_of(connection, login, address), now=now)

    def start_session(
        self,
        rater_id: str,
        *,
        lifetime: float = SESSION_SECONDS,
        is_fresh: bool = False,
        client: str = "",
        now: float,
    ) -> str:
        """Sign a browser in; the token of the session. `is_fresh`: by a link, so a password may be set for a while."""
        token = secrets.token_urlsafe(24)
        row = {"token_hash": digest(token), "rater_id": rater_id, "created_at": now, "seen_at": now}
        row |= {"client": client[:200] or None, "fresh_until": now + FRESH_SECONDS if is_fresh else None}
        with write_transaction(self._engine) as connection:
            connection.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
            connection.execute(insert(SessionRow).values(**row, expires_at=now + lifetime))
        return token

    def session(self, token: str, *, now: float) -> Account | None:
        """Whose session this is; None where it is over. Its end moves on while it is used, but not for ever."""
        query = select(SessionRow).where(SessionRow.token_hash == digest(token), SessionRow.expires_at > now)
        with read_transaction(self._engine) as connection:
            row = connection.execute(query.where(SessionRow.created_at > now - LONGEST_SESSION)).first()
            account = None if row is None else rows.enabled(connection, row.rater_id)
        # Both ways: a session that began while the clock was ahead would else have no end.
        if row is not None and account is not None and abs(now - row.seen_at) > _SEEN_AGAIN:
            seen = {"seen_at": now, "expires_at": now + row.expires_at - row.seen_at}
            seen |= {"created_at": min(row.created_at, now)}
            with write_transaction(self._engine) as connection:
                connection.execute(update(SessionRow).where(SessionRow.token_hash == digest(token)).values(seen))
        return account

    def is_fresh(self, token: str, *, now: float) -> bool:
        """Whether a signed-in browser came by a link a moment ago."""
        query = select(SessionRow.fresh_until).where(SessionRow.token_hash == digest(token))
        with read_transaction(self._engine) as connection:
            until = connection.execute(query).scalar()
        return until is not None and now < until <= now + FRESH_SECONDS

    def sessions(self, rater_id: str, *, now: float) -> list[Session]:
        """Where an account is signed in, the one used last first."""
        query = select(SessionRow).where(SessionRow.rater_id == rater_id, SessionRow.expires_at > now)
        with read_transaction(self._engine) as connection:
            found = connection.execute(query.order_by(SessionRow.seen_at.desc()))
            return [Session(session_id(r.token_hash), r.created_at, r.seen_at, r.client or "") for r in found]

    def end_one(self, rater_id: str, id: str) -> bool:
        """Sign one of an account's browsers out; False where there is none of that id."""
        with write_transaction(self._engine) as connection:
            mine = connection.execute(select(SessionRow.token_hash).where(SessionRow.rater_id == rater_id)).scalars()
            named = [found for found in mine if session_id(found) == id]
            return bool(connection.execute(delete(SessionRow).where(SessionRow.token_hash.in_(named))).rowcount)

    def end_session(self, token: str) -> None:
        """Sign one browser out."""
        with write_transaction(self._engine) as connection:
            connection.execute(delete(SessionRow).where(SessionRow.token_hash == digest(token)))

    def end_everywhere(self, rater_id: str, *, now: float) -> int:
        """Sign an account out everywhere, close its links and end its tokens; how many sessions there were."""
        with write_transaction(self._engine) as connection:
            return _end_everything(connection, rater_id, now=now)


def session_id(token_hash: str) -> str:
    """The name of a session, which is no secret."""
    return token_hash[:16]


def _admin_login(connection: Connection) -> str:
    """The login of the first admin, with a number where somebody has it already."""
    taken = set(connection.execute(select(AccountRow.login)).scalars())
    names = (f"{ADMIN_LOGIN}-{number}" if number > 1 else ADMIN_LOGIN for number in itertools.count(1))
    return next(name for name in names if name not in taken)


def _end_everything(connection: Connection, rater_id: str, *, now: float, with_tokens: bool = True) -> int:
    rows.end_links(connection, rater_id, now=now)
    if with_tokens:
        rows.end_tokens(connection, rater_id, now=now)
    return rows.end_sessions(connection, rater_id)


def _new_link(connection: Connection, rater_id: str, *, lifetime: float, now: float) -> str:
    rows.end_links(connection, rater_id, now=now)
    token = secrets.token_urlsafe(24)
    values = {"token_hash": digest(token), "rater_id": rater_id, "created_at": now, "expires_at": now + lifetime}
    connection.execute(insert(OneTimeLink).values(values))
    return token
