"""What an overall preference rewards: the weight that each criterion has in it, with an interval.

    P(first preferred) = σ( Σ_k w_k · (score of the first on criterion k - that of the second) )

People are asked for scores by criterion and for an overall choice. The weights say which criteria the choice follows,
whatever the guideline wanted: a weight is the log-odds that one point more on this criterion brings, others equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from assent.stats.clustered import Labels, effective_clusters, from_left_out, in_parts, numbered
from assent.stats.estimate import Estimate
from assent.stats.resampled import ANYWHERE, MOST_PARTS

Floats = NDArray[np.float64]
_PRIOR = 0.04
"""Precision of each weight around 0, N(0, 5²): keeps weights finite where a criterion decides every choice."""
_STEPS = 50


def criterion_weights(
    differences: ArrayLike, preferred: ArrayLike, clusters: Labels, *, confidence: float = 0.95
) -> list[Estimate]:
    """Weight of each of k criteria in n choices, in the order of the columns.

    `differences` [n, k] are the scores of the first answer less those of the second; `preferred` [n] is 1 where the
    first was chosen overall, 0 where the second, ½ for a tie. Logistic regression without an intercept, since which
    answer is called first is arbitrary; the interval leaves out clusters in turn, with Student's t. A criterion on
    which no two answers differ has weight 0 and infinite ends. Raises ValueError for shapes that do not fit, values
    that are no numbers, or fewer than two clusters.
    """
    x, y = np.asarray(differences, float), np.asarray(preferred, float)
    index, count = numbered(clusters)
    if x.ndim != 2 or y.shape != (len(x),) or len(index) != len(x):
        raise ValueError(f"wanted differences [n, k], n choices and n labels, got {x.shape}, {y.shape}, {len(index)}")
    if not np.isfinite(x).all() or not np.all((y >= 0) & (y <= 1)):
        raise ValueError("differences are finite numbers and choices lie between 0 and 1; leave missing ones out")
    if count < 2:
        raise ValueError(f"an interval wants at least two clusters, got {count}")
    part_of, parts = in_parts(index, count, MOST_PARTS)
    weights = _fit(x, y)
    others = np.array([_fit(x[part_of != part], y[part_of != part]) for part in range(parts)])
    effective = effective_clusters(clusters)
    found = []
    for k, weight in enumerate(weights):
        seen: Floats = others[:, k] if np.any(x[:, k]) else np.empty(0)
        one = from_left_out(float(weight), seen, between=ANYWHERE, clusters=effective, confidence=confidence)
        found.append(one.model_copy(update={"n": count}))
    return found


def _fit(x: Floats, y: Floats) -> Floats:
    """The most probable weights [k]: Newton's method on a concave function."""
    weights = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        chance = expit(x @ weights)
        slope = x.T @ (y - chance) - _PRIOR * weights
        curve = (x.T * (chance * (1 - chance))) @ x + _PRIOR * np.eye(len(weights))
        step = np.clip(np.linalg.solve(curve, slope), -2.0, 2.0)
        weights = weights + step
        if float(np.abs(step).max(initial=0.0)) < 1e-10:
            break
    return weights
