"""Whether a difference is surely large enough, surely not too bad, or surely small: verdicts against stated margins.

"No significant difference" is no proof that there is none. What is claimed must lie inside the interval's reach: a loss
below a margin (non-inferiority), a gain above a line (superiority), a difference between two margins (equivalence).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from numpy.typing import ArrayLike
from scipy.special import stdtr

from assent.stats.clustered import Labels, clustered_mean, effective_clusters, student
from assent.stats.estimate import Estimate

Verdict = Literal["pass", "fail", "undecided"]
"""pass: surely so. fail: surely not so. undecided: the interval reaches across the line."""


class Equivalence(NamedTuple):
    """Whether a difference lies between -margin and +margin."""

    difference: Estimate
    """With the interval that decides, at confidence 1 - 2 · alpha."""
    margin: float
    p: float
    """The larger of the two one-sided p values; equivalent where it is below alpha."""
    verdict: Verdict


def above(found: Estimate, line: float) -> Verdict:
    """Whether the number surely lies above `line`, surely below it, or neither; NaN is neither."""
    if found.low > line:
        return "pass"
    return "fail" if found.high < line else "undecided"


def non_inferiority(difference: Estimate, margin: float, *, higher_is_better: bool = True) -> Verdict:
    """Whether new - old is surely no worse than -margin: its lower bound lies above (Piaggio et al. 2012).

    A two-sided interval of 95 % makes this a one-sided test at 2.5 %. For rates that should be low, such as attack
    success, the upper bound must lie below +margin. Raises ValueError for a negative margin.
    """
    if not margin >= 0:
        raise ValueError(f"a margin is a number from 0 on, got {margin}")
    return above(_upward(difference, higher_is_better), -margin)


def superiority(difference: Estimate, gain: float = 0.0, *, higher_is_better: bool = True) -> Verdict:
    """Whether new - old is surely better than `gain`, which is counted in the good direction."""
    return above(_upward(difference, higher_is_better), gain)


def equivalence(differences: ArrayLike, clusters: Labels, *, margin: float, alpha: float = 0.05) -> Equivalence:
    """Two one-sided tests of a clustered mean difference [n] against ±margin (Schuirmann 1987), with Student's t.

    The error and its degrees of freedom are those of `clustered_mean`. "fail" means that the difference surely lies
    outside of the margins. Raises ValueError for fewer than two clusters or a margin that is not above 0.
    """
    if not 0 < margin < math.inf:
        raise ValueError(f"equivalence wants a margin above 0, got {margin}")
    found = clustered_mean(differences, clusters, confidence=1 - 2 * alpha)
    degrees = max(effective_clusters(clusters) - 1, 1.0)
    error = found.half_width / student(degrees, 1 - 2 * alpha)
    apart = margin - abs(found.estimate)
    p = float(stdtr(degrees, -apart / error)) if error > 0 else float(apart <= 0)
    verdict: Verdict = "pass" if p < alpha else "undecided"
    if found.low > margin or found.high < -margin:
        verdict = "fail"
    return Equivalence(found, margin, p, verdict)


def _upward(found: Estimate, higher_is_better: bool) -> Estimate:
    if higher_is_better:
        return found
    return Estimate(estimate=-found.estimate, low=-found.high, high=-found.low, n=found.n)
