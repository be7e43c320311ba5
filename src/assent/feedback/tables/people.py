"""The tables of people who sign in: account, membership, identity, session, link, invitation, API token, attempt.

    rater ── account ── membership              which projects a rater may see
               ├─ participant                   the id of a crowd platform, by which a person comes back
               ├─ identity                      how a sign-in provider knows a person
               ├─ session, one_time_link        secrets are kept as hashes: the tables alone let nobody in
               ├─ api_token                     except `totp_secret`, which codes are computed from
               └─ sign_in_place                 where this account came in lately
    invitation                                  makes accounts
    sign_in_attempt                             counts failures, for all server processes together
    security_event                              who did what, for so many days
    store_value                                 a few values of the whole store: its key, how long events are kept

A rater's id is a pseudonym that stays beside their judgments; the login is only here and goes when they are erased.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from assent.feedback.tables.queue import Table


def _account() -> ForeignKey:
    return ForeignKey("account.rater_id", onupdate="CASCADE", ondelete="CASCADE")


class AccountRow(Table):
    """A person who may sign in."""

    __tablename__ = "account"

    rater_id: Mapped[str] = mapped_column(ForeignKey("rater.id", onupdate="CASCADE"), primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    """Argon2; null: this person signs in by one-time links."""
    role: Mapped[str]
    locale: Mapped[str | None]
    sees_all: Mapped[bool]
    """May rate in every project; otherwise in those of `membership`."""
    created_at: Mapped[float]
    disabled_at: Mapped[float | None]
    totp_secret: Mapped[str | None]
    """Key of the codes of an authenticator app, in base32; null: no second factor."""
    totp_used: Mapped[int | None]
    """Number of the half minute whose code was used last: a code works once."""
    email: Mapped[str | None] = mapped_column(index=True, unique=True)
    """Where one-time links are sent, and by which a sign-in provider's first word of a person finds their account."""


class Membership(Table):
    """A project that an account may rate in."""

    __tablename__ = "membership"

    rater_id: Mapped[str] = mapped_column(_account(), primary_key=True)
    project: Mapped[str] = mapped_column(primary_key=True)


class ParticipantRow(Table):
    """The id under which a crowd platform knows a person, who comes in by it: one account for each id."""

    __tablename__ = "participant"
    __table_args__ = (UniqueConstraint("source", "external_id"),)

    rater_id: Mapped[str] = mapped_column(_account(), primary_key=True)
    source: Mapped[str]
    """Name of the query parameter that held the id, such as PROLIFIC_PID."""
    external_id: Mapped[str]
    details: Mapped[dict[str, Any]]
    """The other named parameters of the last visit."""
    seen_at: Mapped[float]


class IdentityRow(Table):
    """A person as a sign-in provider knows them; one for each provider and account."""

    __tablename__ = "identity"
    __table_args__ = (UniqueConstraint("rater_id", "issuer"),)

    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    rater_id: Mapped[str] = mapped_column(_account())
    linked_at: Mapped[float]


class SessionRow(Table):
    """A browser that is signed in."""

    __tablename__ = "session"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    rater_id: Mapped[str] = mapped_column(_account(), index=True)
    created_at: Mapped[float]
    seen_at: Mapped[float]
    expires_at: Mapped[float]
    client: Mapped[str | None]
    """What the browser says it is, so that people know their own sessions."""
    fresh_until: Mapped[float | None]
    """Until then a password may be set without the old one: the session began with a link or an invitation."""


class OneTimeLink(Table):
    """A link that signs one account in, once."""

    __tablename__ = "one_time_link"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    rater_id: Mapped[str] = mapped_column(_account(), index=True)
    created_at: Mapped[float]
    expires_at: Mapped[float]
    used_at: Mapped[float | None]


class InvitationRow(Table):
    """A link that makes accounts, up to `max_uses`."""

    __tablename__ = "invitation"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    project: Mapped[str | None]
    note: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float]
    max_uses: Mapped[int]
    uses: Mapped[int]
    revoked_at: Mapped[float | None]
    email: Mapped[str | None] = mapped_column(index=True)
    """Whom it is for, where an admin said so: the one account made by it gets this address."""


class ApiTokenRow(Table):
    """A secret with which a program acts for an account, with at most `role`."""

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    rater_id: Mapped[str] = mapped_column(_account(), index=True)
    name: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    parent_hash: Mapped[str | None]
    """`token_hash` of the token that asked for this one, which lives no longer and may do no more than that."""


class SignInAttempt(Table):
    """A failed or unfinished attempt to sign in; `key` is the keyed hash of a login, an address, or both."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (Index(None, "key", "at"), Index(None, "at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    at: Mapped[float]


class SignInPlace(Table):
    """A network from which an account signed in; others' guesses do not keep it out from there."""

    __tablename__ = "sign_in_place"

    rater_id: Mapped[str] = mapped_column(_account(), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[float]


class SecurityEvent(Table):
    """Something worth knowing later: a sign-in, a refusal, what an admin did. It holds ids and no words of people."""

    __tablename__ = "security_event"
    __table_args__ = (Index(None, "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[float]
    what: Mapped[str]
    account: Mapped[str | None]
    """Who did it: the rater id of an account; a tombstone once they are erased."""
    program: Mapped[int | None]
    """Number of the API token that spoke for them."""
    address: Mapped[str]
    """Keyed hash of where it came from: the same address has the same, and nobody reads the address in it."""
    about: Mapped[str]
    """What it was done to: a rater id, the number of a token, the name of a project."""
    project: Mapped[str | None]


class StoreValue(Table):
    """A value of the whole store."""

    __tablename__ = "store_value"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
