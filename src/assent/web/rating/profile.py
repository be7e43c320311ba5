"""A rater's own page: what they said about themselves, their own consistency, password, sessions, and erasure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from assent.feedback.people.accounts import session_id
from assent.feedback.people.events import Event
from assent.feedback.people.profiles import Told, consent_version
from assent.feedback.records.people import digest
from assent.feedback.records.queue import Project
from assent.feedback.records.settings import AttributeQuestion
from assent.web import moments, trail
from assent.web.auth import GuardedRouter, Person, Rater, may_do_without_password, session_of, sign_out
from assent.web.context import Context
from assent.web.forms import Form
from assent.web.own_account import need_password
from assent.web.refusals import Refusal

CHANGED = (
    "profile",
    "password",
    "session",
    "token",
    "second_factor",
    "second_factor_ended",
    "identity",
    "identity_ended",
)
"""What the page may say was changed."""
CONFIRMATION = "erase"
"""What is typed into the form to be erased, in every language."""


def router(context: Context) -> GuardedRouter:
    """The routes."""
    routes = GuardedRouter(include_in_schema=False)
    accounts = context.store.accounts

    @routes.get("/me")
    def me(request: Request, person: Rater, changed: str = "") -> Response:
        questions, now = questions_of(context, person), context.now()
        sessions, tokens = accounts.sessions(person.rater_id, now=now), accounts.tokens.all(person.rater_id)
        return context.page(
            request,
            "me.html",
            questions=list(questions.values()),
            told=accounts.profiles.told(person.rater_id),
            record=accounts.profiles.record(person.rater_id),
            changed=changed if changed in CHANGED else "",
            confirmation=CONFIRMATION,
            is_fresh=may_do_without_password(request, person),
            sessions=[(one, one.id == session_id(digest(session_of(request)))) for one in sessions],
            tokens=[one for one in tokens if one.is_alive(now)],
            provider="" if context.provider is None else context.provider.config.label,
            identities=accounts.identities.of(person.rater_id),
            day=moments.day,
        )

    @routes.post("/me/profile")
    def tell(person: Rater, form: Form) -> Response:
        questions = questions_of(context, person)
        kept = {n: t for n, t in accounts.profiles.told(person.rater_id).items() if n not in questions}
        accounts.profiles.tell(person.rater_id, kept | answers_of(form, questions))
        return RedirectResponse("/me?changed=profile", 303)

    @routes.post("/me/erase")
    def erase(request: Request, person: Rater, form: Form) -> Response:
        if form.get("confirmation", "").strip().lower() != CONFIRMATION:
            raise Refusal(422, "nothing was erased", f"type {CONFIRMATION} into the field if you mean it")
        if person.account.has_password:
            need_password(context, request, person, form.get("current", ""))
        erasure = context.store.erase_rater(person.rater_id, now=context.now())
        trail.begin(request, Event("account.erased", account=erasure.tombstone, about=erasure.tombstone))
        request.state.person = None
        response = context.page(request, "erased.html", erasure=erasure)
        sign_out(request, response)
        return response

    return routes


def questions_of(context: Context, person: Person) -> dict[str, dict[str, Any]]:
    """What the projects of a person ask about raters, by name; a name that two projects use is asked once."""
    found: dict[str, dict[str, Any]] = {}
    for project in context.store.projects.all():
        if person.account.may_rate(project.name):
            for question in project.settings.attributes:
                found.setdefault(question.name, _asked(project, question))
    return found


def answers_of(form: Mapping[str, str], questions: Mapping[str, dict[str, Any]]) -> dict[str, Told]:
    """What was said and agreed to. Raises Refusal for a choice that is not there; without a tick nothing is kept."""
    told = {}
    for name, asked in questions.items():
        value = form.get(f"value:{name}", "").strip()
        choices = asked["question"].choices
        if choices and value and value not in choices:
            raise Refusal(422, f"{value[:80]!r} is no choice for {name!r}", "choose one of the list")
        if value and form.get(f"consent:{name}") == asked["consent"]:
            told[name] = Told(value, asked["consent"])
    return told


def _asked(project: Project, question: AttributeQuestion) -> dict[str, Any]:
    return {
        "question": question,
        "project": project.settings.title or project.name,
        "consent": consent_version(project.settings.consent_text, question),
        "consent_text": project.settings.consent_text,
    }
