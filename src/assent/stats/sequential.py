"""Confidence sequences: intervals that may be looked at after every observation, and stopped at any time.

An ordinary 95 % interval that is looked at daily leaves out the truth at some time far more often than 1 in 20. These
hold it at all times together with 95 %. Observations come in order, one number per cluster (usually the mean of a
prompt's values, `in_order`), each drawn alike and independent of those before. A look is a call with all so far.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from assent.stats.clustered import Labels, numbered
from assent.stats.estimate import Estimate

Floats = NDArray[np.float64]
FEWEST = 40
"""Before so many observations the asymptotic sequence says nothing: it rests on the central limit theorem."""
_BETS = (np.arange(20) + 0.5) / 20
"""Parts of what may be bet at most, each a twentieth of the capital."""
_HALVINGS = 34
_LEAST = 1e-12


def in_order(values: ArrayLike, clusters: Labels) -> Floats:
    """One mean per cluster, in the order in which clusters first appear. All values of a cluster must be there."""
    x = np.asarray(values, float)
    index, count = numbered(clusters)
    if x.ndim != 1 or len(x) != len(index):
        raise ValueError(f"wanted one cluster label per value, got {x.shape} and {len(index)} labels")
    means = np.bincount(index, weights=x, minlength=count) / np.bincount(index, minlength=count)
    first = np.full(count, len(x))
    np.minimum.at(first, index, np.arange(len(x)))
    return np.asarray(means[np.argsort(first)])


def bounded_sequence(
    means: ArrayLike, *, between: tuple[float, float] = (0.0, 1.0), confidence: float = 0.95
) -> Estimate:
    """The mean of bounded observations [t] with an interval that holds at all times: testing by betting.

    Against each candidate mean m one gambler bets that values are higher, one that they are lower; with a part b of
    what may be lost, the capital is multiplied by 1 - b + b · x / m. It grows beyond 2 / alpha at some time with a
    chance of alpha / 2 at most if m is true (Ville), so such an m is left out for good. The capital is spread evenly
    over constant b (Waudby-Smith & Ramdas 2024, diversified Kelly). All earlier looks count: intervals only shrink.
    Exact for few observations too. `between` is (0, 1) for shares and scores, (-1, 1) for their paired differences.
    Raises ValueError for observations outside of it, or none.
    """
    low, high = between
    x = (_checked(means) - low) / (high - low)
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"observations must lie between {low:g} and {high:g}; some of the {len(x)} do not")
    wealth = math.log(2 / (1 - confidence))
    ends = _first_kept(x, wealth), 1 - _first_kept(1 - x, wealth)
    centre = float(x.mean())
    # The ends cross only where the mean has moved on the way; then neither of the two is let go.
    bottom, top = min(*ends, centre), max(*ends, centre)
    span = high - low
    return Estimate(estimate=low + centre * span, low=low + bottom * span, high=low + top * span, n=len(x))


def asymptotic_sequence(means: ArrayLike, *, planned: int = 500, confidence: float = 0.95) -> Estimate:
    """The mean of observations [t] without known bounds, with an interval for all times from `FEWEST` on.

        mean ± s · √( 2 (t ρ² + 1) / (t² ρ²) · log( √(t ρ² + 1) / alpha ) )

    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024 (arXiv 2103.06476), theorem 2.2 and, for ρ, which makes it
    narrowest at `planned` observations, appendix B.2. It holds for many observations, and falls short for long tails
    (of lognormal values with a log spread of 1 it held 90 %). Where there are bounds, `bounded_sequence` is exact.
    Infinite before `FEWEST` observations or where all are equal so far.
    """
    x = _checked(means)
    size, alpha = len(x), 1 - confidence
    mean, spread = float(x.mean()), float(x.std(ddof=1)) if size > 1 else 0.0
    if size < FEWEST or not spread > 0:
        return Estimate(estimate=mean, low=-math.inf, high=math.inf, n=size)
    surprise = -2 * math.log(alpha)
    tuned = size * (surprise + math.log(surprise) + 1) / planned  # t ρ²
    half = spread * math.sqrt(2 * (tuned + 1) / (size * tuned) * (math.log(tuned + 1) / 2 - math.log(alpha)))
    return Estimate(estimate=mean, low=mean - half, high=mean + half, n=size)


def log_capital(x: Floats, m: float) -> Floats:
    """Log of what the gambler on values [t] in [0, 1] that are higher than m owns after each, from 1 before the first.

    `bounded_sequence` leaves m out for good once this was log(2 / alpha) at any time.
    """
    capital = np.cumsum(np.log1p(_BETS[:, None] * (x / max(m, _LEAST) - 1)), axis=1)
    return np.asarray(logsumexp(capital, axis=0) - math.log(len(_BETS)))


def _first_kept(x: Floats, wealth: float) -> float:
    """The least m against which the gambler on higher values [t] in [0, 1] never owned e^wealth; halving, from below.

    His capital falls as m grows, at every time and so also at its best.
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_ruled_out = _richest(x, middle) >= wealth
        low, high = (middle, high) if is_ruled_out else (low, middle)
    return low


def _richest(x: Floats, m: float) -> float:
    """Log of the most that the gambler against m ever owned, from 1."""
    return float(log_capital(x, m).max())


def _checked(means: ArrayLike) -> Floats:
    x = np.asarray(means, float)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"a sequence wants one finite number per cluster, at least one, got {x.shape}")
    return x
