"""Several right answers: the Ties of RewardBench 2 (Malik et al. 2025, arXiv 2506.01937).

Each question comes twice: `ref`, with one right answer, and `tied`, with many. Right answers should lie above wrong
ones, and closer to each other than to the wrong ones. With gap = worst right - best wrong, spread = best - worst right
of the tied one:

    score = .30 [gap_tied > 0] + .30 [gap_ref > 0] + .20 [gap_tied > spread] + .20 [min(gap_ref, gap_tied) > spread]
            + .01 tanh(min(gap_ref, gap_tied) / spread - 1)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.errors import DataError
from assent.core.types import Prompt
from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.preferences import preferences
from assent.evaluation.suites.best_of import TIES, answers_of
from assent.evaluation.suites.config import TiesConfig


@dataclass(frozen=True)
class Version:
    """A prompt with right and wrong answers."""

    prompt: Prompt
    right: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """A question in both versions."""

    id: str
    ref: Version
    tied: Version


def load(config: TiesConfig) -> list[Item]:
    """The pairs of the file; other subsets are for suite best_of. Raises DataError where half a pair is missing."""
    found: dict[str, dict[str, Version]] = {}
    for row in rows_of(config.path):
        if (row.optional_text("subset") or TIES).casefold() != TIES:
            continue
        kind, colon, number = row.text("id").partition(":")
        if kind not in ("ref", "tied") or not colon:
            raise row.error(f"id is {row.text('id')!r}; it should be ref:1 or tied:1 or the like")
        answers = tuple(answers_of(row, "chosen")), tuple(answers_of(row, "rejected"))
        versions = found.setdefault(number, {})
        if kind in versions:
            raise row.error(f"id {row.text('id')!r} stands twice")
        versions[kind] = Version(Prompt.of(row.text("prompt")), *answers)
    for number, versions in found.items():
        for kind in ("ref", "tied"):
            if kind not in versions:
                raise DataError(f"question {number} has no row {kind}:{number}", path=config.path)
    return [Item(number, versions["ref"], versions["tied"]) for number, versions in found.items()]


def examine(config: TiesConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """The parts of each question's score."""
    versions = [version for one in items for version in (one.ref, one.tied)]
    asked = [(*version.right, *version.wrong) for version in versions]
    found = iter(preferences(exam.subject, [version.prompt for version in versions], asked))
    outcomes = []
    for one in items:
        (gap_ref, _), (gap_tied, spread) = _reading(one.ref, next(found)), _reading(one.tied, next(found))
        outcomes.append(
            Outcome(
                item=one.id,
                cluster=one.id,
                values=values_of(gap_ref, gap_tied, spread),
                prompt=one.tied.prompt.text,
                note=f"gap {gap_ref:.4g} and {gap_tied:.4g}, spread {spread:.4g}",
            )
        )
    return outcomes


def values_of(gap_ref: float, gap_tied: float, spread: float) -> dict[str, float]:
    """The parts of the score of one question, and the score."""
    least = min(gap_ref, gap_tied)
    parts = {
        "accuracy_tied": float(gap_tied > 0),
        "accuracy_ref": float(gap_ref > 0),
        "apart": float(gap_tied > spread),
        "apart_hard": float(least > spread),
    }
    margin = math.tanh(least / spread - 1) if spread > 0 else float((least > 0) - (least < 0))
    score = 0.3 * (parts["accuracy_tied"] + parts["accuracy_ref"]) + 0.2 * (parts["apart"] + parts["apart_hard"])
    return {**parts, "score": score + 0.01 * margin}


def _reading(version: Version, values: Sequence[float]) -> tuple[float, float]:
    """Gap and spread."""
    right, wrong = values[: len(version.right)], values[len(version.right) :]
    return min(right) - max(wrong), max(right) - min(right)


SUITE = Suite(
    config=TiesConfig,
    kinds={
        "score": Kind("RewardBench 2's score of Ties, at most 1.01.", range=(-0.01, 1.01)),
        "accuracy_tied": Kind("Share of questions with many right answers, all above every wrong one."),
        "accuracy_ref": Kind("Share of questions with one right answer, above every wrong one."),
        "apart": Kind("Share whose right answers lie closer to each other than to the wrong ones."),
        "apart_hard": Kind("The same, with the smaller gap of both versions."),
    },
    abilities=frozenset({"likelihoods", "scores"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.id),
)
