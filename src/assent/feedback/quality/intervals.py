"""Intervals for what a dashboard shows: shares whose observations hang together, and means drawn again by cluster.

Two pairs of one ranking, or a hundred judgments of one rater, are not independent: clusters are what hangs together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from assent.core import intervals, seeds

Floats = NDArray[np.float64]
Z95 = NormalDist().inv_cdf(0.975)
DRAWS = 400


@dataclass(frozen=True)
class Interval:
    """A number, the 95 % interval around it, and how many independent things (tasks, raters, hours) it rests on."""

    value: float
    low: float
    high: float
    n: int

    @property
    def is_wide(self) -> bool:
        """Whether it says little: the interval of a share covers more than 0.3."""
        return self.high - self.low > 0.3


def wilson(successes: float, n: float, *, count: int | None = None) -> Interval:
    """Share of successes with the score interval of Wilson (1927); never outside [0, 1], never without width.

    `n` may be an effective size; `count` is then what is reported as n. Raises ValueError for n = 0.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"wanted 0 <= successes <= n and n > 0, got {successes} of {n}")
    share = successes / n
    return Interval(share, *intervals.wilson(share, n, critical=Z95), round(n) if count is None else count)


def share(values: Iterable[tuple[Hashable, float]]) -> Interval | None:
    """Mean of (cluster, value in [0, 1]) with a Wilson interval at the effective sample size; None for no values.

    The effective size is what independent trials would need for the same cluster-robust error, p(1 - p) / SE², and at
    most the number of values; with one cluster, or where all values are alike, it is the number of clusters.
    """
    sums: dict[Hashable, list[float]] = {}
    for cluster, value in values:
        sums.setdefault(cluster, []).append(value)
    if not sums:
        return None
    size, clusters = sum(len(v) for v in sums.values()), len(sums)
    mean = sum(sum(v) for v in sums.values()) / size
    effective = float(clusters)
    if clusters > 1:
        spread = sum((sum(v) - len(v) * mean) ** 2 for v in sums.values())
        variance = clusters / (clusters - 1) * spread / size**2
        if variance > 1e-12:
            effective = min(max(mean * (1 - mean) / variance, 1.0), float(size))
    # Rounding may put the mean of ones a hair above 1.
    return wilson(min(mean * effective, effective), effective, count=clusters)


def redrawn(
    statistic: Callable[[Floats], Floats], clusters: int, *, seed: int = 0, draws: int = DRAWS
) -> Interval | None:
    """Percentile interval of a statistic, where whole clusters are drawn again with replacement.

    `statistic` gets weights [draws, clusters], of which the first row is all ones, and gives one number per row, NaN
    where a draw holds nothing to compute from. None where the number itself is unknown.
    """
    if not clusters:
        return None
    rng = seeds.stream(seed, "redrawn", clusters)
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=draws).astype(np.float64)
    found = statistic(np.vstack([np.ones(clusters), drawn]))
    value, others = float(found[0]), found[1:][np.isfinite(found[1:])]
    if not math.isfinite(value):
        return None
    if clusters < 2 or not len(others):
        return Interval(value, -math.inf, math.inf, clusters)
    low, high = (float(x) for x in np.quantile(others, [0.025, 0.975]))
    return Interval(value, min(low, value), max(high, value), clusters)


def ratio(tops: Sequence[float], bottoms: Sequence[float]) -> Interval | None:
    """Sum of tops over sum of bottoms, one of each per cluster; None where there is nothing below.

    The interval is that of the linearized ratio with Student's t, which holds for few clusters too, where drawing them
    again would not: SE² = C / (C - 1) · Σ (top_c - ratio · bottom_c)² / (Σ bottom)². One cluster gives an infinite one.
    """
    top, bottom = np.asarray(tops, float), np.asarray(bottoms, float)
    count, below = len(top), float(bottom.sum())
    if not below > 0:
        return None
    value = float(top.sum()) / below
    if count < 2:
        return Interval(value, -math.inf, math.inf, count)
    error = math.sqrt(count / (count - 1) * float(((top - value * bottom) ** 2).sum())) / below
    half = float(stdtrit(count - 1, 0.975)) * error
    return Interval(value, value - half, value + half, count)
