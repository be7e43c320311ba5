"""What the rating page asks and says: next tasks, judgments, renewals, what was submitted last."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from assent.core.errors import ConflictError, StoreError
from assent.core.types import Judgment, Purpose
from assent.feedback.records.asked import Asked, unasked
from assent.feedback.records.queue import Project, Queue, Served, Viewing
from assent.web.auth import GuardedRouter, Person, Rater
from assent.web.context import Context
from assent.web.rating.counts import Progress
from assent.web.rating.ending import ending
from assent.web.rating.items import item, project_facts
from assent.web.rating.submission import Leaving, Renewal, Submission
from assent.web.refusals import Refusal


def router(context: Context) -> GuardedRouter:
    """The routes."""
    routes = GuardedRouter(prefix="/rating", tags=["rating"])
    _lending(routes, context)
    _judging(routes, context)
    return routes


def _lending(routes: APIRouter, context: Context) -> None:
    store = context.store
    progress = Progress(store, context.clock)

    @routes.get("/next")
    def next_tasks(
        person: Rater, project: str, purpose: Purpose = "reward", limit: Annotated[int, Query(ge=1, le=12)] = 3
    ) -> dict[str, Any]:
        """Lend tasks to the rater: first those they hold, in the order they saw them."""
        found = project_of(context, person, project)
        queue, now = Queue(project, purpose), context.now()
        served = store.serve(person.rater_id, queue, limit=limit, now=now)
        part = store.participation(person.rater_id, queue)
        far = progress.of(person.rater_id, queue)
        if part.left is not None:
            far = replace(far, waiting=min(far.waiting, max(part.left - len(served), 0)))
        over = ending(found.settings, part, is_empty=not served)
        return {
            "items": [item(one, found.settings.texts) for one in served],
            "progress": asdict(far),
            "project": project_facts(found),
            "over": None if over is None or served else asdict(over),
        }

    @routes.post("/renew")
    def renew(person: Rater, lease: Renewal) -> dict[str, float]:
        """Keep a task longer."""
        expires_at = store.renew(person.rater_id, lease.token, now=context.now())
        if expires_at is None:
            raise Refusal(409, "this task is not lent to you any more", "submit what you have, or reload the page")
        return {"expires_at": expires_at}

    @routes.post("/release")
    def release(person: Rater) -> dict[str, int]:
        """Give back what the rater holds and has not judged."""
        return {"released": store.release(person.rater_id)}

    @routes.post("/leave")
    def leave(person: Rater, left: Leaving) -> dict[str, int]:
        """Let others take tasks of a page that is left. They come back to the rater where nobody has taken them."""
        return {"left": store.lapse(person.rater_id, left.tokens, now=context.now())}


def _judging(routes: APIRouter, context: Context) -> None:
    store = context.store

    @routes.post("/submit")
    def submit(request: Request, person: Rater, said: Submission) -> dict[str, Any]:
        """Keep a judgment. Sending the same one again is harmless."""
        own = own_task(context, person, said.task_id)
        project = project_of(context, person, own.task.project)
        judgment = said.judgment(person.rater_id)
        no_longer_asked = check_against(project, judgment, own)
        viewing = viewing_of(context, request, said)
        try:
            receipt = store.submit(judgment, token=said.token or None, now=context.now(), viewing=viewing)
        except ConflictError as conflict:
            raise stale(context, person, said, conflict) from conflict
        return {**asdict(receipt), "no_longer_asked": no_longer_asked}

    @routes.get("/recent")
    def recent(
        person: Rater, project: str, purpose: Purpose = "reward", limit: Annotated[int, Query(ge=1, le=50)] = 10
    ) -> dict[str, Any]:
        """What the rater submitted last and may still change, newest first."""
        found = project_of(context, person, project)
        served = store.recent(person.rater_id, Queue(project, purpose), limit=limit, now=context.now())
        return {"items": [item(one, found.settings.texts) for one in served]}


def viewing_of(context: Context, request: Request, said: Submission) -> Viewing:
    """How the rater saw the task."""
    return Viewing(
        locale=context.language(request),
        client=request.headers.get("user-agent", "")[:200] or None,
        is_translated=said.translated,
        activity=said.activity,
        events=said.events,
    )


def project_of(context: Context, person: Person, name: str) -> Project:
    """A project that a person may rate in. Raises Refusal 403 or 404."""
    person.need_project(name)
    try:
        return context.store.projects.get(name)
    except StoreError:
        raise Refusal(404, f"there is no project {name[:80]!r}", "choose one from the start page") from None


def own_task(context: Context, person: Person, task_id: str) -> Served:
    """A task that was shown to a person. Raises Refusal 404 for any other, so that nobody judges what they guessed.

    Refusal 409 where the task was given other content since, which this person has not seen.
    """
    own = context.store.own(person.rater_id, task_id)
    if own is None and context.store.studies.is_replaced(task_id):
        what = f"task {task_id[:80]!r} got other content since it was given out, so this is not kept"
        raise Refusal(409, what, "reload the page and look at the corrected task")
    if own is None:
        raise Refusal(404, f"the task {task_id[:80]!r} was not given to you", "reload the page to get your tasks")
    return own


def check_against(project: Project, said: Judgment, own: Served | None) -> list[str]:
    """What is kept though the project does not ask it any more, for it was asked when the rater was given the task.

    Raises Refusal for what was never asked.
    """
    now = Asked.of(project.settings)
    left = now.missing(said)
    if not left:
        return []
    never = [one for one in left if one in unasked(said, () if own is None else own.asked)]
    if never:
        raise Refusal(422, f"the project does not ask for {', '.join(never)[:300]}", f"it asks for {_listed(now)}")
    return left


def stale(context: Context, person: Person, said: Submission, conflict: ConflictError) -> Refusal:
    """What to tell somebody whose judgment met another: the judgment that holds now goes along."""
    own = context.store.own(person.rater_id, said.task_id)
    current = None if own is None else own.judgment
    if current is None:
        return Refusal(409, str(conflict), "reload the page to get your tasks", current=None)
    what = "you judged this task already, perhaps in another window"
    shown = current.model_dump(mode="json", exclude={"rater_id"})
    return Refusal(409, what, "look at what you said; to change it, correct that judgment", current=shown)


def _listed(asked: Asked) -> str:
    criteria = [f"criterion {name} (1 to {steps})" for name, steps in asked.criteria.items()]
    marks = [name for name in ("strengths", "critique", "edits") if getattr(asked, name)]
    return ", ".join(["an order", *criteria, *(f"flag {flag}" for flag in asked.flags), *marks])
