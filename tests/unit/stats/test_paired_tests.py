"""Tests of paired differences: by hand, against every pattern written out, and their error where nothing differs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from assent.core import seeds
from assent.stats.clustered import paired_difference
from assent.stats.paired import mcnemar, share_difference, sign_flip


def test_mcnemar_by_hand() -> None:
    """Eight gained, two lost: p = 2 · (1 + 10 + 45) / 1024; Clopper-Pearson of 8 / 10 is 0.443905 to 0.974789."""
    found = mcnemar([1] * 8 + [0] * 2 + [1] * 5 + [0] * 5, [0] * 8 + [1] * 2 + [1] * 5 + [0] * 5)
    assert (found.gained, found.lost) == (8, 2)
    assert found.p == pytest.approx(112 / 1024)
    assert found.odds is not None and found.odds.estimate == 4.0 and found.odds.n == 10
    assert found.odds.low == pytest.approx(0.443905 / 0.556095, rel=1e-4)
    assert found.odds.high == pytest.approx(0.974789 / 0.025211, rel=1e-3)


def test_pairs_that_did_not_change_say_nothing() -> None:
    assert mcnemar([1, 0, 1], [1, 0, 1]) == (0, 0, 1.0, None)
    few, many = mcnemar([1, 1, 0], [0, 0, 1]), mcnemar([1, 1, 0] + [1] * 90, [0, 0, 1] + [1] * 90)
    assert few == many


def test_odds_without_a_loss_are_infinite_with_a_finite_lower_end() -> None:
    odds = mcnemar([1] * 6, [0] * 6).odds
    assert odds is not None and odds.estimate == odds.high == math.inf
    assert odds.low == pytest.approx(0.025 ** (1 / 6) / (1 - 0.025 ** (1 / 6)))


def test_mcnemar_wants_yes_or_no() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        mcnemar([0.5, 1], [0, 1])
    with pytest.raises(ValueError, match="one length"):
        mcnemar([0, 1], [0, 1, 1])


def test_every_pattern_of_signs_is_counted() -> None:
    values, clusters = [3.0, -1.0, 2.0, 2.5, -0.5], ["a", "a", "b", "c", "d"]
    sums = [2.0, 2.0, 2.5, -0.5]
    as_large = [
        abs(sum(s * x for s, x in zip(signs, sums, strict=True))) >= 6.0
        for signs in itertools.product((1, -1), repeat=4)
    ]
    found = sign_flip(values, clusters)
    assert found.is_exact and found.patterns == 16
    assert found.p == pytest.approx(np.mean(as_large))


def test_drawn_patterns_agree_with_all_of_them_and_are_never_certain() -> None:
    """Thirteen clusters of 1, and one of 0 that changes nothing: all alike in 2 of 2^13 patterns."""
    found = sign_flip([1.0] * 13, list(range(13)), draws=40_000)
    assert not found.is_exact and found.p == pytest.approx(2 / 2**13, abs=4e-4)
    assert sign_flip([1.0] * 60, list(range(60)), draws=99).p == 1 / 100
    assert sign_flip([1.0] * 60, list(range(60)), seed=3) == sign_flip([1.0] * 60, list(range(60)), seed=3)


def test_no_difference_at_all_has_p_one() -> None:
    assert sign_flip([0.0] * 5, list(range(5))).p == 1.0
    assert sign_flip([0.0] * 50, list(range(50))).p == 1.0


@pytest.mark.parametrize("clusters", [8, 30])
def test_flipped_signs_keep_their_level_where_observations_hang_together(clusters: int) -> None:
    rejected = 0
    for world in range(400):
        rng = seeds.stream(1, "sign flip level", clusters, world)
        index = np.repeat(np.arange(clusters), 5)
        values = rng.standard_t(3, clusters)[index] + rng.normal(size=len(index))
        rejected += sign_flip(values, index, draws=399).p <= 0.05
    assert rejected / 400 <= 0.08


def test_a_share_that_never_changed_has_a_width_and_one_that_often_did_has_the_usual_one() -> None:
    alike = share_difference([1.0] * 20, [1.0] * 20, list(range(20)))
    assert alike.estimate == 0.0 and 0.05 < alike.high < 0.2 and alike.low == -alike.high
    assert paired_difference([1.0] * 20, [1.0] * 20, list(range(20))).half_width == 0.0
    rng = np.random.default_rng(0)
    after, before = rng.integers(0, 2, (2, 2000)).astype(float)
    usual = paired_difference(after, before, list(range(2000)))
    assert share_difference(after, before, list(range(2000))).half_width == pytest.approx(usual.half_width, rel=2e-3)


def test_the_difference_of_shares_by_hand() -> None:
    """Gained, gained, nothing, lost: centre 1 / 6, S = 25/36·2 + 1/36 + 49/36 + 1 + 1/18, over 36, times 4/3; t(3)."""
    found = share_difference([1, 1, 0, 0], [0, 0, 0, 1], [0, 1, 2, 3], confidence=0.8)
    spread = (2 * 25 + 1 + 49) / 36 + 1 + 2 / 36
    half = 1.637744 * math.sqrt(4 / 3 * spread) / 6
    assert found.estimate == 0.25
    assert (found.low, found.high) == pytest.approx((1 / 6 - half, 1 / 6 + half), abs=1e-5)


def test_a_difference_of_shares_wants_shares() -> None:
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        share_difference([2.0, 0.0], [0.0, 0.0], [0, 1])


@pytest.mark.parametrize(("clusters", "each"), [(20, 1), (20, 4), (60, 1)])
def test_a_difference_that_is_seldom_any_is_covered_where_the_plain_interval_is_not(clusters: int, each: int) -> None:
    covered = plain = 0
    for world in range(300):
        rng = seeds.stream(2, "seldom", clusters, each, world)
        index = np.repeat(np.arange(clusters), each)
        draw = np.where(rng.random(len(index)) < 0.7, rng.random(clusters)[index], rng.random(len(index)))
        after, before = (draw < 0.03).astype(float), ((draw >= 0.03) & (draw < 0.04)).astype(float)
        for found, add in ((share_difference(after, before, index), 1), (paired_difference(after, before, index), 0)):
            held = found.low <= 0.02 <= found.high
            covered, plain = covered + held * add, plain + held * (1 - add)
    assert covered / 300 >= 0.93 and plain < covered - 20
