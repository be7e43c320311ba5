"""What the JSON API takes and gives about people: raters, attributes, invitations, tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from assent.core.types import Rater, RaterKind
from assent.feedback.records.people import Role
from assent.web.api.models import Name, Out, SnapshotName
from assent.web.bodies import Body
from assent.web.rating.submission import Id


class RaterIn(Body):
    """A rater without an account: a program, or somebody whose judgments come through one."""

    kind: RaterKind = "autorater"
    id: Id | None = None
    """A new pseudonym where it is left out."""
    attributes: Annotated[dict[Id, Annotated[str, Field(max_length=500)]], Field(max_length=50)] = Field(
        default_factory=dict
    )
    consent: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None
    """Version of the text that a person agreed to; without it no attribute of a person is kept."""


class AttributesIn(Body):
    """Everything a rater says about themselves; what is left out is forgotten."""

    attributes: Annotated[dict[Id, Annotated[str, Field(max_length=500)]], Field(max_length=50)]
    consent: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None


class RaterPage(Out):
    """Raters, and where the next page begins."""

    items: tuple[Rater, ...]
    next: str | None


class ErasureOut(Out):
    """What forgetting a rater touched: snapshots that cannot be read any more, and what runs built on them."""

    tombstone: str
    judgments: int
    snapshots: tuple[SnapshotName, ...]
    artifacts: tuple[str, ...]


class ParticipantOut(Out):
    """How a crowd platform knows a person."""

    source: str
    """The query parameter that held the id."""
    external_id: str
    details: dict[str, str]
    """The other parameters of the last visit."""


class AccountOut(Out):
    """Somebody who may sign in."""

    rater_id: str
    login: str
    role: Role
    projects: tuple[str, ...] | None
    """null: all."""
    has_password: bool
    participant: ParticipantOut | None
    """Who they are to the crowd platform they came from; null: they came by themselves."""
    """Else they sign in by one-time links."""
    locale: str | None
    email: str | None
    """Where one-time links are mailed, and by which a sign-in provider finds the account."""
    created_at: float
    disabled_at: float | None
    """When they were barred."""


class AccountChange(Body):
    """What to change about an account; what is left out stays."""

    role: Role | None = None
    is_disabled: bool | None = None
    projects: Annotated[tuple[Name, ...], Field(max_length=1000)] | None = None
    """Where they may rate; null: everywhere."""
    email: Annotated[str, Field(max_length=254)] | None = None
    """Their address; null: none. Be sure that it is theirs: it lets them in."""


class LinkMade(Out):
    """A link that signs somebody in, once. It is told this once."""

    link: str
    expires_at: float


class InvitationIn(Body):
    """Whom to invite to what."""

    role: Role = "rater"
    project: Name | None = None
    note: Annotated[str, Field(max_length=500)] = ""
    max_uses: Annotated[int, Field(ge=1, le=10_000)] = 1
    lifetime_seconds: Annotated[float, Field(ge=60, le=3660 * 86_400)] = 14 * 86_400.0
    email: Annotated[str, Field(max_length=254)] | None = None
    """The one person it is for: their account gets the address. No mail goes out; the link is in the answer."""


class InvitationOut(Out):
    """An invitation, without its link."""

    id: int
    role: Role
    project: str | None
    note: str
    created_at: float
    expires_at: float
    max_uses: int
    uses: int
    revoked_at: float | None
    email: str | None
    """The one person it is for; null: whoever has the link."""


class InvitationMade(InvitationOut):
    """A new invitation. Its link is told this once."""

    link: str


class EventOut(Out):
    """Something in the security log; `address` is a keyed hash, equal for equal addresses."""

    id: int
    at: float
    what: str
    account: str | None
    """Who did it; null: somebody unknown."""
    program: int | None
    """Number of the token that spoke for them."""
    address: str
    about: str
    """What it was done to: a rater's id, a number, a name."""
    project: str | None


class EventPage(Out):
    """Events, newest first, and where the next page begins."""

    items: tuple[EventOut, ...]
    next: str | None


class TokenIn(Body):
    """A token to make."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    role: Role | None = None
    """At most this; null: as much as whoever asks."""
    rater_id: Id | None = None
    """For whom; only admins may name somebody else."""
    lifetime_seconds: Annotated[float, Field(ge=60, le=3660 * 86_400)] | None = None


class TokenOut(Out):
    """A program's key, without its secret."""

    id: int
    rater_id: str
    name: str
    role: Role
    created_at: float
    expires_at: float | None
    revoked_at: float | None


class TokenMade(TokenOut):
    """A new token. Its secret is told this once."""

    token: str
