"""Intervals of shares, means and ratios of observations that hang together in clusters.

Two answers to one prompt, or a hundred verdicts of one rater, are not independent. `clusters` name what hangs together
(usually prompt ids), one label per observation. Pure functions of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assent.core import seeds
from assent.stats.estimate import Estimate
from assent.stats.independent import score_interval, wilson

Labels = Sequence[str] | Sequence[int] | NDArray[np.generic]
Floats = NDArray[np.float64]
LEFT_OUT_AT_ONCE = 1024
"""Rows of weights that the jackknife holds at a time: all of them would be as many as clusters squared."""
_EVEN = 0.9
"""Clusters whose effective number is above this part of their number are taken to be of one size."""


def clustered_mean(values: ArrayLike, clusters: Labels, *, confidence: float = 0.95) -> Estimate:
    """Mean of observations with an interval from the cluster-robust standard error and Student's t.

    SE² = C/(C-1) · Σ_c (Σ_{i in c} (x_i - mean))² / n² (Liang & Zeger 1986; Miller 2024, arXiv 2411.00640, section
    2.2). Degrees of freedom are the effective number of clusters less one: C where all are of one size, fewer where a
    few hold most observations. With every observation its own cluster this is the ordinary t interval.
    Raises ValueError for fewer than two clusters.
    """
    x, way = _checked(values, clusters)
    mean, half = float(x.mean()), student(way.effective - 1, confidence) * math.sqrt(way.variance(x))
    return Estimate(estimate=mean, low=mean - half, high=mean + half)


def clustered_share(values: ArrayLike, clusters: Labels, *, confidence: float = 0.95) -> Estimate:
    """Mean of values in [0, 1] with a Wilson interval at the effective sample size.

    The effective size is what independent trials would need for the same cluster-robust standard error, p(1-p)/SE²
    (Korn & Graubard 1998); where the error is 0 (all alike) it is the number of clusters. Unlike `clustered_mean` it
    stays inside [0, 1] and has a width at 0 and 1. Where clusters are of very different size, a large one that was not
    drawn would move much: the variance gets a part of one cluster more, the larger the more they differ, and Student's
    t no more degrees of freedom than clusters that carry the variance.
    """
    x, way = _shares(values, clusters)
    mean, variance, degrees = float(x.mean()), way.variance(x), way.effective - 1
    if variance > 0 and way.effective < _EVEN * way.count:
        variance += (1 - way.effective / way.count) * mean * (1 - mean) / way.effective**2
        degrees = min(degrees, way.carrying(x) - 1)
    return within(mean, variance, way.effective, critical=student(degrees, confidence))


def two_way_share(values: ArrayLike, prompts: Labels, raters: Labels, *, confidence: float = 0.95) -> Estimate:
    """Mean of values in [0, 1] with an interval that holds over other prompts and over other raters.

    The variance is that by prompt plus that by rater less that by their meeting (Cameron, Gelbach & Miller 2011), never
    less than either; the rest is as in `clustered_share`, with Student's t by whichever is fewer. With 2 raters that is
    a wide interval: two people say little about others. Raises ValueError for fewer than two prompts or raters.
    """
    x, by_prompt = _shares(values, prompts)
    _, by_rater = _shares(values, raters)
    both = _Way.of(by_prompt.index * by_rater.count + by_rater.index)
    apart = by_prompt.variance(x), by_rater.variance(x)
    meeting = both.variance(x) if both.count > 1 else 0.0
    fewer = min(by_prompt.effective, by_rater.effective)
    return within(float(x.mean()), max(sum(apart) - meeting, *apart), fewer, critical=student(fewer - 1, confidence))


def within(
    value: float, variance: float, clusters: float, *, critical: float, low: float = 0.0, high: float = 1.0
) -> Estimate:
    """A mean of values between `low` and `high` with a score interval that never leaves that range.

    Where the variance is 0 (all clusters alike) it is as wide as for so many independent observations. A value at the
    very end of the range that has a variance all the same, such as a corrected one, counts as half a cluster inside.
    """
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    unit = variance / (high - low) ** 2
    inner = share if 0 < share < 1 else (share * clusters + 0.5) / (clusters + 1)
    ends = score_interval(share, inner * (1 - inner) / unit if unit > 1e-12 else clusters, critical=critical)
    return Estimate(estimate=value, low=low + ends[0] * (high - low), high=low + ends[1] * (high - low))


def cautious_share(values: Iterable[tuple[Hashable, float]], *, confidence: float = 0.95) -> Estimate | None:
    """`clustered_share` for a dashboard, which looks from the first observation on; None for no values.

    Takes (cluster, value in [0, 1]). The effective size is at most the number of values; with one cluster, or where all
    values are alike, it is the number of clusters, which is also n. The quantile is Student's t.
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
    return wilson(
        min(mean * effective, effective), effective, critical=student(clusters - 1, confidence), count=clusters
    )


