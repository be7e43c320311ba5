"""Calibration of a judge on labels of people: temperature, isotonic curve, the tie threshold that people's ties fit.

Probabilities that are reported were fitted on other prompts than those they are reported for (five folds).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize_scalar
from scipy.special import expit

from assent.core.hashing import hash_json
from assent.core.types import Record
from assent.evaluation.validation.labels import Validated
from assent.stats.calibration import brier_score, expected_calibration_error

FOLDS = 5
NUM_BINS = 10
Floats = NDArray[np.float64]


class Calibration(Record):
    """How margins become probabilities, and how far those come true."""

    temperature: float
    """P(first better) = sigmoid(margin / temperature), of all labels."""
    tie_threshold: float
    """Margins up to here, in logits, are as often as people tie."""
    ece_before: float
    """Expected calibration error at temperature 1."""
    ece: float
    """The same at a temperature fitted on other prompts."""
    ece_isotonic: float
    """The same with a rising curve in place of a temperature."""
    brier: float
    curve: tuple[tuple[float, float], ...]
    """Isotonic: (margin, probability) where the curve steps, of all labels."""
    pairs: int


def calibration(found: Validated) -> Calibration | None:
    """None where the judge gives no margins, or fewer than two prompts have labels."""
    rows = [(said.margin, pair.share, pair.prompt.id) for pair, said, _ in found.answered() if said.margin is not None]
    if len({prompt for *_, prompt in rows}) < 2:
        return None
    margins, shares = (np.array([row[i] for row in rows], float) for i in (0, 1))
    folds = np.array([int(hash_json(row[2])[:8], 16) % FOLDS for row in rows])
    by_temperature, by_curve = np.empty(len(rows)), np.empty(len(rows))
    for fold in range(FOLDS):
        inside, rest = folds == fold, folds != fold
        if not rest.any():
            inside, rest = np.ones(len(rows), bool), np.ones(len(rows), bool)
        by_temperature[inside] = expit(margins[inside] / fit_temperature(margins[rest], shares[rest]))
        by_curve[inside] = read_curve(fit_curve(margins[rest], shares[rest]), margins[inside])
    votes = [vote for pair, *_ in found.answered() for vote in pair.votes.values()]
    ties = sum(vote == 0.5 for vote in votes) / len(votes)
    ece = [_ece(p, shares) for p in (expit(margins), by_temperature, by_curve)]
    both = np.concatenate([by_temperature, 1 - by_temperature]), np.concatenate([shares, 1 - shares])
    return Calibration(
        temperature=fit_temperature(margins, shares),
        tie_threshold=float(np.quantile(np.abs(margins), ties)) if ties else 0.0,
        ece_before=ece[0],
        ece=ece[1],
        ece_isotonic=ece[2],
        brier=brier_score(*both),
        curve=tuple(fit_curve(margins, shares)),
        pairs=len(rows),
    )


def fit_temperature(margins: Floats, shares: Floats) -> float:
    """The T above 0 that makes sigmoid(margin / T) the likeliest (Guo et al. 2017), between 0.01 and 100."""

    def loss(log_t: float) -> float:
        z = margins / np.exp(log_t)
        return float(np.mean(np.logaddexp(0, z) - shares * z))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.01), np.log(100)), method="bounded").x))


def fit_curve(margins: Floats, shares: Floats) -> list[tuple[float, float]]:
    """Where a rising curve through the shares steps (pool adjacent violators), symmetric: p(-m) = 1 - p(m)."""
    x, y = np.concatenate([margins, -margins]), np.concatenate([shares, 1 - shares])
    steps, place = np.unique(x, return_inverse=True)
    weights = np.bincount(place)
    levels = isotonic_regression(np.bincount(place, weights=y) / weights, weights=weights).x
    keep = np.flatnonzero(np.diff(levels, prepend=-1.0) > 0)
    return [(float(steps[i]), float(levels[i])) for i in keep]


def read_curve(curve: Sequence[tuple[float, float]], margins: Floats) -> Floats:
    """The level of the last step at or below each margin."""
    steps, levels = np.array([m for m, _ in curve]), np.array([p for _, p in curve])
    place = np.clip(np.searchsorted(steps, margins, side="right") - 1, 0, len(levels) - 1)
    return np.asarray(levels[place], float)


def _ece(probabilities: Floats, shares: Floats) -> float:
    said, happened = np.concatenate([probabilities, 1 - probabilities]), np.concatenate([shares, 1 - shares])
    return expected_calibration_error(np.clip(said, 0, 1), happened, num_bins=NUM_BINS)
