"""Intervals of dashboards: shares and ratios from the first observation on, on numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assent.stats import clustered
from assent.stats.clustered import cautious_share, jackknife, ratio, student, within
from assent.stats.independent import score_interval, wilson


def test_values_that_hang_together_count_once() -> None:
    """Ten tasks of six pairs each, all pairs of a task alike: as sure as ten, not as sixty."""
    found = cautious_share((task, float(task < 8)) for task in range(10) for _ in range(6))
    assert found is not None and found.n == 10
    assert found.low == pytest.approx(wilson(7.2, 9, critical=student(9)).low), "p(1 - p) / SE² is C - 1 = 9 here"
    assert found.low < wilson(48, 60).low


def test_independent_values_count_each() -> None:
    """Twenty tasks of one pair, ten of them hits: SE² = 20 / 19 · 20 · 0.25 / 400, so 19 trials."""
    found = cautious_share((task, float(task % 2)) for task in range(20))
    assert found is not None and (found.estimate, found.n) == (0.5, 20)
    assert found.low == pytest.approx(wilson(9.5, 19, critical=student(19)).low)


def test_tasks_split_alike_are_as_sure_as_their_number() -> None:
    found = cautious_share((task, float(pair)) for task in range(10) for pair in range(2))
    assert found is not None and found.low == pytest.approx(wilson(5, 10, critical=student(9)).low)


def test_a_share_of_nothing_is_unknown() -> None:
    assert cautious_share([]) is None


def test_one_task_alone_is_one_trial() -> None:
    found = cautious_share([("task", 1.0), ("task", 1.0)])
    assert found is not None
    assert found.low == pytest.approx(wilson(1, 1, critical=student(1)).low) and found.high == 1


def test_ratio_of_three_clusters_by_hand() -> None:
    """Tops 1, 2, 6 over bottoms 1, 1, 2: R = 9/4; residuals -1.25, -0.25, 1.5; Σ² = 3.875; SE = √(1.5 · 3.875) / 4.
    The bottoms weigh as 16 / 6 of one size: 1.667 degrees of freedom."""
    found = ratio([1, 2, 6], [1, 1, 2])
    assert found is not None
    error = math.sqrt(1.5 * 3.875) / 4
    assert found.estimate == 2.25
    assert found.high - found.estimate == pytest.approx(student(10 / 6) * error), "Student's t"
    assert 4.302653 < student(10 / 6) < 12.706204, "between two degrees and one"


def test_one_cluster_says_nothing_about_others() -> None:
    found = ratio([3], [2])
    assert found is not None and (found.estimate, found.low, found.high) == (1.5, -math.inf, math.inf)
    assert ratio([], []) is None


def test_a_ratio_that_cannot_leave_a_range_has_an_interval_inside_it() -> None:
    whole = ratio([2, 2, 2], [2, 2, 2], between=(0.0, 1.0))
    assert whole is not None
    assert whole.low == pytest.approx(score_interval(1.0, 3, critical=4.30265273)[0])
    assert (whole.estimate, whole.high, whole.n) == (1.0, 1.0, 3)
    tau = ratio([-2.0, 2.0, 1.5], [2, 2, 2], between=(-1.0, 1.0))
    assert tau is not None and tau.estimate == pytest.approx(0.25)
    assert -1 <= tau.low < 0.25 < tau.high <= 1


def test_leaving_out_one_cluster_at_a_time_gives_the_t_interval_of_a_mean() -> None:
    """The jackknife error of a mean is its ordinary one; with values near ½ the score interval is almost that of t."""
    values = np.array([0.4, 0.5, 0.55, 0.6, 0.45])
    found = jackknife(lambda w: w @ values / w.sum(axis=1), 5, between=(0.0, 1.0))
    assert found is not None and found.estimate == pytest.approx(0.5)
    error = values.std(ddof=1) / math.sqrt(5)
    expected = score_interval(0.5, 0.25 / error**2, critical=2.776445105)
    assert (found.low, found.high) == pytest.approx(expected)


def test_many_clusters_are_left_out_in_blocks_with_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more rows of weights than the block, each leaving out one cluster, and all of them in order."""
    values = np.random.default_rng(0).random(11)
    whole = jackknife(lambda w: w @ values / w.sum(axis=1), 11, between=(0.0, 1.0))
    asked: list[np.ndarray] = []

    def mean(weights: np.ndarray) -> np.ndarray:
        asked.append(weights)
        return np.asarray(weights @ values / weights.sum(axis=1))

    monkeypatch.setattr(clustered, "LEFT_OUT_AT_ONCE", 4)
    found = jackknife(mean, 11, between=(0.0, 1.0))
    assert found is not None and whole is not None
    assert (found.estimate, found.low, found.high) == pytest.approx((whole.estimate, whole.low, whole.high))
    assert [len(one) for one in asked] == [4, 4, 4]
    assert np.array_equal(np.vstack(asked), np.vstack([np.ones(11), 1 - np.eye(11)]))


@pytest.mark.parametrize("clusters", [3, 5, 10, 30])
def test_the_jackknife_covers_about_as_often_as_it_says_with_few_clusters_too(clusters: int) -> None:
    inside = 0
    for seed in range(300):
        values = np.clip(np.random.default_rng(seed).normal(0.1, 0.3, size=clusters), -1, 1)
        found = jackknife(lambda w, v=values: w @ v / w.sum(axis=1), clusters, between=(-1.0, 1.0))  # type: ignore[misc]
        assert found is not None and -1 <= found.low <= found.high <= 1
        inside += found.low <= 0.1 <= found.high
    assert 0.92 <= inside / 300 <= 0.99


def test_a_statistic_that_is_unknown_has_no_interval() -> None:
    assert jackknife(lambda w: np.full(len(w), np.nan), 5, between=(0.0, 1.0)) is None
    assert jackknife(lambda w: w.sum(axis=1), 0, between=(0.0, 1.0)) is None
    alone = jackknife(lambda w: w.sum(axis=1), 1, between=(0.0, 1.0))
    assert alone is not None and (alone.low, alone.high) == (0.0, 1.0)


def test_a_value_at_the_end_of_its_range_that_varies_all_the_same_has_an_interval() -> None:
    """A corrected share of 1 with an error of .1 over 9 clusters: .95 · .05 / .01 = 4.75 trials, all of them hits."""
    found = within(1.0, 0.01, 9, critical=2.0)
    assert (found.estimate, found.high) == (1.0, 1.0) and found.low == pytest.approx(
        score_interval(1.0, 4.75, critical=2.0)[0]
    )
