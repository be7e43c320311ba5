"""All suites with questions of their own: each a file in `suites/`, settings in config.py there, and a line here."""

from __future__ import annotations

from assent.evaluation.exam import Suite
from assent.evaluation.suites import counterfactual, diversity, hhh, xstest
from assent.evaluation.suites.config import PackagedSettings

SUITES: tuple[Suite, ...] = (xstest.SUITE, hhh.SUITE, counterfactual.SUITE, diversity.SUITE)


def suite_of(config: PackagedSettings) -> Suite:
    """The suite that a config is of."""
    return next(suite for suite in SUITES if suite.config is type(config))
