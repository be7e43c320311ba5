"""Who is asking: sessions of browsers, tokens of programs, roles, and the guard against requests that others forge."""

from __future__ import annotations

import contextlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, params
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from assent.feedback.people.accounts import LONGEST_SESSION
from assent.feedback.people.events import Event
from assent.feedback.records.people import Account, Role
from assent.web import trail
from assent.web.context import SESSION, VISITOR, Context, csrf_of
from assent.web.forms import is_form, read_form
from assent.web.refusals import Refusal
from assent.web.rules import Rule, project_in, rule_of

SAFE = {"GET", "HEAD", "OPTIONS"}
FORGED = "this request did not come from a page of this service, or the page is out of date"


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, by a browser or by a program's token."""

    account: Account
    csrf: str
    """Empty for programs."""
    program: int | None = None
    """The number of the API token that speaks for them."""

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
        return self.program is not None

    def may(self, role: Role) -> bool:
        """May they do what a role may do?"""
        return self.account.may(role)

    def may_see(self, project: str) -> bool:
        """Have they something to do in a project? Admins have in all."""
        return self.may("admin") or self.account.may_rate(project)

    def need_project(self, project: str) -> None:
        """Raise Refusal where this person has nothing to do in a project."""
        if not self.may_see(project):
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
    """Let in who may use the route, by the table of `rules`; for every route.

    Also refuses what changes something with a cookie but does not come from one of our pages (CSRF).
    """
    person = await run_in_threadpool(identify, request)
    rule = rule_of(request.method, request.scope["route"].path)
    if person is not None and not person.is_program and request.method not in SAFE:
        await _refuse_forged(request, person.csrf)
    _refuse_stranger(request, person, rule)
    if rule.log:
        named = await _about(request, rule.about)
        project = project_in(request.scope["route"].path, request.path_params)
        account, program = (None, None) if person is None else (person.rater_id, person.program)
        trail.begin(request, Event(rule.log, account=account, program=program, about=named, project=project))


async def visitor_form(request: Request) -> None:
    """The same guard for forms of people who are not signed in yet. Nobody can be signed in by somebody else."""
    if await run_in_threadpool(identify, request) is None:
        secret = context_of(request).cookie(request, VISITOR)
        await _refuse_forged(request, csrf_of(secret or None), has_cookie=secret is not None)


class GuardedRouter(APIRouter):
    """Routes with the guard in front of each, which an app may take as they are."""

    def __init__(self, *, dependencies: Sequence[params.Depends] = (), **settings: Any) -> None:
        """As a router of FastAPI; `dependencies` come after the guard."""
        super().__init__(dependencies=[Depends(guard), *dependencies], **settings)


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
        _need_role(person, role)
        return person

    return check


Rater = Annotated[Person, Depends(current_rater)]
"""Anybody who is signed in."""
Adjudicator = Annotated[Person, Depends(require_role("adjudicator"))]
"""An adjudicator or admin."""
Admin = Annotated[Person, Depends(require_role("admin"))]
"""An admin."""


def sign_in(request: Request, response: Response, account: Account, *, is_fresh: bool = False) -> None:
    """Start a session for an account and end the one that the browser had. `is_fresh`: by a link or an invitation."""
    context = context_of(request)
    if request.headers.get("authorization") is not None:
        raise Refusal(403, "a program is not signed in", "use its token with every request")
    _end_session(request, context)
    client = request.headers.get("user-agent", "")
    token = context.store.accounts.start_session(account.rater_id, is_fresh=is_fresh, client=client, now=context.now())
    context.set_cookie(response, SESSION, token, max_age=int(LONGEST_SESSION))
    context.forget_cookie(response, VISITOR)


def sign_out(request: Request, response: Response) -> None:
    """End the session of the browser, and let it forget drafts that wait in it."""
    context = context_of(request)
    _end_session(request, context)
    context.forget_cookie(response, SESSION)
    response.headers["clear-site-data"] = '"storage"'


def session_of(request: Request) -> str:
    """The token of the session that a browser is in; empty where it is in none."""
    return context_of(request).cookie(request, SESSION) or ""


def may_do_without_password(request: Request, person: Person) -> bool:
    """Did they come in by a link a moment ago? Then whoever gave out the link vouches for them."""
    context = context_of(request)
    return context.store.accounts.is_fresh(session_of(request), now=context.now())


def local_path(path: str) -> str:
    """A path of this service to go on to; the start page where it leads elsewhere."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if is_ours else "/"


def _identify(request: Request, context: Context) -> Person | None:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        found = None
        if scheme.lower() == "bearer":
            found = context.store.accounts.tokens.spoken_for(token.strip(), now=context.now())
        if found is None:
            request.state.person = None
            trail.say(request, Event(trail.BAD_TOKEN, address=trail.address_of(request)))
            raise Refusal(401, "the API token is not valid (any more)", "ask an admin for a new one")
        return Person(found[0], "", found[1])
    cookie = context.cookie(request, SESSION)
    account = None if cookie is None else context.store.accounts.session(cookie, now=context.now())
    return None if account is None else Person(account, csrf_of(cookie))


def _end_session(request: Request, context: Context) -> None:
    cookie = context.cookie(request, SESSION)
    if cookie is not None:
        context.store.accounts.end_session(cookie)


def _refuse_stranger(request: Request, person: Person | None, rule: Rule) -> None:
    """Raise Refusal where a rule keeps somebody out."""
    if person is not None and person.is_program and not rule.programs:
        raise Refusal(403, "this page is for people in a browser", "programs use the addresses below /api/v1")
    if rule.who == "anyone":
        return
    if person is None:
        raise Refusal(401, "you are not signed in", "sign in, then try again")
    _need_role(person, rule.who)
    project = project_in(request.scope["route"].path, request.path_params)
    if project is not None:
        person.need_project(project)


def _need_role(person: Person, role: Role) -> None:
    if not person.may(role):
        raise Refusal(403, f"this is for the role {role}, and yours is {person.role}", "ask an admin")


async def _about(request: Request, name: str) -> str:
    """What the log calls the thing that a request is about: a part of its path, or a field of its form or JSON."""
    if not name:
        return ""
    value: object = request.path_params.get(name)
    if value is None and is_form(request):
        value = (await read_form(request)).get(name)
    elif value is None:
        with contextlib.suppress(ValueError, RecursionError):
            sent = json.loads(await request.body())
            value = sent.get(name) if isinstance(sent, dict) else None
    return str(value) if isinstance(value, str | int) else ""


async def _refuse_forged(request: Request, expected: str, *, has_cookie: bool = True) -> None:
    given = request.headers.get("x-csrf-token")
    if given is None and is_form(request):
        given = (await read_form(request)).get("csrf")
    is_elsewhere = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    is_right = has_cookie and hmac.compare_digest((given or "").encode("utf-8", "replace"), expected.encode())
    if is_elsewhere or not is_right:
        raise Refusal(403, FORGED, "reload the page and try again")
