"""Intervals: worked by hand where small, and covering the truth as often as they promise where simulated."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from assent.core import seeds
from assent.stats.clustered import clustered_mean, clustered_share, paired_difference, two_way_share
from assent.stats.estimate import Estimate
from assent.stats.independent import score_interval, wilson


def test_wilson_by_hand() -> None:
    # z = 1.959964, z² = 3.841459; 8 of 10: centre (0.8 + 0.192073) / 1.384146 = 0.716740,
    # half 1.959964 / 1.384146 · √(0.016 + 0.0096036) = 0.226578
    found = wilson(8, 10)
    assert found.estimate == 0.8
    assert found.low == pytest.approx(0.490162, abs=1e-6)
    assert found.high == pytest.approx(0.943318, abs=1e-6)


def test_wilson_has_a_width_even_when_nothing_or_everything_succeeds() -> None:
    # 0 of n: the upper limit is z² / (n + z²).
    assert (wilson(0, 10).estimate, wilson(0, 10).low) == (0.0, 0.0)
    assert wilson(0, 10).high == pytest.approx(3.841459 / 13.841459, abs=1e-6)
    assert wilson(10, 10).low == pytest.approx(10 / 13.841459, abs=1e-6)
    assert wilson(10, 10).high == 1.0


def test_an_infinitely_large_sample_leaves_no_width() -> None:
    low, high = score_interval(0.3, 10**8)
    assert (low, high) == pytest.approx((0.3, 0.3), abs=1e-3)


def test_wilson_refuses_what_is_no_share() -> None:
    with pytest.raises(ValueError, match="got 0 of 0"):
        wilson(0, 0)
    with pytest.raises(ValueError, match="got 3 of 2"):
        wilson(3, 2)


def test_json_holds_n_only_where_it_is_said() -> None:
    plain = Estimate(estimate=0.5, low=0.25, high=0.75)
    assert json.loads(plain.model_dump_json()) == plain.model_dump() == {"estimate": 0.5, "low": 0.25, "high": 0.75}
    counted = plain.model_copy(update={"n": 9})
    assert json.loads(counted.model_dump_json()) == {"estimate": 0.5, "low": 0.25, "high": 0.75, "n": 9}
    assert Estimate.of(plain.model_dump()) == plain and Estimate.of(counted.model_dump()) == counted


@pytest.mark.parametrize("value", [None, 0.5, {"estimate": 0.5}, {"estimate": None, "low": None, "high": None, "n": 0}])
def test_what_has_no_interval_is_no_estimate(value: object) -> None:
    assert Estimate.of(value) is None


def test_n_is_taken_from_beside_where_the_json_has_none() -> None:
    bare = {"estimate": 1, "low": 0, "high": 2}
    assert Estimate.of(bare, n=7) == Estimate(estimate=1.0, low=0.0, high=2.0, n=7)
    assert Estimate.of({**bare, "n": 3}, n=7) == Estimate(estimate=1.0, low=0.0, high=2.0, n=3)


def test_the_clustered_error_by_hand() -> None:
    # values 1 2 | 3 5 | 9: mean 4, sums of deviations -5, 0, 5; SE² = 3/2 · 50 / 25 = 3. Sizes 2, 2 and 1 weigh as
    # 25 / 9 clusters of one size: t(16/9 df, 97.5 %) = 4.861473
    found = clustered_mean([1, 2, 3, 5, 9], ["a", "a", "b", "b", "c"])
    assert found.estimate == 4.0
    assert found.half_width == pytest.approx(4.861473 * math.sqrt(3), abs=1e-5)


def test_with_one_observation_per_cluster_it_is_the_ordinary_t_interval() -> None:
    # 2 4 4 6: mean 4, s² = 8/3, SE = √(2/3), t(3 df) = 3.182446
    found = clustered_mean([2, 4, 4, 6], [0, 1, 2, 3])
    assert found.half_width == pytest.approx(3.182446 * math.sqrt(2 / 3), abs=1e-5)


def test_repeating_every_observation_inside_its_cluster_teaches_nothing_new() -> None:
    values, clusters = [0.0, 1.0, 1.0, 0.5], ["a", "b", "c", "d"]
    once, thrice = clustered_mean(values, clusters), clustered_mean(values * 3, clusters * 3)
    assert thrice.low == pytest.approx(once.low) and thrice.high == pytest.approx(once.high)


def test_pairing_removes_what_makes_items_hard_for_both() -> None:
    before = [0.0, 10.0, 20.0, 30.0]
    after = [1.0, 11.5, 20.5, 31.0]
    found = paired_difference(after, before, [0, 1, 2, 3])
    assert found.estimate == 1.0 and found.low > 0  # the two means alone differ by far less than their spread


def test_a_share_near_one_keeps_its_interval_inside_zero_and_one() -> None:
    found = clustered_share([1.0] * 29 + [0.0], list(range(30)))
    assert found.high < 1.0 and clustered_mean([1.0] * 29 + [0.0], list(range(30))).high > 1.0
    assert clustered_share([1.0] * 30, list(range(30))).low == pytest.approx(
        0.878, abs=1e-3
    )  # 30 / (30 + t²), t = 2.0452


def test_single_trials_per_cluster_give_wilson_with_students_t() -> None:
    values = [1.0] * 60 + [0.0] * 40
    found, plain = clustered_share(values, list(range(100))), wilson(60, 100)
    assert found.low == pytest.approx(plain.low, abs=0.003) and found.high == pytest.approx(plain.high, abs=0.003)


@pytest.mark.parametrize("values", [[0.5, float("nan")], [0.5]])
def test_missing_or_unlabelled_values_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"NaN|label"):
        clustered_mean(values, ["a", "b"])


def test_one_cluster_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least two clusters"):
        clustered_mean([1.0, 2.0], ["a", "a"])


def test_the_two_way_error_by_hand() -> None:
    """Scores 1, 1 / 1, 0 of two raters on two prompts, mean ¾. Sums of deviations: by prompt ½ and -½, by rater the
    same, by verdict ¼, ¼, ¼, -¾. Variances 2 · ½ / 16, the same, and 4/3 · ¾ / 16; one degree of freedom: 12.706."""
    found = two_way_share([1.0, 1.0, 1.0, 0.0], ["p", "p", "q", "q"], ["x", "y", "x", "y"])
    variance = 1 / 16 + 1 / 16 - 1 / 16
    expected = score_interval(0.75, 0.75 * 0.25 / variance, critical=12.706204736)
    assert found.estimate == 0.75
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)


def test_two_ways_are_wider_than_one_when_raters_differ() -> None:
    rng = seeds.stream(0, "raters")
    lean = rng.normal(0, 1.5, size=8)
    prompts, raters = np.repeat(np.arange(50), 8), np.tile(np.arange(8), 50)
    values = (rng.random(400) < 1 / (1 + np.exp(-lean[raters]))).astype(float)
    assert two_way_share(values, prompts, raters).half_width > 4 * clustered_share(values, prompts).half_width


def test_raters_who_all_say_the_same_are_as_many_trials_as_there_are_raters() -> None:
    found = two_way_share(np.ones(60), np.repeat(np.arange(20), 3), np.tile(np.arange(3), 20))
    assert (found.low, found.high) == (pytest.approx(score_interval(1.0, 3, critical=4.30265273)[0]), 1.0)


def test_two_ways_survive_raters_who_share_no_prompt() -> None:
    found = two_way_share([0.0, 1.0], ["p", "q"], ["x", "y"])
    assert 0.0 <= found.low <= found.estimate <= found.high <= 1.0


def test_clusters_of_uneven_size_have_fewer_degrees_of_freedom() -> None:
    """Sizes 8, 1, 1 weigh as 100 / 66 clusters of one size: one degree of freedom and not two."""
    values = [0.0] * 4 + [1.0] * 6
    clusters = ["a"] * 8 + ["b", "c"]
    error = math.sqrt(3 / 2 * (0.8**2 + 0.4**2 + 0.4**2)) / 10
    assert clustered_mean(values, clusters).half_width == pytest.approx(12.706204736 * error, rel=1e-6)


def test_a_share_of_clusters_of_very_different_size_by_hand() -> None:
    """Eight hits, a miss and a miss: mean .8, sums of deviations 1.6, -.8, -.8, SE² = 3/2 · 3.84 / 100 = .0576. Sizes
    weigh as C_e = 100 / 66 of three: the variance gets (1 - C_e / 3) · .16 / C_e² more. Student's t: C_e - 1 < 1."""
    found = clustered_share([1.0] * 8 + [0.0] * 2, ["a"] * 8 + ["b", "c"])
    effective = 100 / 66
    variance = 0.0576 + (1 - effective / 3) * 0.16 / effective**2
    expected = score_interval(0.8, 0.16 / variance, critical=12.706204736)
    assert (found.low, found.high) == pytest.approx(expected)


