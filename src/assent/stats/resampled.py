"""Intervals of numbers that are no mean of rows: corpus BLEU, d', a bias score, a correlation, a median.

The statistic is a function of rows, and clusters of rows (usually prompts) are left out or drawn again as wholes. Which
of the two: `left_out` wherever the statistic changes little by little with its rows, with 5 clusters as with 5,000; it
takes at most 101 computations and draws nothing. `drawn_again` where it jumps, such as a median or a largest group.
A plain percentile bootstrap is not offered: with few clusters it holds the truth far less often than it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from assent.core import seeds
from assent.stats.clustered import Labels, effective_clusters, from_left_out, in_parts, numbered, student, within
from assent.stats.estimate import Estimate

Row = TypeVar("Row")
Statistic = Callable[[list[Row]], float | None]
"""One number of a list of rows; None or NaN where they hold nothing to compute from."""
ANYWHERE = (-math.inf, math.inf)
MOST_PARTS = 100
"""Where there are more clusters, they are left out in so many parts (Kott 2001)."""


def left_out(
    rows: Sequence[Row],
    clusters: Labels,
    statistic: Statistic[Row],
    *,
    between: tuple[float, float] = ANYWHERE,
    confidence: float = 0.95,
) -> Estimate | None:
    """The statistic with an interval from leaving out clusters in turn, with Student's t (Tukey 1958).

    `between` says where the number can lie; its interval then never leaves that range and has a width where all
    clusters are alike. n is the number of clusters. None where the number itself is unknown; infinite ends, or those of
    `between`, with one cluster. Raises ValueError where there is not one label per row.
    """
    index, count = _numbered(rows, clusters)
    value = _number(statistic, list(rows))
    if value is None:
        return None
    part_of, parts = in_parts(index, count, MOST_PARTS)
    kept = ([row for row, is_in in zip(rows, part_of != part, strict=True) if is_in] for part in range(parts))
    others = [other for some in kept if some and (other := _number(statistic, some)) is not None]
    effective = effective_clusters(clusters)
    found = from_left_out(value, others, between=between, clusters=effective, confidence=confidence)
    return found.model_copy(update={"n": count})


def drawn_again(
    rows: Sequence[Row],
    clusters: Labels,
    statistic: Statistic[Row],
    *,
    seed: int = 0,
    draws: int = 400,
    between: tuple[float, float] = ANYWHERE,
    confidence: float = 0.95,
) -> Estimate | None:
    """The same from drawing as many clusters with replacement `draws` times (Efron 1979; Field & Welsh 2007).

    The interval is Student's t times the spread of the draws, times √(C / (C - 1)), which the draws of few clusters
    fall short of. Draws whose statistic is unknown are left out.
    """
    index, count = _numbered(rows, clusters)
    value = _number(statistic, list(rows))
    if value is None:
        return None
    random, found = seeds.stream(seed, "drawn again"), []
    members = [np.flatnonzero(index == cluster) for cluster in range(count)] if count > 1 else []
    for _ in range(draws if count > 1 else 0):
        chosen = np.concatenate([members[cluster] for cluster in random.integers(0, count, count)])
        number = _number(statistic, [rows[i] for i in chosen])
        if number is not None:
            found.append(number)
    if len(found) < 2:
        return Estimate(estimate=value, low=between[0], high=between[1], n=count)
    variance = count / (count - 1) * float(np.var(found, ddof=1))
    effective = effective_clusters(clusters)
    critical = student(effective - 1, confidence)
    if math.isfinite(between[1] - between[0]):
        low, high = min(between[0], value), max(between[1], value)
        estimate = within(value, variance, effective, critical=critical, low=low, high=high)
        return estimate.model_copy(update={"n": count})
    half = critical * math.sqrt(variance)
    return Estimate(estimate=value, low=value - half, high=value + half, n=count).inside(*between)


def difference_of(statistic: Statistic[Row]) -> Statistic[tuple[Row, Row]]:
    """The statistic of the first of each pair of rows less that of the second; None where either is unknown.

    For a paired difference hand (after, before) rows of the same items to `left_out`.
    """

    def difference(pairs: list[tuple[Row, Row]]) -> float | None:
        after, before = (_number(statistic, [pair[side] for pair in pairs]) for side in (0, 1))
        return None if after is None or before is None else after - before

    return difference


def _number(statistic: Statistic[Row], rows: list[Row]) -> float | None:
    value = statistic(rows)
    return None if value is None or not math.isfinite(value) else float(value)


def _numbered(rows: Sequence[Row], clusters: Labels) -> tuple[NDArray[np.intp], int]:
    index, count = numbered(clusters)
    if len(rows) != len(index) or not len(rows):
        raise ValueError(f"wanted one cluster label per row, got {len(rows)} rows and {len(index)} labels")
    return index, count
