"""Intervals of shares, means and ratios of observations that hang together in clusters.

Two answers to one prompt, or a hundred verdicts of one rater, are not independent. `clusters` name what hangs together
(usually prompt ids), one label per observation. Pure functions of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from assent.stats.estimate import Estimate
from assent.stats.independent import score_interval, wilson

Labels = Sequence[str] | Sequence[int] | NDArray[np.generic]
Floats = NDArray[np.float64]


def clustered_mean(values: ArrayLike, clusters: Labels, *, confidence: float = 0.95) -> Estimate:
    """Mean of observations with an interval from the cluster-robust standard error and Student's t.

    SE² = C/(C-1) · Σ_c (Σ_{i in c} (x_i - mean))² / n², C - 1 degrees of freedom (Liang & Zeger 1986; Miller 2024,
    arXiv 2411.00640, section 2.2). With every observation its own cluster this is the ordinary t interval.
    Raises ValueError for fewer than two clusters.
    """
    x, index, count = _checked(values, clusters)
    mean, half = float(x.mean()), _t(count, confidence) * _standard_error(x, index, count)
    return Estimate(estimate=mean, low=mean - half, high=mean + half)


def clustered_share(values: ArrayLike, clusters: Labels, *, confidence: float = 0.95) -> Estimate:
    """Mean of values in [0, 1] with a Wilson interval at the effective sample size.

    The effective size is what independent trials would need for the same cluster-robust standard error, p(1-p)/SE²
    (Korn & Graubard 1998); where the error is 0 (all alike) it is the number of clusters. Unlike `clustered_mean` it
    stays inside [0, 1] and has a width at 0 and 1.
    """
    x, index, count = _checked(values, clusters)
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"shares want values in [0, 1], got {x.min():g} to {x.max():g}")
    share, error = float(x.mean()), _standard_error(x, index, count)
    effective = share * (1 - share) / error**2 if error > 1e-12 else float(count)
    low, high = score_interval(share, effective, critical=_t(count, confidence))
    return Estimate(estimate=share, low=low, high=high)


def cautious_share(values: Iterable[tuple[Hashable, float]]) -> Estimate | None:
    """`clustered_share` for a dashboard, which looks from the first observation on; None for no values.

    Takes (cluster, value in [0, 1]). The effective size is at most the number of values; with one cluster, or where all
    values are alike, it is the number of clusters. The quantile is the normal one; n is the number of clusters.
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


def paired_difference(after: ArrayLike, before: ArrayLike, clusters: Labels, *, confidence: float = 0.95) -> Estimate:
    """Mean of after - before over the same items, clustered (see `clustered_mean`).

    Pairing removes what makes an item easy or hard for both, so the interval is narrower than that of two means.
    """
    return clustered_mean(np.asarray(after, float) - np.asarray(before, float), clusters, confidence=confidence)


def ratio(tops: Sequence[float], bottoms: Sequence[float]) -> Estimate | None:
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
        return Estimate(estimate=value, low=-math.inf, high=math.inf, n=count)
    error = math.sqrt(count / (count - 1) * float(((top - value * bottom) ** 2).sum())) / below
    half = float(stdtrit(count - 1, 0.975)) * error
    return Estimate(estimate=value, low=value - half, high=value + half, n=count)


def numbered(labels: Labels) -> tuple[NDArray[np.intp], int]:
    """Each label's number, and how many different ones there are."""
    known, index = np.unique(np.asarray(labels), return_inverse=True)
    return index.ravel(), len(known)


def _standard_error(x: Floats, index: NDArray[np.intp], count: int) -> float:
    sums = np.bincount(index, weights=x - x.mean(), minlength=count)
    return math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(x)


def _t(clusters: int, confidence: float) -> float:
    return float(stdtrit(clusters - 1, 0.5 + confidence / 2))


def _checked(values: ArrayLike, clusters: Labels) -> tuple[Floats, NDArray[np.intp], int]:
    x = np.asarray(values, float)
    index, count = numbered(clusters)
    if x.ndim != 1 or len(x) != len(index):
        raise ValueError(f"wanted one cluster label per value, got values {x.shape} and {len(index)} labels")
    if count < 2:
        raise ValueError(f"an interval wants at least two clusters, got {count}")
    if not np.isfinite(x).all():
        raise ValueError("values hold NaN or infinity; leave missing observations out")
    return x, index, count
