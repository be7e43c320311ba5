"""What leaves a store in an export: every task with everything known about it, and what raters were told."""

from __future__ import annotations

from assent.core.types import Rater
from assent.data.exports import Leaving
from assent.data.task_records import EDIT, TaskRecord
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store

__all__ = ["EDIT", "gather", "those_who_said"]


def gather(store: Store, queue: Queue, *, snapshot: str | None = None) -> list[Leaving]:
    """The tasks of a queue sorted by id, with everything known about them, and the guidelines of its project.

    What of it a format cannot hold, writing it counts. Of a snapshot's hash: the judgments that it holds and nothing
    that was said or decided besides. Raises StoreError for a snapshot that is unknown or held an erased rater.
    """
    tasks: list[TaskRecord] = store.listing.records(queue, snapshot=snapshot)
    read = {one.guideline for task in tasks for one in task.about.values()}
    read |= {task.facts.guideline for task in tasks if task.facts is not None}
    told = store.listing.guidelines(queue.project)
    return [*tasks, *(guideline for guideline in told if snapshot is None or guideline.name in read)]


def those_who_said(store: Store, *, attributes: bool) -> list[Rater]:
    """All raters, with what they say of themselves where that is wanted."""
    raters = store.raters()
    return raters if attributes else [rater.model_copy(update={"attributes": {}}) for rater in raters]
