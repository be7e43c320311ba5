"""Who judges what next. Pure: candidates and seeds in, choices out; the store turns choices into leases."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assent.core import seeds
from assent.feedback.records.settings import ProjectSettings

OVERLAP_SEED = 0


@dataclass(frozen=True)
class Candidate:
    """A free slot that a rater may take: slot `n` (0 = first judgment wanted) of a task."""

    slot_id: int
    task_id: str
    n: int
    priority: float


def choose(candidates: Iterable[Candidate], *, limit: int) -> list[Candidate]:
    """The next slots for one rater, at most one per task.

    Higher priority first; then every task's first judgment before any task's second; then order of arrival.
    """
    chosen: dict[str, Candidate] = {}
    for candidate in sorted(candidates, key=lambda c: (-c.priority, c.n, c.slot_id)):
        if len(chosen) == limit:
            break
        chosen.setdefault(candidate.task_id, candidate)
    return list(chosen.values())


@dataclass(frozen=True)
class Pool:
    """What one rater could be given next: how many slots are free to them, and how many top candidates there are."""

    free: int
    top: int


def is_random(rng: np.random.Generator, *, random_share: float) -> bool:
    """Whether the next task is any free one (probability ε = `random_share`), else any of the top candidates."""
    return bool(rng.random() < random_share)


def propensity(pool: Pool, *, free: int, top: int, random_share: float) -> float:
    """Probability that the next task is one with `free` free slots and `top` top candidates: ε·f/F + (1 - ε)·t/T.

    Of several tasks lent at once each was drawn from what the draws before it had left, and this is the probability of
    that draw given those before: the weight that sequential importance sampling wants.
    """
    return random_share * free / pool.free + (1 - random_share) * top / pool.top


def wanted_slots(task_ids: Sequence[str], settings: ProjectSettings) -> dict[str, int]:
    """Slots per task as a project asks for. They depend on the ids only: the same tasks again change nothing."""
    return overlap(task_ids, share=settings.overlap_share, depth=settings.overlap, seed=OVERLAP_SEED)


def overlap(task_ids: Sequence[str], *, share: float, depth: int, seed: int) -> dict[str, int]:
    """Slots per task: `depth` for a random `share` of the tasks (rounded up), one for the rest.

    Whether a task is among them depends on its id and the seed through a draw, so the result has no order.
    """
    deep = math.ceil(share * len(task_ids))
    ordered = sorted(task_ids, key=lambda task_id: seeds.derive(seed, "overlap", task_id))
    return {task_id: depth if i < deep else 1 for i, task_id in enumerate(ordered)}


def draw(
    task_id: str, rater_ids: Sequence[str], *, count: int, seed: int, weights: Mapping[str, float] | None = None
) -> list[str]:
    """The `count` raters that a task falls to, without regard to when it is asked or what else is in the queue.

    With weights a rater is drawn first with probability weight / sum of weights, then among the others likewise: each
    waits an exponential time at the rate of its weight, and the shortest times win (Efraimidis & Spirakis 2006).
    """
    numbers = {rater_id: seeds.derive(seed, "assign", task_id, rater_id) for rater_id in rater_ids}
    if not weights:
        return sorted(rater_ids, key=numbers.__getitem__)[:count]
    waits = {one: -math.log1p(-(n + 0.5) / 2**63) / weights.get(one, 1.0) for one, n in numbers.items()}
    return sorted(rater_ids, key=waits.__getitem__)[:count]
