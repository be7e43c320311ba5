"""The pages of whoever runs projects: the list of projects, making one, opening and closing it. Other pages join in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from assent.core.errors import StoreError, UserError
from assent.feedback.records.queue import Project, Queue
from assent.feedback.records.settings import ProjectSettings
from assent.web.admin import adjudication, arena, board, exports, log, people, person, programs, settings, task, tasks
from assent.web.admin.frame import Frame, done, project_path
from assent.web.auth import Adjudicator, Admin, GuardedRouter, Person
from assent.web.context import Context
from assent.web.forms import Form

LONGEST_NAME = 80


def router(context: Context) -> GuardedRouter:
    """The routes of all admin pages."""
    routes = GuardedRouter(include_in_schema=False)
    frame = Frame(context)
    _projects(routes, frame)
    for part in (settings, tasks, task, exports, people, person, programs, log, adjudication, board, arena):
        part.add_routes(routes, frame)
    return routes


def _projects(routes: APIRouter, frame: Frame) -> None:
    store = frame.store

    @routes.get("/admin")
    def start(_person: Adjudicator) -> Response:
        return RedirectResponse("/admin/projects", 303)

    @routes.get("/admin/projects")
    def projects(request: Request, person: Adjudicator) -> Response:
        return frame.page(request, "admin.html", tab="projects", rows=_rows(frame, person), form={})

    @routes.post("/admin/projects")
    def make(request: Request, person: Admin, form: Form) -> Response:
        name = form.get("name", "").strip()
        try:
            _check_name(frame, name)
            store.projects.save(name, ProjectSettings(title=form.get("title", "").strip()), now=frame.context.now())
        except UserError as problem:
            rows = _rows(frame, person)
            return frame.page(request, "admin.html", tab="projects", rows=rows, form=form, problem=problem)
        return done(project_path(name, "settings"), "made")

    @routes.post("/admin/projects/{name}/open")
    def open_or_close(_person: Admin, name: str, form: Form) -> Response:
        project = frame.project(name)
        is_open = form.get("is_open") == "yes"
        changed = project.settings.model_copy(update={"is_open": is_open})
        store.projects.save(name, changed, now=frame.context.now())
        return done(project_path(name, "settings"), "opened" if is_open else "closed")

    @routes.post("/admin/projects/{name}/archive")
    def archive(_person: Admin, name: str, form: Form) -> Response:
        is_archived = form.get("is_archived") == "yes"
        store.projects.archive(frame.project(name).name, is_archived=is_archived, now=frame.context.now())
        return done(project_path(name, "settings"), "archived" if is_archived else "unarchived")

    @routes.get("/admin/projects/{name}/delete")
    def ask_to_delete(request: Request, _person: Admin, name: str) -> Response:
        return _delete_page(frame, request, name)

    @routes.post("/admin/projects/{name}/delete")
    def delete(request: Request, _person: Admin, name: str, form: Form) -> Response:
        frame.project(name)
        try:
            again = form.get("again", "").strip()
            if again != name.strip():
                raise StoreError(f"{again[:80]!r} is not the name of this project; type it again")
            held = store.projects.delete(name, now=frame.context.now())
        except UserError as problem:
            return _delete_page(frame, request, name, problem=problem)
        frame.watch.forget(name)
        return done("/admin/projects", "deleted", n=held.tasks)


def _delete_page(frame: Frame, request: Request, name: str, *, problem: UserError | str = "") -> Response:
    project = frame.project(name)
    held = vars(frame.store.projects.contents(name))
    return frame.page(request, "admin_delete.html", tab="settings", project=project, held=held, problem=problem)


def _rows(frame: Frame, person: Person) -> list[dict[str, Any]]:
    """Every project of a person with its queues; those raters can work in first, then by name."""
    rows = []
    for project in (one for one in frame.store.projects.all() if person.may_see(one.name)):
        queues = {p: frame.store.counts(Queue(project.name, p)) for p in ("reward", "evaluation")}
        rows.append({"project": project, "queues": {p: c for p, c in queues.items() if c.need}})
    return sorted(rows, key=_place)


def _place(row: dict[str, Any]) -> tuple[bool, bool, str]:
    project: Project = row["project"]
    return (project.archived_at is not None, not project.settings.is_open, project.name)


def _check_name(frame: Frame, name: str) -> None:
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or set(name) & set("/\\") or name in (".", ".."):
        raise StoreError(
            f"the project name {name[:40]!r} cannot be used; take 1 to {LONGEST_NAME} characters without slashes"
        )
    if any(project.name == name for project in frame.store.projects.all()):
        raise StoreError(f"there is a project {name!r} already; choose another name")
