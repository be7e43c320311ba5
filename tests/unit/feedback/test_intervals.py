"""Intervals of shares and ratios, on numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assent.feedback.quality.intervals import ratio, redrawn, share, wilson


def test_wilson_of_eight_in_ten() -> None:
    """z² = 3.8415: centre (0.8 + 0.19207) / 1.38415 = 0.7167, half 1.95996 / 1.38415 · √(0.016 + 0.009604) = 0.2266."""
    found = wilson(8, 10)
    assert (found.value, found.n) == (0.8, 10)
    assert (found.low, found.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


def test_nothing_of_ten_still_has_a_width() -> None:
    """(z² / 10) / (1 + z² / 10) = 0.27753."""
    found = wilson(0, 10)
    assert (found.low, found.high) == (0.0, pytest.approx(0.2775, abs=1e-4))


def test_values_that_hang_together_count_once() -> None:
    """Ten tasks of six pairs each, all pairs of a task alike: as sure as ten, not as sixty."""
    found = share((task, float(task < 8)) for task in range(10) for _ in range(6))
    assert found is not None and found.n == 10
    assert found.low == pytest.approx(wilson(7.2, 9).low), "p(1 - p) / SE² is C - 1 = 9 here"
    assert found.low < wilson(48, 60).low


def test_independent_values_count_each() -> None:
    """Twenty tasks of one pair, ten of them hits: SE² = 20 / 19 · 20 · 0.25 / 400, so 19 trials."""
    found = share((task, float(task % 2)) for task in range(20))
    assert found is not None and (found.value, found.n) == (0.5, 20)
    assert found.low == pytest.approx(wilson(9.5, 19).low)


def test_tasks_split_alike_are_as_sure_as_their_number() -> None:
    found = share((task, float(pair)) for task in range(10) for pair in range(2))
    assert found is not None and found.low == pytest.approx(wilson(5, 10).low)


def test_a_share_of_nothing_is_unknown() -> None:
    assert share([]) is None


def test_one_task_alone_is_one_trial() -> None:
    found = share([("task", 1.0), ("task", 1.0)])
    assert found is not None
    assert found.low == pytest.approx(wilson(1, 1).low) and found.high == 1


def test_ratio_of_three_clusters_by_hand() -> None:
    """Tops 1, 2, 6 over bottoms 1, 1, 2: R = 9/4; residuals -1.25, -0.25, 1.5; Σ² = 3.875; SE = √(1.5 · 3.875) / 4."""
    found = ratio([1, 2, 6], [1, 1, 2])
    assert found is not None
    error = math.sqrt(1.5 * 3.875) / 4
    assert found.value == 2.25
    assert found.high - found.value == pytest.approx(4.302653 * error, rel=1e-6), "Student's t with two degrees"


def test_one_cluster_says_nothing_about_others() -> None:
    found = ratio([3], [2])
    assert found is not None and (found.value, found.low, found.high) == (1.5, -math.inf, math.inf)
    assert ratio([], []) is None


def test_drawing_clusters_again_covers_the_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    inside = 0
    for seed in range(200):
        values = random.normal(size=60)
        found = redrawn(lambda w, v=values: w @ v / w.sum(axis=1), 60, seed=seed, draws=200)  # type: ignore[misc]
        assert found is not None and found.value == pytest.approx(values.mean())
        inside += found.low <= 0 <= found.high
    assert 180 <= inside <= 198


def test_a_statistic_that_is_unknown_has_no_interval() -> None:
    assert redrawn(lambda w: np.full(len(w), np.nan), 5) is None
    assert redrawn(lambda w: w.sum(axis=1), 0) is None
