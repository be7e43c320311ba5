"""Which tasks a second opinion pays for: what one more vote would tell, by how often raters are right. Pure.

    chosen = second_opinions(judgments, labels=200)           the 200 tasks for which one more vote tells most

Each vote says which of two answers is better, and is right with its rater's own chance p, whatever the pair (the model
of one coin per rater, Dawid and Skene 1979, by expectation-maximization). The posterior q of a pair follows from its
votes. One more vote of a rater who is right with chance p tells, in bits,

    I(q, p) = H(q p + (1 - q)(1 - p)) - H(p)                  H: entropy of a coin

which is largest at q = ½: where raters contradict one another, or where the only vote is a careless rater's. A task is
worth the mean over its pairs. Ties say nothing of which answer is better, and are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assent.core.types import Judgment
from assent.feedback.quality.ballots import Pair, pair_values

Floats = NDArray[np.float64]

SURE = (0.01, 0.99)
"""Chances are kept inside: nobody is always right."""
PRIOR = (4.0, 1.5)
"""Beta prior of a rater's chance to be right, mean 0.73: what one who was never met with others is taken for."""
ROUNDS = 50
"""Of expectation-maximization."""


@dataclass(frozen=True)
class Opinions:
    """What is known of pairs and raters from the votes so far."""

    right: Mapping[str, float]
    """Rater id -> chance to be right."""
    posterior: Mapping[str, tuple[float, ...]]
    """Task id -> for each of its pairs with a vote, the chance that the first of it is better."""

    @property
    def usual(self) -> float:
        """Chance that the next rater is right: the mean over raters."""
        return sum(self.right.values()) / len(self.right) if self.right else _mean_of(PRIOR)

    def worth(self, task: str) -> float:
        """Bits that one more vote on a task tells, on average over its pairs."""
        pairs = self.posterior.get(task, ())
        return sum(information(q, self.usual) for q in pairs) / len(pairs) if pairs else 0.0


def information(posterior: float, right: float) -> float:
    """Bits that a vote tells about a pair: I(q, p). 0 where nothing is open, or the rater throws a coin."""
    agrees = posterior * right + (1 - posterior) * (1 - right)
    return max(0.0, entropy(agrees) - entropy(right))


def entropy(chance: float) -> float:
    """Bits of a coin that falls so with this chance."""
    return -sum(p * math.log2(p) for p in (chance, 1 - chance) if p > 0)


def opinions(judgments: Sequence[Judgment]) -> Opinions:
    """Chances of raters and pairs by expectation-maximization, from every ranking of these judgments."""
    votes = [
        (one.task_id, pair, 1.0 if value > 0 else 0.0, one.rater_id)
        for one in judgments
        if one.ranking is not None
        for pair, value in pair_values(one.ranking).items()
        if value
    ]
    pairs: dict[tuple[str, Pair], int] = {}
    raters: dict[str, int] = {}
    of_pair = np.array([pairs.setdefault((task, pair), len(pairs)) for task, pair, _, _ in votes], int)
    of_rater = np.array([raters.setdefault(rater, len(raters)) for _, _, _, rater in votes], int)
    said = np.array([value for _, _, value, _ in votes])
    right = np.full(len(raters), _mean_of(PRIOR))
    first = np.full(len(pairs), 0.5)
    for _ in range(ROUNDS if votes else 0):
        first = _posterior(said, of_pair, right[of_rater], len(pairs))
        met = said * first[of_pair] + (1 - said) * (1 - first[of_pair])
        hits = np.bincount(of_rater, met, len(raters)) + PRIOR[0]
        right = (hits / (np.bincount(of_rater, minlength=len(raters)) + sum(PRIOR))).clip(*SURE)
    posterior: dict[str, list[float]] = {}
    for (task, _), number in pairs.items():
        posterior.setdefault(task, []).append(float(first[number]))
    return Opinions(
        {rater: float(right[number]) for rater, number in raters.items()},
        {task: tuple(values) for task, values in posterior.items()},
    )


def second_opinions(judgments: Sequence[Judgment], *, labels: int) -> list[str]:
    """The `labels` tasks for which one more vote tells most, each once; by id where they tell the same.

    Tasks without any vote on a pair (all tied, or skipped) are worth nothing and are never among them.
    """
    known = opinions(judgments)
    worth = {task: known.worth(task) for task in known.posterior}
    best = sorted(worth, key=lambda task: (-worth[task], task))[: max(0, labels)]
    return [task for task in best if worth[task] > 0]


def _posterior(said: Floats, of_pair: NDArray[np.intp], right: Floats, count: int) -> Floats:
    """Chance that the first answer of each pair is better, prior ½."""
    toward = (2 * said - 1) * np.log(right / (1 - right))
    return 1 / (1 + np.exp(-np.bincount(of_pair, toward, count)))


def _mean_of(beta: tuple[float, float]) -> float:
    return beta[0] / sum(beta)
