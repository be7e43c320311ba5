"""Calls about people: raters, accounts, invitations and tokens, and the work that was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from assent.client.wire import Wire, quoted
from assent.core.types import Rater, RaterKind
from assent.feedback.records.people import Role
from assent.web.api.people_models import (
    AccountOut,
    ErasureOut,
    InvitationMade,
    InvitationOut,
    LinkMade,
    RaterPage,
    TokenMade,
    TokenOut,
)
from assent.web.api.study_models import WorkOut


class PeopleCalls:
    """The part of a client that is about people."""

    _wire: Wire

    def raters(self) -> Iterator[Rater]:
        """All raters with what they said about themselves."""
        return self._wire.pages(RaterPage, "/raters")

    def register_rater(
        self,
        kind: RaterKind = "autorater",
        *,
        id: str | None = None,
        attributes: Mapping[str, str] | None = None,
        consent: str | None = None,
    ) -> Rater:
        """Register a rater without an account; a new pseudonym unless `id` is given."""
        body = {"kind": kind, "id": id, "attributes": dict(attributes or {}), "consent": consent}
        return self._wire.one(Rater, "POST", "/raters", json=body, repeat=id is not None)

    def rater(self, rater_id: str) -> Rater:
        """A rater with what they said about themselves."""
        return self._wire.one(Rater, "GET", f"/raters/{quoted(rater_id)}")

    def set_attributes(self, rater_id: str, attributes: Mapping[str, str], *, consent: str | None = None) -> Rater:
        """Replace what a rater says about themselves; of a person only with consent."""
        body = {"attributes": dict(attributes), "consent": consent}
        return self._wire.one(Rater, "PUT", f"/raters/{quoted(rater_id)}/attributes", json=body)

    def erase_rater(self, rater_id: str) -> ErasureOut:
        """Forget a rater and say what rested on what they said."""
        return self._wire.one(ErasureOut, "DELETE", f"/raters/{quoted(rater_id)}")

    def work(self, project: str | None = None, *, first: date | None = None, last: date | None = None) -> list[WorkOut]:
        """Who did how much, for pay: a row for each rater and project, between two days, both included."""
        days = {name: day.isoformat() for name, day in (("first", first), ("last", last)) if day is not None}
        return self._wire.all(WorkOut, "/work" if project is None else f"/projects/{quoted(project)}/work", **days)

    def accounts(self) -> list[AccountOut]:
        """Everybody who may sign in, by login."""
        return self._wire.all(AccountOut, "/accounts")

    def change_account(self, rater_id: str, **changes: Any) -> AccountOut:
        """Change an account: role, projects (None: all), is_disabled, email; what is not named stays."""
        return self._wire.one(AccountOut, "PATCH", f"/accounts/{quoted(rater_id)}", json=changes, repeat=True)

    def new_link(self, rater_id: str) -> LinkMade:
        """Make a link that signs somebody in, once."""
        return self._wire.one(LinkMade, "POST", f"/accounts/{quoted(rater_id)}/link")

    def invitations(self) -> list[InvitationOut]:
        """All invitations, newest first."""
        return self._wire.all(InvitationOut, "/invitations")

    def invite(self, role: Role = "rater", **wanted: Any) -> InvitationMade:
        """Make a link with which people join: project, note, max_uses, lifetime_seconds, email."""
        return self._wire.one(InvitationMade, "POST", "/invitations", json={"role": role, **wanted})

    def revoke_invitation(self, number: int) -> bool:
        """Take an invitation back; whether it was open."""
        return self._wire.remove(f"/invitations/{number}")

    def tokens(self) -> list[TokenOut]:
        """Tokens without their secrets."""
        return self._wire.all(TokenOut, "/tokens")

    def make_token(self, name: str, **wanted: Any) -> TokenMade:
        """Make a token: role, rater_id, lifetime_seconds. Its secret is told this once."""
        return self._wire.one(TokenMade, "POST", "/tokens", json={"name": name, **wanted})

    def revoke_token(self, number: int) -> bool:
        """End a token; whether it was valid."""
        return self._wire.remove(f"/tokens/{number}")
