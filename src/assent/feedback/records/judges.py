"""Who is asked to judge a queue, and the tasks of one queue as they stand in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.hashing import hash_json, short
from assent.core.types import RaterKind, Task
from assent.feedback.records.queue import Queue

MACHINES: frozenset[RaterKind] = frozenset({"simulated", "function", "reward_model", "autorater"})
"""Raters that a run itself asks; nothing they say is taken for what people said."""


@dataclass(frozen=True)
class Judges:
    """Those who are asked to judge a queue."""

    name: str
    """Hash of all that decides who they are and what they say."""
    ids: frozenset[str] = frozenset()
    """Ids of the raters of a panel; empty for people, who come as they like."""


PEOPLE = Judges(hash_json({"kind": "people"}))
"""People, whoever they are."""


def in_project(tasks: Sequence[Task], queue: Queue, *, asked: Queue) -> list[Task]:
    """The tasks of `asked` as they stand in `queue`: under their ids in their own project, under others elsewhere."""
    here = {"project": queue.project, "purpose": queue.purpose}
    if queue == asked:
        return [task.model_copy(update=here) for task in tasks]
    return [task.model_copy(update={**here, "id": moved_id(task, queue)}) for task in tasks]


def moved_id(task: Task, queue: Queue) -> str:
    """The id of a task that is asked anew in another queue."""
    return "t-" + short(hash_json([queue.project, queue.purpose, task.id]))
