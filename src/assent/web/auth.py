"""Who is asking: sessions of browsers, tokens of programs, roles, and the guard against requests that others forge."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from assent.feedback.records.people import Account, Role
from assent.web.context import SESSION, VISITOR, Context, csrf_of
from assent.web.forms import is_form, read_form
from assent.web.refusals import Refusal

SAFE = {"GET", "HEAD", "OPTIONS"}
FORGED = "this request did not come from a page of this service, or the page is out of date"


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, by a browser or by a program's token."""

    account: Account
    csrf: str
    """Empty for programs."""

    @property
    def rater_id(self) -> str:
        """The pseudonym under which judgments are kept."""
        return self.account.rater_id

    @property
    def login(self) -> str:
        """The name they sign in with."""
        return self.account.login

    @property
    def role(self) -> Role:
        """rater, adjudicator or admin."""
        return self.account.role

    @property
    def is_program(self) -> bool:
        """Did an API token speak for them?"""
        return not self.csrf

    def may(self, role: Role) -> bool:
        """May they do what a role may do?"""
        return self.account.may(role)

    def may_rate(self, project: str) -> bool:
        """May they rate in a project?"""
        return self.account.may_rate(project)

    def need_project(self, project: str) -> None:
        """Raise Refusal where this person has nothing to do in a project."""
        if not (self.may("adjudicator") or self.may_rate(project)):
            raise Refusal(403, f"you are not in the project {project!r}", "ask an admin for an invitation to it")


def context_of(request: Request) -> Context:
    """The context of the app that a request came to."""
    context: Context = request.app.state.context
    return context


def identify(request: Request) -> Person | None:
    """Who is asking, looked up once per request. A request with a bearer token never uses the cookie."""
    if not hasattr(request.state, "person"):
        request.state.person = _identify(request, context_of(request))
    person: Person | None = request.state.person
    return person


async def guard(request: Request) -> None:
    """Refuse what changes something with a cookie but does not come from one of our pages (CSRF). For every route."""
    person = await run_in_threadpool(identify, request)
    if request.method in SAFE or person is None or person.is_program:
        return
    await _refuse_forged(request, person.csrf)


async def visitor_form(request: Request) -> None:
    """The same guard for forms of people who are not signed in yet. Nobody can be signed in by somebody else."""
    if await run_in_threadpool(identify, request) is None:
        await _refuse_forged(
            request, csrf_of(request.cookies.get(VISITOR) or None), has_cookie=VISITOR in request.cookies
        )


def current_rater(request: Request) -> Person:
    """Whoever is signed in. Raises Refusal 401."""
    person = identify(request)
    if person is None:
        raise Refusal(401, "you are not signed in", "sign in, then try again")
    return person


def require_role(role: Role) -> Callable[[Request], Person]:
    """A dependency that lets in who may do what `role` may do. Raises Refusal 401 or 403."""

    def check(request: Request) -> Person:
        person = current_rater(request)
        if not person.may(role):
            raise Refusal(403, f"this is for the role {role}, and yours is {person.role}", "ask an admin")
        return person

    return check


Rater = Annotated[Person, Depends(current_rater)]
"""Anybody who is signed in."""
Adjudicator = Annotated[Person, Depends(require_role("adjudicator"))]
"""An adjudicator or admin."""
Admin = Annotated[Person, Depends(require_role("admin"))]
"""An admin."""


def sign_in(request: Request, response: Response, account: Account) -> None:
    """Start a session for an account and end the one that the browser had."""
    context = context_of(request)
    _end_session(request, context)
    token = context.store.accounts.start_session(account.rater_id, now=context.now())
    context.set_cookie(response, SESSION, token)
    response.delete_cookie(VISITOR)


def sign_out(request: Request, response: Response) -> None:
    """End the session of the browser."""
    _end_session(request, context_of(request))
    response.delete_cookie(SESSION)


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return "unknown" if request.client is None else request.client.host


def local_path(path: str) -> str:
    """A path of this service to go on to; the start page where it leads elsewhere."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if is_ours else "/"


def _identify(request: Request, context: Context) -> Person | None:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        account = None
        if scheme.lower() == "bearer":
            account = context.store.accounts.tokens.account(token.strip(), now=context.now())
        if account is None:
            request.state.person = None
            raise Refusal(401, "the API token is not valid (any more)", "ask an admin for a new one")
        return Person(account, "")
    cookie = request.cookies.get(SESSION)
    account = None if cookie is None else context.store.accounts.session(cookie, now=context.now())
    return None if account is None else Person(account, csrf_of(cookie))


def _end_session(request: Request, context: Context) -> None:
    if SESSION in request.cookies:
        context.store.accounts.end_session(request.cookies[SESSION])


async def _refuse_forged(request: Request, expected: str, *, has_cookie: bool = True) -> None:
    given = request.headers.get("x-csrf-token")
    if given is None and is_form(request):
        given = (await read_form(request)).get("csrf")
    is_elsewhere = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    is_right = has_cookie and hmac.compare_digest((given or "").encode("utf-8", "replace"), expected.encode())
    if is_elsewhere or not is_right:
        raise Refusal(403, FORGED, "reload the page and try again")