def paired_difference(after: ArrayLike, before: ArrayLike, clusters: Labels, *, confidence: float = 0.95) -> Estimate:
    """Mean of after - before over the same items, clustered (see `clustered_mean`).

    Pairing removes what makes an item easy or hard for both, so the interval is narrower than that of two means.
    """
    return clustered_mean(np.asarray(after, float) - np.asarray(before, float), clusters, confidence=confidence)


def ratio(
    tops: Sequence[float], bottoms: Sequence[float], *, between: tuple[float, float] | None = None
) -> Estimate | None:
    """Sum of tops over sum of bottoms, one of each per cluster; None where there is nothing below.

    The interval is that of the linearized ratio, which holds for few clusters too, where drawing them again would not:
    SE² = C / (C - 1) · Σ (top_c - ratio · bottom_c)² / (Σ bottom)². Student's t has the degrees of freedom of as many
    clusters of one size, (Σ bottom)² / Σ bottom², less one. One cluster gives an infinite interval. Where every top
    lies `between` two multiples of its bottom, so does the interval, which has a width there too.
    """
    top, bottom = np.asarray(tops, float), np.asarray(bottoms, float)
    count, below = len(top), float(bottom.sum())
    if not below > 0:
        return None
    value = float(top.sum()) / below
    if count < 2:
        low, high = between or (-math.inf, math.inf)
        return Estimate(estimate=value, low=low, high=high, n=count)
    variance = count / (count - 1) * float(((top - value * bottom) ** 2).sum()) / below**2
    effective = below**2 / float((bottom**2).sum())
    critical = student(effective - 1)
    if between is not None:
        found = within(value, variance, effective, critical=critical, low=between[0], high=between[1])
        return found.model_copy(update={"n": count})
    half = critical * math.sqrt(variance)
    return Estimate(estimate=value, low=value - half, high=value + half, n=count)


def jackknife(statistic: Callable[[Floats], Floats], clusters: int, *, between: tuple[float, float]) -> Estimate | None:
    """The 95 % interval of a statistic from leaving out one cluster at a time, with Student's t (Tukey 1958).

    `statistic` gets weights [rows, clusters], of which the very first row is all ones and each other one leaves out a
    cluster, and gives one number per row, NaN where what is left holds nothing to compute from. It is asked for at most
    LEFT_OUT_AT_ONCE rows at a time. Its value and interval lie `between` two numbers. None where the number itself is
    unknown.
    """
    if not clusters:
        return None
    found = np.concatenate(
        [statistic(_leaving_out(clusters, first)) for first in range(0, clusters + 1, LEFT_OUT_AT_ONCE)]
    )
    value, others = float(found[0]), found[1:][np.isfinite(found[1:])]
    if not math.isfinite(value):
        return None
    return from_left_out(value, others, between=between).model_copy(update={"n": clusters})


def _leaving_out(clusters: int, first: int) -> Floats:
    """Rows `first` … of the weights of `jackknife` [rows, clusters]: row 0 leaves out nothing, row c cluster c - 1."""
    rows = np.arange(first, min(first + LEFT_OUT_AT_ONCE, clusters + 1))
    weights = np.ones((len(rows), clusters))
    leaving = rows > 0
    weights[np.nonzero(leaving)[0], rows[leaving] - 1] = 0
    return weights


