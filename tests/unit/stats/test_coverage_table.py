"""The benchmark of all intervals: that it would notice a wrong one, and in small, that none is surely too narrow."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from assent.stats.estimate import Estimate

ROOT = Path(__file__).parents[3]
SHORT = ("skewed (lognormal)",)
"""Where docs/methods/statistics.md says that intervals hold the truth less often: long tails with few prompts."""


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    """The benchmark, which is a program and no part of the package."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        # By its path: a well-known package has the same name.
        spec = importlib.util.spec_from_file_location("coverage_benchmark", ROOT / "benchmarks" / "coverage.py")
        assert spec is not None and spec.loader is not None
        program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(program)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return program


def within_of_a_mean(reach: float):  # type: ignore[no-untyped-def]
    """A mean of 25 values with ± `reach` of its five-fold error."""

    def world(random: np.random.Generator) -> tuple[Estimate, float]:
        mean = float(random.normal(size=25).mean())
        return Estimate(estimate=mean, low=mean - reach / 5, high=mean + reach / 5), 0.0

    return world


@pytest.mark.parametrize(("reach", "verdict"), [(1.4, "short"), (1.96, ""), (3.5, "over")])
def test_an_interval_that_is_too_narrow_or_too_wide_is_called_so(
    coverage: ModuleType, reach: float, verdict: str
) -> None:
    row = coverage.Row("mean", "25 values", within_of_a_mean(reach))
    found = coverage.measure(row, draws=400)
    assert found.verdict == verdict
    assert found.width == pytest.approx(2 * reach / 5)


def test_a_sequence_may_hold_more_but_not_less(coverage: ModuleType) -> None:
    wide, narrow = (coverage.Row("s", "", within_of_a_mean(r), aim="at least 95") for r in (3.5, 1.7))
    assert coverage.measure(wide, draws=400).verdict == ""
    assert coverage.measure(narrow, draws=800).verdict == "short"


def test_every_maker_of_intervals_has_a_row(coverage: ModuleType) -> None:
    """A function of `stats` whose result is an Estimate, and that nobody simulated, would be a promise unchecked."""
    measured = " ".join(row.interval for row in coverage.rows())
    for name in (
        *("wilson", "clustered_mean", "clustered_share", "cautious_share", "two_way_share", "paired_difference"),
        *("share_difference", "ratio", "jackknife", "left_out", "drawn_again", "length_controlled", "reliability_bins"),
        *("standings", "arena", "sharpness", "alpha", "mcnemar", "corrected_share", "none_of", "signal_detection"),
        *("prediction_powered", "bounded_sequence", "asymptotic_sequence"),
    ):
        assert name in measured, name


@pytest.mark.slow
def test_no_interval_is_surely_too_narrow_but_those_that_are_said_to_be(coverage: ModuleType) -> None:
    """`python benchmarks/coverage.py` in small; the figures of a larger run are in docs/results.md."""
    short = []
    for row in coverage.rows():
        found = coverage.measure(row, draws=100)
        if found.verdict == "short" and not any(words in row.conditions for words in SHORT):
            short.append((row.interval, row.conditions, str(found.share)))
    assert not short
