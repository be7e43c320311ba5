"""Statistics that every reported number carries: intervals that know which observations hang together.

Two answers to one prompt, or a hundred verdicts of one rater, are not independent. `clusters` name what hangs together
(usually prompt ids), one label per observation. Pure functions of arrays; draws come from a generator passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as distributions

from assent.core import intervals
from assent.core.types import Record

Labels = Sequence[str] | Sequence[int] | NDArray[np.generic]
Floats = NDArray[np.float64]


class Estimate(Record):
    """A number with its interval."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2


def wilson(successes: float, n: float, *, confidence: float = 0.95) -> Estimate:
    """Share of successes among `n` independent trials with the score interval of Wilson (1927).

    Ties may count half. Stays inside [0, 1] and has a width even at 0 and n. Raises ValueError for n = 0.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"wanted 0 <= successes <= n and n > 0, got {successes} of {n}")
    return _score_interval(successes / n, n, float(distributions.norm.ppf(0.5 + confidence / 2)))


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
    return _score_interval(share, effective, _t(count, confidence))


def paired_difference(after: ArrayLike, before: ArrayLike, clusters: Labels, *, confidence: float = 0.95) -> Estimate:
    """Mean of after - before over the same items, clustered (see `clustered_mean`).

    Pairing removes what makes an item easy or hard for both, so the interval is narrower than that of two means.
    """
    return clustered_mean(np.asarray(after, float) - np.asarray(before, float), clusters, confidence=confidence)


def bootstrap(
    statistic: Callable[[Floats], float],
    *ways: Labels,
    rng: np.random.Generator,
    draws: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """Percentile interval of `statistic(weights)`, where clusters, not observations, are drawn with replacement.

    One way (prompts): the cluster bootstrap; an observation's weight is how often its prompt was drawn. Two ways
    (prompts, raters): the pigeonhole bootstrap of Owen (2007); prompts and raters are drawn apart and weights multiply,
    so the interval also covers other raters. It errs on the wide side. `statistic` gets float weights [n], all ones
    for the estimate itself.
    """
    coded = [_codes(way) for way in ways]
    size = len(coded[0][0])
    if any(len(index) != size for index, _ in coded):
        raise ValueError(f"every way wants one label per observation, got {[len(index) for index, _ in coded]}")
    if any(count < 2 for _, count in coded):
        raise ValueError("the bootstrap wants at least two clusters in every way")
    values = np.array([statistic(_drawn_weights(coded, rng)) for _ in range(draws)])
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(estimate=float(statistic(np.ones(size))), low=float(low), high=float(high))


def bootstrap_mean(
    values: ArrayLike, *ways: Labels, rng: np.random.Generator, draws: int = 1000, confidence: float = 0.95
) -> Estimate:
    """Mean with a bootstrap interval over one or two ways of clustering (see `bootstrap`)."""
    x = np.asarray(values, float)
    return bootstrap(lambda w: float(w @ x / w.sum()), *ways, rng=rng, draws=draws, confidence=confidence)


def sign_flip_test(differences: ArrayLike, clusters: Labels, *, rng: np.random.Generator, draws: int = 9999) -> float:
    """Two-sided p-value of "after and before are exchangeable", flipping the sign of whole clusters at random.

    The observed arrangement counts as one of the draws, so p is never 0 and the test is exact in level
    (Phipson & Smyth 2010).
    """
    d, index, count = _checked(differences, clusters)
    sums = np.bincount(index, weights=d, minlength=count)
    signs = rng.integers(0, 2, size=(draws, count)) * 2 - 1
    extreme = np.abs(signs @ sums) >= abs(sums.sum()) * (1 - 1e-12)
    return float((1 + extreme.sum()) / (1 + draws))


def _score_interval(share: float, n: float, critical: float) -> Estimate:
    low, high = intervals.wilson(share, n, critical=critical)
    return Estimate(estimate=share, low=low, high=high)


def _standard_error(x: Floats, index: NDArray[np.intp], count: int) -> float:
    sums = np.bincount(index, weights=x - x.mean(), minlength=count)
    return math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(x)


def _t(clusters: int, confidence: float) -> float:
    return float(distributions.t.ppf(0.5 + confidence / 2, clusters - 1))


def _drawn_weights(coded: list[tuple[NDArray[np.intp], int]], rng: np.random.Generator) -> Floats:
    """One draw; repeated in the rare case that no observation has both its prompt and its rater drawn."""
    while True:
        weights = np.ones(len(coded[0][0]))
        for index, count in coded:
            weights *= np.bincount(rng.integers(0, count, count), minlength=count)[index]
        if weights.any():
            return weights


def _codes(labels: Labels) -> tuple[NDArray[np.intp], int]:
    """Each label's number, and how many different ones there are."""
    known, index = np.unique(np.asarray(labels), return_inverse=True)
    return index.ravel(), len(known)


def _checked(values: ArrayLike, clusters: Labels) -> tuple[Floats, NDArray[np.intp], int]:
    x = np.asarray(values, float)
    index, count = _codes(clusters)
    if x.ndim != 1 or len(x) != len(index):
        raise ValueError(f"wanted one cluster label per value, got values {x.shape} and {len(index)} labels")
    if count < 2:
        raise ValueError(f"an interval wants at least two clusters, got {count}")
    if not np.isfinite(x).all():
        raise ValueError("values hold NaN or infinity; leave missing observations out")
    return x, index, count
