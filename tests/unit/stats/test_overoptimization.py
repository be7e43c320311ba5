"""The curve of Gao et al.: worked numbers, an independent fit, and intervals that hold as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from assent.stats.overoptimization import FEWEST, Forecast, forecast

DISTANCES = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0]


def gao(d: np.ndarray, start: float, a: float, b: float) -> np.ndarray:
    return start + a * d - b * d * np.log(np.maximum(d, 1e-12))


def test_a_curve_without_noise_is_found_and_peaks_at_e_to_the_a_over_b_less_one() -> None:
    # gold(d) = 0.3 + d (2 - log d): gold(1) = 2.3, gold(e) = 0.3 + e (2 - 1), slope 2 - 1 - log d = 0 at d = e.
    scores = [0.3 + (d * (2 - math.log(d)) if d else 0.0) for d in DISTANCES]
    found = forecast(DISTANCES, scores)
    assert found is not None
    assert (found.start, found.a, found.b) == pytest.approx((0.3, 2.0, 1.0))
    assert found.at(1.0) == pytest.approx(2.3)
    assert found.at(math.e) == pytest.approx(0.3 + math.e)
    peak = found.peak()
    assert peak is not None
    assert peak.estimate == pytest.approx(math.e)
    assert found.past_peak(2.0) == pytest.approx(0.0, abs=1e-6)
    assert found.past_peak(4.0) == pytest.approx(1.0, abs=1e-6)


def test_the_fit_and_its_covariance_are_those_of_a_general_fitter() -> None:
    random = np.random.default_rng(5)
    d = np.array(DISTANCES)
    scores = gao(d, 0.1, 0.8, 0.4) + random.normal(scale=0.05, size=len(d))
    found = forecast(DISTANCES, list(scores))
    assert found is not None
    best, covariance = curve_fit(gao, d, scores, p0=(0.0, 1.0, 1.0))
    assert (found.start, found.a, found.b) == pytest.approx(tuple(best), rel=1e-5)
    assert np.array(found.covariance) == pytest.approx(covariance[1:, 1:], rel=1e-3)


def test_the_interval_of_the_peak_holds_exactly_the_distances_where_no_slope_cannot_be_excluded() -> None:
    found = Forecast(start=0.0, a=1.0, b=0.5, covariance=((0.01, 0.004), (0.004, 0.003)), freedom=8)
    peak = found.peak(confidence=0.9)
    assert peak is not None
    # At each end the slope is as many of its own errors from 0 as leave 5 % beyond.
    assert found.past_peak(peak.low) == pytest.approx(0.05)
    assert found.past_peak(peak.high) == pytest.approx(0.95)
    assert found.past_peak(peak.estimate) == pytest.approx(0.5)
    assert peak.estimate == pytest.approx(math.e)  # exp(1 / 0.5 - 1)


def test_a_curve_that_still_rises_has_no_upper_end_or_no_peak() -> None:
    random = np.random.default_rng(2)
    scores = [d + random.normal(scale=0.2) for d in DISTANCES]
    found = forecast(DISTANCES, scores)
    assert found is not None
    peak = found.peak()
    assert peak is None or math.isinf(peak.high)
    assert found.past_peak(4.0) < 0.5


def test_in_ninety_five_of_a_hundred_the_interval_holds_the_peak_and_few_stop_too_early() -> None:
    random = np.random.default_rng(0)
    d = np.linspace(0, 5, 15)
    true = math.exp(0.9 / 0.5 - 1)
    held = early = 0
    for _ in range(400):
        found = forecast(list(d), list(gao(d, 0.0, 0.9, 0.5) + random.normal(scale=0.1, size=len(d))))
        assert found is not None
        peak = found.peak()
        held += peak is not None and peak.low <= true <= peak.high
        early += found.past_peak(true) >= 0.95
    # Binomial errors at n = 400: 1.1 points.
    assert 0.92 <= held / 400 <= 0.98
    assert early / 400 <= 0.08


def test_too_little_is_no_forecast_and_nonsense_is_refused() -> None:
    assert forecast(DISTANCES[: FEWEST - 1], [0.0] * (FEWEST - 1)) is None
    assert forecast([1.0] * 8, list(range(8))) is None
    with pytest.raises(ValueError, match="finite"):
        forecast([0.0, math.nan], [0.0, 1.0])
    with pytest.raises(ValueError, match="from 0 up"):
        forecast([-1.0, 1.0], [0.0, 1.0])
