"""All suites with questions of their own: each a file in `suites/`, settings in config.py there, and a line here."""

from __future__ import annotations

from assent.evaluation.exam import Suite
from assent.evaluation.settings import PackagedSettings
from assent.evaluation.suites import (
    bbq,
    best_of,
    bold,
    counterfactual,
    crows_pairs,
    diversity,
    gsm8k,
    hhh,
    ifeval,
    model_written,
    mt_bench,
    redteam,
    references,
    team,
    ties,
    truthfulqa,
    winogender,
    xstest,
)

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
    redteam.SUITE,
    counterfactual.SUITE,
    diversity.SUITE,
)


def suite_of(config: PackagedSettings) -> Suite:
    """The suite that a config is of."""
    return next(suite for suite in SUITES if suite.config is type(config))
