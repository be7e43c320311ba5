"""Accounts over the API: who may sign in, in which role and projects; barring people and letting them in again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from assent.feedback.people.accounts import LINK_SECONDS
from assent.feedback.records.people import Account
from assent.web.api.paging import Cursor, Limit, cursor_of, key_of
from assent.web.api.people_models import AccountChange, AccountOut, EventOut, EventPage, LinkMade
from assent.web.api.projects import known_project
from assent.web.auth import Admin
from assent.web.context import Context
from assent.web.refusals import Refusal

AccountId = Annotated[str, Path(min_length=1, max_length=200, description="Id of the account's rater, a pseudonym.")]


def add_routes(routes: APIRouter, context: Context) -> None:
    """Add the routes of accounts."""
    accounts = context.store.accounts

    @routes.get("/accounts", tags=["accounts"], response_model=list[AccountOut])
    def list_accounts(_person: Admin) -> Any:
        """Everybody who may sign in, by login."""
        return accounts.all()

    @routes.get("/events", tags=["accounts"], response_model=EventPage)
    def list_events(
        _person: Admin,
        what: Annotated[str, Query(max_length=100, description="Events that begin so, say sign_in.")] = "",
        account: Annotated[str, Query(max_length=200, description="Events that it did, or that were done to it.")] = "",
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Any:
        """The security log, newest first, a page at a time: sign-ins, refusals, what admins did."""
        key: Any = key_of(cursor, int)
        before = None if key is None else key[0]
        found = context.store.events.find(what=what, account=account, before=before, limit=limit)
        items = tuple(EventOut.model_validate(one) for one in found)
        return EventPage(items=items, next=cursor_of(found[-1].id) if len(found) == limit else None)

    @routes.patch("/accounts/{rater_id}", tags=["accounts"], response_model=AccountOut)
    def change_account(_person: Admin, rater_id: AccountId, change: AccountChange) -> Any:
        """Change role, projects or address, bar somebody or let them in again; what is not named stays."""
        _known(context, rater_id)
        for project in change.projects or ():
            known_project(context, project)
        if "email" in change.model_fields_set:
            accounts.set_email(rater_id, change.email)
        accounts.change(rater_id, role=change.role, is_disabled=change.is_disabled, now=context.now())
        if "projects" in change.model_fields_set:
            accounts.set_projects(rater_id, change.projects)
        return accounts.get(rater_id)

    @routes.post("/accounts/{rater_id}/link", tags=["accounts"], response_model=LinkMade)
    def make_link(_person: Admin, rater_id: AccountId) -> Any:
        """Make a link that signs the person in, once within a day. It is told this once."""
        _known(context, rater_id)
        now = context.now()
        token = accounts.new_link(rater_id, now=now)
        return LinkMade(link=context.link(f"/enter/{token}"), expires_at=now + LINK_SECONDS)


def _known(context: Context, rater_id: str) -> Account:
    """An account. Raises Refusal 404."""
    found = context.store.accounts.get(rater_id)
    if found is None:
        raise Refusal(404, f"there is no account {rater_id!r}", "list the accounts")
    return found
