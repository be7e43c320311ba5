"""Intervals of dashboards: shares and ratios from the first observation on, on numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assent.stats.bootstrap import redrawn
from assent.stats.clustered import cautious_share, ratio
from assent.stats.independent import wilson


def test_values_that_hang_together_count_once() -> None:
    """Ten tasks of six pairs each, all pairs of a task alike: as sure as ten, not as sixty."""
    found = cautious_share((task, float(task < 8)) for task in range(10) for _ in range(6))
    assert found is not None and found.n == 10
    assert found.low == pytest.approx(wilson(7.2, 9).low), "p(1 - p) / SE² is C - 1 = 9 here"
    assert found.low < wilson(48, 60).low


def test_independent_values_count_each() -> None:
    """Twenty tasks of one pair, ten of them hits: SE² = 20 / 19 · 20 · 0.25 / 400, so 19 trials."""
    found = cautious_share((task, float(task % 2)) for task in range(20))
    assert found is not None and (found.estimate, found.n) == (0.5, 20)
    assert found.low == pytest.approx(wilson(9.5, 19).low)


def test_tasks_split_alike_are_as_sure_as_their_number() -> None:
    found = cautious_share((task, float(pair)) for task in range(10) for pair in range(2))
    assert found is not None and found.low == pytest.approx(wilson(5, 10).low)


def test_a_share_of_nothing_is_unknown() -> None:
    assert cautious_share([]) is None


def test_one_task_alone_is_one_trial() -> None:
    found = cautious_share([("task", 1.0), ("task", 1.0)])
    assert found is not None
    assert found.low == pytest.approx(wilson(1, 1).low) and found.high == 1


def test_ratio_of_three_clusters_by_hand() -> None:
    """Tops 1, 2, 6 over bottoms 1, 1, 2: R = 9/4; residuals -1.25, -0.25, 1.5; Σ² = 3.875; SE = √(1.5 · 3.875) / 4."""
    found = ratio([1, 2, 6], [1, 1, 2])
    assert found is not None
    error = math.sqrt(1.5 * 3.875) / 4
    assert found.estimate == 2.25
    assert found.high - found.estimate == pytest.approx(4.302653 * error, rel=1e-6), "Student's t with two degrees"


def test_one_cluster_says_nothing_about_others() -> None:
    found = ratio([3], [2])
    assert found is not None and (found.estimate, found.low, found.high) == (1.5, -math.inf, math.inf)
    assert ratio([], []) is None


def test_drawing_clusters_again_covers_the_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    inside = 0
    for seed in range(200):
        values = random.normal(size=60)
        found = redrawn(lambda w, v=values: w @ v / w.sum(axis=1), 60, seed=seed, draws=200)  # type: ignore[misc]
        assert found is not None and found.estimate == pytest.approx(values.mean())
        inside += found.low <= 0 <= found.high
    assert 180 <= inside <= 198


def test_a_statistic_that_is_unknown_has_no_interval() -> None:
    assert redrawn(lambda w: np.full(len(w), np.nan), 5) is None
    assert redrawn(lambda w: w.sum(axis=1), 0) is None
