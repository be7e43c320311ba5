"""Tokens and webhooks over the API: keys of programs, and whom to tell when a threshold is crossed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from assent.feedback.records.people import at_most
from assent.feedback.records.webhooks import Hook, Webhook
from assent.web import trail
from assent.web.api.models import DeliveryOut, Removed, WebhookIn, WebhookMade, WebhookOut
from assent.web.api.people_models import TokenIn, TokenMade, TokenOut
from assent.web.auth import Admin, Rater
from assent.web.context import Context
from assent.web.deliveries import allows_private
from assent.web.outbound import address_of
from assent.web.refusals import Refusal

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


def add_routes(routes: APIRouter, context: Context) -> None:
    """Add the routes of tokens and webhooks."""
    _tokens(routes, context)
    _webhooks(routes, context)


def _tokens(routes: APIRouter, context: Context) -> None:
    tokens = context.store.accounts.tokens

    @routes.get("/tokens", tags=["accounts"], response_model=list[TokenOut])
    def list_tokens(person: Rater) -> Any:
        """Tokens without their secrets, newest first: an admin's all, others' their own."""
        return tokens.all(None if person.may("admin") else person.rater_id)

    @routes.post("/tokens", tags=["accounts"], response_model=TokenMade)
    def make_token(request: Request, person: Rater, sent: TokenIn) -> Any:
        """Make a token, told this once. One that a token asks for gives no more, lasts no longer and ends with it."""
        rater_id = sent.rater_id or person.rater_id
        if rater_id != person.rater_id and not person.may("admin"):
            raise Refusal(403, "only an admin makes tokens for others", "leave rater_id out")
        role = at_most(sent.role or person.role, person.role)
        if context.store.accounts.get(rater_id) is None:
            raise Refusal(404, f"there is no account {rater_id!r}", "invite the person first")
        made = tokens.add(
            rater_id,
            sent.name,
            role=role,
            lifetime=sent.lifetime_seconds,
            asked_by=person.program,
            now=context.now(),
        )
        trail.about(request, rater_id)
        return TokenMade(**vars(made.kept), token=made.token)

    @routes.delete("/tokens/{number}", tags=["accounts"], response_model=Removed)
    def revoke_token(person: Rater, number: Number) -> Any:
        """End a token and those it asked for. A program ends its own token, and others of no higher role."""
        found = next((one for one in tokens.all() if one.id == number), None)
        if found is None or (found.rater_id != person.rater_id and not person.may("admin")):
            raise Refusal(404, f"you have no token {number}", "list your tokens")
        if not person.may(found.role):
            raise Refusal(403, f"the token {number} has the role {found.role}", "end it with one of that role")
        return Removed(removed=tokens.revoke(number, now=context.now()))


def _webhooks(routes: APIRouter, context: Context) -> None:
    webhooks = context.store.webhooks

    @routes.get("/webhooks", tags=["webhooks"], response_model=list[WebhookOut])
    def list_webhooks(_person: Admin) -> Any:
        """All webhooks, oldest first, without their secrets."""
        return [_out(one) for one in webhooks.all()]

    @routes.post("/webhooks", tags=["webhooks"], response_model=WebhookMade)
    def make_webhook(_person: Admin, sent: WebhookIn) -> Any:
        """Tell an address when something happens. The secret that signs the messages is told this once."""
        address_of(sent.url, allow_private=allows_private())
        made = webhooks.add(Hook(**sent.model_dump()), now=context.now())
        return WebhookMade(**_out(made.kept).model_dump(), secret=made.token)

    @routes.delete("/webhooks/{number}", tags=["webhooks"], response_model=Removed)
    def remove_webhook(_person: Admin, number: Number) -> Any:
        """Delete a webhook with its messages."""
        return Removed(removed=webhooks.remove(number))

    @routes.get("/webhooks/{number}/deliveries", tags=["webhooks"], response_model=list[DeliveryOut])
    def list_deliveries(_person: Admin, number: Number) -> Any:
        """The last hundred messages of a webhook, newest first, and what became of them."""
        if all(one.id != number for one in webhooks.all()):
            raise Refusal(404, f"there is no webhook {number}", "list the webhooks")
        return webhooks.deliveries(number)


def _out(webhook: Webhook) -> WebhookOut:
    return WebhookOut(id=webhook.id, created_at=webhook.created_at, **vars(webhook.hook))
