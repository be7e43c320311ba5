"""Verdicts against margins: by hand, at the edges, and how often they are wrong where the truth lies on the margin."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assent.core import seeds
from assent.stats.clustered import clustered_mean
from assent.stats.equivalence import above, equivalence, non_inferiority, superiority
from assent.stats.estimate import Estimate


def between(low: float, high: float) -> Estimate:
    return Estimate(estimate=(low + high) / 2 if math.isfinite(low + high) else 0.0, low=low, high=high)


def test_a_loss_below_the_margin_passes_and_a_surely_larger_one_fails() -> None:
    assert non_inferiority(between(-0.02, 0.05), 0.03) == "pass"
    assert non_inferiority(between(-0.04, 0.05), 0.03) == "undecided"
    assert non_inferiority(between(-0.09, -0.04), 0.03) == "fail"


def test_where_less_is_better_the_upper_end_decides() -> None:
    assert non_inferiority(between(-0.05, 0.02), 0.03, higher_is_better=False) == "pass"
    assert non_inferiority(between(0.04, 0.09), 0.03, higher_is_better=False) == "fail"
    assert superiority(between(-0.09, -0.01), higher_is_better=False) == "pass"


def test_superiority_wants_the_whole_interval_beyond_the_gain() -> None:
    assert superiority(between(0.01, 0.09)) == "pass"
    assert superiority(between(0.01, 0.09), 0.02) == "undecided"
    assert superiority(between(0.0, 0.01), 0.02) == "fail"


def test_what_is_not_known_is_undecided_and_the_line_itself_is_not_above() -> None:
    assert above(between(-math.inf, math.inf), 0.0) == "undecided"
    assert above(Estimate(estimate=math.nan, low=math.nan, high=math.nan), 0.0) == "undecided"
    assert above(between(0.0, 0.0), 0.0) == "undecided"
    with pytest.raises(ValueError, match="margin"):
        non_inferiority(between(0, 1), -0.1)


def test_two_one_sided_tests_by_hand() -> None:
    """2 4 4 6 less 4: mean 0, error √(2/3), three degrees. t / √3 = 3 / √2 = u, so p = ½ - (u / 5.5 + atan u) / π."""
    u = 3 / math.sqrt(2)
    found = equivalence([-2.0, 0.0, 0.0, 2.0], [0, 1, 2, 3], margin=3.0)
    assert found.p == pytest.approx(0.5 - (u / 5.5 + math.atan(u)) / math.pi) and found.verdict == "pass"
    assert found.difference.half_width == pytest.approx(2.353363 * math.sqrt(2 / 3), rel=1e-6), "90 %, not 95 %"
    assert equivalence([-2.0, 0.0, 0.0, 2.0], [0, 1, 2, 3], margin=1.5).verdict == "undecided"
    assert equivalence([4.0, 5.0, 5.0, 6.0], [0, 1, 2, 3], margin=1.5).verdict == "fail"


def test_equivalent_means_that_the_interval_lies_inside_the_margins() -> None:
    for world in range(200):
        rng = np.random.default_rng(world)
        clusters = rng.integers(0, 9, 30)
        values = rng.normal(0.1, 1.0, 30)
        inner = clustered_mean(values, clusters, confidence=0.9)
        is_inside = inner.low > -0.5 and inner.high < 0.5
        assert (equivalence(values, clusters, margin=0.5).verdict == "pass") == is_inside


def test_no_margin_no_verdict() -> None:
    for margin in (0.0, math.nan, math.inf, -1.0):
        with pytest.raises(ValueError, match="margin above 0"):
            equivalence([0.0, 1.0], [0, 1], margin=margin)


@pytest.mark.parametrize("clusters", [6, 40])
def test_a_difference_on_the_margin_seldom_passes(clusters: int) -> None:
    passed = 0
    for world in range(600):
        rng = seeds.stream(3, "margin", clusters, world)
        index = np.repeat(np.arange(clusters), 3)
        values = 0.5 + 0.3 * rng.normal(size=clusters)[index] + 0.3 * rng.normal(size=len(index))
        passed += equivalence(values, index, margin=0.5).verdict == "pass"
    assert passed / 600 <= 0.07
