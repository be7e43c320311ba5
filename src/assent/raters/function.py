"""A function of (prompts, completions) as a rater: a user's own Python, or the scores of a reward model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from assent.core.scoring import Score, ScoreFunction
from assent.core.types import Judgment, Rater, Task
from assent.raters.config import FunctionConfig
from assent.raters.margins import PairReading, in_details
from assent.raters.rater import judgment_id, tiered


@dataclass(frozen=True)
class ScoringRater:
    """Ranks the answers of a task by their scores, higher first."""

    record: Rater
    score: Score = field(repr=False)
    tie_threshold: float = 0.0

    @classmethod
    def load(cls, config: FunctionConfig) -> ScoringRater:
        """The rater behind `target`. Raises ConfigError where it cannot be imported or called."""
        record = Rater(id=next(config.ids("train", 0)), kind="function")
        return cls(record, ScoreFunction.load(config.target), config.tie_threshold)

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """One judgment per task, from one call of the function for all of them.

        Raises FunctionError naming the function, and the first answer whose score is not a finite number.
        """
        answers = [(task, completion) for task in tasks for completion in task.completions]
        function = ScoreFunction(self.record.id, self.score)
        scores = function([task.prompt for task, _ in answers], [completion.text for _, completion in answers])
        by_task: dict[str, dict[str, float]] = {task.id: {} for task in tasks}
        for (task, completion), score in zip(answers, scores, strict=True):
            by_task[task.id][completion.id] = score
        return [
            Judgment(
                task_id=task.id,
                rater_id=self.record.id,
                ranking=tiered(by_task[task.id], threshold=self.tie_threshold),
                id=judgment_id(self.record.id, task.id),
                details=self._margins(task, by_task[task.id]),
            )
            for task in tasks
        ]

    def _margins(self, task: Task, scores: Mapping[str, float]) -> dict[str, Any]:
        """Of a reward model, whose scores are logits, the margin of every pair; nothing of another function."""
        if self.record.kind != "reward_model":
            return {}
        ids = [completion.id for completion in task.completions]
        margins = ((a, b, scores[a] - scores[b]) for a, b in combinations(ids, 2))
        return in_details([PairReading(*one, position=0.0, mass=1.0) for one in margins])
