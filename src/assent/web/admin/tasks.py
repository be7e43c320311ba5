"""Pages of a project's tasks: how many there are and how they stand, bringing them in, and which come first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from assent.core.errors import DataError, StoreError, UserError
from assent.core.garbage import spared
from assent.core.types import Purpose
from assent.feedback.bringing import bring_tasks
from assent.feedback.queue.task_files import parse_tasks
from assent.feedback.records.queue import Project, Queue, Replaced, State
from assent.web.admin.frame import Frame, done, project_path
from assent.web.auth import Admin
from assent.web.forms import Form, is_form, read_form
from assent.web.uploads import bring_rankings

PAGE = 50
MOST_FOUND = 2000
MOST_PRIORITY = 1e9


@dataclass(frozen=True)
class Wanted:
    """Which tasks the list is to show."""

    purpose: Purpose = "reward"
    find: str = ""
    state: State | None = None
    page: int = 1


@dataclass(frozen=True)
class _Sent:
    """What a form or an upload brings."""

    content: bytes
    name: str
    purpose: Purpose
    is_file: bool
    is_replacing: bool = False
    """Whether known tasks with other content are replaced."""

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")


async def _sent(
    request: Request,
    file: Annotated[str, Query(max_length=200)] = "",
    purpose: Purpose = "reward",
    replace: Literal["", "yes"] = "",
) -> _Sent:
    """What was sent; a file's name is only ever shown."""
    if is_form(request):
        form = await read_form(request)
        wanted: Purpose = "evaluation" if form.get("purpose") == "evaluation" else "reward"
        pasted = form.get("pasted", "").encode("utf-8", "replace")
        return _Sent(pasted, "pasted.jsonl", wanted, is_file=False, is_replacing=form.get("replace") == "yes")
    shown = "".join(c for c in file if c.isprintable()) or "file.jsonl"
    return _Sent(await request.body(), shown, purpose, is_file=True, is_replacing=replace == "yes")


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of these pages."""
    _list(routes, frame)
    _bring_in(routes, frame)


def _list(routes: APIRouter, frame: Frame) -> None:
    store = frame.store

    @routes.get("/admin/projects/{name}/tasks")
    def tasks(
        request: Request,
        _person: Admin,
        name: str,
        purpose: Purpose = "reward",
        page: Annotated[int, Query(ge=1)] = 1,
        find: Annotated[str, Query(max_length=200)] = "",
        state: State | Literal[""] = "",
    ) -> Response:
        wanted = Wanted(purpose, find, state or None, page)
        return _tasks_page(frame, request, frame.project(name), wanted)

    @routes.post("/admin/projects/{name}/priorities")
    def prioritize(request: Request, _person: Admin, name: str, form: Form) -> Response:
        project = frame.project(name)
        try:
            wanted = _priorities(form.get("priorities", ""))
            known = store.tasks(wanted)
            strange = [i for i in wanted if i not in known or known[i].project != name]
            if strange:
                raise StoreError(f"task {strange[0]!r} is not in this project; correct its id")
            count = store.set_priorities(wanted, now=frame.context.now())
        except UserError as problem:
            return _tasks_page(
                frame, request, project, Wanted(), problem=problem, priorities=form.get("priorities", "")
            )
        return done(project_path(name, "tasks"), "prioritized", n=count)


def _tasks_page(
    frame: Frame,
    request: Request,
    project: Project,
    wanted: Wanted,
    *,
    problem: UserError | str = "",
    pasted: str = "",
    priorities: str = "",
) -> Response:
    queue = Queue(project.name, wanted.purpose)
    gold = frame.store.projects.gold(project.name)
    shown, total = frame.store.listing.page_of_ids(queue, page=wanted.page, size=PAGE)
    found = _found(frame, queue, wanted) if wanted.find or wanted.state else []
    if wanted.find or wanted.state:
        shown = found[(wanted.page - 1) * PAGE : wanted.page * PAGE]
    many = len(found) if wanted.find or wanted.state else total
    facts, standing = frame.watch.facts(shown), frame.store.studies.states(shown)
    counts = {p: frame.store.counts(Queue(project.name, p)) for p in ("reward", "evaluation")}
    return frame.page(
        request,
        "admin_tasks.html",
        tab="tasks",
        project=project,
        problem=problem,
        purpose=wanted.purpose,
        find=wanted.find,
        state=wanted.state or "",
        states=get_args(State),
        is_cut=len(found) == MOST_FOUND,
        counts=counts,
        total=total,
        found=many,
        page=wanted.page,
        pages=max(1, -(-many // PAGE)),
        rows=[{"facts": facts[i], "state": standing[i], "is_gold": i in gold} for i in shown if i in facts],
        gold=len(gold),
        pasted=pasted,
        priorities=priorities,
    )


def _found(frame: Frame, queue: Queue, wanted: Wanted) -> list[str]:
    """Ids of the tasks that a search wants, up to MOST_FOUND."""
    disputes = frame.watch.overview(queue.project, queue.purpose, now=frame.context.now()).disputes
    disputed = {one.task_id for one in disputes}
    found = frame.store.studies.page(queue, state=wanted.state, find=wanted.find, disputed=disputed, limit=MOST_FOUND)
    return [task.id for task, _ in found]


def _bring_in(routes: APIRouter, frame: Frame) -> None:
    @routes.post("/admin/projects/{name}/tasks")
    def add_tasks(request: Request, _person: Admin, name: str, sent: Annotated[_Sent, Depends(_sent)]) -> Response:
        """Tasks pasted into the form, or a file as the body of the request with its name in the query."""
        project = frame.project(name)
        try:
            with spared():
                found, known = _add(frame, project, sent)
        except UserError as problem:
            if sent.is_file:
                raise
            return _tasks_page(frame, request, project, Wanted(sent.purpose), problem=problem, pasted=sent.text)
        if sent.is_replacing:
            return _replaced(sent, project, found, known=known)
        return _brought(sent, project, "added", found.added, repeated=known)

    @routes.post("/admin/projects/{name}/rankings")
    def add_rankings(request: Request, _person: Admin, name: str, sent: Annotated[_Sent, Depends(_sent)]) -> Response:
        """Rankings that exist already, in any format that can be read."""
        project = frame.project(name)
        try:
            queue = Queue(name, sent.purpose)
            with spared():
                counts = bring_rankings(frame.store, queue, sent.content, name=sent.name, now=frame.context.now())
        except UserError as problem:
            if sent.is_file:
                raise
            return _tasks_page(frame, request, project, Wanted(sent.purpose), problem=problem, pasted=sent.text)
        return _brought(sent, project, "imported", counts.added, repeated=counts.known)


def _add(frame: Frame, project: Project, sent: _Sent) -> tuple[Replaced, int]:
    """Queue all tasks of a file, or none of them; what became of them, and how many were there or came twice."""
    file = parse_tasks(sent.content, name=sent.name, project=project.name, purpose=sent.purpose)
    now, is_replacing = frame.context.now(), sent.is_replacing
    found = bring_tasks(frame.store, file, project.settings, now=now, is_replacing=is_replacing, note=sent.name)
    return found, found.known + file.repeated


def _replaced(sent: _Sent, project: Project, found: Replaced, *, known: int) -> Response:
    """Say what was replaced beside what was added."""
    if sent.is_file:
        counts = {"changed": found.changed, "set_aside": found.set_aside, "gold_dropped": found.gold_dropped}
        return JSONResponse({"added": found.added, "known": known, **counts})
    many = {"changed": str(found.changed), "aside": str(found.set_aside), "gold": str(found.gold_dropped)}
    return done(project_path(project.name, "tasks"), "replaced", n=found.added, purpose=sent.purpose, **many)


def _brought(sent: _Sent, project: Project, what: str, count: int, *, repeated: int) -> Response:
    if sent.is_file:
        return JSONResponse({"added": count, "known": repeated})
    return done(project_path(project.name, "tasks"), what, n=count, purpose=sent.purpose)


def _priorities(text: str) -> dict[str, float]:
    """Lines of a task's id and a number. Raises DataError with the line of the first that is not."""
    found: dict[str, float] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        task_id, _, value = line.strip().replace("\t", " ").rpartition(" ")
        if not line.strip():
            continue
        try:
            priority = float(value)
        except ValueError:
            priority = math.nan
        if not task_id.strip() or not abs(priority) <= MOST_PRIORITY:
            said = f"{line.strip()[:60]!r} is not a task's id and a number; write one of each per line"
            raise DataError(said, path="list", line=number)
        found[task_id.strip()] = priority
    if not found:
        raise StoreError("no priority is given; write a task's id and a number on each line")
    return found
