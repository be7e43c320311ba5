"""A function of (prompts, completions) as a rater: a user's own Python, or the scores of a reward model."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from assent.core.errors import ConfigError, RunError
from assent.core.types import Judgment, Prompt, Rater, Task
from assent.raters.config import FunctionConfig
from assent.raters.rater import judgment_id, tiered

Score = Callable[[Sequence[Prompt], Sequence[str]], Sequence[float]]


@dataclass(frozen=True)
class ScoringRater:
    """Ranks the answers of a task by their scores, higher first."""

    record: Rater
    score: Score = field(repr=False)
    tie_threshold: float = 0.0

    @classmethod
    def load(cls, config: FunctionConfig) -> ScoringRater:
        """The rater behind `target`. Raises ConfigError where it cannot be imported or called."""
        return cls(Rater(id=f"function:{config.target}", kind="function"), load(config.target), config.tie_threshold)

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """One judgment per task, from one call of the function for all of them.

        Raises RunError naming the function, and the first answer whose score is not a finite number.
        """
        answers = [(task, completion) for task in tasks for completion in task.completions]
        scores = self._scores([task.prompt for task, _ in answers], [completion.text for _, completion in answers])
        by_task: dict[str, dict[str, float]] = {task.id: {} for task in tasks}
        for (task, completion), score in zip(answers, scores, strict=True):
            by_task[task.id][completion.id] = score
        return [
            Judgment(
                task_id=task.id,
                rater_id=self.record.id,
                ranking=tiered(by_task[task.id], threshold=self.tie_threshold),
                id=judgment_id(self.record.id, task.id),
            )
            for task in tasks
        ]

    def _scores(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        name = self.record.id
        try:
            returned = list(self.score(prompts, completions))
        except RunError:
            raise
        except Exception as error:
            raise RunError(f"{name} raised {type(error).__name__}: {error}") from error
        if len(returned) != len(completions):
            raise RunError(
                f"{name} returned {len(returned)} scores for {len(completions)} answers; return one for each"
            )
        scores = []
        for index, value in enumerate(returned):
            try:
                score = float(value)
            except (TypeError, ValueError):
                score = math.nan
            if not math.isfinite(score):
                raise RunError(
                    f"{name} returned {value!r} at index {index}, for the answer {completions[index][:60]!r}"
                )
            scores.append(score)
        return scores


def load(target: str) -> Score:
    """Import "package.module:function". Raises ConfigError where it is not there or cannot be called."""
    module, colon, attribute = target.partition(":")
    if not colon or not module or not attribute:
        raise ConfigError(f'rater target wants "package.module:function", got {target!r}')
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"rater target {target!r} cannot be imported: {error}") from error
    if not callable(function):
        raise ConfigError(f"rater target {target!r} is {type(function).__name__}; it should be a function")
    return function
