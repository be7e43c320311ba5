"""Whether predicted probabilities come true: reliability bins, calibration error, Brier score.

`probabilities` [N] lie in [0, 1]; `outcomes` [N] are 1 where the thing happened and 0 where not, or ½ for a tie.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assent.stats.clustered import Labels, cautious_share, numbered
from assent.stats.independent import normal_quantile, score_interval

Values = NDArray[np.floating]


class Bin(NamedTuple):
    """The predictions between `low` and `high`: what they said, what happened, and the interval of the latter."""

    low: float
    high: float
    size: int
    predicted: float
    observed: float
    lower: float
    upper: float


def reliability_bins(
    probabilities: Values, outcomes: Values, *, num_bins: int, confidence: float, clusters: Labels | None = None
) -> list[Bin]:
    """Predictions in `num_bins` bins of equal width, empty ones left out, with Wilson (1927) intervals.

    A bin holds its lower edge; the last one also 1. With `clusters`, one label per prediction, the interval is that of
    `cautious_share`, for outcomes that hang together; without, ties (½) make it a little wider than need be.
    """
    place = _bin_of(probabilities, outcomes, num_bins)
    names = None if clusters is None else numbered(clusters)[0]
    bins = []
    for index in np.unique(place):
        is_inside = place == index
        count, observed = int(is_inside.sum()), float(outcomes[is_inside].mean())
        lower, upper = score_interval(observed, count, critical=normal_quantile(confidence))
        if names is not None:
            values = zip(names[is_inside].tolist(), outcomes[is_inside], strict=True)
            held = cautious_share(values, confidence=confidence)
            lower, upper = (held.low, held.high) if held else (0.0, 1.0)
        predicted = float(probabilities[is_inside].mean())
        low, high = float(index) / num_bins, float(index + 1) / num_bins
        bins.append(Bin(low, high, count, predicted, observed, lower, upper))
    return bins


def expected_calibration_error(probabilities: Values, outcomes: Values, *, num_bins: int) -> float:
    """Distance between what was predicted and what happened, averaged over bins by size (Guo et al. 2017, eq. 3).

    Biased upward for few predictions per bin: even a perfect predictor's bins scatter. Compare at equal N only.
    """
    place = _bin_of(probabilities, outcomes, num_bins)
    excess = np.bincount(place, weights=probabilities - outcomes, minlength=num_bins)
    return float(np.abs(excess).sum() / len(probabilities))


def brier_score(probabilities: Values, outcomes: Values) -> float:
    """Mean squared error of the probabilities: 0 at best, ¼ for always saying ½ (Brier 1950, one class of the two)."""
    _check(probabilities, outcomes)
    return float(np.mean((probabilities - outcomes) ** 2))


def _bin_of(probabilities: Values, outcomes: Values, num_bins: int) -> NDArray[np.int64]:
    """Bin number of each prediction."""
    _check(probabilities, outcomes)
    return np.minimum((probabilities * num_bins).astype(np.int64), num_bins - 1)


def _check(probabilities: Values, outcomes: Values) -> None:
    if probabilities.shape != outcomes.shape or not probabilities.size:
        raise ValueError(f"calibration wants one outcome per prediction, got {outcomes.size} for {probabilities.size}")
    if not (np.all((probabilities >= 0) & (probabilities <= 1)) and np.all((outcomes >= 0) & (outcomes <= 1))):
        raise ValueError("probabilities and outcomes must lie between 0 and 1 and be numbers")
