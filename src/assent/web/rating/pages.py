"""Pages for people: the start, the rating page's shell, guidelines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from assent.core.types import Purpose
from assent.feedback.records.queue import Project, Queue, RaterProgress
from assent.web.auth import GuardedRouter, Person, Rater, identify
from assent.web.context import Context
from assent.web.rating.ending import ending
from assent.web.rating.tasks import project_of
from assent.web.render.markup import render

PURPOSES: tuple[Purpose, ...] = ("reward", "evaluation")
STRINGS = ("rate.", "links.")
"""Keys of the texts that the scripts of the rating page use."""


def router(context: Context) -> GuardedRouter:
    """The routes."""
    routes = GuardedRouter(include_in_schema=False)
    store = context.store

    @routes.get("/")
    def home(request: Request) -> Response:
        person = identify(request)
        if person is None:
            return RedirectResponse("/sign-in", 303)
        cards = _cards(context, person)
        trained = any("evaluation" in card["queues"] for card in cards) and _has_trained(context, person)
        return context.page(request, "home.html", projects=cards, models=len(context.speakers), has_trained=trained)

    @routes.get("/rate/{project}")
    def rate(request: Request, person: Rater, project: str, purpose: Purpose = "reward") -> Response:
        found = project_of(context, person, project)
        lang = context.language(request)
        boot: dict[str, Any] = {
            "rater": person.rater_id,
            "project": found.name,
            "purpose": purpose,
            "lang": lang,
            "dir": context.catalogs.direction(lang),
            "t": context.catalogs.below(lang, *STRINGS),
        }
        queue = Queue(project, purpose)
        part = store.participation(person.rater_id, queue)
        is_study = part.left is not None or part.is_passed is False or found.settings.completion_code
        is_empty = bool(is_study or found.settings.completion_url) and (
            store.rater_progress(person.rater_id, queue, now=context.now()).waiting == 0
        )
        over = ending(found.settings, part, is_empty=is_empty)
        trained = purpose == "evaluation" and _has_trained(context, person)
        return context.page(
            request, "rate.html", project=found, purpose=purpose, boot=boot, over=over, has_trained=trained
        )

    @routes.get("/guidelines/{project}")
    def guidelines(request: Request, person: Rater, project: str, version: int | None = None) -> Response:
        found = project_of(context, person, project)
        versions = store.projects.guidelines(project)
        chosen = next((one for one in versions if one.version == version), found.guideline)
        html = "" if chosen is None else render(chosen.text)
        asked = Queue(project, _asked(context, project)[0])
        return context.page(
            request, "guidelines.html", project=found, versions=versions, chosen=chosen, html=html, asked=asked
        )

    return routes


def _cards(context: Context, person: Person) -> list[dict[str, Any]]:
    """What the start page says of each project that is offered, those first in which something waits.

    One that only a run's own judges are asked in has a card where there is something in it for this person. Of two
    with one title it says the names, too.
    """
    store, now = context.store, context.now()
    seen = [p for p in store.projects.all() if person.may_see(p.name) and _is_offered(p)]
    titles = Counter(p.settings.title for p in seen)

    def far(queue: Queue) -> RaterProgress:
        """What is on loan to the rater waits for them too."""
        found = store.rater_progress(person.rater_id, queue, now=now)
        return replace(found, waiting=found.waiting + store.listing.held(person.rater_id, queue, now=now))

    of_machines = store.projects.of_machines()
    queues = {p.name: {one: far(Queue(p.name, one)) for one in PURPOSES} for p in seen}
    cards: list[dict[str, Any]] = [
        {
            "name": p.name,
            "title": p.settings.title or p.name,
            "is_twin": bool(p.settings.title) and titles[p.settings.title] > 1,
            "is_open": p.settings.is_open,
            "has_guideline": p.guideline is not None,
            "queues": _with_something(queues[p.name]) or {one: queues[p.name][one] for one in _asked(context, p.name)},
        }
        for p in seen
        if p.name not in of_machines or _with_something(queues[p.name])
    ]
    return sorted(cards, key=lambda card: all(far.waiting == 0 for far in card["queues"].values()))


def _has_trained(context: Context, person: Person) -> bool:
    """Whether somebody gave judgments to learn from: reports count what such people say in evaluations."""
    return bool(context.store.trainers([person.rater_id]))


def _asked(context: Context, project: str) -> list[Purpose]:
    """What the tasks of a project are for, whoever they are given to; of one that has none yet, rankings."""
    asked = [one for one in PURPOSES if context.store.listing.has_tasks(Queue(project, one))]
    return asked or ["reward"]


def _is_offered(project: Project) -> bool:
    """Whether a project is on the start page: not put away, and not closed since its run asks another one instead."""
    return project.archived_at is None and project.replaced_by is None


def _with_something(queues: Mapping[Purpose, RaterProgress]) -> dict[Purpose, RaterProgress]:
    """The queues in which a rater has something to do or has done something."""
    return {purpose: far for purpose, far in queues.items() if far.waiting or far.done}
