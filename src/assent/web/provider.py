"""Coming in by a sign-in provider, and connecting it with an account that is there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from assent.feedback.people.events import Event
from assent.feedback.people.identities import Newcomers, NotLetIn
from assent.feedback.records.people import Account, Identity
from assent.web import trail
from assent.web.auth import GuardedRouter, Rater, identify, local_path, sign_in
from assent.web.context import SIGN_ON, Context
from assent.web.entry.sign_on import SECONDS, ProviderFailed, SignOn, lost
from assent.web.forms import Form
from assent.web.own_account import need_password
from assent.web.refusals import Refusal

if TYPE_CHECKING:
    from assent.web.entry.oidc import Provider

LOG = logging.getLogger("assent.web")
CALLBACK = "/sign-in/provider/callback"
"""Where the provider sends people back; it must know this address."""


def router(context: Context) -> GuardedRouter:
    """The routes."""
    routes = GuardedRouter(include_in_schema=False)
    _coming_in(routes, context)
    _connecting(routes, context)
    return routes


def _coming_in(routes: APIRouter, context: Context) -> None:
    seal = context.store.accounts.identities.seal

    @routes.get("/sign-in/provider")
    def leave(request: Request, next: str = "/") -> Response:
        # A link and no form: the policy of our pages lets forms lead to this service only, also by a redirect.
        provider = _provider(context)
        try:
            address, sign_on = provider.begin(there=local_path(next))
        except ProviderFailed as failed:
            return _failed(context, request, failed)
        response = RedirectResponse(address, 303)
        context.set_cookie(response, SIGN_ON, sign_on.written(seal), max_age=int(SECONDS))
        return response

    @routes.get(CALLBACK)
    def come_back(request: Request) -> Response:
        provider, sign_on = _provider(context), SignOn.read(context.cookie(request, SIGN_ON), seal)
        try:
            if sign_on is None:
                raise lost()
            who = _who(context, provider, request, sign_on)
            if sign_on.account:
                response = _connect(context, request, sign_on, who)
            else:
                response = RedirectResponse(local_path(sign_on.there), 303)
                account = _account(context, provider, request, who)
                # With a password set, changing what lets them in takes it; it may be that only their screen is open.
                sign_in(request, response, account, is_fresh=not account.has_password)
                trail.say(request, Event("sign_in.provider", account=account.rater_id))
        except ProviderFailed as failed:
            response = _failed(context, request, failed)
        context.forget_cookie(response, SIGN_ON)  # also where it failed: each is for once
        return response


def _connecting(routes: APIRouter, context: Context) -> None:
    seal = context.store.accounts.identities.seal

    @routes.post("/me/identities/new")
    def connect(request: Request, person: Rater, form: Form) -> Response:
        provider = _provider(context)
        need_password(context, request, person, form.get("current", ""))
        try:
            address, sign_on = provider.begin(there="/me", account=person.rater_id)
        except ProviderFailed as failed:
            return _failed(context, request, failed)
        response = context.page(request, "identity.html", address=address, label=provider.config.label)
        context.set_cookie(response, SIGN_ON, sign_on.written(seal), max_age=int(SECONDS))
        return response

    @routes.post("/me/identities/end")
    def disconnect(request: Request, person: Rater, form: Form) -> Response:
        need_password(context, request, person, form.get("current", ""))
        context.store.accounts.identities.unlink(person.rater_id)
        return RedirectResponse("/me?changed=identity_ended", 303)


def _provider(context: Context) -> Provider:
    if context.provider is None:
        raise Refusal(404, "there is no sign-in provider here", "sign in with a password or a one-time link")
    return context.provider


def _who(context: Context, provider: Provider, request: Request, sign_on: SignOn) -> Identity:
    code = sign_on.check(request.query_params, now=context.now())
    context.store.accounts.identities.admit(trail.address_of(request), now=context.now())
    return provider.finish(sign_on, code, issuer=request.query_params.get("iss"))


def _account(context: Context, provider: Provider, request: Request, who: Identity) -> Account:
    config = provider.config
    newcomers = Newcomers(config.newcomer_projects) if config.newcomers == "rater" else None
    try:
        return context.store.accounts.identities.enter(
            who,
            newcomers=newcomers,
            address=trail.address_of(request),
            locale=context.language(request),
            now=context.now(),
        )
    except NotLetIn as refused:
        raise _not_let_in(refused) from refused


def _connect(context: Context, request: Request, sign_on: SignOn, who: Identity) -> Response:
    person = identify(request)
    if person is None or person.rater_id != sign_on.account:
        raise ProviderFailed("state", "you are signed in as somebody else than you began as", "sign in, then try again")
    try:
        context.store.accounts.identities.link(person.rater_id, who, now=context.now())
    except NotLetIn as refused:
        raise _not_let_in(refused) from refused
    trail.say(request, Event("account.identity", account=person.rater_id, about=person.rater_id))
    return RedirectResponse("/me?changed=identity", 303)


def _not_let_in(refused: NotLetIn) -> ProviderFailed:
    said, _, do = str(refused).rpartition("; ")
    return ProviderFailed(refused.reason, said, do)


def _failed(context: Context, request: Request, failed: ProviderFailed) -> Response:
    """A page that says so; the log has the reason, and the server's own log what there is of details."""
    LOG.warning("sign-in provider: %s (%s): %s", failed.reason, failed, failed.__cause__ or "no more is known")
    person = identify(request)
    trail.say(
        request,
        Event(
            trail.BAD_SIGN_ON,
            account=None if person is None else person.rater_id,
            about=failed.reason,
            address=trail.address_of(request),
        ),
    )
    return context.page(request, "error.html", failed.status, what=failed.said, do=failed.do)
