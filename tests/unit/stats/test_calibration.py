"""Facts about calibration."""

import numpy as np
import pytest

from assent.core import seeds
from assent.stats.calibration import (
    brier_score,
    expected_calibration_error,
    reliability_bins,
)
from assent.stats.clustered import student
from assent.stats.independent import wilson

PROBABILITIES = np.array([0.1, 0.2, 0.7, 0.9, 1.0])
OUTCOMES = np.array([0.0, 1.0, 1.0, 1.0, 0.0])


def test_reliability_by_hand():
    low, high = reliability_bins(PROBABILITIES, OUTCOMES, num_bins=2, confidence=0.95)
    assert (low.low, low.high, low.size, high.low, high.high, high.size) == (0, 0.5, 2, 0.5, 1, 3)
    assert (low.predicted, low.observed) == pytest.approx((0.15, 0.5))
    assert (high.predicted, high.observed) == pytest.approx((2.6 / 3, 2 / 3))
    # 1 of 2 at z = 1.96: centre 1/2, half-width z * sqrt(1/8 + z^2 / 16) / (1 + z^2 / 2)
    assert (low.lower, low.upper) == pytest.approx((0.5 - 0.4055, 0.5 + 0.4055), abs=1e-4)
    # two bins of 2 and 3: 2/5 * 0.35 + 3/5 * 0.2
    assert expected_calibration_error(PROBABILITIES, OUTCOMES, num_bins=2) == pytest.approx(0.14 + 0.12)
    assert brier_score(PROBABILITIES, OUTCOMES) == pytest.approx((0.01 + 0.64 + 0.09 + 0.01 + 1) / 5)


def test_calibration_error_is_the_weighted_gap_of_the_bins():
    draw = seeds.stream(0, "calibration")
    probabilities, outcomes = draw.random(300), (draw.random(300) < 0.4).astype(float)
    bins = reliability_bins(probabilities, outcomes, num_bins=7, confidence=0.9)
    assert sum(b.size for b in bins) == 300
    gap = sum(b.size * abs(b.predicted - b.observed) for b in bins) / 300
    assert expected_calibration_error(probabilities, outcomes, num_bins=7) == pytest.approx(gap)


def test_a_true_probability_is_calibrated_and_an_overconfident_one_is_not():
    draw = seeds.stream(1, "calibration")
    truth = draw.random(40_000)
    outcomes = (draw.random(40_000) < truth).astype(float)
    assert expected_calibration_error(truth, outcomes, num_bins=10) < 0.015
    overconfident = (truth > 0.5).astype(float)
    # says 1 where the truth is on average 3/4, and 0 where it is 1/4
    assert expected_calibration_error(overconfident, outcomes, num_bins=10) == pytest.approx(0.25, abs=0.01)
    assert brier_score(truth, outcomes) < brier_score(overconfident, outcomes)


def test_the_edges_of_the_scale_belong_to_bins():
    first, last = reliability_bins(np.array([0.0, 1.0]), np.array([0.0, 1.0]), num_bins=10, confidence=0.95)
    assert (first.low, last.high) == (0, 1)
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([0.0, 1.0]), num_bins=10) == 0


def test_numbers_that_are_no_probabilities_are_refused():
    for bad in (np.array([1.2]), np.array([-0.1]), np.array([np.nan])):
        with pytest.raises(ValueError, match="between 0 and 1"):
            brier_score(bad, np.array([1.0]))
    with pytest.raises(ValueError, match="one outcome per prediction"):
        brier_score(np.array([]), np.array([]))


def test_outcomes_that_hang_together_count_once():
    """Ten prompts of six pairs each, all pairs of a prompt alike: nine trials with Student's t, not sixty."""
    said, happened = np.full(60, 0.75), np.repeat(np.arange(10) < 8, 6).astype(float)
    prompts = [f"p{i // 6}" for i in range(60)]
    alone = reliability_bins(said, happened, num_bins=4, confidence=0.95)[0]
    together = reliability_bins(said, happened, num_bins=4, confidence=0.95, clusters=prompts)[0]
    expected = wilson(7.2, 9, critical=student(9))
    assert (together.lower, together.upper) == pytest.approx((expected.low, expected.high))
    assert together.lower < alone.lower and together.observed == alone.observed == 0.8
