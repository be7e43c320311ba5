"""The page of one person: quality in every project, role and projects, a one-time link, disabling, erasing."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from assent.core.errors import StoreError, UserError
from assent.core.types import Rater
from assent.feedback.quality.rater_quality import RaterQuality
from assent.feedback.records.people import ROLES, Account
from assent.feedback.records.queue import Erasure
from assent.feedback.runs import folders_beside, made_in, touched
from assent.web import trail
from assent.web.admin.frame import Frame, done
from assent.web.admin.people import role_of
from assent.web.auth import Admin
from assent.web.forms import Form
from assent.web.refusals import Refusal

PAGE = "/admin/person"


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of these pages. The person is named in the query: ids from files may hold anything."""
    _role(routes, frame)
    _coming_in(routes, frame)
    _erasing(routes, frame)


def _role(routes: APIRouter, frame: Frame) -> None:
    accounts, now = frame.store.accounts, frame.context.now

    @routes.get("/admin/person")
    def person_page(request: Request, _person: Admin, id: str) -> Response:
        return _person_page(frame, request, id)

    @routes.post("/admin/person/change")
    def change(request: Request, _person: Admin, form: Form) -> Response:
        rater_id = form.get("id", "")
        _known(frame, rater_id)
        try:
            accounts.change(rater_id, role=role_of(form), now=now())
            projects = tuple(p.name for p in frame.store.projects.all() if form.get(f"project.{p.name}"))
            accounts.set_projects(rater_id, None if form.get("all") else projects)
        except UserError as problem:
            return _person_page(frame, request, rater_id, problem=problem)
        return done(PAGE, "saved", id=rater_id)

    @routes.post("/admin/person/disable")
    def disable(request: Request, _person: Admin, form: Form) -> Response:
        rater_id, is_disabled = form.get("id", ""), form.get("disabled") == "yes"
        _known(frame, rater_id)
        try:
            accounts.change(rater_id, is_disabled=is_disabled, now=now())
        except UserError as problem:
            return _person_page(frame, request, rater_id, problem=problem)
        return done(PAGE, "disabled" if is_disabled else "enabled", id=rater_id)


def _coming_in(routes: APIRouter, frame: Frame) -> None:
    accounts, now = frame.store.accounts, frame.context.now

    @routes.post("/admin/person/link")
    def link(request: Request, _person: Admin, form: Form) -> Response:
        rater_id = form.get("id", "")
        _known(frame, rater_id)
        try:
            token = accounts.new_link(rater_id, now=now())
        except UserError as problem:
            return _person_page(frame, request, rater_id, problem=problem)
        return _person_page(frame, request, rater_id, link=frame.context.link(f"/enter/{token}"))

    @routes.post("/admin/person/email")
    def set_email(request: Request, _person: Admin, form: Form) -> Response:
        rater_id = form.get("id", "")
        _known(frame, rater_id)
        try:
            accounts.set_email(rater_id, form.get("email", "").strip() or None)
        except UserError as problem:
            return _person_page(frame, request, rater_id, problem=problem)
        return done(PAGE, "saved", id=rater_id)

    @routes.post("/admin/person/credential")
    def take_away(request: Request, _person: Admin, form: Form) -> Response:
        rater_id, what = form.get("id", ""), form.get("what", "")
        _, account = _known(frame, rater_id)
        if account is None or what not in ("password", "second_factor", "identity"):
            raise Refusal(422, f"{what[:40]!r} cannot be taken away", "use the form on the page")
        if what == "password":
            accounts.set_password(rater_id, None, now=now())
        elif what == "second_factor":
            accounts.end_second_factor(rater_id)
        else:
            accounts.identities.unlink(rater_id)
        return done(PAGE, f"{what}_removed", id=rater_id)


def _erasing(routes: APIRouter, frame: Frame) -> None:
    @routes.post("/admin/person/erase")
    def erase(request: Request, person: Admin, form: Form) -> Response:
        rater_id = form.get("id", "")
        _known(frame, rater_id)
        try:
            if form.get("again", "").strip() != rater_id:
                raise StoreError(f"the id {form.get('again', '')[:60]!r} is not that of this person; type it again")
            if rater_id == person.rater_id:
                raise StoreError("this is your own account; let another admin erase it")
            erasure = frame.store.erase_rater(rater_id, now=frame.context.now())
            trail.about(request, erasure.tombstone)
        except UserError as problem:
            return _person_page(frame, request, rater_id, problem=problem)
        return _erased_page(frame, request, erasure)


def _known(frame: Frame, rater_id: str) -> tuple[Rater, Account | None]:
    """The rater and, where they have one, their account. Raises Refusal 404."""
    rater = next((one for one in frame.store.raters() if one.id == rater_id), None)
    if rater is None:
        raise Refusal(404, f"there is no rater {rater_id[:80]!r}", "choose one from the list of people")
    return rater, frame.store.accounts.get(rater_id)


def _person_page(
    frame: Frame, request: Request, rater_id: str, *, problem: UserError | str = "", link: str = ""
) -> Response:
    rater, account = _known(frame, rater_id)
    found: list[tuple[str, RaterQuality]] = []
    for project in frame.store.projects.all():
        overview = frame.watch.overview(project.name, now=frame.context.now())
        found += [(project.name, q) for q in overview.raters if q.rater_id == rater_id]
    return frame.page(
        request,
        "admin_person.html",
        tab="people",
        problem=problem,
        rater=rater,
        account=account,
        qualities=found,
        link=link,
        has_address=frame.context.outbox is not None or frame.context.provider is not None,
        identities=frame.store.accounts.identities.of(rater_id),
        roles=ROLES,
        projects=frame.store.projects.all(),
    )


def _erased_page(frame: Frame, request: Request, erasure: Erasure) -> Response:
    made = made_in(folders_beside(frame.context.store_url))
    models: list[Any] = touched(made, {snapshot.hash for snapshot in erasure.snapshots})
    return frame.page(request, "admin_erased.html", tab="people", erasure=erasure, models=models)
