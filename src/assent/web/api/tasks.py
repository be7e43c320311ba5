"""Tasks over the API: queueing them in bulk, listing and looking at them, saying which come first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError

from assent.core.hashing import hash_json
from assent.core.problems import first_problem
from assent.core.types import Completion, Message, Prompt, Purpose, Task
from assent.feedback.queue.assign import wanted_slots
from assent.feedback.records.queue import Queue, Replaced
from assent.web.api.models import AnswerIn, Changed, PrioritiesIn, TaskIn, TaskPage
from assent.web.api.paging import Cursor, Limit, cursor_of, key_of
from assent.web.api.projects import ProjectName, TaskId, known_project, known_task
from assent.web.api.study_models import TasksAdded, TasksIn
from assent.web.auth import Adjudicator, Admin
from assent.web.context import Context
from assent.web.refusals import Refusal


def add_routes(routes: APIRouter, context: Context) -> None:
    """Add the routes of tasks."""
    store = context.store

    @routes.post("/projects/{project}/tasks", tags=["tasks"], response_model=TasksAdded)
    def add_tasks(_person: Admin, project: ProjectName, sent: TasksIn) -> Any:
        """Queue tasks, all or none. The same ones again add nothing, but a higher number of slots adds those.

        With `replace`, known ids with other content are replaced instead of refused.
        """
        settings = known_project(context, project).settings
        tasks = [_task(one, project, f"tasks[{number}]") for number, one in enumerate(sent.tasks)]
        ids = [task.id for task in tasks]
        if len(set(ids)) != len(ids):
            again = next(i for number, i in enumerate(ids) if i in ids[:number])
            raise Refusal(422, f"task {again!r} is sent twice", "send each task once, or give them ids")
        wrong = {} if sent.replace else store.clashes(tasks)
        number = next((n for n, task_id in enumerate(ids) if task_id in wrong), None)
        if number is not None:
            raise Refusal(409, f"tasks[{number}]: {wrong[ids[number]]}", "nothing was queued")
        slots: Any = sent.slots
        is_stated = slots is not None
        if not is_stated:
            slots = wanted_slots(ids, settings)
        how: dict[str, Any] = {"slots": slots, "priority": sent.priority, "is_cap": is_stated, "now": context.now()}
        if sent.replace:
            return _replaced(store.studies.replace(tasks, **how), ids)
        added = store.add_tasks(tasks, **how)
        return TasksAdded(added=added, known=len(ids) - added, ids=tuple(ids))

    @routes.get("/projects/{project}/tasks", tags=["tasks"], response_model=TaskPage)
    def list_tasks(
        _person: Adjudicator,
        project: ProjectName,
        purpose: Purpose = "reward",
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Any:
        """Tasks of a queue by id, a page at a time."""
        known_project(context, project)
        key = key_of(cursor, str)
        found = store.listing.tasks(Queue(project, purpose), after="" if key is None else key[0], limit=limit)
        return TaskPage(items=tuple(found), next=cursor_of(found[-1].id) if len(found) == limit else None)

    @routes.put("/projects/{project}/priorities", tags=["tasks"], response_model=Changed)
    def set_priorities(_person: Admin, project: ProjectName, wanted: PrioritiesIn) -> Any:
        """Say which tasks come first; higher first, all start at 0."""
        known_project(context, project)
        strange = [i for i, task in store.tasks(wanted.priorities).items() if task.project != project]
        if strange:
            raise Refusal(422, f"task {strange[0]!r} is in another project", "leave it out")
        return Changed(changed=store.set_priorities(wanted.priorities, now=context.now()))

    @routes.get("/tasks/{task_id:path}", tags=["tasks"], response_model=Task)
    def get_task(person: Adjudicator, task_id: TaskId) -> Any:
        """A task with its prompt and answers."""
        found = known_task(context, task_id)
        person.need_project(found.project)
        return found


def _replaced(found: Replaced, ids: Sequence[str]) -> TasksAdded:
    counts = {"changed": found.changed, "set_aside": found.set_aside, "gold_dropped": found.gold_dropped}
    return TasksAdded(added=found.added, known=found.known, ids=tuple(found.ids[i] for i in ids), **counts)


def _task(sent: TaskIn, project: str, place: str) -> Task:
    turns = (Message(role="user", content=sent.prompt),) if isinstance(sent.prompt, str) else sent.prompt
    try:
        prompt = Prompt(messages=turns, id=sent.prompt_id or "", meta=sent.prompt_meta, tools=sent.tools)
        answers = tuple(_answer(one, prompt.id) for one in sent.answers)
        content = [project, sent.purpose, sent.kind, prompt.id, [answer.id for answer in answers]]
        return Task(
            id=sent.id or "t-" + hash_json(content)[:24],
            prompt=prompt,
            completions=answers,
            kind=sent.kind,
            purpose=sent.purpose,
            project=project,
        )
    except ValidationError as error:
        raise Refusal(422, f"{place}: {first_problem(error)}") from None


def _answer(sent: str | AnswerIn, prompt_id: str) -> Completion:
    if isinstance(sent, str):
        return Completion(prompt_id=prompt_id, text=sent)
    said = sent.model_dump(exclude={"id"})
    return Completion(prompt_id=prompt_id, id=sent.id or "", **said)
