"""Pages of a project's settings and guidelines: a form for everything, and versions that never change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from assent.feedback.records.queue import Guideline, Project
from assent.web.admin.differences import differences
from assent.web.admin.frame import Frame, done, project_path
from assent.web.admin.settings_form import SECTIONS, Filled, fill, read
from assent.web.auth import Admin
from assent.web.forms import Form
from assent.web.render.markup import render

SPARE_ROWS = 1
"""Empty rows at the end of the tables of criteria and attributes, for browsers without scripts."""


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of these pages."""
    _settings(routes, frame)
    _guidelines(routes, frame)


def _settings(routes: APIRouter, frame: Frame) -> None:
    @routes.get("/admin/projects/{name}/settings")
    def settings(request: Request, _person: Admin, name: str) -> Response:
        project = frame.project(name)
        return _settings_page(frame, request, project, fill(project.settings))

    @routes.post("/admin/projects/{name}/settings")
    def save(request: Request, _person: Admin, name: str, form: Form) -> Response:
        project = frame.project(name)
        filled = read(form, project.settings)
        if filled.settings is None:
            return _settings_page(frame, request, project, filled)
        frame.store.projects.save(name, filled.settings, now=frame.context.now())
        frame.watch.forget(name)
        return done(project_path(name, "settings"), "saved")


def _settings_page(frame: Frame, request: Request, project: Project, filled: Filled) -> Response:
    problem = frame.text(request, "admin.set.problems", n=len(filled.problems)) if filled.problems else ""
    return frame.page(
        request,
        "admin_settings.html",
        tab="settings",
        project=project,
        problem=problem,
        sections=SECTIONS,
        filled=filled,
        spare=SPARE_ROWS,
    )


def _guidelines(routes: APIRouter, frame: Frame) -> None:
    @routes.get("/admin/projects/{name}/guidelines")
    def guidelines(request: Request, _person: Admin, name: str, version: int | None = None) -> Response:
        project = frame.project(name)
        return _guidelines_page(frame, request, project, version=version)

    @routes.post("/admin/projects/{name}/guidelines")
    def publish(request: Request, _person: Admin, name: str, form: Form) -> Response:
        project = frame.project(name)
        text = form.get("text", "").replace("\r\n", "\n").strip() + "\n"
        newest = project.guideline
        is_blank = not text.strip()
        if form.get("do") != "publish" or is_blank or (newest is not None and newest.text == text):
            problem = "" if form.get("do") != "publish" else "admin.guide.blank" if is_blank else "admin.guide.same"
            said = frame.text(request, problem) if problem else ""
            return _guidelines_page(frame, request, project, draft=text, problem=said)
        made = frame.store.projects.publish_guideline(name, text, now=frame.context.now())
        return done(project_path(name, "guidelines"), "published", n=made.version)


def _guidelines_page(
    frame: Frame,
    request: Request,
    project: Project,
    *,
    version: int | None = None,
    draft: str | None = None,
    problem: str = "",
) -> Response:
    """The editor with its draft and what that changes; or an earlier version and what it changed."""
    versions = frame.store.projects.guidelines(project.name)
    shown = next((one for one in versions if one.version == version), None)
    return frame.page(
        request,
        "admin_guidelines.html",
        tab="guidelines",
        project=project,
        problem=problem,
        versions=versions,
        draft=(versions[-1].text if versions else "") if draft is None else draft,
        preview=None if draft is None else render(draft),
        shown=shown,
        html=None if shown is None else render(shown.text),
        changes=_changes(versions, shown, draft),
    )


def _changes(versions: Sequence[Guideline], shown: Guideline | None, draft: str | None) -> Any:
    """What is different: in a draft from the newest version, in a version from the one before it."""
    if draft is not None:
        return differences(versions[-1].text if versions else "", draft)
    if shown is None:
        return None
    before = next((one.text for one in reversed(versions) if one.version < shown.version), "")
    return differences(before, shown.text)
