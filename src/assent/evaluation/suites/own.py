"""Suites on the answers of a run to its own held-out prompts. A new one is a file here and an entry in the tuple."""

from __future__ import annotations

from assent.evaluation.suite import AnswerSuite, Asked, SuiteReport
from assent.evaluation.suites.criteria import by_criteria
from assent.evaluation.suites.lab import lab_truth
from assent.evaluation.suites.winrate import blind_comparison

SUITES: tuple[tuple[str, AnswerSuite], ...] = (
    ("lab", lab_truth),
    ("winrate", blind_comparison),
    ("criteria", by_criteria),
)


def measure(asked: Asked) -> dict[str, SuiteReport]:
    """The report of every suite that has something to measure."""
    found = {name: suite(asked) for name, suite in SUITES}
    return {name: report for name, report in found.items() if report is not None}
