"""The queue that people are given: it carries on from the project before, and asks first what teaches most."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assent.artifacts.layout import RUNS
from assent.artifacts.store import Artifact
from assent.core.hashing import hash_json, short
from assent.core.types import Task
from assent.feedback.queue.priorities import Predicted, priorities
from assent.feedback.records.judges import PEOPLE
from assent.feedback.records.queue import NewProject, Queue
from assent.feedback.records.settings import Goal

if TYPE_CHECKING:
    from assent.feedback.store import Store
    from assent.pipeline.backends import Backends


def place_of(name: str, step: int) -> str:
    """Where in which run people are asked: run folder and step, such that later steps rest on earlier ones.

    Step 2·n is the collection of round n, 2·n + 1 its evaluation. The folder is part of it, as a hash: stores may be
    shared by runs of one name.
    """
    folder = hash_json(str((RUNS / name).absolute()))
    return f"{name}@{short(folder)}/{step:07d}"


@dataclass(frozen=True)
class QueuePlan:
    """How a queue is laid out for people before they judge it."""

    title: str
    """What raters read above the tasks."""
    place: str = ""
    """Where in the run they are asked, see `place_of`: what was asked there before is closed for it."""
    like: tuple[str, ...] = ()
    """Projects whose settings, guideline and raters are taken over: of the first that is in the store."""
    goal: Goal = "random"
    """Which tasks come first, once a reward model can tell."""
    predict: Callable[[Sequence[Task]], Mapping[str, Predicted]] | None = None
    """What a reward model of an earlier round says of tasks; without one the order is random."""

    def prepare(self, store: Store, queue: Queue, tasks: Sequence[Task]) -> dict[str, float]:
        """Make the project where it is new; priorities by task, empty where the order is left as it is.

        Tasks that are queued already keep their order: a run that is asked again costs no reward model.
        """
        goal: Goal = "random" if self.predict is None else self.goal
        like = [name for asked in self.like for name in (store.queue_of(Queue(asked), PEOPLE).project, asked)]
        new = NewProject(self.title, goal, like=tuple(like), place=self.place)
        store.projects.carry_on(queue.project, new, now=time.time())
        if self.predict is None or goal == "random" or store.counts(queue).need:
            return {}
        return priorities(self.predict(tasks), goal)


def predicted(backends: Backends, reward: Artifact, tasks: Sequence[Task]) -> dict[str, Predicted]:
    """What a reward model says of the answers of each task, in logits."""
    score = backends.scorer(reward.file("reward"), normalize=False)
    flat = iter(score([t.prompt for t in tasks for _ in t.completions], [c.text for t in tasks for c in t.completions]))
    return {t.id: Predicted([next(flat) for _ in t.completions], t.prompt.id) for t in tasks}
