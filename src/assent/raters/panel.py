"""A panel: several raters who share tasks among themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from assent.core.errors import ConfigError
from assent.core.types import Judgment, Task
from assent.feedback.queue.assign import draw
from assent.raters.rater import SingleRater


@dataclass(frozen=True)
class Panel:
    """Raters who share tasks: which of them a task falls to depends on the task and the seed alone."""

    members: tuple[SingleRater, ...]
    seed: int = 0
    per_task: int = 1
    """How many judge each task."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How often members are drawn beside others, by rater id; who is not named weighs 1."""

    def __post_init__(self) -> None:
        if not 1 <= self.per_task <= len(self.members):
            raise ConfigError(
                f"{self.per_task} judgments per task want as many raters, but there are {len(self.members)}"
            )

    @property
    def ids(self) -> frozenset[str]:
        """Ids of the members."""
        return frozenset(member.record.id for member in self.members)

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """`per_task` judgments of each task, in the order of the tasks."""
        return self.judge_by({task.id: self.per_task for task in tasks}, tasks)

    def judge_by(self, counts: Mapping[str, int], tasks: Sequence[Task]) -> list[Judgment]:
        """`counts[task id]` judgments of each task, in the order of the tasks."""
        said: dict[tuple[str, str], Judgment] = {}
        shares = self.shares(counts)
        for member in self.members:
            own = shares[member.record.id]
            for judgment in member.judge([task for task in tasks if task.id in own]):
                said[judgment.task_id, judgment.rater_id] = judgment
        return [said[task.id, i] for task in tasks for i in self._drawn(task.id, counts[task.id])]

    def shares(self, counts: Mapping[str, int]) -> dict[str, set[str]]:
        """Rater id -> the tasks that fall to them, where each task wants `counts[task id]` raters."""
        shares: dict[str, set[str]] = {member.record.id: set() for member in self.members}
        for task_id, count in counts.items():
            for rater_id in self._drawn(task_id, count):
                shares[rater_id].add(task_id)
        return shares

    def _drawn(self, task_id: str, count: int) -> list[str]:
        ids = [member.record.id for member in self.members]
        return draw(task_id, ids, count=count, seed=self.seed, weights=self.weights)
