"""What tests of suites share: files of rows, subjects that answer by rule, and a judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.core.types import Judgment, Prompt, Rater, Task
from assent.evaluation.catalog import suite_of
from assent.evaluation.exam import Exam, sit
from assent.evaluation.nulls import NullSubject
from assent.evaluation.outcomes import Found, estimates
from assent.stats.estimate import Estimate


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def subject(
    answer: Callable[[Prompt], str] = lambda prompt: "", liking: Callable[[str, str], float] = lambda text, option: 0.0
) -> NullSubject:
    return NullSubject("s", answer, liking)


def sat(config: Any, one: NullSubject, judge: Any = None) -> tuple[dict[str, Estimate | None], Found]:
    """The measures of a subject and what was found."""
    found = sit(suite_of(config), config, Exam(one, 0, judge))
    return estimates(found.outcomes, suite_of(config).measures(config)), found


def number(said: dict[str, Estimate | None], name: str) -> float:
    one = said[name]
    assert one is not None
    return one.estimate


@dataclass(frozen=True)
class Scorer:
    """A judge that scores by rule; None: it skips the task."""

    score: Callable[[Task], dict[str, float] | None]
    record: Rater = Rater(id="scorer", kind="autorater")

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        return [self._of(task) for task in tasks]

    def _of(self, task: Task) -> Judgment:
        scores = self.score(task)
        if scores is None:
            return Judgment(task_id=task.id, rater_id="scorer", skip_reason="too long for the judge")
        return Judgment(task_id=task.id, rater_id="scorer", scores={task.completions[0].id: scores})
