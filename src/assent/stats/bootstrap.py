"""Bootstrap: percentile intervals of any statistic, where whole clusters are drawn again with replacement."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assent.core import seeds
from assent.stats.clustered import Floats, Labels, numbered
from assent.stats.estimate import Estimate

DRAWS = 400
"""Of `redrawn`."""


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
    coded = [numbered(way) for way in ways]
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


def redrawn(
    statistic: Callable[[Floats], Floats], clusters: int, *, seed: int = 0, draws: int = DRAWS
) -> Estimate | None:
    """The 95 % bootstrap interval of a statistic that takes all draws at once and may be unknown in some of them.

    `statistic` gets weights [draws, clusters], of which the first row is all ones, and gives one number per row, NaN
    where a draw holds nothing to compute from. None where the number itself is unknown.
    """
    if not clusters:
        return None
    rng = seeds.stream(seed, "redrawn", clusters)
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=draws).astype(np.float64)
    found = statistic(np.vstack([np.ones(clusters), drawn]))
    value, others = float(found[0]), found[1:][np.isfinite(found[1:])]
    if not math.isfinite(value):
        return None
    if clusters < 2 or not len(others):
        return Estimate(estimate=value, low=-math.inf, high=math.inf, n=clusters)
    low, high = (float(x) for x in np.quantile(others, [0.025, 0.975]))
    return Estimate(estimate=value, low=min(low, value), high=max(high, value), n=clusters)


def _drawn_weights(coded: list[tuple[NDArray[np.intp], int]], rng: np.random.Generator) -> Floats:
    """One draw; repeated in the rare case that no observation has both its prompt and its rater drawn."""
    while True:
        weights = np.ones(len(coded[0][0]))
        for index, count in coded:
            weights *= np.bincount(rng.integers(0, count, count), minlength=count)[index]
        if weights.any():
            return weights
