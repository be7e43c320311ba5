"""Pages for programs: API tokens, and webhooks with what became of their messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from fastapi import APIRouter, Request
from starlette.responses import Response

from assent.core.errors import StoreError, UserError
from assent.core.types import Purpose
from assent.feedback.people.accounts import DAY
from assent.feedback.records.people import ROLES
from assent.feedback.records.webhooks import Event, Hook
from assent.web.admin.frame import Frame, Number, done
from assent.web.admin.people import MOST_DAYS, role_of, whole
from assent.web.auth import Admin, Person
from assent.web.forms import Form
from assent.web.outbound import check_url

EVENTS: tuple[Event, ...] = get_args(Event)
DELIVERIES = 5
"""Messages shown per webhook, the newest."""


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of these pages."""
    _tokens(routes, frame)
    _webhooks(routes, frame)


def _tokens(routes: APIRouter, frame: Frame) -> None:
    tokens = frame.store.accounts.tokens

    @routes.get("/admin/tokens")
    def list_tokens(request: Request, person: Admin) -> Response:
        return _tokens_page(frame, request, person)

    @routes.post("/admin/tokens")
    def add(request: Request, person: Admin, form: Form) -> Response:
        try:
            name = form.get("name", "").strip()
            if not name:
                raise StoreError("the token has no name; say what it is for")
            days = whole(form, "days", most=MOST_DAYS) if form.get("days", "").strip() else None
            made = tokens.add(
                form.get("account") or person.rater_id,
                name[:100],
                role=role_of(form),
                lifetime=None if days is None else days * DAY,
                now=frame.context.now(),
            )
        except UserError as problem:
            return _tokens_page(frame, request, person, problem=problem, form=form)
        return _tokens_page(frame, request, person, secret=made.token)

    @routes.post("/admin/tokens/{token_id}/revoke")
    def revoke(_person: Admin, token_id: Number) -> Response:
        tokens.revoke(token_id, now=frame.context.now())
        return done("/admin/tokens", "token_ended")


def _tokens_page(
    frame: Frame,
    request: Request,
    person: Person,
    *,
    problem: UserError | str = "",
    form: Mapping[str, str] | None = None,
    secret: str = "",
) -> Response:
    accounts = frame.store.accounts.all()
    now = frame.context.now()
    rows = [(token, token.is_alive(now)) for token in frame.store.accounts.tokens.all()]
    return frame.page(
        request,
        "admin_tokens.html",
        tab="tokens",
        problem=problem,
        rows=rows,
        accounts=accounts,
        logins={account.rater_id: account.login for account in accounts},
        roles=ROLES,
        form=form or {"role": "rater", "days": "90", "account": person.rater_id},
        secret=secret,
    )


def _webhooks(routes: APIRouter, frame: Frame) -> None:
    webhooks = frame.store.webhooks

    @routes.get("/admin/webhooks")
    def list_webhooks(request: Request, _person: Admin) -> Response:
        return _webhooks_page(frame, request)

    @routes.post("/admin/webhooks")
    def add(request: Request, _person: Admin, form: Form) -> Response:
        try:
            made = webhooks.add(_hook(form), now=frame.context.now())
        except UserError as problem:
            return _webhooks_page(frame, request, problem=problem, form=form)
        return _webhooks_page(frame, request, secret=made.token)

    @routes.post("/admin/webhooks/{webhook_id}/remove")
    def remove(_person: Admin, webhook_id: Number) -> Response:
        webhooks.remove(webhook_id)
        return done("/admin/webhooks", "webhook_removed")


def _webhooks_page(
    frame: Frame,
    request: Request,
    *,
    problem: UserError | str = "",
    form: Mapping[str, str] | None = None,
    secret: str = "",
) -> Response:
    webhooks = frame.store.webhooks
    rows: list[Any] = [(one, webhooks.deliveries(one.id, limit=DELIVERIES)) for one in webhooks.all()]
    return frame.page(
        request,
        "admin_webhooks.html",
        tab="webhooks",
        problem=problem,
        rows=rows,
        events=EVENTS,
        projects=frame.store.projects.all(),
        form=form or {"event": "judgments", "purpose": "reward"},
        secret=secret,
    )


def _hook(form: Mapping[str, str]) -> Hook:
    """The webhook a form describes. Raises StoreError."""
    event = next((event for event in EVENTS if event == form.get("event")), None)
    if event is None:
        raise StoreError(f"there is no event {form.get('event', '')[:40]!r}; choose one of {', '.join(EVENTS)}")
    text = form.get("threshold", "").strip()
    try:
        threshold = float(text) if text and event in ("judgments", "agreement") else None
    except ValueError:
        raise StoreError(f"the threshold is {text[:40]!r}; give a number") from None
    purpose: Purpose = "evaluation" if form.get("purpose") == "evaluation" else "reward"
    url = form.get("url", "").strip()
    check_url(url)
    return Hook(url, event, None if event == "erased" else form.get("project") or None, purpose, threshold)
