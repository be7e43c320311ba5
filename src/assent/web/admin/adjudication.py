"""Deciding tasks on which raters disagree: all their orders side by side without names, an order or "open", a reason.

A decision is stored beside the judgments and overwrites none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from assent.core import seeds
from assent.core.errors import StoreError, UserError
from assent.core.types import Judgment, Purpose, Task
from assent.feedback.quality.disputes import Dispute
from assent.feedback.records.queue import Project
from assent.web.admin.frame import Frame, done, project_path
from assent.web.admin.order_form import ranking_of
from assent.web.admin.task_views import TaskView, task_view
from assent.web.auth import Adjudicator, Person
from assent.web.forms import Form

LONGEST_REASON = 2000


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of these pages."""

    @routes.get("/admin/projects/{name}/disagreements")
    def disagreements(request: Request, _person: Adjudicator, name: str, purpose: Purpose = "reward") -> Response:
        project = frame.project(name)
        decisions = frame.store.projects.adjudications(name)
        tasks = frame.store.tasks({one.task_id for one in decisions})
        return frame.page(
            request,
            "admin_disagreements.html",
            tab="disagreements",
            project=project,
            purpose=purpose,
            disputes=_disputes(frame, name, purpose),
            decisions=[
                (one, task_view(tasks[one.task_id], project.settings.texts, blind_order(tasks[one.task_id])))
                for one in reversed(decisions)
                if one.task_id in tasks
            ],
        )

    @routes.get("/admin/projects/{name}/adjudicate")
    def adjudicate(
        request: Request, person: Adjudicator, name: str, task: str, purpose: Purpose = "reward"
    ) -> Response:
        return _task_page(frame, request, person, frame.project(name), task, purpose=purpose)

    @routes.post("/admin/projects/{name}/adjudicate")
    def decide(request: Request, person: Adjudicator, name: str, form: Form) -> Response:
        project, task_id = frame.project(name), form.get("task", "")
        purpose: Purpose = "evaluation" if form.get("purpose") == "evaluation" else "reward"
        task = frame.task(project, task_id, listed="the list")
        try:
            reason = form.get("reason", "").strip()
            ranking = None if form.get("do") == "open" else ranking_of(form, task, blind_order(task))
            if not reason or len(reason) > LONGEST_REASON:
                raise StoreError(
                    f"the reason has {len(reason)} characters; write why in a sentence, up to {LONGEST_REASON}"
                )
            frame.store.projects.adjudicate(task_id, person.rater_id, ranking, reason, now=frame.context.now())
            frame.watch.forget(name)
        except UserError as problem:
            return _task_page(frame, request, person, project, task_id, purpose=purpose, problem=problem, form=form)
        left = [d for d in _disputes(frame, name, purpose) if d.task_id != task_id]
        if left:
            return done(project_path(name, "adjudicate"), "decided", task=left[0].task_id, purpose=purpose)
        return done(project_path(name, "disagreements"), "decided", purpose=purpose)


def blind_order(task: Task) -> tuple[str, ...]:
    """The order in which adjudicators see the answers: drawn once per task, so that letters mean the same to all."""
    ids = sorted(completion.id for completion in task.completions)
    return tuple(ids[i] for i in seeds.stream(0, "adjudicate", task.id).permutation(len(ids)))


def _disputes(frame: Frame, name: str, purpose: Purpose) -> list[Dispute]:
    """What is open, without what was decided a moment ago."""
    decided = {one.task_id for one in frame.store.projects.adjudications(name)}
    found = frame.watch.overview(name, purpose, now=frame.context.now()).disputes
    return [one for one in found if one.task_id not in decided]


def _task_page(
    frame: Frame,
    request: Request,
    person: Person,
    project: Project,
    task_id: str,
    *,
    purpose: Purpose,
    problem: UserError | str = "",
    form: Mapping[str, str] | None = None,
) -> Response:
    task = frame.task(project, task_id, listed="the list")
    view = task_view(task, project.settings.texts, blind_order(task))
    found = _disputes(frame, project.name, purpose)
    dispute = next((one for one in found if one.task_id == task_id), None)
    said = dispute.judgments if dispute else ()
    return frame.page(
        request,
        "adjudicate.html",
        tab="disagreements",
        project=project,
        purpose=purpose,
        problem=problem,
        view=view,
        dispute=dispute,
        voices=_voices(view, said, task_id),
        is_own=any(judgment.rater_id == person.rater_id for judgment in said),
        left=len(found),
        form=form or {},
    )


def _voices(view: TaskView, said: tuple[Judgment, ...], task_id: str) -> list[dict[str, Any]]:
    """What each rater said, numbered in an order that has nothing to do with who they are."""
    ordered = sorted(said, key=lambda judgment: seeds.derive(0, "voice", task_id, judgment.rater_id))
    voices = []
    for judgment in ordered:
        rank = {} if judgment.ranking is None else judgment.ranking.rank()
        voices.append(
            {
                "places": [rank[answer] + 1 if answer in rank else None for answer in view.order],
                "sentence": view.sentence(judgment.ranking),
                "strengths": judgment.ranking.strengths if judgment.ranking else None,
                "flags": view.flags(judgment),
                "critique": judgment.critique or "",
                "notes": [(view.letters.get(note.completion_id, "?"), note) for note in judgment.notes],
            }
        )
    return voices
