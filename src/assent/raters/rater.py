"""What a rater is: somebody with an id who takes tasks and gives judgments back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from assent.core.errors import RunError
from assent.core.hashing import hash_json
from assent.core.types import Judgment, Ranking, Rater, Task


class Raters(Protocol):
    """Anyone who judges: one rater, or a panel that decides among itself who takes which task."""

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """Judgments of the tasks. What is said about a task does not depend on the other tasks or their order."""
        ...


@runtime_checkable
class SingleRater(Raters, Protocol):
    """One rater: every judgment carries the id of `record`."""

    @property
    def record(self) -> Rater:
        """Who it is."""
        ...


@runtime_checkable
class GivesEach(Protocol):
    """A rater whose judgments come one by one, in any order; each is kept before the next one is waited for."""

    def judge_each(self, tasks: Sequence[Task]) -> Iterator[Judgment]:
        """One judgment of each task."""
        ...


class JudgingStoppedError(RunError):
    """A rater cannot go on for a reason that is none of the tasks'; what it has said before is kept."""


def given(rater: SingleRater, tasks: Sequence[Task]) -> Iterator[list[Judgment]]:
    """A rater's judgments of tasks, in portions to keep.

    Where a rater fails on several tasks at once it is asked one by one, so that only the task that fails is lost.
    """
    if isinstance(rater, GivesEach):
        for judgment in rater.judge_each(tasks):
            yield [judgment]
        return
    try:
        said = rater.judge(tasks)
    except Exception:
        if len(tasks) < 2:
            raise
    else:
        yield said
        return
    for task in tasks:
        yield rater.judge([task])


def judgment_id(rater_id: str, task_id: str, seed: int = 0) -> str:
    """A UUID that is the same whenever a machine rater judges the same task, so that a retry is no second vote."""
    return str(uuid.UUID(hex=hash_json([seed, rater_id, task_id])[:32]))


def tiered(values: Mapping[str, float], *, threshold: float) -> Ranking:
    """Order ids by value; a value at most `threshold` below the best of a tier joins the tier.

    With threshold 0 only equal values tie.
    """
    tiers: list[list[str]] = []
    for name in sorted(values, key=lambda i: (-values[i], i)):
        if tiers and values[tiers[-1][0]] - values[name] <= threshold:
            tiers[-1].append(name)
        else:
            tiers.append([name])
    return Ranking(tiers=tuple(tuple(tier) for tier in tiers))
