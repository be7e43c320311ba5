"""Intervals of any statistic of rows that hang together in clusters, from leaving clusters out one block at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from assent.stats.clustered import Labels, numbered, student
from assent.stats.estimate import Estimate

BLOCKS = 50
"""Most blocks of clusters that are left out one at a time: a statistic is computed so many times and once more."""
_Row = TypeVar("_Row")
_Statistic = Callable[[Sequence[_Row]], float | None]


def statistic_of(
    statistic: _Statistic[_Row],
    rows: Sequence[_Row],
    clusters: Labels,
    *,
    between: tuple[float, float] | None = None,
    confidence: float = 0.95,
) -> Estimate | None:
    """A statistic with the interval of the delete-a-block jackknife and Student's t (Tukey 1958; Kott 2001).

    None where the statistic of all rows is None. With one cluster, or where leaving blocks out leaves nothing to
    compute from, the interval is all that is possible: `between`, or infinite.
    """
    whole = statistic(rows)
    if whole is None or not math.isfinite(whole):
        return None
    found = _left_out(lambda kept: statistic([rows[i] for i in kept]), clusters)
    return _estimate(whole, found, between, confidence, n=len(rows))


def paired_statistic(
    statistic: _Statistic[_Row],
    after: Sequence[_Row],
    before: Sequence[_Row],
    after_clusters: Sequence[str],
    before_clusters: Sequence[str],
    *,
    confidence: float = 0.95,
) -> Estimate | None:
    """The difference of a statistic between two sets of rows of the same clusters, left out of both at once."""
    new, old = statistic(after), statistic(before)
    if new is None or old is None:
        return None
    rows = [*((True, row) for row in after), *((False, row) for row in before)]

    def difference(kept: Sequence[int]) -> float | None:
        one = statistic([row for i in kept for is_new, row in [rows[i]] if is_new])
        other = statistic([row for i in kept for is_new, row in [rows[i]] if not is_new])
        return None if one is None or other is None else one - other

    found = _left_out(difference, [*after_clusters, *before_clusters])
    return _estimate(new - old, found, None, confidence, n=len(after))


def _left_out(statistic: Callable[[Sequence[int]], float | None], clusters: Labels) -> list[float]:
    index, count = numbered(clusters)
    # Clusters go into blocks by their number, which is that of their names in order: the same rows, the same blocks.
    block = index % min(count, BLOCKS)
    values = (statistic(np.flatnonzero(block != b).tolist()) for b in range(min(count, BLOCKS))) if count > 1 else ()
    return [value for value in values if value is not None and math.isfinite(value)]


def _estimate(
    whole: float, others: list[float], between: tuple[float, float] | None, confidence: float, *, n: int
) -> Estimate:
    low, high = between or (-math.inf, math.inf)
    count = len(others)
    if count < 2:
        return Estimate(estimate=whole, low=min(low, whole), high=max(high, whole), n=n)
    mean = math.fsum(others) / count
    error = math.sqrt((count - 1) / count * math.fsum((one - mean) ** 2 for one in others))
    half = student(count - 1, confidence) * error
    return Estimate(
        estimate=whole, low=max(low, whole - half) if whole >= low else whole - half, high=min(high, whole + half), n=n
    )
