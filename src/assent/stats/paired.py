"""Paired differences: exact McNemar for yes or no, flipped signs for scores, and an interval where change is rare.

Two policies answer the same prompts; what a prompt says is the difference of its two scores. The interval beside a test
of scores is `clustered.paired_difference`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assent.core import seeds
from assent.stats.clustered import Labels, clustered_mean, effective_clusters, numbered, student
from assent.stats.estimate import Estimate

MOST_EXACT = 12
"""Up to so many clusters every one of the 2^C patterns of signs is looked at."""
_ROUNDING = 1e-9
_BLOCK = 2_000_000
"""Signs drawn at once."""


class McNemar(NamedTuple):
    """Pairs that changed, and how surely they changed in one direction more than in the other."""

    gained: int
    """Pairs of which only the second holds."""
    lost: int
    """Pairs of which only the first holds."""
    p: float
    odds: Estimate | None
    """gained : lost, with the exact interval; infinite where nothing was lost, None where nothing changed."""


class SignFlip(NamedTuple):
    """How often a difference at least as large would come from signs that mean nothing."""

    p: float
    is_exact: bool
    patterns: int
    """Patterns of signs that were looked at, the observed one among them."""


def mcnemar(after: ArrayLike, before: ArrayLike, *, confidence: float = 0.95) -> McNemar:
    """Whether more pairs went from no to yes than from yes to no: two-sided exact test (McNemar 1947; binomial at ½).

    `after` and `before` [n] hold 0 or 1 for the same n items, which do not hang together. The odds' interval is that of
    Clopper & Pearson (1934) for the share of gains among changes, so it holds 1 wherever p is above 1 - `confidence`.
    Raises ValueError for other values or lengths.
    """
    from scipy.special import betaincinv  # where settings alone are read, nothing of scipy is loaded
    from scipy.stats import binom

    new, old = np.asarray(after, float), np.asarray(before, float)
    if new.ndim != 1 or new.shape != old.shape or not new.size:
        raise ValueError(f"pairs want two lists of one length, got {new.shape} and {old.shape}")
    if not (np.isin(new, (0.0, 1.0)).all() and np.isin(old, (0.0, 1.0)).all()):
        raise ValueError("McNemar's test wants 0 or 1; for scores there is the test of flipped signs")
    gained, lost = int(((new == 1) & (old == 0)).sum()), int(((new == 0) & (old == 1)).sum())
    changed = gained + lost
    if not changed:
        return McNemar(0, 0, 1.0, None)
    p = min(1.0, 2 * float(binom.cdf(min(gained, lost), changed, 0.5)))
    tail = (1 - confidence) / 2
    low = float(betaincinv(gained, lost + 1, tail)) if gained else 0.0
    high = float(betaincinv(gained + 1, lost, 1 - tail)) if lost else 1.0
    odds = Estimate(estimate=gained / lost if lost else math.inf, low=_odds(low), high=_odds(high), n=changed)
    return McNemar(gained, lost, p, odds)


def sign_flip(differences: ArrayLike, clusters: Labels, *, seed: int = 0, draws: int = 9_999) -> SignFlip:
    """Two-sided test that differences [n] are as likely to go one way as the other; clusters are flipped as wholes.

    The statistic is the absolute sum of the differences (Fisher 1935). Up to `MOST_EXACT` clusters all patterns are
    looked at; else `draws` random ones and the observed one, p = (1 + as large) / (1 + draws), which is never 0 and
    keeps its level (Phipson & Smyth 2010). The least p of C clusters is 2 / 2^C: five clusters cannot reach 0.05.
    Raises ValueError where there is not one finite difference per label.
    """
    x = np.asarray(differences, float)
    index, count = numbered(clusters)
    if x.ndim != 1 or len(x) != len(index) or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"wanted one finite difference per cluster label, got {x.shape} and {len(index)} labels")
    sums = np.bincount(index, weights=x, minlength=count)
    least = abs(float(sums.sum())) - _ROUNDING * float(np.abs(sums).sum())
    if count <= MOST_EXACT:
        patterns = np.arange(2**count)[:, None] >> np.arange(count) & 1
        return SignFlip(float(_share_as_large(1.0 - 2.0 * patterns, sums, least)), True, 2**count)
    random, extreme, left = seeds.stream(seed, "sign flip"), 0, draws
    while left:
        block = min(left, max(1, _BLOCK // count))
        signs = 1.0 - 2.0 * random.integers(0, 2, (block, count))
        extreme += round(_share_as_large(signs, sums, least) * block)
        left -= block
    return SignFlip((1 + extreme) / (1 + draws), False, 1 + draws)


def share_difference(after: ArrayLike, before: ArrayLike, clusters: Labels, *, confidence: float = 0.95) -> Estimate:
    """Difference of two shares over the same items, whose values [n] lie in [0, 1]; has a width where nothing changed.

    Two pseudo-observations are added, half of one gained, half of one lost, one unchanged (Agresti & Min 2005), each
    as large as the design effect says, at most a cluster; then it is the interval of `paired_difference` around the
    shrunken mean. Where changes are rare, that one is far too sure: of 20 prompts alike it makes a certainty.
    Raises ValueError for values outside [0, 1] or fewer than two clusters.
    """
    new, old = np.asarray(after, float), np.asarray(before, float)
    if new.shape != old.shape or not all(np.all((x >= 0) & (x <= 1)) for x in (new, old)):
        raise ValueError(f"a difference of shares wants two lists in [0, 1] of one length: {new.shape}, {old.shape}")
    plain = clustered_mean(new - old, clusters, confidence=confidence)
    index, count = numbered(clusters)
    x, size = new - old, len(index)
    together = _hanging_together(x, index, count)
    weight = size + 2 * together
    centre = float(x.sum()) / weight
    sums = np.bincount(index, weights=x - centre, minlength=count)
    added = together**2 * (1 + 2 * centre**2)
    error = math.sqrt(count / (count - 1) * (float((sums**2).sum()) + added)) / weight
    half = student(effective_clusters(clusters) - 1, confidence) * error
    low, high = max(centre - half, -1.0), min(centre + half, 1.0)
    return Estimate(estimate=plain.estimate, low=min(low, plain.estimate), high=max(high, plain.estimate))


def score_difference(after: ArrayLike, before: ArrayLike, clusters: Labels, *, confidence: float = 0.95) -> Estimate:
    """Difference of two shares over the same items, whose values [n] are 0 or 1, where one end of the interval decides.

    Every difference d is left out that the score test rejects, with the variance that d itself allows (Tango 1998):

        (b - c - n d) / √(n (2 q + d (1 - d))),   q the likeliest share of losses where the difference is d

    b gained, c lost; all three counts are divided by the design effect, and the quantile is Student's t. Where changes
    are rare each end errs about as often as it says, where `share_difference` errs twice as often at one of both.
    Raises ValueError for other values or fewer than two clusters.
    """
    new, old = np.asarray(after, float), np.asarray(before, float)
    if new.shape != old.shape or not all(np.isin(x, (0.0, 1.0)).all() for x in (new, old)):
        raise ValueError(f"a score interval wants two lists of 0 or 1 of one length: {new.shape}, {old.shape}")
    plain, (index, count), x = clustered_mean(new - old, clusters).estimate, numbered(clusters), new - old
    together = _hanging_together(x, index, count)
    size, gained, lost = len(x) / together, float((x > 0).sum()) / together, float((x < 0).sum()) / together
    critical = student(effective_clusters(clusters) - 1, confidence)
    ends = (
        -_farthest(size, lost, gained, critical),
        _farthest(size, gained, lost, critical),
    )
    return Estimate(estimate=plain, low=min(ends[0], plain), high=max(ends[1], plain))


def _farthest(size: float, gained: float, lost: float, critical: float) -> float:
    """The largest difference that the score test does not reject."""
    from scipy.optimize import brentq  # where settings alone are read, nothing of scipy is loaded

    def distance(d: float) -> float:
        a, b, c = 2 * size, -gained - lost + (2 * size - gained + lost) * d, -lost * d * (1 - d)
        q = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        error = math.sqrt(max(size * (2 * q + d * (1 - d)), _ROUNDING))
        return (gained - lost - size * d) / error + critical

    found = (gained - lost) / size
    return float(brentq(distance, found, 1.0, xtol=1e-9)) if distance(1.0) < 0 < distance(found) else 1.0


def _hanging_together(x: NDArray[np.float64], index: NDArray[np.intp], count: int) -> float:
    """The design effect of the mean, between 1 and the mean size of a cluster, which it is where all are alike."""
    size, deviations = len(x), x - x.mean()
    most, alone = size / count, float((deviations**2).sum())
    if not alone > 0:
        return most
    robust = float((np.bincount(index, weights=deviations, minlength=count) ** 2).sum())
    return min(max(robust / alone, 1.0), most)


def _share_as_large(signs: NDArray[np.floating], sums: NDArray[np.number], least: float) -> float:
    return float((np.abs(signs @ sums) >= least).mean())


def _odds(share: float) -> float:
    return share / (1 - share) if share < 1 else math.inf
