"""The interval of a share: one implementation for the lab, evaluation and the dashboard."""

from __future__ import annotations

import math


def wilson(share: float, n: float, *, critical: float) -> tuple[float, float]:
    """Lower and upper end of the score interval of Wilson (1927) for a share of `n` trials.

    Never outside [0, 1], never without the share itself, and with a width at 0 and 1 too. `n` may be an effective size;
    `critical` is the quantile of the normal distribution (1.96 for 95 %), or of Student's t for few clusters.
    """
    square = critical**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = critical / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n**2))
    # Rounding may put an end of 0 or 1 a hair inside; the share always lies in its own interval.
    return min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)
