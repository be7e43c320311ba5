"""What the rating page asks and says: next tasks, judgments, renewals, what was submitted last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from assent.core.errors import ConflictError, StoreError
from assent.core.types import Purpose
from assent.feedback.records.queue import Project, Queue, Served, Viewing
from assent.web.auth import Person, Rater
from assent.web.context import Context
from assent.web.rating.counts import Progress
from assent.web.rating.items import item, project_facts
from assent.web.rating.submission import Renewal, Submission
from assent.web.refusals import Refusal


def router(context: Context) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/rating", tags=["rating"])
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
        far = progress.of(person.rater_id, queue)
        return {
            "items": [item(one) for one in served],
            "progress": asdict(far),
            "project": project_facts(found),
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


def _judging(routes: APIRouter, context: Context) -> None:
    store = context.store

    @routes.post("/submit")
    def submit(request: Request, person: Rater, said: Submission) -> dict[str, Any]:
        """Keep a judgment. Sending the same one again is harmless."""
        own = own_task(context, person, said.task_id)
        project = project_of(context, person, own.task.project)
        check_against(project, said)
        viewing = viewing_of(context, request, said)
        judgment = said.judgment(person.rater_id)
        try:
            receipt = store.submit(judgment, token=said.token or None, now=context.now(), viewing=viewing)
        except ConflictError as conflict:
            raise stale(context, person, said, conflict) from conflict
        return {"status": receipt.status, "judgment_id": receipt.judgment_id}

    @routes.get("/recent")
    def recent(
        person: Rater, project: str, purpose: Purpose = "reward", limit: Annotated[int, Query(ge=1, le=50)] = 10
    ) -> dict[str, Any]:
        """What the rater submitted last and may still change, newest first."""
        project_of(context, person, project)
        served = store.recent(person.rater_id, Queue(project, purpose), limit=limit, now=context.now())
        return {"items": [item(one) for one in served]}


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
    """A task that was shown to a person. Raises Refusal 404 for any other, so that nobody judges what they guessed."""
    own = context.store.own(person.rater_id, task_id)
    if own is None:
        raise Refusal(404, f"the task {task_id[:80]!r} was not given to you", "reload the page to get your tasks")
    return own


def check_against(project: Project, said: Submission) -> None:
    """Raise Refusal for what the project does not ask for."""
    settings = project.settings
    anchors = {criterion.name: len(criterion.anchors) for criterion in settings.criteria}
    for answer, scores in said.scores.items():
        for name, score in scores.items():
            if name not in anchors:
                raise Refusal(422, f"there is no criterion {name[:80]!r}; the project has {sorted(anchors)}")
            if score != int(score) or not 1 <= score <= anchors[name]:
                raise Refusal(
                    422, f"{answer[:80]!r} has the score {score} for {name!r}, whose scores run 1 to {anchors[name]}"
                )
    unknown = {flag for flags in said.flags.values() for flag in flags} - set(settings.flags)
    if unknown:
        raise Refusal(422, f"the project does not use the flags {sorted(unknown)}")
    _refuse_unasked(said, {"edits": settings.edits, "critique": settings.critique, "notes": settings.critique})
    if not settings.strengths and said.ranking is not None and any(said.ranking.strengths or ()):
        raise Refusal(422, "the project does not ask how much better an answer is")


def stale(context: Context, person: Person, said: Submission, conflict: ConflictError) -> Refusal:
    """What to tell somebody whose judgment met another: the judgment that holds now goes along."""
    own = context.store.own(person.rater_id, said.task_id)
    current = None if own is None else own.judgment
    if current is None:
        return Refusal(409, str(conflict), "reload the page to get your tasks", current=None)
    what = "you judged this task already, perhaps in another window"
    shown = current.model_dump(mode="json", exclude={"rater_id"})
    return Refusal(409, what, "look at what you said; to change it, correct that judgment", current=shown)


def _refuse_unasked(said: Submission, asked: Mapping[str, bool]) -> None:
    for name, is_asked in asked.items():
        if not is_asked and getattr(said, name):
            raise Refusal(422, f"the project does not ask for {name}")
