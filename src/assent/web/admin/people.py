"""Pages of people: who rates, in which role, how it goes; invitations by link."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from assent.core.errors import StoreError, UserError
from assent.feedback.dashboard import LANGUAGE
from assent.feedback.people.accounts import DAY
from assent.feedback.people.work import Period, as_csv
from assent.feedback.records.people import ROLES, Account, Role
from assent.web.admin.frame import Frame, Number, done
from assent.web.auth import Admin
from assent.web.forms import Form

MOST_USES, MOST_DAYS = 10_000, 3650


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of these pages."""
    invitations = frame.store.accounts.invitations

    @routes.get("/admin/people")
    def people(request: Request, _person: Admin, find: Annotated[str, Query(max_length=200)] = "") -> Response:
        return _people_page(frame, request, find=find)

    @routes.post("/admin/people/invite")
    def invite(request: Request, _person: Admin, form: Form) -> Response:
        try:
            project = form.get("project", "") or None
            if project is not None and all(p.name != project for p in frame.store.projects.all()):
                raise StoreError(f"there is no project {project!r}; choose one from the list")
            email = form.get("email", "").strip() or None
            made = invitations.add(
                role_of(form),
                project=project,
                note=form.get("note", "").strip()[:200],
                max_uses=whole(form, "uses", most=MOST_USES),
                lifetime=whole(form, "days", most=MOST_DAYS) * DAY,
                email=email,
                now=frame.context.now(),
            )
        except UserError as problem:
            return _people_page(frame, request, problem=problem, form=form)
        context, outbox = frame.context, frame.context.outbox
        is_mailed = outbox is not None and made.kept.email is not None
        if outbox is not None and is_mailed:
            language = context.catalogs.choose(form.get("language"), context.language(request))
            outbox.post(lambda: context.letters.invitation(made.kept, made.token, language=language))
        # Told this once: the store keeps a hash, so the page is answered here and not after a redirect.
        link, mailed = context.link(f"/join/{made.token}"), made.kept.email if is_mailed else None
        return _people_page(frame, request, link=link, mailed=mailed)

    @routes.get("/admin/work.csv")
    def work(
        _person: Admin,
        project: Annotated[str, Query(max_length=200)] = "",
        first: Annotated[str, Query(max_length=40)] = "",
        last: Annotated[str, Query(max_length=40)] = "",
    ) -> Response:
        only = frame.project(project).name if project else None
        found = frame.store.accounts.work(only, Period.of(first, last))
        headers = {"content-disposition": 'attachment; filename="work.csv"'}
        return Response(as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)

    @routes.post("/admin/invitations/{invitation_id}/revoke")
    def revoke(_person: Admin, invitation_id: Number) -> Response:
        invitations.revoke(invitation_id, now=frame.context.now())
        return done("/admin/people", "revoked")


def _names_of(account: Account) -> tuple[str, ...]:
    """By what somebody is found in the list of people."""
    came = () if account.participant is None else (account.participant.external_id,)
    return (account.login, account.rater_id, *came)


def role_of(form: Mapping[str, str]) -> Role:
    """The role a form names. Raises StoreError."""
    role = next((role for role in ROLES if role == form.get("role")), None)
    if role is None:
        raise StoreError(f"there is no role {form.get('role', '')[:40]!r}; choose one of {', '.join(ROLES)}")
    return role


def whole(form: Mapping[str, str], name: str, *, most: int) -> int:
    """A whole number from 1 to `most`. Raises StoreError."""
    text = form.get(name, "").strip()
    if not text.isdecimal() or not 1 <= int(text[:12]) <= most:
        raise StoreError(f"{name} is {text[:40]!r}; give a whole number from 1 to {most}")
    return int(text)


def _people_page(
    frame: Frame,
    request: Request,
    *,
    find: str = "",
    problem: UserError | str = "",
    form: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    now = frame.context.now()
    accounts = frame.store.accounts.all()
    wanted = find.casefold()
    projects = frame.store.projects.all()
    activity = frame.store.listing.activity()
    judged = Counter({rater_id: done.judgments for rater_id, done in activity.items()})
    languages = {rater.id: rater.attributes.get(LANGUAGE) for rater in frame.store.raters()}
    shown = [
        {
            "account": account,
            "judgments": judged[account.rater_id],
            "last": activity[account.rater_id].last if account.rater_id in activity else None,
            "language": languages.get(account.rater_id) or account.locale or "",
        }
        for account in accounts
        if any(wanted in name.casefold() for name in _names_of(account))
    ]
    return frame.page(
        request,
        "admin_people.html",
        tab="people",
        problem=problem,
        find=find,
        rows=shown,
        others=sorted(judged.keys() - {account.rater_id for account in accounts}),
        judged=judged,
        total=len(accounts),
        roles=ROLES,
        projects=projects,
        invitations=[(one, one.is_open(now)) for one in frame.store.accounts.invitations.all()],
        form=form or {"role": "rater", "uses": "1", "days": "14"},
        has_mail=frame.context.outbox is not None,
        has_provider=frame.context.provider is not None,
        is_mail_failing=any(event.what == "mail.failed" for event in frame.store.events.find(what="mail.", limit=1)),
        **({"link": "", "mailed": None} | values),
    )
