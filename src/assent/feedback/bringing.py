"""Bringing the tasks of a file into a project: all of them or none, with the project's overlap and known answers."""

from __future__ import annotations

from assent.feedback.queue.assign import wanted_slots
from assent.feedback.queue.task_files import TaskFile
from assent.feedback.records.queue import Replaced
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store


def bring_tasks(
    store: Store, file: TaskFile, settings: ProjectSettings, *, now: float, is_replacing: bool, note: str = ""
) -> Replaced:
    """Queue what a file holds; tasks that are there already stay as they are, with as many raters as they were given.

    Known ids with other content are refused by their lines, or with `is_replacing` replaced. Raises DataError.
    """
    file.refuse(store.clashes(file.tasks, is_replacing=is_replacing))
    ids = [task.id for task in file.tasks]
    known = store.tasks(ids).keys() - store.clashes(file.tasks).keys()
    slots = wanted_slots([task_id for task_id in ids if task_id not in known], settings)
    if is_replacing:
        found = store.studies.replace(file.tasks, slots=slots, now=now)
    else:
        found = Replaced({task_id: task_id for task_id in ids}, store.add_tasks(file.tasks, slots=slots, now=now))
    for task_id, ranking in file.gold.items():
        store.projects.set_gold(found.ids[task_id], ranking, note=note, now=now)
    return found
