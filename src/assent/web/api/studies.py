"""Running a study over the API: how tasks stand, setting them aside, how many judgments, for whom; groups of raters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from assent.core.types import Purpose
from assent.feedback.people.work import Period, as_csv
from assent.feedback.records.queue import Queue, State
from assent.web.api.models import Changed
from assent.web.api.paging import Cursor, Limit, cursor_of, key_of
from assent.web.api.people import RaterId
from assent.web.api.projects import ProjectName, TaskId, known_project, known_task
from assent.web.api.study_models import (
    GroupIn,
    QualificationIn,
    TaskChange,
    TasksChange,
    TaskStateOut,
    TaskStatePage,
    WorkerOut,
    WorkOut,
)
from assent.web.auth import Adjudicator, Admin
from assent.web.context import Context
from assent.web.refusals import Refusal

GroupName = Annotated[str, Path(min_length=1, max_length=80, description="Name of the group.")]

Day = Annotated[str, Query(max_length=40, description="A day, such as 2026-01-31, of the project's time zone.")]
Shape = Annotated[Literal["json", "csv"], Query(alias="as", description="json, or csv for spreadsheets.")]

_TABLE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The rows.", "content": {"text/csv": {"schema": {"type": "string"}}}}
}


def add_routes(routes: APIRouter, context: Context) -> None:
    """Add the routes of studies."""
    _states(routes, context)
    _changes(routes, context)
    _groups(routes, context)
    _workers(routes, context)


def _states(routes: APIRouter, context: Context) -> None:
    studies = context.store.studies

    @routes.get("/projects/{project}/task-states", tags=["tasks"], response_model=TaskStatePage)
    def list_task_states(
        _person: Adjudicator,
        project: ProjectName,
        purpose: Purpose = "reward",
        state: Annotated[State | None, Query(description="Only tasks that stand there.")] = None,
        find: Annotated[str, Query(max_length=200, description="An id, or a text of the prompt or an answer.")] = "",
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Any:
        """How tasks stand, by id, a page at a time: waited for, judged, skipped and why, set aside, disputed."""
        known_project(context, project)
        key = key_of(cursor, str)
        found = studies.page(
            Queue(project, purpose),
            state=state,
            find=find,
            disputed=_disputed(context, project, purpose) if state == "disputed" else (),
            after="" if key is None else key[0],
            limit=limit,
        )
        items = tuple(TaskStateOut.of(one) for _, one in found)
        return TaskStatePage(items=items, next=cursor_of(items[-1].task_id) if len(items) == limit else None)

    @routes.get("/tasks/{task_id:path}/state", tags=["tasks"], response_model=TaskStateOut)
    def get_task_state(person: Adjudicator, task_id: TaskId) -> Any:
        """How a task stands."""
        person.need_project(known_task(context, task_id).project)
        return TaskStateOut.of(studies.states([task_id])[task_id])


def _changes(routes: APIRouter, context: Context) -> None:
    studies = context.store.studies

    @routes.patch("/tasks/{task_id:path}", tags=["tasks"], response_model=TaskStateOut)
    def change_task(_person: Admin, task_id: TaskId, change: TaskChange) -> Any:
        """Set a task aside or bring it back, say how many judgments it wants, or who alone is to judge it."""
        project = known_task(context, task_id).project
        _apply(context, project, [task_id], change)
        return TaskStateOut.of(studies.states([task_id])[task_id])

    @routes.patch("/projects/{project}/tasks", tags=["tasks"], response_model=Changed)
    def change_tasks(_person: Admin, project: ProjectName, change: TasksChange) -> Any:
        """The same for many tasks of a project."""
        known_project(context, project)
        known = context.store.tasks(change.tasks)
        strange = next((i for i in change.tasks if i not in known or known[i].project != project), None)
        if strange is not None:
            raise Refusal(422, f"task {strange!r} is not in this project", "leave it out")
        _apply(context, project, change.tasks, change)
        return Changed(changed=len(known))


def _apply(context: Context, project: str, task_ids: Sequence[str], change: TaskChange) -> None:
    studies, now = context.store.studies, context.now()
    to = change.assignment()
    if to is not None:  # first, since it may be refused
        studies.assign(task_ids, to)
    if change.wanted is not None:
        studies.want(dict.fromkeys(task_ids, change.wanted))
    if change.aside is not None:
        if change.aside:
            studies.set_aside(task_ids, now=now)
        else:
            studies.bring_back(task_ids, now=now)
    context.watch.forget(project)


def _groups(routes: APIRouter, context: Context) -> None:
    studies = context.store.studies

    @routes.get("/groups", tags=["raters"], response_model=dict[str, tuple[str, ...]])
    def list_groups(_person: Admin) -> Any:
        """The ids of the raters in each group, by its name."""
        return studies.groups()

    @routes.put("/groups/{name}", tags=["raters"], response_model=dict[str, tuple[str, ...]])
    def set_group(_person: Admin, name: GroupName, sent: GroupIn) -> Any:
        """Say who is in a group; tasks are assigned to groups. Answers with all groups."""
        studies.set_group(name, sent.members)
        return studies.groups()


def _workers(routes: APIRouter, context: Context) -> None:
    participants = context.store.accounts.participants

    @routes.get("/projects/{project}/participants", tags=["raters"], response_model=list[WorkerOut])
    def list_participants(_person: Admin, project: ProjectName) -> Any:
        """Everybody whom a crowd platform sent to the project, by id, with their work: for pay."""
        known_project(context, project)
        return participants.workers(project)

    @routes.get("/projects/{project}/work", tags=["raters"], response_model=list[WorkOut], responses=_TABLE)
    def project_work(_person: Admin, project: ProjectName, first: Day = "", last: Day = "", as_: Shape = "json") -> Any:
        """Who did how much in a project, in a period: one row for each rater, for pay."""
        known_project(context, project)
        return _work(context, project, Period.of(first, last), as_)

    @routes.get("/work", tags=["raters"], response_model=list[WorkOut], responses=_TABLE)
    def all_work(_person: Admin, first: Day = "", last: Day = "", as_: Shape = "json") -> Any:
        """The same for all projects: one row for each project and rater."""
        return _work(context, None, Period.of(first, last), as_)

    @routes.put("/projects/{project}/qualifications/{rater_id}", tags=["raters"], response_model=QualificationIn)
    def qualify(_person: Admin, project: ProjectName, rater_id: RaterId, sent: QualificationIn) -> Any:
        """Let somebody do the project's work, or not, whatever they said of the known answers."""
        known_project(context, project)
        participants.qualify(rater_id, project, is_passed=sent.is_passed, now=context.now())
        return sent


def _work(context: Context, project: str | None, period: Period, shape: str) -> Any:
    found = context.store.accounts.work(project, period)
    if shape == "csv":
        headers = {"content-disposition": 'attachment; filename="work.csv"'}
        return Response(as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)
    return found


def _disputed(context: Context, project: str, purpose: Purpose) -> set[str]:
    """Tasks on which raters disagree and nobody has decided."""
    overview = context.watch.overview(project, purpose, now=context.now())
    return {dispute.task_id for dispute in overview.disputes}
