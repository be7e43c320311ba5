"""Intervals of statistics of rows: equal to the known ones where there are any, and holding the truth elsewhere."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest

from assent.core import seeds
from assent.stats.clustered import clustered_mean, jackknife
from assent.stats.dprime import d_prime
from assent.stats.resampled import MOST_PARTS, difference_of, drawn_again, left_out


def mean(rows: list[float]) -> float | None:
    return sum(rows) / len(rows) if rows else None


def test_leaving_out_clusters_of_a_mean_gives_its_clustered_interval() -> None:
    values, clusters = [1.0, 2, 3, 5, 9, 4], ["a", "a", "b", "b", "c", "c"]
    found, known = left_out(values, clusters, mean), clustered_mean(values, clusters)
    assert found is not None and (found.low, found.high) == pytest.approx((known.low, known.high))
    assert (found.estimate, found.n) == (4.0, 3)


def test_it_is_the_jackknife_of_weights_where_clusters_are_of_one_size() -> None:
    values = np.array([0.4, 0.5, 0.55, 0.6, 0.45])
    weighed = jackknife(lambda w: w @ values / w.sum(axis=1), 5, between=(0.0, 1.0))
    assert left_out(list(values), list(range(5)), mean, between=(0.0, 1.0)) == weighed


def test_many_clusters_are_left_out_in_at_most_a_hundred_parts() -> None:
    values, calls = list(np.random.default_rng(0).normal(size=1000)), []

    def counted(rows: list[float]) -> float | None:
        calls.append(len(rows))
        return mean(rows)

    found, known = left_out(values, list(range(1000)), counted), clustered_mean(values, list(range(1000)))
    assert len(calls) == MOST_PARTS + 1 and set(calls) == {1000, 990}
    assert found is not None and found.half_width == pytest.approx(known.half_width, rel=0.25)


def test_what_comes_every_so_many_clusters_does_not_fill_whole_parts() -> None:
    """Four kinds in turn over 800 clusters: in their order, each of the 100 parts would hold one kind only."""
    values, clusters = [1.0, 1.0, 1.0, 0.0] * 200, list(range(800))
    found, known = left_out(values, clusters, mean), clustered_mean(values, clusters)
    assert found is not None and found.half_width == pytest.approx(known.half_width, rel=0.25)


def test_what_cannot_be_computed_is_unknown_and_one_cluster_says_nothing_of_others() -> None:
    assert left_out([1.0, 2.0], ["a", "b"], lambda rows: None) is None
    assert left_out([1.0, 2.0], ["a", "b"], lambda rows: math.nan) is None
    for found in (left_out([0.5, 0.5], ["a", "a"], mean), drawn_again([0.5, 0.5], ["a", "a"], mean)):
        assert found is not None and (found.estimate, found.low, found.high) == (0.5, -math.inf, math.inf)
    alone = left_out([0.5, 0.5], ["a", "a"], mean, between=(0.0, 1.0))
    assert alone is not None and (alone.low, alone.high, alone.n) == (0.0, 1.0, 1)


def test_rows_and_labels_go_together() -> None:
    for make in (left_out, drawn_again):
        with pytest.raises(ValueError, match="2 rows and 1 labels"):
            make([1.0, 2.0], ["a"], mean)
        with pytest.raises(ValueError, match="0 rows"):
            make([], [], mean)


def test_all_alike_has_a_width_where_the_range_is_known() -> None:
    found = left_out([1.0] * 6, list(range(6)), mean, between=(0.0, 1.0))
    assert found is not None and found.high == 1.0 and 0.4 < found.low < 0.6  # 6 / (6 + t²), t = 2.5706


def test_a_difference_over_the_same_rows_is_paired() -> None:
    before = [0.0, 10.0, 20.0, 30.0]
    after = [1.0, 11.5, 20.5, 31.0]
    found = left_out(list(zip(after, before, strict=True)), [0, 1, 2, 3], difference_of(mean))
    known = clustered_mean([1.0, 1.5, 0.5, 1.0], [0, 1, 2, 3])
    assert found is not None and (found.low, found.high) == pytest.approx((known.low, known.high))
    assert difference_of(lambda rows: None)([(1, 2)]) is None


def test_drawing_again_is_repeatable_and_agrees_with_the_clustered_error() -> None:
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(40), 3)
    values = list(rng.normal(size=40)[clusters] + rng.normal(size=120))
    found, known = drawn_again(values, clusters, mean, draws=2000), clustered_mean(values, clusters)
    assert found == drawn_again(values, clusters, mean, draws=2000)
    assert found is not None and found.half_width == pytest.approx(known.half_width, rel=0.06)


@pytest.mark.parametrize("clusters", [6, 10, 40])
def test_a_ratio_of_means_is_held_with_few_clusters_too(clusters: int) -> None:
    held = 0
    for world in range(300):
        rng = seeds.stream(9, "ratio", clusters, world)
        index = np.repeat(np.arange(clusters), 3)
        below = 2 + 0.3 * rng.normal(size=clusters)[index] + 0.3 * rng.normal(size=len(index))
        above = below * 0.5 + 0.2 * rng.normal(size=clusters)[index] + 0.3 * rng.normal(size=len(index))
        rows = list(zip(above, below, strict=True))
        found = left_out(rows, index, lambda rows: sum(r[0] for r in rows) / sum(r[1] for r in rows))
        assert found is not None
        held += found.low <= 0.5 <= found.high
    assert 0.92 <= held / 300 <= 0.985


def test_the_median_is_held_by_drawing_again() -> None:
    held = 0
    for world in range(200):
        rng = seeds.stream(9, "median", world)
        found = drawn_again(list(rng.lognormal(size=25)), list(range(25)), lambda rows: median(rows), draws=200)
        assert found is not None
        held += found.low <= 1.0 <= found.high
    assert held / 200 >= 0.92


def test_a_statistic_of_two_kinds_of_rows_takes_both_from_one_list() -> None:
    """Rows (is harmful, was refused); d' of what is left wherever both kinds are left."""
    rows = [(i % 2 == 0, i % 2 == 0 or i % 5 == 0) for i in range(40)]

    def d(some: list[tuple[bool, bool]]) -> float | None:
        of = [[refused for harmful, refused in some if harmful is kind] for kind in (True, False)]
        return d_prime(sum(of[0]), len(of[0]), sum(of[1]), len(of[1]))

    found = left_out(rows, [i // 4 for i in range(40)], d)
    assert found is not None and found.estimate == d_prime(20, 20, 4, 20) and found.low < found.estimate < found.high
