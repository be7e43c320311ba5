"""What the store takes and gives besides the nouns of core: queues, claims, receipts, counts, snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assent.core.types import Purpose, Task


@dataclass(frozen=True)
class Queue:
    """The tasks of one project that serve one purpose: what raters are asked from and trainers read from."""

    project: str = "default"
    purpose: Purpose = "reward"


@dataclass(frozen=True)
class Claim:
    """A task lent to a rater. Hand `token` back with the judgment; after `expires_at` others may get the slot."""

    task: Task
    token: str
    expires_at: float


Status = Literal["stored", "known", "skipped", "surplus"]


@dataclass(frozen=True)
class Receipt:
    """What became of a submitted judgment.

    stored: it fills a slot. known: it was there already, nothing changed. skipped: kept, its slot is free for others.
    surplus: it came late and its slot was taken; kept, and read like any other judgment.
    """

    judgment_id: str
    status: Status


@dataclass(frozen=True)
class Counts:
    """How many slots of a queue are judged, and how many there are."""

    have: int
    need: int


@dataclass(frozen=True)
class OpenTask:
    """A task that still waits for judgments: slots in all, and those nobody has judged yet."""

    task_id: str
    slots: int
    unjudged: int


@dataclass(frozen=True)
class Snapshot:
    """A fixed set of judgments, sorted by id. The hash covers what they say; the same set has the same hash."""

    name: str
    hash: str
    queue: Queue
    judgment_ids: tuple[str, ...]


@dataclass(frozen=True)
class ImportCounts:
    """What an import did. Importing the same file again gives 0 `added` and everything `known`."""

    comparisons: int = 0
    added: int = 0
    known: int = 0
    """Judgments that were in the store, or twice in the file."""
    new_raters: int = 0


@dataclass(frozen=True)
class Erasure:
    """What forgetting a rater touched. `snapshots` cannot be read any more; what was built on them needs rebuilding."""

    tombstone: str
    judgments: int
    snapshots: tuple[Snapshot, ...]
