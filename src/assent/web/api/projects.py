"""Projects over the API: settings, guidelines, progress, statistics, known answers, decisions, snapshots."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BeforeValidator, Field, ValidationError

from assent.core.errors import StoreError
from assent.core.problems import first_problem
from assent.core.types import Purpose
from assent.feedback.dashboard import plain
from assent.feedback.records.queue import Project, Queue
from assent.feedback.records.settings import ProjectSettings
from assent.web.api.models import (
    AdjudicationIn,
    AdjudicationOut,
    GoldIn,
    GoldOut,
    GuidelineIn,
    GuidelineOut,
    ProgressOut,
    ProjectOut,
    ProjectSeen,
    Removed,
    SnapshotIn,
    SnapshotOut,
)
from assent.web.api.study_models import ContentsOut
from assent.web.auth import Adjudicator, Admin, Person, Rater
from assent.web.bodies import Body, keepable
from assent.web.context import Context
from assent.web.rating.items import HIDDEN
from assent.web.rating.tasks import project_of
from assent.web.refusals import Refusal

ProjectName = Annotated[str, Path(min_length=1, max_length=80, description="Name of the project.")]
NameAgain = Annotated[str, Query(max_length=200, description="The project's name once more: it cannot be undone.")]
TaskId = Annotated[str, Path(min_length=1, max_length=200, description="Id of the task.")]


class Change(Body):
    """Settings to change; those that are not named stay."""

    settings: dict[str, Any] = Field(default_factory=dict)
    archived: bool | None = None
    """true: put away, hidden from raters and changed by nobody; false: taken out again, before settings change."""


def add_routes(routes: APIRouter, context: Context) -> None:
    """Add the routes of projects."""
    _projects(routes, context)
    _guidelines(routes, context)
    _numbers(routes, context)
    _known_answers(routes, context)
    _decisions(routes, context)
    _snapshots(routes, context)


def known_project(context: Context, name: str) -> Project:
    """A project by name. Raises Refusal 404."""
    try:
        return context.store.projects.get(name)
    except StoreError:
        raise Refusal(404, f"there is no project {name!r}", "list the projects, or make it") from None


def known_task(context: Context, task_id: str) -> Any:
    """A task by id. Raises Refusal 404."""
    found = context.store.tasks([task_id]).get(task_id)
    if found is None:
        raise Refusal(404, f"there is no task {task_id!r}", "list the tasks of the project")
    return found


def _projects(routes: APIRouter, context: Context) -> None:
    projects = context.store.projects

    @routes.get("/projects", tags=["projects"], response_model=list[ProjectOut | ProjectSeen])
    def list_projects(person: Rater) -> Any:
        """All projects that the token may see."""
        return [_shown(one, person) for one in projects.all() if person.may_see(one.name)]

    @routes.get("/projects/{project}", tags=["projects"], response_model=ProjectOut | ProjectSeen)
    def get_project(person: Rater, project: ProjectName) -> Any:
        """A project with its settings and newest guideline; a rater sees no settings that tell gold from the rest."""
        return _shown(project_of(context, person, project), person)

    @routes.put("/projects/{project}", tags=["projects"], response_model=ProjectOut)
    def save_project(
        _person: Admin, project: ProjectName, settings: Annotated[ProjectSettings, BeforeValidator(keepable)]
    ) -> Any:
        """Make a project, or replace all its settings."""
        _check_name(project)
        return _saved(context, project, settings)

    @routes.patch("/projects/{project}", tags=["projects"], response_model=ProjectOut)
    def change_project(_person: Admin, project: ProjectName, change: Change) -> Any:
        """Change some settings of a project, put it away, or take it out again."""
        known_project(context, project)
        if change.archived is False:
            projects.archive(project, is_archived=False, now=context.now())
        if change.settings:
            _saved(context, project, _changed(context, project, change.settings))
        if change.archived:
            projects.archive(project, is_archived=True, now=context.now())
        return known_project(context, project)

    @routes.get("/projects/{project}/contents", tags=["projects"], response_model=ContentsOut)
    def get_contents(_person: Admin, project: ProjectName) -> Any:
        """What is in a project, and goes where it is deleted."""
        known_project(context, project)
        return projects.contents(project)

    @routes.delete("/projects/{project}", tags=["projects"], response_model=ContentsOut)
    def delete_project(_person: Admin, project: ProjectName, name: NameAgain = "") -> Any:
        """Delete an archived project with everything in it, for good; says what it was."""
        known_project(context, project)
        if name != project:
            raise Refusal(422, f"name={name[:80]!r} is not {project!r}", "repeat the project's name to delete it")
        held = projects.delete(project, now=context.now())
        context.watch.forget(project)
        return held


def _changed(context: Context, project: str, settings: dict[str, Any]) -> ProjectSettings:
    """The settings of a project with some of them changed. Raises Refusal 422."""
    known = known_project(context, project).settings.model_dump()
    try:
        return ProjectSettings.model_validate({**known, **settings})
    except ValidationError as error:
        raise Refusal(422, f"settings: {first_problem(error, ProjectSettings)}") from None


def _guidelines(routes: APIRouter, context: Context) -> None:
    projects = context.store.projects

    @routes.get("/projects/{project}/guidelines", tags=["projects"], response_model=list[GuidelineOut])
    def list_guidelines(person: Rater, project: ProjectName) -> Any:
        """All versions of what raters are told, oldest first."""
        project_of(context, person, project)
        return projects.guidelines(project)

    @routes.post("/projects/{project}/guidelines", tags=["projects"], response_model=GuidelineOut)
    def publish_guideline(_person: Admin, project: ProjectName, guideline: GuidelineIn) -> Any:
        """Tell raters something new; they see it beside their next task."""
        known_project(context, project)
        return projects.publish_guideline(project, guideline.text, now=context.now())


def _numbers(routes: APIRouter, context: Context) -> None:
    @routes.get("/projects/{project}/progress", tags=["statistics"], response_model=ProgressOut)
    def get_progress(_person: Adjudicator, project: ProjectName, purpose: Purpose = "reward") -> Any:
        """How many judgments are in, of how many."""
        known_project(context, project)
        return context.store.counts(Queue(project, purpose))

    @routes.get("/projects/{project}/statistics", tags=["statistics"], response_model=dict[str, Any])
    def get_statistics(_person: Adjudicator, project: ProjectName, purpose: Purpose = "reward") -> Any:
        """What the dashboard shows: pace, agreement, raters with intervals, disputes, forecast; null: not known."""
        known_project(context, project)
        return plain(context.watch.overview(project, purpose, now=context.now()))


def _known_answers(routes: APIRouter, context: Context) -> None:
    projects = context.store.projects

    @routes.get("/projects/{project}/gold", tags=["quality"], response_model=list[GoldOut])
    def list_gold(_person: Adjudicator, project: ProjectName) -> Any:
        """Tasks with known answers, which measure raters."""
        known_project(context, project)
        found = projects.gold(project)
        return [GoldOut(task_id=i, ranking=ranking, note=note) for i, (ranking, note) in found.items()]

    @routes.put("/tasks/{task_id:path}/gold", tags=["quality"], response_model=GoldOut)
    def set_gold(_person: Admin, task_id: TaskId, gold: GoldIn) -> Any:
        """Say what the right answer of a task is."""
        known_task(context, task_id)
        projects.set_gold(task_id, gold.ranking, note=gold.note, now=context.now())
        return GoldOut(task_id=task_id, ranking=gold.ranking, note=gold.note)

    @routes.delete("/tasks/{task_id:path}/gold", tags=["quality"], response_model=Removed)
    def remove_gold(_person: Admin, task_id: TaskId) -> Any:
        """Make a task an ordinary one again."""
        was_gold = task_id in projects.gold(known_task(context, task_id).project)
        projects.set_gold(task_id, None, now=context.now())
        return Removed(removed=was_gold)


def _decisions(routes: APIRouter, context: Context) -> None:
    projects = context.store.projects

    @routes.get("/projects/{project}/adjudications", tags=["quality"], response_model=list[AdjudicationOut])
    def list_adjudications(_person: Adjudicator, project: ProjectName) -> Any:
        """Decisions where raters disagreed, oldest first; of several about one task the last counts."""
        known_project(context, project)
        return projects.adjudications(project)

    @routes.post("/adjudications", tags=["quality"], response_model=AdjudicationOut)
    def adjudicate(person: Adjudicator, decision: AdjudicationIn) -> Any:
        """Decide a task."""
        project = known_task(context, decision.task_id).project
        person.need_project(project)
        said = (decision.task_id, person.rater_id, decision.ranking, decision.reason)
        decided = projects.adjudicate(*said, now=context.now())
        context.watch.forget(project)
        return decided


def _snapshots(routes: APIRouter, context: Context) -> None:
    store = context.store

    @routes.get("/projects/{project}/snapshots", tags=["snapshots"], response_model=list[SnapshotOut])
    def list_snapshots(_person: Admin, project: ProjectName) -> Any:
        """Fixed sets of judgments, oldest first."""
        known_project(context, project)
        return store.listing.snapshots(project)

    @routes.post("/projects/{project}/snapshots", tags=["snapshots"], response_model=SnapshotOut)
    def take_snapshot(_person: Admin, project: ProjectName, wanted: SnapshotIn) -> Any:
        """Fix what has been said so far; a name that is taken gives the same snapshot back."""
        known_project(context, project)
        made = store.snapshot(wanted.name, Queue(project, wanted.purpose), now=context.now())
        found = [one for one in store.listing.snapshots(project) if one.name == made.name and one.touched_at is None]
        return found[-1]


def _shown(project: Project, person: Person) -> Any:
    if person.may("adjudicator"):
        return project
    settings = project.settings.model_dump(mode="json", exclude=HIDDEN)
    guideline = None if project.guideline is None else GuidelineOut.model_validate(project.guideline)
    return ProjectSeen(name=project.name, settings=settings, guideline=guideline, created_at=project.created_at)


def _saved(context: Context, name: str, settings: ProjectSettings) -> Project:
    saved = context.store.projects.save(name, settings, now=context.now())
    context.watch.forget(name)
    return saved


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or set(name) & set("/\\") or name in (".", ".."):
        raise Refusal(422, f"the project name {name[:40]!r} cannot be used", "take letters and digits without slashes")
