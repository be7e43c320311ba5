"""All suites with questions of their own: each a file in `suites/`, settings in config.py there, and a line here."""

from __future__ import annotations

from assent.evaluation.exam import Suite
from assent.evaluation.suites import (
    bbq,
    best_of,
    bold,
    crows_pairs,
    gsm8k,
    hhh,
    ifeval,
    model_written,
    mt_bench,
    references,
    team,
    ties,
    truthfulqa,
    winogender,
    xstest,
)
from assent.evaluation.suites.config import SuiteSettings

SUITES: tuple[Suite, ...] = (
    xstest.SUITE,
    hhh.SUITE,
    truthfulqa.SUITE,
    ifeval.SUITE,
    gsm8k.SUITE,
    bbq.SUITE,
    crows_pairs.SUITE,
    winogender.SUITE,
    bold.SUITE,
    mt_bench.SUITE,
    model_written.SUITE,
    best_of.SUITE,
    ties.SUITE,
    references.SUITE,
    team.SUITE,
)


def suite_of(config: SuiteSettings) -> Suite:
    """The suite that a config is of."""
    return next(suite for suite in SUITES if suite.config is type(config))
