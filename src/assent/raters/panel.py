"""A panel: several raters who share tasks among themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assent.feedback.queue.assign import draw
from assent.raters.rater import SingleRater


@dataclass(frozen=True)
class Panel:
    """Raters who share tasks: which of them a task falls to depends on the task and the seed alone."""

    members: tuple[SingleRater, ...]
    seed: int = 0

    def shares(self, counts: Mapping[str, int]) -> dict[str, set[str]]:
        """Rater id -> the tasks that fall to them, where each task wants `counts[task id]` raters."""
        ids = [member.record.id for member in self.members]
        shares: dict[str, set[str]] = {i: set() for i in ids}
        for task_id, count in counts.items():
            for rater_id in draw(task_id, ids, count=count, seed=self.seed):
                shares[rater_id].add(task_id)
        return shares
