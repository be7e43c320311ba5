"""What forgetting a rater means to runs: which artifacts rest on them, and that `assent run` makes those again.

A stage that reads judgments of a queue has in its key which of them were erased since; nothing where none were, so that
no other key changes. What rests on it has its key among the inputs, and so on to the last policy.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assent.artifacts.jsonl import read_records
from assent.artifacts.lineage import resting_on
from assent.artifacts.project import all_artifacts
from assent.artifacts.store import Artifact
from assent.core.hashing import hash_json
from assent.core.types import Comparison
from assent.feedback.config import StoreConfig
from assent.feedback.opening import open_store
from assent.feedback.records.queue import Queue
from assent.pipeline.late import is_borrowed

ERASED = "erased"
"""Name under which erasures enter a stage's key."""
COMPARISONS = "comparisons.jsonl"


@dataclass(frozen=True)
class Touched:
    """An artifact that rests on what a rater said."""

    artifact: Artifact
    holds_it: bool
    """Whether what the rater said stands in it word for word; else it was made from such a one."""


def erased_snapshots(store: StoreConfig, queue: Queue) -> dict[str, str]:
    """What a stage that reads a queue's snapshot adds to its key: the snapshots spoiled since; empty where none are."""
    if not store.has_content:
        return {}
    with open_store(store) as opened:
        taken = opened.listing.snapshots(queue.project)
    own = (s for s in taken if s.purpose == queue.purpose and not is_borrowed(s))
    spoiled = sorted(s.hash for s in own if s.touched_at is not None)
    return {ERASED: hash_json(spoiled)} if spoiled else {}


def erased_judgments(store: StoreConfig, queue: Queue) -> dict[str, str]:
    """The same for a stage that reads a queue as it is: the judgments that were erased."""
    if not store.has_content:
        return {}
    with open_store(store) as opened:
        erased = opened.listing.erased(queue)
    return {ERASED: hash_json(erased)} if erased else {}


def touched(runs: Path, rater_id: str, queues: Iterable[Queue]) -> list[Touched]:
    """Artifacts of all runs below a folder that rest on what a rater said, sources before what is made of them.

    `queues` are those the rater judged in: evaluations keep no single judgments, but are named by what they compare.
    """
    judged = {queue.project for queue in queues}
    artifacts = all_artifacts(runs).every()
    names = {artifact.key: artifact.name for artifact in artifacts}
    spoiled = {a.key: True for a in artifacts if _holds(a, rater_id)}
    spoiled |= {a.key: False for a in artifacts if a.kind == "evaluation" and _compared(a, names) in judged}
    resting = resting_on(artifacts, spoiled)
    return [Touched(a, spoiled.get(a.key, False)) for a in artifacts if a.key in resting]


def evaluation_project(policy: str, baseline: str) -> str:
    """The project of the tasks that compare two policies, by the names of their artifacts."""
    return f"{policy} against {baseline}"


def remove(found: Iterable[Touched]) -> int:
    """Delete artifacts; `assent run` makes them again, without the rater. Returns how many."""
    folders = [one.artifact.folder for one in found]
    for folder in folders:
        shutil.rmtree(folder)
    return len(folders)


def _holds(artifact: Artifact, rater_id: str) -> bool:
    """Does the rater's id stand in the judgments of an artifact?"""
    path = artifact.folder / COMPARISONS
    if artifact.kind not in ("judgments", "comparisons") or not path.is_file():
        return False
    try:
        comparisons = read_records(path, Comparison)
    except (OSError, ValueError):
        return False  # no whole artifact: `assent run` makes it again
    return any(judgment.rater_id == rater_id for one in comparisons for judgment in one.judgments)


def _compared(artifact: Artifact, names: Mapping[str, str]) -> str:
    """The project of an evaluation's tasks."""
    if isinstance(project := artifact.notes.get("project"), str):
        return project
    parents = artifact.manifest.parents
    return evaluation_project(names.get(parents.get("policy", ""), ""), names.get(parents.get("baseline", ""), ""))
