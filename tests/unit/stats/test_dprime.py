"""d' and criterion: by hand, what moves which, and how often the truth is held."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from assent.core import seeds
from assent.stats.dprime import d_prime, signal_detection
from assent.stats.independent import wilson

z = NormalDist().inv_cdf


def test_by_hand_with_the_log_linear_correction() -> None:
    """18 of 20 and 4 of 20: 18.5 / 21 and 4.5 / 21, z = 1.1798 and -0.7916."""
    found = signal_detection(18, 20, 4, 20)
    assert found.d_prime.estimate == pytest.approx(1.9714, abs=2e-4) == d_prime(18, 20, 4, 20)
    assert found.criterion.estimate == pytest.approx(-0.1941, abs=2e-4)
    assert found.hit_rate == wilson(18, 20) and found.false_alarm_rate.estimate == 0.2


def test_refusing_more_moves_the_criterion_and_not_how_well_kinds_are_told_apart() -> None:
    rates = [[round(20_000 * NormalDist().cdf(shift + side)) for side in (0.75, -0.75)] for shift in (0.0, 0.8)]
    calm, anxious = (signal_detection(hits, 20_000, alarms, 20_000) for hits, alarms in rates)
    assert calm.d_prime.estimate == pytest.approx(anxious.d_prime.estimate, abs=0.01) == pytest.approx(1.5, abs=0.01)
    assert calm.criterion.estimate - anxious.criterion.estimate == pytest.approx(0.8, abs=0.01)


def test_always_yes_is_finite_with_an_end_that_is_not() -> None:
    found = signal_detection(20, 20, 0, 20).d_prime
    assert found.estimate == pytest.approx(2 * z(20.5 / 21)) and found.high == math.inf
    assert 1.5 < found.low < found.estimate
    assert d_prime(0, 0, 1, 5) is None
    with pytest.raises(ValueError, match="got 3 of 2"):
        signal_detection(3, 2, 0, 1)


def test_yes_to_everything_tells_nothing_apart() -> None:
    found = signal_detection(50, 50, 50, 50)
    assert found.d_prime.estimate == 0.0 and found.d_prime.low == -math.inf and found.d_prime.high == math.inf
    assert found.criterion.high < 0


@pytest.mark.parametrize(("n", "hit", "alarm"), [(20, 0.8, 0.2), (60, 0.95, 0.1), (200, 0.98, 0.02)])
def test_both_intervals_hold_the_truth(n: int, hit: float, alarm: float) -> None:
    held_d = held_c = 0
    for world in range(400):
        rng = seeds.stream(8, "signal", n, world)
        found = signal_detection(rng.binomial(n, hit), n, rng.binomial(n, alarm), n)
        held_d += found.d_prime.low <= z(hit) - z(alarm) <= found.d_prime.high
        held_c += found.criterion.low <= -(z(hit) + z(alarm)) / 2 <= found.criterion.high
    assert held_d / 400 >= 0.925 and held_c / 400 >= 0.925
