"""Prediction-powered means: many scores of a judge, put right by the labels that people gave to some of them.

    z_i = λ f_i + ξ_i / π_i · (Y_i - λ f_i)      estimate = mean of z          Angelopoulos, Duchi & Zrnic 2023 (PPI++)

f is the judge's score, Y the label, ξ whether the item was labelled, π how likely that was (Zrnic & Candès 2024). The
mean is right whatever the judge says; λ only makes it as sharp as the judge is good: 0 ignores the judge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assent.stats.clustered import Labels, numbered, student, within
from assent.stats.estimate import Estimate

Floats = NDArray[np.float64]
FEWEST = 3
"""Labels in fewer clusters correct nothing."""
_LEAST = 1e-30


class PredictionPowered(NamedTuple):
    """The corrected mean beside what the labels alone say."""

    mean: Estimate
    """n is the number of labels."""
    labels_alone: Estimate
    weight: float
    """λ, how far the judge was used: 0 not at all, 1 wholly."""
    clusters: int
    labelled_clusters: int
    """Clusters in which something is labelled."""


def prediction_powered(
    predicted: ArrayLike,
    labels: ArrayLike,
    clusters: Labels,
    *,
    inclusion: ArrayLike | None = None,
    between: tuple[float, float] = (-math.inf, math.inf),
    confidence: float = 0.95,
) -> PredictionPowered:
    """Mean label of all items [N] from a judge's scores of all and people's labels of some; NaN where there is none.

    `inclusion` [N] is the chance with which each item was chosen to be labelled, above 0; by default the same for all.
    Both sums are normalized by their weights (Hájek). The interval is cluster-robust over prompts with Student's t by
    the labelled ones, one degree less for λ, which is tuned on the same clusters and lies in 0 to 1. `between` says
    where labels can lie; without it the interval falls short where errors of the judge are rare. Raises ValueError for
    scores that are no numbers, impossible chances, or labelled items in fewer than three clusters.
    """
    f, y, (index, count) = np.asarray(predicted, float), np.asarray(labels, float), numbered(clusters)
    chance = np.ones(len(f)) if inclusion is None else np.asarray(inclusion, float)
    is_labelled = _checked(f, y, chance, len(index))
    labelled = len(np.unique(index[is_labelled]))
    if labelled < FEWEST:
        raise ValueError(f"labels in at least {FEWEST} clusters are needed to correct a judge, got {labelled}")
    weight = np.where(is_labelled, 1 / chance, 0.0)
    weight *= len(f) / weight.sum()
    truth = np.where(is_labelled, y, 0.0)
    label_mean, seen_mean, whole_mean = float(weight @ truth) / len(f), float(weight @ f) / len(f), float(f.mean())

    def summed(parts: Floats) -> Floats:
        """What each cluster adds to the mean."""
        return np.asarray(np.bincount(index, weights=parts, minlength=count) / len(f))

    of_labels = summed(weight * (truth - label_mean))
    of_judge = summed(f - whole_mean - weight * (f - seen_mean))
    heavy = summed(weight)
    scale = _Scale(labelled, 1 / float(heavy @ heavy), between, confidence)
    power = float(of_judge @ of_judge)
    used = min(max(-float(of_labels @ of_judge) / power, 0.0), 1.0) if power > _LEAST else 0.0
    corrected = scale.interval(label_mean + used * (whole_mean - seen_mean), of_labels + used * of_judge, used)
    size = int(is_labelled.sum())
    return PredictionPowered(
        mean=corrected.model_copy(update={"n": size}),
        labels_alone=scale.interval(label_mean, of_labels, 0.0).model_copy(update={"n": size}),
        weight=used,
        clusters=count,
        labelled_clusters=scale.clusters,
    )


@dataclass(frozen=True)
class _Scale:
    """What turns the parts that clusters add to a mean into its interval."""

    clusters: int
    effective: float
    between: tuple[float, float]
    confidence: float

    def interval(self, value: float, parts: Floats, used: float) -> Estimate:
        """With a judge in it, two labels more are counted that erred as far as can be, one up, one down: that few
        labels met no error of the judge does not say that it makes none."""
        low, high = self.between
        variance = self.clusters / (self.clusters - 1) * float(parts @ parts)
        if used > 0:
            known = max(self.effective, 2.5)
            variance *= (known - 1) / (known - 2)
            if math.isfinite(high - low):
                variance += 2 * (used * (high - low) / (known + 2)) ** 2
        critical = student(self.effective - (2 if used > 0 else 1), self.confidence)
        if math.isfinite(high - low):
            inside = min(max(value, low), high)
            return within(inside, variance, self.effective, critical=critical, low=low, high=high)
        half = critical * math.sqrt(variance)
        return Estimate(estimate=value, low=value - half, high=value + half).inside(low, high)


def _checked(f: Floats, y: Floats, chance: Floats, size: int) -> NDArray[np.bool_]:
    """Which items are labelled."""
    if not f.shape == y.shape == chance.shape == (size,):
        raise ValueError(f"wanted a score, a label or NaN, a chance and a cluster per item, got {f.shape}, {y.shape}")
    is_labelled = ~np.isnan(y)
    if not (np.isfinite(f).all() and np.isfinite(y[is_labelled]).all()):
        raise ValueError("every item needs a judge's score, and labels are finite numbers")
    if not np.all((chance > 0) & (chance <= 1)):
        raise ValueError("the chance to be labelled lies above 0 and at most at 1, also of items that were not")
    return is_labelled
