"""Shares corrected for a detector's errors: by hand, at the limits, and how often the truth is held."""

from __future__ import annotations

import pytest

from assent.core import seeds
from assent.stats.estimate import Estimate
from assent.stats.independent import wilson
from assent.stats.prevalence import corrected_share, none_of


def exactly(share: float) -> Estimate:
    return Estimate(estimate=share, low=share, high=share)


def test_the_correction_by_hand() -> None:
    """(.3 + .9 - 1) / (.8 + .9 - 1) = .2 / .7."""
    found = corrected_share(exactly(0.3), exactly(0.8), exactly(0.9))
    assert found.problem == "" and found.share.estimate == pytest.approx(2 / 7)
    assert (found.share.low, found.share.high) == pytest.approx((2 / 7, 2 / 7), abs=5e-4)


def test_a_perfect_detector_changes_nothing() -> None:
    observed = wilson(20, 100)
    found = corrected_share(observed, exactly(1.0), exactly(1.0)).share
    assert found.estimate == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((observed.low, observed.high), abs=5e-4)


def test_with_known_errors_the_ends_are_those_of_the_observed_share_corrected() -> None:
    observed = wilson(30, 100)
    found = corrected_share(observed, exactly(0.8), exactly(0.9)).share
    ends = [(end + 0.9 - 1) / 0.7 for end in (observed.low, observed.high)]
    assert (found.low, found.high) == pytest.approx(ends, abs=5e-4)


def test_uncertain_errors_widen_it() -> None:
    sure = corrected_share(wilson(30, 100), exactly(0.8), exactly(0.9)).share
    unsure = corrected_share(wilson(30, 100), wilson(40, 50), wilson(45, 50)).share
    assert unsure.low < sure.low < sure.high < unsure.high


@pytest.mark.parametrize(("se", "sp"), [((0, 40), (40, 40)), ((25, 50), (27, 50)), ((30, 50), (22, 50))])
def test_a_detector_that_may_be_chance_leaves_the_share_unknown(se: tuple[int, int], sp: tuple[int, int]) -> None:
    """The first never finds anything (Se 0, Sp 1): its 0 hits must not read as 0 failures."""
    found = corrected_share(wilson(0, 500), wilson(*se), wilson(*sp))
    assert not found.is_known and (found.share.low, found.share.high) == (0.0, 1.0)


def test_fewer_hits_than_false_alarms_alone_would_make_still_bound_the_share_from_above() -> None:
    few = corrected_share(wilson(0, 2000), wilson(90, 100), wilson(80, 100))
    assert few.problem == "misfit" and few.share.estimate == few.share.low == 0.0
    assert few.share.high == pytest.approx(wilson(0, 2000).high / wilson(90, 100).low)
    many = corrected_share(wilson(2000, 2000), wilson(80, 100), wilson(90, 100))
    assert many.problem == "misfit" and many.share.high == 1.0 and many.share.low > 0.99


def test_what_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="sensitivity must be a share"):
        corrected_share(wilson(1, 10), Estimate(estimate=0.5, low=-0.1, high=0.9), wilson(9, 10))


def test_no_hit_in_n_tries_by_hand() -> None:
    """.95 of the time fewer than n misses of share p: (1 - p)^n = .05. For 100 tries 2.95 %, about 3 / n."""
    found = none_of(100)
    assert (1 - found.high) ** 100 == pytest.approx(0.05) and found.high == pytest.approx(0.03, rel=0.02)
    assert none_of(1).high == pytest.approx(0.95) and none_of(10**9).high == pytest.approx(3e-9, rel=0.01)
    with pytest.raises(ValueError, match="nothing was tried"):
        none_of(0)


@pytest.mark.parametrize("truth", [0.01, 0.1, 0.5, 0.95])
@pytest.mark.parametrize(("se", "sp", "labels"), [(0.9, 0.95, 50), (0.7, 0.8, 100), (0.6, 0.55, 60)])
def test_the_interval_holds_the_true_share(truth: float, se: float, sp: float, labels: int) -> None:
    held = 0
    for world in range(300):
        rng = seeds.stream(7, "prevalence", world, labels)
        observed = wilson(rng.binomial(200, truth * se + (1 - truth) * (1 - sp)), 200)
        errors = wilson(rng.binomial(labels, se), labels), wilson(rng.binomial(labels, sp), labels)
        share = corrected_share(observed, *errors).share
        held += share.low <= truth <= share.high
    assert held / 300 >= 0.92
