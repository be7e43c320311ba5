"""Raters and invitations over the API: registering programs that judge, attributes with consent, being forgotten."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from assent.core.types import Rater as RaterRecord
from assent.feedback.records.people import Invitation
from assent.feedback.runs import folders_beside, made_in, touched
from assent.web import trail
from assent.web.api.models import Removed, SnapshotName
from assent.web.api.paging import Cursor, Limit, cursor_of, key_of
from assent.web.api.people_models import (
    AttributesIn,
    ErasureOut,
    InvitationIn,
    InvitationMade,
    InvitationOut,
    RaterIn,
    RaterPage,
)
from assent.web.api.projects import known_project
from assent.web.auth import Admin, Rater
from assent.web.context import Context
from assent.web.refusals import Refusal

RaterId = Annotated[str, Path(min_length=1, max_length=200, description="Id of the rater, a pseudonym.")]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


def add_routes(routes: APIRouter, context: Context) -> None:
    """Add the routes of raters and invitations."""
    _raters(routes, context)
    _forgetting(routes, context)
    _invitations(routes, context)


def known_rater(context: Context, rater_id: str) -> RaterRecord:
    """A rater by id. Raises Refusal 404."""
    found = context.store.listing.rater(rater_id)
    if found is None:
        raise Refusal(404, f"there is no rater {rater_id!r}", "list the raters, or register one")
    return found


def _raters(routes: APIRouter, context: Context) -> None:
    store = context.store

    @routes.get("/raters", tags=["raters"], response_model=RaterPage)
    def list_raters(_person: Admin, limit: Limit = 100, cursor: Cursor = None) -> Any:
        """Raters by id with what they said about themselves, a page at a time."""
        key = key_of(cursor, str)
        found = store.listing.raters(after="" if key is None else key[0], limit=limit)
        return RaterPage(items=tuple(found), next=cursor_of(found[-1].id) if len(found) == limit else None)

    @routes.post("/raters", tags=["raters"], response_model=RaterRecord)
    def register_rater(_person: Admin, sent: RaterIn) -> Any:
        """Register a rater who has no account here: a program, or somebody whose judgments a program hands in."""
        rater = RaterRecord(id=sent.id or f"r-{secrets.token_hex(8)}", kind=sent.kind, attributes=sent.attributes)
        store.register_rater(rater, consent=sent.consent, now=context.now())
        return rater

    @routes.get("/raters/{rater_id:path}", tags=["raters"], response_model=RaterRecord)
    def get_rater(person: Rater, rater_id: RaterId) -> Any:
        """A rater with what they said about themselves; everybody may read their own."""
        _need_self_or_admin(person, rater_id)
        return known_rater(context, rater_id)

    @routes.put("/raters/{rater_id:path}/attributes", tags=["raters"], response_model=RaterRecord)
    def set_attributes(person: Rater, rater_id: RaterId, sent: AttributesIn) -> Any:
        """Replace what a rater says about themselves; of a person only with consent."""
        _need_self_or_admin(person, rater_id)
        rater = known_rater(context, rater_id).model_copy(update={"attributes": sent.attributes})
        store.register_rater(rater, consent=sent.consent, now=context.now())
        return rater


def _forgetting(routes: APIRouter, context: Context) -> None:
    @routes.delete("/raters/{rater_id:path}", tags=["raters"], response_model=ErasureOut)
    def erase_rater(request: Request, _person: Admin, rater_id: RaterId) -> Any:
        """Forget a rater: account, attributes, everything they said. Says what rested on it; `assent run` rebuilds.

        For admins: people erase themselves on their own page, where they show who they are.
        """
        known_rater(context, rater_id)
        erasure = context.store.erase_rater(rater_id, now=context.now())
        trail.about(request, erasure.tombstone)
        hashes = {snapshot.hash for snapshot in erasure.snapshots}
        made = touched(made_in(folders_beside(context.store_url)), hashes) if hashes else []
        return ErasureOut(
            tombstone=erasure.tombstone,
            judgments=erasure.judgments,
            snapshots=tuple(SnapshotName(name=one.name, hash=one.hash) for one in erasure.snapshots),
            artifacts=tuple(one.name for one in made),
        )


def _invitations(routes: APIRouter, context: Context) -> None:
    invitations = context.store.accounts.invitations

    @routes.get("/invitations", tags=["accounts"], response_model=list[InvitationOut])
    def list_invitations(_person: Admin) -> Any:
        """All invitations, newest first, without their links."""
        return invitations.all()

    @routes.post("/invitations", tags=["accounts"], response_model=InvitationMade)
    def invite(_person: Admin, sent: InvitationIn) -> Any:
        """Make a link with which people join. It is told this once."""
        if sent.project is not None:
            known_project(context, sent.project)
        made = invitations.add(
            sent.role,
            project=sent.project,
            note=sent.note,
            max_uses=sent.max_uses,
            lifetime=sent.lifetime_seconds,
            email=sent.email,
            now=context.now(),
        )
        kept: Invitation = made.kept
        return InvitationMade(**vars(kept), link=context.link(f"/join/{made.token}"))

    @routes.delete("/invitations/{number}", tags=["accounts"], response_model=Removed)
    def revoke_invitation(_person: Admin, number: Number) -> Any:
        """Take an invitation back; whoever joined by it stays."""
        return Removed(removed=invitations.revoke(number, now=context.now()))


def _need_self_or_admin(person: Rater, rater_id: str) -> None:
    if rater_id != person.rater_id and not person.may("admin"):
        raise Refusal(403, "this is for the rater themselves and for admins", "use your own id, see /api/v1/me")