def from_left_out(
    value: float,
    others: ArrayLike,
    *,
    between: tuple[float, float],
    clusters: float = math.inf,
    confidence: float = 0.95,
) -> Estimate:
    """The jackknife's interval around `value` from what leaving out each part gave, `others` [parts].

    Variance (g - 1) / g · Σ (other - mean)², Student's t with one degree less than parts, or than `clusters` where
    these are fewer. It lies `between` two numbers, which may be infinite; with fewer than two parts it is all of that.
    """
    found = np.asarray(others, float)
    count = len(found)
    if count < 2:
        return Estimate(estimate=value, low=between[0], high=between[1])
    variance = (count - 1) / count * float(((found - found.mean()) ** 2).sum())
    effective = min(clusters, count)
    critical = student(effective - 1, confidence)
    if not math.isfinite(between[1] - between[0]):
        half = critical * math.sqrt(variance)
        return Estimate(estimate=value, low=value - half, high=value + half).inside(*between)
    low, high = min(between[0], value), max(between[1], value)
    return within(value, variance, effective, critical=critical, low=low, high=high)


def in_parts(index: NDArray[np.intp], count: int, most: int) -> tuple[NDArray[np.intp], int]:
    """With which part each observation is left out, and how many parts there are, at most `most` (Kott 2001).

    Which clusters share a part is drawn, always alike: in their own order, what comes every so many rows (a category,
    a policy) would fill whole parts.
    """
    if count <= most:
        return index, count
    return (seeds.stream(0, "parts").permutation(count) % most)[index], most


def student(degrees: float, confidence: float = 0.95) -> float:
    """How many standard errors a two-sided interval of Student's t reaches; at least one degree of freedom."""
    from scipy.special import stdtrit  # where settings alone are read, nothing of scipy is loaded

    return float(stdtrit(max(degrees, 1.0), 0.5 + confidence / 2))


def effective_clusters(labels: Labels) -> float:
    """How many clusters of one size would weigh as these do: n² / Σ n_c² (Kish 1965)."""
    return _Way.of(labels).effective


def numbered(labels: Labels) -> tuple[NDArray[np.intp], int]:
    """Each label's number, and how many different ones there are."""
    known, index = np.unique(np.asarray(labels), return_inverse=True)
    return index.ravel(), len(known)


@dataclass(frozen=True)
class _Way:
    """One way in which observations hang together."""

    index: NDArray[np.intp]
    """Number of each observation's cluster."""
    count: int

    @classmethod
    def of(cls, labels: Labels) -> _Way:
        return cls(*numbered(labels))

    @property
    def effective(self) -> float:
        """See `effective_clusters`."""
        sizes = np.bincount(self.index, minlength=self.count).astype(float)
        return float(sizes.sum() ** 2 / (sizes**2).sum())

    def variance(self, x: Floats) -> float:
        """The cluster-robust squared standard error of the mean."""
        return self.count / (self.count - 1) * float((self._sums(x) ** 2).sum()) / len(x) ** 2

    def carrying(self, x: Floats) -> float:
        """How many clusters carry that variance, 3 (Σu²)² / Σu⁴: about all where sums of deviations are normal."""
        squares = self._sums(x) ** 2
        return 3 * float(squares.sum() ** 2 / (squares**2).sum())

    def _sums(self, x: Floats) -> Floats:
        return np.asarray(np.bincount(self.index, weights=x - x.mean(), minlength=self.count), float)


def _shares(values: ArrayLike, clusters: Labels) -> tuple[Floats, _Way]:
    x, way = _checked(values, clusters)
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"shares want values in [0, 1], got {x.min():g} to {x.max():g}")
    return x, way


def _checked(values: ArrayLike, clusters: Labels) -> tuple[Floats, _Way]:
    x = np.asarray(values, float)
    way = _Way.of(clusters)
    if x.ndim != 1 or len(x) != len(way.index):
        raise ValueError(f"wanted one cluster label per value, got values {x.shape} and {len(way.index)} labels")
    if way.count < 2:
        raise ValueError(f"an interval wants at least two clusters, got {way.count}")
    if not np.isfinite(x).all():
        raise ValueError("values hold NaN or infinity; leave missing observations out")
    return x, way