def test_few_clusters_that_carry_all_of_the_variance_leave_few_degrees_of_freedom() -> None:
    """One in forty prompts holds all misses, and the sizes differ: about three degrees of freedom, not thirty."""
    sizes = [1, 30] * 20
    clusters = np.repeat(np.arange(40), sizes)
    uneven = clustered_share((clusters != 1).astype(float), clusters)
    even = clustered_share((np.repeat(np.arange(40), 15) != 1).astype(float), np.repeat(np.arange(40), 15))
    assert 1 - uneven.low > 3 * (1 - even.low)


@pytest.mark.parametrize(("clusters", "share"), [(20, 0.9), (60, 0.98)])
def test_a_share_near_one_is_held_where_clusters_differ_in_size_and_hang_together(clusters: int, share: float) -> None:
    held = 0
    for world in range(400):
        rng = seeds.stream(15, "uneven", clusters, world)
        index = np.repeat(np.arange(clusters), rng.integers(1, 31, clusters))
        own = rng.beta(share * 7 / 3, (1 - share) * 7 / 3, clusters)
        found = clustered_share((rng.random(len(index)) < own[index]).astype(float), index)
        held += found.low <= share <= found.high
    assert held / 400 >= 0.9


def prompts_of_varied_difficulty(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """40 prompts, 4 verdicts each, win probability of a prompt from Beta(2, 1): mean 2/3, strongly clustered."""
    p = rng.beta(2, 1, size=40)
    return (rng.random((40, 4)) < p[:, None]).astype(float).ravel(), np.repeat(np.arange(40), 4)


def mean_interval(x: np.ndarray, clusters: np.ndarray, rng: np.random.Generator) -> Estimate:
    return clustered_mean(x, clusters)


def share_interval(x: np.ndarray, clusters: np.ndarray, rng: np.random.Generator) -> Estimate:
    return clustered_share(x, clusters)


@pytest.mark.parametrize("interval", [mean_interval, share_interval])
def test_a_95_percent_interval_covers_the_truth_about_95_times_in_100(
    interval: Callable[[np.ndarray, np.ndarray, np.random.Generator], Estimate],
) -> None:
    covered, worlds = 0, 300
    for world in range(worlds):
        rng = seeds.stream(5, "coverage", world)
        found = interval(*prompts_of_varied_difficulty(rng), rng)
        covered += found.low <= 2 / 3 <= found.high
    assert 0.90 <= covered / worlds <= 0.98


def test_an_interval_that_forgets_the_clusters_promises_too_much() -> None:
    # What the clustering is for: the plain interval covers far less often on the same data.
    worlds = [prompts_of_varied_difficulty(seeds.stream(5, "coverage", world))[0] for world in range(400)]
    plain = [wilson(x.sum(), len(x)) for x in worlds]
    assert np.mean([e.low <= 2 / 3 <= e.high for e in plain]) < 0.90


@pytest.mark.parametrize(("prompts", "raters"), [(60, 3), (60, 5), (100, 12)])
def test_the_two_way_interval_covers_over_new_prompts_and_new_raters(prompts: int, raters: int) -> None:
    """Raters differ by 0.8 and prompts by 0.7 logits around ½; each pair is judged by two of the raters."""
    covered = forgetful = 0
    for world in range(200):
        rng = seeds.stream(6, "two ways", world, raters)
        lean, hard = rng.normal(0, 0.8, size=raters), rng.normal(0, 0.7, size=prompts)
        who = np.array([rng.choice(raters, 2, replace=False) for _ in range(prompts)]).ravel()
        which = np.repeat(np.arange(prompts), 2)
        values = (rng.random(2 * prompts) < 1 / (1 + np.exp(-lean[who] - hard[which]))).astype(float)
        found, one = two_way_share(values, which, who), clustered_share(values, which)
        covered += found.low <= 0.5 <= found.high
        forgetful += one.low <= 0.5 <= one.high
    assert 0.91 <= covered / 200 <= 0.995
    assert forgetful < covered - 10
