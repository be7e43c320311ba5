"""Where optimizing a stand-in stops helping: the curve of Gao et al. fitted to what was measured, and its peak.

Gao et al. 2023, "Scaling laws for reward model overoptimization", section 3: with d = √KL to the start, reinforcement
learning moves the score that really counts along gold(d) = d (a - b log d). It peaks at d* = exp(a / b - 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from assent.stats.estimate import Estimate

FEWEST = 5
"""Measurements below which nothing is forecast: three numbers are fitted, and their errors must be seen too."""


@dataclass(frozen=True)
class Forecast:
    """gold(d) = start + d (a - b log d), fitted by least squares; `start` is what the score was at d = 0.

    The three enter linearly, so the slope at any distance, a - b (1 + log d), is a sum of two of them, and Student's t
    gives its interval without any approximation beyond equal and independent errors.
    """

    start: float
    a: float
    b: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    """Of (a, b)."""
    freedom: int
    """Measurements less the three fitted numbers."""

    def at(self, distance: float) -> float:
        """The fitted score at a distance d = √KL."""
        return self.start + sum(w * c for w, c in zip(_row(distance), (self.a, self.b), strict=True))

    def past_peak(self, distance: float) -> float:
        """How sure it is that the score falls there: the probability that the slope at `distance` lies below zero."""
        u = 1 + math.log(max(distance, _SMALLEST))
        (aa, ab), (_, bb) = self.covariance
        slope, variance = self.a - u * self.b, aa - 2 * u * ab + u * u * bb
        if variance <= 0:
            return float(slope < 0)
        return float(stats.t.cdf(-slope / math.sqrt(variance), self.freedom))

    def peak(self, *, confidence: float = 0.95) -> Estimate | None:
        """The distance d* of the peak with its interval; None where the fitted curve has none (b is not above zero).

        The interval holds every distance at which a slope of zero cannot be excluded (Fieller 1954): solve
        (a - u b)² = t² var(a - u b) for u = 1 + log d. Its upper end is infinite where the score may
        rise for ever.
        """
        if self.b <= 0:
            return None
        best = _distance(self.a / self.b)
        t = float(stats.t.ppf((1 + confidence) / 2, self.freedom))
        (aa, ab), (_, bb) = self.covariance
        # Inside, two u² - 2 one u + none <= 0. Where `two` is not above zero, b may be zero, and then there is no peak.
        two, one, none = self.b**2 - t * t * bb, self.a * self.b - t * t * ab, self.a**2 - t * t * aa
        spread = math.sqrt(max(one**2 - two * none, 0.0))
        if two <= 0:
            low = _distance((one - spread) / two) if two < 0 and spread > 0 else 0.0
            return Estimate(estimate=best, low=low if low <= best else 0.0, high=math.inf)
        return Estimate(estimate=best, low=_distance((one - spread) / two), high=_distance((one + spread) / two))


def forecast(distances: Sequence[float], scores: Sequence[float]) -> Forecast | None:
    """Fit the curve to scores measured at distances d = √KL; None for fewer than `FEWEST`, or all at one distance.

    Raises ValueError where a number is not finite or a distance is negative.
    """
    d, y = np.asarray(distances, dtype=float), np.asarray(scores, dtype=float)
    if d.shape != y.shape or not (np.isfinite(d).all() and np.isfinite(y).all()) or (d < 0).any():
        raise ValueError(f"forecast wants as many finite scores as distances from 0 up, got {distances} and {scores}")
    if len(d) < FEWEST:
        return None
    design = np.array([(1.0, *_row(one)) for one in d])
    if np.linalg.matrix_rank(design) < 3:
        return None
    inverse = np.linalg.inv(design.T @ design)
    fitted = inverse @ design.T @ y
    freedom = len(d) - 3
    noise = float(((y - design @ fitted) ** 2).sum()) / freedom
    cov = noise * inverse
    return Forecast(
        start=float(fitted[0]),
        a=float(fitted[1]),
        b=float(fitted[2]),
        covariance=((float(cov[1, 1]), float(cov[1, 2])), (float(cov[2, 1]), float(cov[2, 2]))),
        freedom=freedom,
    )


_SMALLEST = 1e-9


def _row(distance: float) -> tuple[float, float]:
    """What a and b are multiplied by: d and -d log d, both 0 at the start."""
    return (distance, -distance * math.log(distance)) if distance > _SMALLEST else (0.0, 0.0)


def _distance(u: float) -> float:
    """From u = 1 + log d to d."""
    return math.exp(u - 1) if u < 700 else math.inf
