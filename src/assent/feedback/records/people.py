"""What accounts give back: account, invitation, API token, and the rules of their names and secrets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar, get_args

from assent.core.errors import StoreError
from assent.core.hashing import hash_bytes

Role = Literal["admin", "adjudicator", "rater"]
"""rater: rates. adjudicator: also sees disagreements and decides them. admin: everything."""
ROLES: tuple[Role, ...] = get_args(Role)
"""From the most that may be done to the least."""
LONGEST_LOGIN = 100
LONGEST_EMAIL = 254
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:=+/-]{0,199}")
_LOGIN = re.compile(r"[^\s\x00-\x1f\x7f-\x9f<>\"'&/\\{}\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}")

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Participant:
    """How a crowd platform knows a person: the id, the name of the query parameter that held it, and the others."""

    source: str
    external_id: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Account:
    """A person who may sign in. `rater_id` is a pseudonym; `projects` None: all."""

    rater_id: str
    login: str
    role: Role
    locale: str | None
    has_password: bool
    projects: tuple[str, ...] | None
    created_at: float
    disabled_at: float | None = None
    participant: Participant | None = None
    """Who they are to the crowd platform they came from; None where they came by themselves."""
    has_second_factor: bool = False
    """Must a password come with a code?"""
    email: str | None = None
    """Where one-time links are sent; said by an admin, or by the invitation they came in by."""

    @property
    def is_disabled(self) -> bool:
        """May this person not sign in any more?"""
        return self.disabled_at is not None

    @property
    def is_mixed(self) -> bool:
        """Does the login mix alphabets, so that it may be read as another?"""
        scripts = {unicodedata.name(sign, "?").partition(" ")[0] for sign in self.login if sign.isalpha()}
        return len(scripts - {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"}) > 1

    def may_rate(self, project: str) -> bool:
        """May this person rate in a project?"""
        return self.projects is None or project in self.projects

    def may(self, role: Role) -> bool:
        """May this person do what a role may do?"""
        return ROLES.index(self.role) <= ROLES.index(role)

    def with_role(self, role: Role) -> Account:
        """The same account in another role."""
        return replace(self, role=role)


@dataclass(frozen=True)
class Identity:
    """A person as a sign-in provider knows them. `email` is one that the provider has verified; else None."""

    issuer: str
    subject: str
    email: str | None = None


@dataclass(frozen=True)
class Session:
    """A browser that is signed in. `id` names it and lets nobody in."""

    id: str
    created_at: float
    seen_at: float
    client: str
    """What the browser says it is; empty where it said nothing."""


@dataclass(frozen=True)
class Invitation:
    """What a link invites to, how often still and how long. `project` None: all."""

    id: int
    role: Role
    project: str | None
    note: str
    created_at: float
    expires_at: float
    max_uses: int
    uses: int
    revoked_at: float | None
    email: str | None = None
    """The one person it is for; None: whoever has the link."""

    def is_open(self, now: float) -> bool:
        """Can it still be used?"""
        return self.revoked_at is None and self.expires_at > now and self.uses < self.max_uses


@dataclass(frozen=True)
class ApiToken:
    """A program's key to an account, without its secret."""

    id: int
    rater_id: str
    name: str
    role: Role
    created_at: float
    expires_at: float | None
    revoked_at: float | None

    def is_alive(self, now: float) -> bool:
        """Does it still let a program in?"""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True)
class Secret(Generic[Kept]):
    """Something new with its token, which is told this once."""

    kept: Kept
    token: str


def digest(token: str) -> str:
    """How a token is kept."""
    return hash_bytes(token.encode("utf-8", "surrogatepass"))


def at_most(role: Role, limit: Role) -> Role:
    """The lesser of two roles."""
    return ROLES[max(ROLES.index(role), ROLES.index(limit))]


def clean_login(login: str) -> str:
    """How a login is compared and kept: without case, without spaces around."""
    return unicodedata.normalize("NFKC", login.strip()).casefold()


def checked_login(login: str) -> str:
    """A login fit to be kept. Raises StoreError."""
    clean = clean_login(login)
    is_hidden = any(unicodedata.category(sign) == "Cf" for sign in clean)
    if not 2 <= len(clean) <= LONGEST_LOGIN or not _LOGIN.fullmatch(clean) or is_hidden:
        raise StoreError(
            f"the login {login[:40]!r} cannot be used; take 2 to {LONGEST_LOGIN} letters, digits or one of . _ - + @,"
            " without spaces"
        )
    return clean


def clean_email(email: str) -> str | None:
    """An address as it is compared and kept, in small letters; None for what is no plain address."""
    clean = email.strip()
    if not clean.isascii() or len(clean) > LONGEST_EMAIL:  # some other letters become ASCII in small letters
        return None
    return clean.lower() if _EMAIL.fullmatch(clean.lower()) else None


def checked_email(email: str) -> str:
    """An address fit to be kept. Raises StoreError."""
    clean = clean_email(email)
    if clean is None:
        raise StoreError(f"{email[:60]!r} is no e-mail address; write one like anna@example.org")
    return clean


def checked_participant(names: Sequence[str], given: Mapping[str, str]) -> Participant:
    """Who came, by the query parameters that a project names. Raises StoreError without a usable id."""
    external_id = given.get(names[0], "").strip()
    if not _EXTERNAL_ID.fullmatch(external_id):
        said = f"is {external_id[:40]!r}, which is no id" if external_id else "is not in the address"
        raise StoreError(f"{names[0]} {said}; open the link that the platform gave you")
    shown = {name: "".join(c for c in given.get(name, "") if c.isprintable())[:500] for name in names[1:]}
    return Participant(names[0], external_id, {name: value for name, value in shown.items() if value})
