"""How many prompts it takes to see a difference, and how many more after a first look.

    n = (z_{α/2} + z_β)² · v / δ²,   v = w² + s_A² / K_A + s_B² / K_B           Miller 2024, arXiv 2411.00640, section 5

w² is the variance of the true difference from prompt to prompt, s² the variance of one policy's score when the same
prompt is answered again, K how many answers to a prompt are averaged. More answers shrink the latter parts only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from assent.stats.clustered import Labels, clustered_mean, effective_clusters, numbered, student
from assent.stats.estimate import Estimate
from assent.stats.independent import normal_quantile

_MOST = 10**9
"""More clusters than this are called unreachable."""


class Look(NamedTuple):
    """What a clustered estimate says so far."""

    estimate: float
    variance: float
    """Of one cluster's part: the squared standard error times the number of clusters."""
    clusters: int
    observations: int


class More(NamedTuple):
    """What is still missing: new clusters (prompts), and observations (labels) at as many per cluster as so far."""

    clusters: int
    observations: int


@dataclass(frozen=True)
class Wish:
    """How sure a decision shall be: the error of the two-sided interval, and the chance to decide what is true."""

    alpha: float = 0.05
    power: float = 0.8

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.power < 1):
            raise ValueError(f"alpha and power lie between 0 and 1, got {self.alpha} and {self.power}")

    @property
    def reach(self) -> float:
        """z_{α/2} + z_β."""
        return normal_quantile(1 - self.alpha) + normal_quantile(2 * self.power - 1)


USUAL = Wish()


def prompt_variance(between: float, *noise: tuple[float, int]) -> float:
    """v of one prompt's difference: w² and, for each policy, (s², K)."""
    if between < 0 or any(s < 0 or k < 1 for s, k in noise):
        raise ValueError(f"variances are numbers from 0 on and K counts from 1, got {between} and {noise}")
    return between + sum(s / k for s, k in noise)


def prompts_needed(delta: float, variance: float, wish: Wish = USUAL) -> int:
    """The least number of prompts at which a true difference `delta` is seen with the wished power."""
    if not (delta > 0 and variance >= 0):
        raise ValueError(f"a difference to see is above 0 and a variance from 0 on, got {delta} and {variance}")
    return max(2, math.ceil(wish.reach**2 * variance / delta**2 - 1e-9))


def detectable(prompts: int, variance: float, wish: Wish = USUAL) -> float:
    """The smallest true difference that so many prompts show with the wished power."""
    if prompts < 1 or variance < 0:
        raise ValueError(f"wanted prompts from 1 on and a variance from 0 on, got {prompts} and {variance}")
    return wish.reach * math.sqrt(variance / prompts)


def look(differences: ArrayLike, clusters: Labels) -> Look:
    """What paired differences [n] say so far, with the cluster-robust error of `clustered_mean`."""
    found, count = clustered_mean(differences, clusters), numbered(clusters)[1]
    error = found.half_width / student(effective_clusters(clusters) - 1)
    return Look(found.estimate, error**2 * count, count, np.asarray(differences).size)


def look_of(found: Estimate, clusters: int, *, observations: int | None = None, confidence: float = 0.95) -> Look:
    """The same read off an estimate whose interval is that of Student's t over so many clusters.

    Raises ValueError where the interval is infinite or there are fewer than two clusters.
    """
    if clusters < 2 or not math.isfinite(found.half_width):
        raise ValueError(f"wanted a finite interval over at least two clusters, got {found} over {clusters}")
    error = found.half_width / student(clusters - 1, confidence)
    return Look(found.estimate, error**2 * clusters, clusters, observations or clusters)


def more_needed(look: Look, line: float, *, truth: float | None = None, wish: Wish = USUAL) -> More | None:
    """What is missing until the interval leaves `line` (such as -margin) with the wished power.

    `truth` is the difference that is assumed; by default the one estimated so far, which is uncertain itself: say
    "about". Quantiles are Student's t at the number of clusters that comes out. None where no number would do: the
    assumed difference lies on the line. (0, 0) where enough is there.
    """
    apart = abs((look.estimate if truth is None else truth) - line)
    if apart**2 * _MOST <= wish.reach**2 * look.variance:
        return None if look.variance > 0 else More(0, 0)
    total = _enough(look.variance / apart**2, wish)
    clusters = max(total - look.clusters, 0)
    return More(clusters, math.ceil(clusters * look.observations / look.clusters))


def _enough(unit: float, wish: Wish) -> int:
    """The least C from 2 on with (t_{α/2} + t_β)² · unit <= C, degrees of freedom C - 1."""

    def falls_short(count: int) -> bool:
        reach = student(count - 1, 1 - wish.alpha) + float(stdtrit(count - 1, wish.power))
        return reach**2 * unit > count

    low, high = 1, 2
    while falls_short(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if falls_short(middle) else (low, middle)
    return high
