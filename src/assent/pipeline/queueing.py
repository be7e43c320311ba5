"""The queue that people are given: it carries on from the project before, and asks first what teaches most."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.types import Task
from assent.feedback.config import StoreConfig
from assent.feedback.priorities import Predicted, priorities
from assent.feedback.records import Queue
from assent.feedback.settings import Goal
from assent.feedback.store import Store
from assent.pipeline.artifacts import Artifact
from assent.pipeline.backends import Backends
from assent.training.rewards import ModelReward

TOKENS_PER_MICROBATCH = 4096


@dataclass(frozen=True)
class Desk:
    """How a queue is laid out for people before they judge it."""

    title: str
    """What raters read above the tasks."""
    like: tuple[str, ...] = ()
    """Projects whose settings, guideline and raters are taken over: of the first that is in the store."""
    goal: Goal = "random"
    """Which tasks come first, once a reward model can tell."""
    advisor: Artifact | None = None
    """The reward model of an earlier round; without one the order is random."""
    backends: Backends | None = None

    def prepare(self, store: StoreConfig, queue: Queue, tasks: Sequence[Task]) -> dict[str, float] | None:
        """Make the project where it is new; priorities by task, or None where the order is left as it is.

        Tasks that are queued already keep their order: a run that is asked again costs no reward model.
        """
        goal: Goal = "random" if self.advisor is None else self.goal
        with Store.open(store.url) as opened:
            opened.projects.carry_on(queue.project, like=self.like, title=self.title, goal=goal, now=time.time())
            is_new = not opened.counts(queue).need
        if not is_new or goal == "random" or self.advisor is None or self.backends is None:
            return None
        return priorities(predicted(self.backends, self.advisor, tasks), goal)


def predicted(backends: Backends, reward: Artifact, tasks: Sequence[Task]) -> dict[str, Predicted]:
    """What a reward model says of the answers of each task, in logits."""
    model = backends.reward_model(reward.file("reward"), trainable=False)
    score = ModelReward(model, backends.renderer(model), TOKENS_PER_MICROBATCH, normalize=False)
    flat = iter(score([t.prompt for t in tasks for _ in t.completions], [c.text for t in tasks for c in t.completions]))
    return {t.id: Predicted([next(flat) for _ in t.completions], t.prompt.id) for t in tasks}
