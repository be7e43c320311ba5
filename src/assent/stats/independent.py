"""Intervals of shares and means of observations that do not hang together; with the standard library alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from assent.stats.estimate import Estimate


def normal_quantile(confidence: float) -> float:
    """How many standard errors a two-sided normal interval reaches: 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


Z95 = normal_quantile(0.95)


def wilson(successes: float, n: float, *, critical: float = Z95, count: int | None = None) -> Estimate:
    """Share of successes among `n` independent trials with the score interval of Wilson (1927).

    Never outside [0, 1], never without the share itself, and with a width at 0 and n too. Ties may count half. `n` may
    be an effective size; `count` is then what is reported as n. `critical` is a quantile of the normal distribution, or
    of Student's t for few clusters. Raises ValueError for n = 0.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"wanted 0 <= successes <= n and n > 0, got {successes} of {n}")
    low, high = score_interval(successes / n, n, critical=critical)
    return Estimate(estimate=successes / n, low=low, high=high, n=round(n) if count is None else count)


def score_interval(share: float, n: float, *, critical: float = Z95) -> tuple[float, float]:
    """The two ends of `wilson` for a share that is known already."""
    square = critical**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = critical / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n**2))
    # Rounding may put an end of 0 or 1 a hair inside; the share always lies in its own interval.
    return min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)


def independent_mean(values: Sequence[float], *, critical: float = Z95) -> Estimate:
    """Mean of values that do not hang together, with a normal interval, of no width for a single one.

    Raises ValueError for no values. `clustered_mean` uses Student's t, which is wider for few values.
    """
    n = len(values)
    if n == 0:
        raise ValueError("a mean wants at least one value")
    mean = sum(values) / n
    variance = sum((v - mean) ** 2 for v in values) / (n - 1) if n > 1 else 0.0
    half = critical * math.sqrt(variance / n)
    return Estimate(estimate=mean, low=mean - half, high=mean + half, n=n)
