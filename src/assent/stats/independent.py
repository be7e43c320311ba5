"""Intervals of shares of observations that do not hang together; with the standard library alone."""

from __future__ import annotations

import math
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
