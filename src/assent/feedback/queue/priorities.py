"""Priorities of tasks by what a reward model predicts of their answers, for each goal a project may have. Pure.

    wanted = priorities({"t-1": Predicted(scores, prompt_id="p-1"), …}, "near_ties")
    store.set_priorities(wanted, now=now)

Between 0 and 1, and comparable between tasks of any number of answers. What a rating is worth to a reward model is
the Fisher information of its outcomes: of a pair whose gap is predicted as d logits, σ(d) σ(-d) in the direction in
which the two answers differ. That is largest for ties, and for ties alone; how many labels it can save is bounded by
how much less the average pair brings (`information_share`), and nothing is saved where few pairs are clear yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from assent.core.errors import DataError
from assent.feedback.records.settings import Goal


@dataclass(frozen=True)
class Predicted:
    """What a reward model says of the answers of one task."""

    scores: Sequence[float]
    """In logits of a choice between two answers, as a reward model's raw scores are."""
    prompt_id: str
    """Tasks of one prompt take turns with those of other prompts."""


def priorities(predicted: Mapping[str, Predicted], goal: Goal) -> dict[str, float]:
    """Task id -> priority, higher first; by what a task is worth to the goal, shared out over prompts.

    Of several tasks of one prompt the most valuable keeps its worth, the second gets half of its own, the third a
    third: what they teach is alike. Raises DataError for a score that is no number.
    """
    worth = {task_id: _worth(task_id, one.scores, goal) for task_id, one in predicted.items()}
    seen: dict[str, int] = {}
    shared = {}
    for task_id in sorted(worth, key=lambda i: (-worth[i], i)):
        prompt = predicted[task_id].prompt_id
        seen[prompt] = seen.get(prompt, 0) + 1
        shared[task_id] = worth[task_id] / seen[prompt]
    return shared


def information(scores: Sequence[float]) -> float:
    """Mean of 4 σ(d) σ(-d) over the pairs of answers: 1 where all are tied, 0 where every order is certain."""
    return _mean([4 * sigmoid(a - b) * sigmoid(b - a) for a, b in combinations(scores, 2)])


def information_share(predicted: Mapping[str, Predicted]) -> float:
    """The share of labels that tasks of nothing but ties would need in place of these, at best.

    It is the mean information of the tasks, 1 being that of a tie. A queue of near ties cannot do better, and does
    worse where answers that seem equal differ less (it may then learn little from them), where the model is too sure,
    and where the random share is large. Raises DataError where there are no tasks of two answers or more.
    """
    known = [information(one.scores) for one in predicted.values() if len(one.scores) > 1]
    if not known:
        raise DataError("there are no predictions of tasks with two answers or more")
    return _mean(known)


def sigmoid(lead: float) -> float:
    """σ(lead), without overflow."""
    return 0.5 * (1 + math.tanh(lead / 2))


def clearness(scores: Sequence[float]) -> float:
    """How sure it is which answer is best and which is worst: |2 σ(largest gap) - 1|, 0 for a tie, towards 1."""
    return math.tanh((max(scores) - min(scores)) / 2)


def _worth(task_id: str, scores: Sequence[float], goal: Goal) -> float:
    if not all(math.isfinite(score) for score in scores):
        raise DataError(f"the predicted scores of task {task_id!r} are not finite: {list(scores)}")
    if goal == "random" or len(scores) < 2:
        return 0.0
    return clearness(scores) if goal == "large_gaps" else information(scores)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
