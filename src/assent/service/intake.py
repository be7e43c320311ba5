"""Intake: samples of a run, or a file of questions and answers, become tasks that people can judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assent.artifacts.find import ROUND, find_artifact
from assent.artifacts.jsonl import read_records
from assent.artifacts.store import MANIFEST
from assent.core.errors import DataError, StoreError, UserError
from assent.core.types import Purpose, Task
from assent.feedback.bringing import bring_tasks
from assent.feedback.queue.assign import wanted_slots
from assent.feedback.queue.task_files import parse_tasks
from assent.feedback.records.judges import PEOPLE, in_project, moved_id
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store

DEFAULT = "default"
"""The project of tasks for which none is named."""


@dataclass(frozen=True)
class Intake:
    """What was put into the store."""

    project: str
    tasks: int
    new: int
    repeated: int = 0
    """Lines of the file that ask what an earlier line asks."""
    replaced: tuple[str, ...] = ()
    """What known tasks were replaced, in words."""
    known: int = 0
    """Those that were there already, with this content."""
    judged: int = 0
    """Lines whose rankings were not taken over."""

    def __str__(self) -> str:
        said = [f"{self.new} tasks added to project {self.project}"]
        said += [f"{self.known} were there already"] if self.known else []
        said += self.replaced
        said += [f"{self.repeated} lines repeat earlier ones"] if self.repeated else []
        if self.judged:
            said.append(f"{self.judged} lines hold rankings, which are asked anew: `assent import` takes them over")
        return ", ".join(said)


def take_in(
    store: Store,
    source: str,
    *,
    project: str | None,
    purpose: Purpose = "reward",
    now: float,
    is_replacing: bool = False,
) -> Intake:
    """Queue the tasks of a file, or of the samples of a run. Raises UserError naming what is there instead.

    With `is_replacing`, known tasks of the file with other content are replaced instead of refused.

    Samples without a project go where the run looks for what people judge.
    """
    if not (Path(source).is_file() or Path(source).suffix):
        found = samples(source, project=project, purpose=purpose)
        if project is None:
            asked = Queue(found[0].project, purpose)
            found = in_project(found, store.queue_of(asked, PEOPLE), asked=asked)
        return queue(store, found, now=now)
    parsed = parse_tasks(_content(Path(source)), name=source, project=project or DEFAULT, purpose=purpose)
    parsed.refuse(store.clashes(parsed.tasks, is_replacing=is_replacing))  # before the project is made
    settings = ensure_project(store, parsed.tasks[0].project, now=now)
    brought = bring_tasks(store, parsed, settings, now=now, is_replacing=is_replacing)
    said = tuple(brought.said())
    return Intake(
        parsed.tasks[0].project,
        len(parsed.tasks),
        brought.added,
        parsed.repeated,
        said,
        known=brought.known,
        judged=parsed.judged,
    )


def queue(store: Store, tasks: Sequence[Task], *, now: float) -> Intake:
    """Put tasks of one project into the store, some of them for several raters as the project's settings say.

    Tasks that are there already stay as they are, with as many raters as they were given. Raises StoreError where a
    known id comes with other content, or from another project.
    """
    project = tasks[0].project
    settings = ensure_project(store, project, now=now)
    wrong = next(iter(store.clashes(tasks).values()), None)
    if wrong is not None:
        raise StoreError(wrong)
    known = store.tasks([task.id for task in tasks])
    new = [task for task in tasks if task.id not in known]
    slots = wanted_slots([t.id for t in new], settings)
    added = store.add_tasks(new, slots=slots, now=now)
    return Intake(project, len(tasks), added, known=len(tasks) - added)


def ensure_project(store: Store, name: str, *, title: str = "", now: float) -> ProjectSettings:
    """The settings of a project, which is made where it is not there yet."""
    known = {project.name: project for project in store.projects.all()}
    project = known.get(name) or store.projects.save(name, ProjectSettings(title=title), now=now)
    return project.settings


def samples(source: str, *, project: str | None, purpose: Purpose = "reward") -> list[Task]:
    """The tasks of a samples artifact, of a round or of a run's newest round."""
    path = Path(source)
    rounds = sorted(path.glob(f"round-*/{ROUND}"), key=lambda one: (len(one.parent.name), one.parent.name))
    if (path / ROUND).is_file():
        source = f"{source}/samples"
    elif rounds and not (path / MANIFEST).is_file():
        source = f"{rounds[-1].parent}/samples"
    artifact = find_artifact(source)
    if artifact.kind != "samples":
        raise UserError(f"{source} holds {artifact.kind}, not samples; name a round of a run, runs/x/round-1")
    found = read_records(artifact.file("tasks.jsonl"), Task)
    if not found:
        raise UserError(f"{source} holds no tasks: the answers to each prompt are all alike; sample again")
    if project is not None:
        return [moved(task, project=project, purpose=purpose) for task in found]
    return [task.model_copy(update={"project": artifact.name, "purpose": purpose}) for task in found]


def moved(task: Task, *, project: str, purpose: Purpose) -> Task:
    """A task in another project; there it has another id, for it is judged anew."""
    if (task.project, task.purpose) == (project, purpose):
        return task
    name = moved_id(task, Queue(project, purpose))
    return task.model_copy(update={"id": name, "project": project, "purpose": purpose})


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise DataError(f"cannot be read ({problem.strerror}); check the path", path=path) from None
