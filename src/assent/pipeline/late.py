"""Late judgments: what people said in a queue after the run had gone on. They count from the next round on.

A stage that read judgments notes the snapshots that it read. What is in their queues now and in none of them is late.
A further round learns from it; told to (`assent run --late`), a run takes it at once: a snapshot with a name of its own
is taken in the queue, its number is part of the key of the stage that reads the queue, and that stage reads it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assent.artifacts.store import Artifact
from assent.core.errors import StoreError
from assent.core.hashing import hash_json
from assent.core.types import Comparison, Judgment, Marked
from assent.feedback.config import StoreConfig
from assent.feedback.opening import open_store
from assent.feedback.records.queue import Queue

if TYPE_CHECKING:
    from assent.feedback.queue.listing import ListedSnapshot
    from assent.feedback.store import Store

_BORROWED = " late, for "
"""In names of snapshots that a later round takes of an earlier one's queue."""


@dataclass(frozen=True)
class Late:
    """What came in after a snapshot."""

    queue: Queue
    comparisons: list[Comparison]
    marked: list[Marked]
    """Without a ranking of two answers."""

    @property
    def judgments(self) -> list[Judgment]:
        """All of it."""
        ranked = [said for one in self.comparisons for said in one.judgments]
        return ranked + [said for one in self.marked for said in one.judgments]


@dataclass(frozen=True)
class Before:
    """What came late in the rounds before one."""

    read: dict[str, str]
    """Snapshots of those rounds, by project, with what came late."""
    comparisons: list[Comparison]
    marked: list[Marked]
    judgments: int
    """How many came late."""

    def __str__(self) -> str:
        said = "1 judgment" if self.judgments == 1 else f"{self.judgments} judgments"
        return f"{said} of earlier rounds came in after the run had gone on: this round learns from them"


def late_before(store: StoreConfig, earlier: Artifact | None, *, key: str) -> Before:
    """What came late in the rounds whose judgments `earlier` holds; it is fixed for the stage of this key."""
    read = {} if earlier is None else read_snapshots(earlier)
    found: list[Late] = []
    with open_store(store) as opened:
        for project, snapshot in list(read.items()):
            queue = Queue(project)
            if came_late(opened, queue, snapshot) is None:
                continue
            taken = opened.snapshot(borrowed_name(project, key), queue, now=time.time())
            late = came_late(opened, queue, snapshot)
            read[project] = taken.hash
            found += [] if late is None else [late]
    comparisons = [one for late in found for one in late.comparisons]
    marked = [one for late in found for one in late.marked]
    return Before(read, comparisons, marked, sum(len(late.judgments) for late in found))


def read_snapshots(judgments: Artifact) -> dict[str, str]:
    """The snapshots (by hash) that an artifact of judgments rests on, by project; of all its rounds so far."""
    notes = judgments.notes
    if isinstance(read := notes.get("read"), dict):
        return dict(read)
    project, snapshot = notes.get("project"), notes.get("snapshot")
    return {project: snapshot} if isinstance(project, str) and isinstance(snapshot, str) else {}


def came_late(store: Store, queue: Queue, snapshot: str) -> Late | None:
    """What people have said in a queue that is not in a snapshot; None where it is nothing.

    Nor is it anything where the snapshot was spoiled by an erasure, after which its stage runs again anyway.
    """
    from assent.pipeline.ai_labels import is_ai  # what compares raters comes along, which no plan needs

    try:
        known = {j.id for one in store.comparisons(queue, snapshot=snapshot) for j in one.judgments}
        known |= {j.id for one in store.listing.marked(queue, snapshot=snapshot) for j in one.judgments}
    except StoreError:
        return None
    known |= {said.id for said in store.judgments(queue) if is_ai(said)}
    repeats = store.listing.repeats(queue)
    comparisons, marked = [], []
    for one in store.comparisons(queue):
        if kept := _new(one.judgments, known, repeats):
            comparisons.append(one.model_copy(update={"judgments": kept}))
    for mark in store.listing.marked(queue):
        if kept := _new(mark.judgments, known, repeats):
            marked.append(mark.model_copy(update={"judgments": kept}))
    return Late(queue, comparisons, marked) if comparisons or marked else None


def with_late(comparisons: Iterable[Comparison], late: Sequence[Comparison]) -> Iterator[Comparison]:
    """Comparisons with what was said late of the same tasks; a corrected judgment stands for the one before."""
    newer = {(said.task_id, said.rater_id) for one in late for said in one.judgments}
    more = {one.judgments[0].task_id: one for one in late}
    for one in comparisons:
        added = more.pop(one.judgments[0].task_id, None)
        if added is None:
            yield one
        else:
            kept = (said for said in one.judgments if (said.task_id, said.rater_id) not in newer)
            yield one.model_copy(update={"judgments": (*kept, *added.judgments)})
    yield from more.values()


def late_name(project: str, number: int) -> str:
    """Name of the snapshot with which late judgments of a project were taken for the n-th time."""
    return f"{project} with late judgments {number}"


def borrowed_name(project: str, key: str) -> str:
    """Name of the snapshot that the stage of a later round takes of the queue of an earlier one."""
    return f"{project}{_BORROWED}{key}"


def is_borrowed(snapshot: ListedSnapshot) -> bool:
    """Whether a snapshot belongs to a later round than its queue."""
    return _BORROWED in snapshot.name


def times_taken(store: Store, queue: Queue) -> int:
    """How often late judgments of a queue were taken."""
    pattern = re.compile(re.escape(late_name(queue.project, 0))[:-1] + r"(\d+)")
    found = (pattern.fullmatch(one.name) for one in store.listing.snapshots(queue.project))
    return max((int(one[1]) for one in found if one), default=0)


def snapshot_name(store: Store, queue: Queue) -> str:
    """Name of the snapshot that a stage reads: that of the queue, or of its late judgments where they were taken."""
    times = times_taken(store, queue)
    return late_name(queue.project, times) if times else queue.project


def late_identity(store: StoreConfig, queue: Queue) -> dict[str, str]:
    """What a stage that reads a queue adds to its key: how often late judgments were taken; nothing where never."""
    if not store.has_content:
        return {}
    with open_store(store) as opened:
        times = times_taken(opened, queue)
    return {"late": hash_json(times)} if times else {}


def take(store: Store, queue: Queue, *, now: float) -> None:
    """Have the stage that reads a queue run again with all that is in now."""
    store.snapshot(late_name(queue.project, times_taken(store, queue) + 1), queue, now=now)


def spoiled_since(store: Store, judgments: Artifact) -> dict[str, str]:
    """What an artifact adds to its key where snapshots that it took of earlier rounds were spoiled by an erasure."""
    rests = set(read_snapshots(judgments).values())
    found = [one for project in read_snapshots(judgments) for one in store.listing.snapshots(project)]
    spoiled = sorted(one.hash for one in found if one.hash in rests and is_borrowed(one) and one.touched_at is not None)
    return {"erased late": hash_json(spoiled)} if spoiled else {}


def _new(said: Sequence[Judgment], known: Collection[str], repeats: Collection[str]) -> tuple[Judgment, ...]:
    return tuple(one for one in said if one.id not in known and one.task_id not in repeats)
