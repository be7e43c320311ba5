"""Confidence sequences: by hand, what earlier looks fix, and that looking every day costs no more than was said."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from assent.core import seeds
from assent.stats.clustered import clustered_mean
from assent.stats.sequential import FEWEST, asymptotic_sequence, bounded_sequence, in_order

Floats = NDArray[np.float64]


def test_one_observation_by_hand() -> None:
    """A single 1: the capital against m is the mean of 1 - b + b / m over bets around ½, ½ + 1 / 2m, 40 at 1 / 79."""
    found = bounded_sequence([1.0])
    assert (found.estimate, found.high, found.n) == (1.0, 1.0, 1)
    assert found.low == pytest.approx(1 / 79)
    mirrored = bounded_sequence([0.0])
    assert (mirrored.low, mirrored.high) == (0.0, pytest.approx(78 / 79))


def test_against_every_candidate_written_out() -> None:
    x = np.array([1.0, 0.0, 1.0, 1.0, 0.5, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    bets = (np.arange(20) + 0.5) / 20
    kept = []
    for m in np.linspace(0.005, 0.995, 199):
        up = max(np.mean([np.prod(1 - b + b * x[:t] / m) for b in bets]) for t in range(1, 13))
        down = max(np.mean([np.prod(1 - b + b * (1 - x[:t]) / (1 - m)) for b in bets]) for t in range(1, 13))
        if up < 40 and down < 40:
            kept.append(m)
    found = bounded_sequence(x)
    assert (found.low, found.high) == pytest.approx((kept[0], kept[-1]), abs=5.1e-3)


def test_differences_are_shares_on_another_scale() -> None:
    x = np.random.default_rng(0).random(50)
    share, difference = bounded_sequence(x), bounded_sequence(2 * x - 1, between=(-1.0, 1.0))
    assert (difference.low, difference.high) == pytest.approx((2 * share.low - 1, 2 * share.high - 1))


def test_a_later_interval_lies_inside_an_earlier_one() -> None:
    x = (np.random.default_rng(1).random(120) < 0.3).astype(float)
    looks = [bounded_sequence(x[:t]) for t in range(10, 121, 10)]
    centre_inside = [look for look in looks if look.low < look.estimate < look.high]
    assert len(centre_inside) == len(looks)
    for before, after in itertools.pairwise(looks):
        assert before.low <= after.low and after.high <= before.high


def test_a_mean_that_moved_lies_in_its_own_interval() -> None:
    found = bounded_sequence([0.0] * 100 + [1.0] * 100)
    assert found.low < 0.1 and found.estimate == 0.5 <= found.high


def test_observations_outside_and_none_are_refused() -> None:
    for wrong in ([-0.1], [0.5, 1.2]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            bounded_sequence(wrong)
    for nothing in ([], [math.nan], [[0.5]]):
        with pytest.raises(ValueError, match="finite number"):
            bounded_sequence(nothing)


def test_clusters_become_one_observation_each_in_the_order_of_their_first_value() -> None:
    assert in_order([1, 5, 3, 7], ["q", "p", "q", "o"]).tolist() == [2.0, 5.0, 7.0]
    with pytest.raises(ValueError, match="cluster label"):
        in_order([1.0], ["a", "b"])


def test_the_asymptotic_one_by_hand() -> None:
    """100 values of mean 0 and spread 1, planned for 100: t ρ² = 5.991465 + log 5.991465 + 1 = 8.781796."""
    x = np.where(np.arange(100) % 2, 1.0, -1.0) * math.sqrt(99 / 100)
    half = math.sqrt(2 * 9.781796 / (100 * 8.781796) * (math.log(9.781796) / 2 + math.log(20)))
    assert asymptotic_sequence(x, planned=100).half_width == pytest.approx(half, rel=1e-5)


def test_the_asymptotic_one_is_narrowest_where_it_is_planned_and_silent_at_first() -> None:
    x = np.random.default_rng(2).normal(size=400)
    widths = {planned: asymptotic_sequence(x, planned=planned).half_width for planned in (50, 300, 400, 500, 4000)}
    assert min(widths, key=lambda planned: widths[planned]) == 400
    assert asymptotic_sequence(x[: FEWEST - 1]).high == math.inf
    assert asymptotic_sequence([0.0] * 100).high == math.inf, "a hundred zeros do not say that there is nothing else"


def shares(rng: np.random.Generator) -> Floats:
    return (rng.random(200) < 0.1).astype(float)


def rare_changes(rng: np.random.Generator) -> Floats:
    return rng.choice([-1.0, 0.0, 1.0], 200, p=[0.03, 0.91, 0.06])


@pytest.mark.parametrize(("draw", "truth", "low"), [(shares, 0.1, 0.0), (rare_changes, 0.03, -1.0)])
def test_daily_looks_at_bounded_means_err_no_more_often_than_said(draw, truth: float, low: float) -> None:  # type: ignore[no-untyped-def]
    """A look after every observation is what the last one holds: it is inside all before. Of ordinary intervals, one
    in ten looks would do it."""
    missed = fooled = 0
    for world in range(120):
        x = draw(seeds.stream(10, "looks", world, draw.__name__))
        found = bounded_sequence(x, between=(low, 1.0))
        missed += not found.low <= truth <= found.high
        ordinary = [clustered_mean(x[:t], np.arange(t)) for t in range(20, 201, 20)]
        fooled += not all(one.low <= truth <= one.high for one in ordinary)
    assert missed / 120 <= 0.05 < fooled / 120 - 0.05


def test_daily_looks_at_unbounded_means_err_no_more_often_than_said() -> None:
    missed = 0
    for world in range(300):
        x = seeds.stream(11, "looks", world).standard_t(5, 600)
        looks = [asymptotic_sequence(x[:t]) for t in range(FEWEST, 601, 10)]
        missed += not all(one.low <= 0 <= one.high for one in looks)
    assert missed / 300 <= 0.06
