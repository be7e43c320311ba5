"""Coming in and going out: signing in by password or one-time link, which may be mailed, joining by invitation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from assent.core.errors import StoreError
from assent.feedback.people.events import Event
from assent.feedback.people.second_factor import CodeNeeded
from assent.feedback.people.sign_in import TooManyAttempts
from assent.feedback.records.people import Invitation, Participant, checked_participant, clean_email
from assent.feedback.records.queue import Queue
from assent.web import trail
from assent.web.auth import GuardedRouter, identify, local_path, sign_in, sign_out, visitor_form
from assent.web.context import LANGUAGE, Context
from assent.web.forms import Form
from assent.web.refusals import Refusal
from assent.web.trail import address_of

CLOSED_LINK = "this link was used already, is too old, or was never given out"
CLOSED_INVITATION = "this invitation is used up, too old, or was taken back"


def router(context: Context) -> GuardedRouter:
    """The routes."""
    routes = GuardedRouter(include_in_schema=False)
    _signing_in(routes, context)
    _links(routes, context)
    _invitations(routes, context)
    _language(routes, context)
    return routes


def _signing_in(routes: APIRouter, context: Context) -> None:
    accounts = context.store.accounts

    @routes.get("/sign-in")
    def sign_in_page(request: Request, next: str = "/") -> Response:
        if identify(request) is not None:
            return _go(local_path(next))
        return _sign_in_page(context, request, next=local_path(next))

    @routes.post("/sign-in", dependencies=[Depends(visitor_form)])
    def sign_in_by_password(request: Request, form: Form) -> Response:
        login, there, now = form.get("login", ""), local_path(form.get("next", "/")), context.now()
        found = accounts.by_login(login)
        who = None if found is None else found.rater_id

        def again(status: int, problem: str, what: str) -> Response:
            trail.say(request, Event(what, account=who))
            return _sign_in_page(context, request, status, next=there, login=login, problem=problem)

        try:
            account = accounts.check_password(
                login, form.get("password", ""), address=address_of(request), code=form.get("code", ""), now=now
            )
        except TooManyAttempts as refused:
            response = again(429, "sign_in.too_many", "sign_in.limited")
            response.headers["retry-after"] = str(refused.retry_after)
            return response
        except CodeNeeded:
            return again(401, "sign_in.code_wrong", "sign_in.code_wrong")
        if account is None:
            return again(401, "sign_in.wrong", "sign_in.wrong")
        response = _go(there)
        sign_in(request, response, account)
        trail.say(request, Event("sign_in.right", account=account.rater_id))
        return response

    @routes.post("/sign-in/link", dependencies=[Depends(visitor_form)])
    def mail_link(request: Request, form: Form) -> Response:
        # Whether the address is known, the thread that mails finds out: neither the answer nor its time says it.
        outbox, email = context.outbox, clean_email(form.get("email", ""))
        if outbox is None:
            raise Refusal(404, "this service sends no mail", "ask whoever invited you for a one-time link")
        accounts.admit_asking(form.get("email", ""), address_of(request), now=context.now())
        if email is not None:
            language = context.language(request)
            outbox.post(lambda: context.letters.one_time_link(email, language=language))
        return _sign_in_page(context, request, said="sign_in.link.sent")

    @routes.post("/sign-out")
    def leave(request: Request) -> Response:
        response = _go("/sign-in")
        sign_out(request, response)
        return response


def _sign_in_page(
    context: Context,
    request: Request,
    status: int = 200,
    *,
    next: str = "/",
    login: str = "",
    problem: str = "",
    said: str = "",
) -> Response:
    return context.page(
        request,
        "sign-in.html",
        status,
        next=next,
        login=login,
        problem=problem,
        said=said,
        provider="" if context.provider is None else context.provider.config.label,
        has_mail=context.outbox is not None,
    )


def _links(routes: APIRouter, context: Context) -> None:
    accounts = context.store.accounts

    @routes.get("/enter/{token}")
    def enter_page(request: Request, token: str) -> Response:
        # Opening the link does not use it up: mail programs open links to look at them.
        account = accounts.link(token, now=context.now())
        if account is None:
            raise Refusal(404, CLOSED_LINK, "sign in with your password, or ask an admin for a new link")
        return context.page(request, "enter.html", account=account, token=token, problem="")

    @routes.post("/enter/{token}", dependencies=[Depends(visitor_form)])
    def enter(request: Request, token: str, form: Form) -> Response:
        now, address = context.now(), address_of(request)
        account = accounts.link(token, now=now)
        try:
            if account is not None and account.has_second_factor:
                accounts.admit_code(account.login, address=address, now=now)
            used = accounts.use_link(token, address=address, code=form.get("code", ""), now=now)
        except CodeNeeded:
            trail.say(request, Event("sign_in.code_wrong", account=account.rater_id if account else None))
            return context.page(request, "enter.html", 401, account=account, token=token, problem="sign_in.code_wrong")
        if used is None:
            trail.say(request, Event("sign_in.link_wrong"))
            raise Refusal(404, CLOSED_LINK, "sign in with your password, or ask an admin for a new link")
        response = _go("/admin" if used.may("adjudicator") else "/")
        sign_in(request, response, used, is_fresh=True)
        trail.say(request, Event("sign_in.link", account=used.rater_id))
        return response


def _invitations(routes: APIRouter, context: Context) -> None:
    accounts = context.store.accounts
    invitations = accounts.invitations

    @routes.get("/join/{token}")
    def join_page(request: Request, token: str) -> Response:
        invitation = _lasting(context, token)
        who = participant_of(context, invitation, request.query_params)
        if who is None and not invitation.is_open(context.now()):
            raise Refusal(404, CLOSED_INVITATION, "ask whoever invited you for a new link")
        return context.page(request, "join.html", **_invited(context, invitation, token, who), login="", problem="")

    @routes.post("/join/{token}", dependencies=[Depends(visitor_form)])
    def join(request: Request, token: str, form: Form) -> Response:
        person, now = identify(request), context.now()
        invitation = _lasting(context, token)
        who = participant_of(context, invitation, request.query_params)
        if who is not None:
            account = context.store.accounts.participants.enter(token, who, locale=context.language(request), now=now)
        elif person is not None:
            account = invitations.join_as(token, person.rater_id, now=now)
        else:
            accounts.admit_joining(address_of(request), now=now)
            try:
                account = invitations.join(
                    token,
                    login=form.get("login", ""),
                    password=form.get("password") or None,
                    locale=context.language(request),
                    now=now,
                )
            except StoreError as problem:
                said = {"login": form.get("login", ""), "problem": str(problem)}
                return context.page(request, "join.html", 422, **_invited(context, invitation, token, None), **said)
            if account is not None:
                accounts.joined(address_of(request))
        if account is None:
            raise Refusal(404, CLOSED_INVITATION, "ask whoever invited you for a new link")
        response = _go("/" if who is None else Queue(invitation.project or "").page)
        trail.say(request, Event("sign_in.joined", account=account.rater_id, about=str(invitation.id)))
        if person is None or person.rater_id != account.rater_id:
            sign_in(request, response, account, is_fresh=True)
        return response


def _lasting(context: Context, token: str) -> Invitation:
    """An invitation that some may come in by. Raises Refusal 404."""
    found = context.store.accounts.invitations.lasting(token, now=context.now())
    if found is None:
        raise Refusal(404, CLOSED_INVITATION, "ask whoever invited you for a new link")
    return found


def participant_of(context: Context, invitation: Invitation, query: Mapping[str, str]) -> Participant | None:
    """Who comes from a crowd platform, where the project takes its people from one. Raises StoreError without an id."""
    known = {project.name: project.settings for project in context.store.projects.all()}
    settings = known.get(invitation.project or "")
    if settings is None or not settings.participant_parameters or invitation.role != "rater":
        return None
    return checked_participant(settings.participant_parameters, query)


def _invited(context: Context, invitation: Invitation, token: str, who: Participant | None) -> dict[str, Any]:
    """What the page of an invitation shows: also a project that is not there yet has a name."""
    titles = {project.name: project.settings.title for project in context.store.projects.all()}
    title = titles.get(invitation.project or "") or invitation.project
    query = "" if who is None else "?" + urlencode({who.source: who.external_id, **who.details})
    return {"invitation": invitation, "token": token, "title": title, "who": who, "query": query}


def _language(routes: APIRouter, context: Context) -> None:
    accounts = context.store.accounts

    @routes.post("/language", dependencies=[Depends(visitor_form)])
    def choose_language(request: Request, form: Form) -> Response:
        language = form.get("language", "")
        if language not in context.catalogs.languages:
            raise Refusal(422, f"the language {language[:20]!r} is not there", "choose one of the list")
        person = identify(request)
        if person is not None:
            accounts.change(person.rater_id, locale=language, now=context.now())
        response = _go(local_path(form.get("next", "/")))
        context.set_cookie(response, LANGUAGE, language)
        return response


def _go(path: str) -> Response:
    return RedirectResponse(path, 303)
