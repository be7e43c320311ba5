"""The page of one task: its texts, how it stands, setting it aside, how many judgments, for whom, its known answer."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from assent.core.errors import StoreError, UserError
from assent.feedback.records.people import clean_login
from assent.feedback.records.queue import Assignment, Project
from assent.web.admin.frame import Frame, done, project_path
from assent.web.admin.order_form import places_of, ranking_of
from assent.web.admin.task_views import task_view
from assent.web.auth import Adjudicator, Admin
from assent.web.forms import Form


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of this page."""
    _show(routes, frame)
    _change(routes, frame)


def _show(routes: APIRouter, frame: Frame) -> None:
    @routes.get("/admin/projects/{name}/task")
    def task(request: Request, person: Adjudicator, name: str, id: str) -> Response:
        return _task_page(frame, request, frame.project(name), id, is_admin=person.may("admin"))

    @routes.post("/admin/projects/{name}/gold")
    def set_gold(request: Request, _person: Admin, name: str, form: Form) -> Response:
        project, task_id = frame.project(name), form.get("task", "")
        found = frame.task(project, task_id, listed="the list of tasks")
        try:
            ranking = None if form.get("do") == "remove" else ranking_of(form, found)
            note = form.get("note", "").strip()
            frame.store.projects.set_gold(task_id, ranking, note=note, now=frame.context.now())
        except UserError as problem:
            return _task_page(frame, request, project, task_id, problem=problem, form=form)
        what = "gold_removed" if ranking is None else "gold_set"
        return done(project_path(name, "task"), what, id=task_id)


def _change(routes: APIRouter, frame: Frame) -> None:
    studies = frame.store.studies

    @routes.post("/admin/projects/{name}/task")
    def change(request: Request, _person: Admin, name: str, form: Form) -> Response:
        project, task_id, do = frame.project(name), form.get("task", ""), form.get("do", "")
        frame.task(project, task_id, listed="the list of tasks")
        try:
            match do:
                case "aside":
                    studies.set_aside([task_id], now=frame.context.now())
                case "back":
                    studies.bring_back([task_id], now=frame.context.now())
                case "want":
                    studies.want({task_id: _many(form)})
                case _:
                    studies.assign([task_id], _assignment(frame, form))
        except UserError as problem:
            return _task_page(frame, request, project, task_id, problem=problem)
        frame.watch.forget(name)
        return done(
            project_path(name, "task"), {"aside": "set_aside", "back": "brought_back"}.get(do, "saved"), id=task_id
        )


def _many(form: Mapping[str, str]) -> int:
    text = form.get("wanted", "").strip()
    if not text.isdecimal() or len(text) > 4:
        raise StoreError(f"{text[:40]!r} is no number of judgments; give 0 to 1000")
    return int(text)


def _assignment(frame: Frame, form: Mapping[str, str]) -> Assignment:
    """People by login or id and groups by name, one a line. Raises StoreError for a name that is neither."""
    raters, groups = [], []
    known = {account.login: account.rater_id for account in frame.store.accounts.all()}
    ids, there = {rater.id for rater in frame.store.raters()}, frame.store.studies.groups()
    for line in form.get("assigned", "").splitlines():
        name = line.strip()
        if name in there:
            groups.append(name)
        elif clean_login(name) in known or name in ids:
            raters.append(known.get(clean_login(name), name))
        elif name:
            raise StoreError(f"{name[:60]!r} is no name of a person or group; write one of either on each line")
    return Assignment(tuple(dict.fromkeys(raters)), tuple(dict.fromkeys(groups)))


def _task_page(
    frame: Frame,
    request: Request,
    project: Project,
    task_id: str,
    *,
    problem: UserError | str = "",
    form: Mapping[str, str] | None = None,
    is_admin: bool = True,
) -> Response:
    """The page of a task."""
    found = frame.task(project, task_id, listed="the list of tasks")
    state = frame.store.studies.states([task_id])[task_id]
    known, note = frame.store.projects.gold(project.name).get(task_id, (None, ""))
    return frame.page(
        request,
        "admin_task.html",
        tab="tasks",
        project=project,
        problem=problem,
        view=task_view(found, project.settings.texts),
        facts=frame.watch.facts([task_id]).get(task_id),
        state=state,
        assigned=_names(frame, state.assigned),
        is_gold=known is not None,
        places=form if form is not None else places_of(known, [c.id for c in found.completions]),
        note=note if form is None else form.get("note", ""),
        is_admin=is_admin,
    )


def _names(frame: Frame, assigned: Assignment) -> list[str]:
    """Logins of people, where they have one, and groups."""
    logins = {account.rater_id: account.login for account in frame.store.accounts.all()} if assigned.raters else {}
    return [*(logins.get(rater, rater) for rater in assigned.raters), *assigned.groups]
