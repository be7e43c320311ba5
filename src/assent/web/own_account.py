"""A person's own account: password, second factor, where they are signed in, their tokens; in a browser only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from assent.core.errors import StoreError
from assent.feedback.people import second_factor
from assent.feedback.people.second_factor import CodeNeeded
from assent.web.auth import GuardedRouter, Person, Rater, may_do_without_password, sign_in, sign_out
from assent.web.context import Context
from assent.web.forms import Form
from assent.web.refusals import Refusal
from assent.web.trail import address_of

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


def router(context: Context) -> GuardedRouter:
    """The routes."""
    routes = GuardedRouter(include_in_schema=False)
    _password(routes, context)
    _second_factor(routes, context)
    _ending(routes, context)
    return routes


def need_password(context: Context, request: Request, person: Person, given: str) -> None:
    """Raise Refusal where somebody does not show that the account is theirs: by the password, or by a fresh link."""
    if may_do_without_password(request, person):
        return
    if not person.account.has_password:
        raise Refusal(
            403, "you came in too long ago", "sign in once more by a new one-time link or as you did, then try again"
        )
    account = context.store.accounts.check_password(
        person.login, given, address=address_of(request), code=None, now=context.now()
    )
    if account is None:
        raise Refusal(403, "the current password is not right", "go back and type it again")


def _password(routes: APIRouter, context: Context) -> None:
    accounts = context.store.accounts

    @routes.post("/me/password")
    def change_password(request: Request, person: Rater, form: Form) -> Response:
        need_password(context, request, person, form.get("current", ""))
        accounts.set_password(person.rater_id, form.get("new", ""), now=context.now())
        response = _go("/me?changed=password")
        sign_in(request, response, person.account)
        return response


def _second_factor(routes: APIRouter, context: Context) -> None:
    accounts = context.store.accounts

    @routes.post("/me/second-factor/new")
    def make(request: Request, person: Rater, form: Form) -> Response:
        need_password(context, request, person, form.get("current", ""))
        return _codes_page(request, person, second_factor.new_secret())

    @routes.post("/me/second-factor")
    def begin(request: Request, person: Rater, form: Form) -> Response:
        need_password(context, request, person, form.get("current", ""))
        secret = form.get("secret", "")
        try:
            accounts.begin_second_factor(person.rater_id, secret, form.get("code", ""), now=context.now())
        except CodeNeeded:
            return _codes_page(request, person, secret, problem="sign_in.code_wrong")
        return _go("/me?changed=second_factor")

    @routes.post("/me/second-factor/end")
    def end(request: Request, person: Rater, form: Form) -> Response:
        need_password(context, request, person, form.get("current", ""))
        accounts.end_second_factor(person.rater_id)
        return _go("/me?changed=second_factor_ended")

    def _codes_page(request: Request, person: Person, secret: str, *, problem: str = "") -> Response:
        link = second_factor.link(secret, person.login) if secret else ""
        needs_password = person.account.has_password and not may_do_without_password(request, person)
        return context.page(
            request,
            "second-factor.html",
            422 if problem else 200,
            secret=secret,
            link=link,
            needs_password=needs_password,
            problem=problem,
        )


def _ending(routes: APIRouter, context: Context) -> None:
    accounts = context.store.accounts

    @routes.post("/me/sessions/{session}/end")
    def end_session(person: Rater, session: str) -> Response:
        if not accounts.end_one(person.rater_id, session):
            raise Refusal(404, "there is no such device of yours", "reload the page")
        return _go("/me?changed=session")

    @routes.post("/me/tokens/{number}/end")
    def end_token(person: Rater, number: Number) -> Response:
        if all(token.id != number for token in accounts.tokens.all(person.rater_id)):
            raise StoreError(f"you have no token {number}; reload the page")
        accounts.tokens.revoke(number, now=context.now())
        return _go("/me?changed=token")

    @routes.post("/me/sign-out-everywhere")
    def leave_everywhere(request: Request, person: Rater) -> Response:
        accounts.end_everywhere(person.rater_id, now=context.now())
        response = _go("/sign-in")
        sign_out(request, response)
        return response


def _go(path: str) -> Response:
    return RedirectResponse(path, 303)
