"""Scores by criterion of both policies' answers, as those who compared them gave them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assent.evaluation.suite import Asked, Measure, SuiteReport
from assent.feedback.quality.criteria import differences, means
from assent.feedback.quality.sheets import Score, by_answer

BEFORE, AFTER = "before", "after"
"""The models of `Asked.scores`."""


def by_criteria(asked: Asked) -> SuiteReport | None:
    """The mean of each criterion before and after, in points of its scale; None where nobody scored anything.

    An answer that nobody scored on a criterion is missing, not zero; `notes` counts the scores of each. Scores on a
    single prompt say nothing about others and give no mean.
    """
    if not asked.scores:
        return None
    names = sorted({score.criterion for score in asked.scores})
    said = {name: [score for score in asked.scores if score.criterion == name] for name in names}
    return SuiteReport(
        measures={name: _measure(said[name]) for name in names},
        notes={f"scores on {name}": len(said[name]) for name in names},
    )


def _measure(said: Sequence[Score]) -> Measure:
    answers = by_answer(said)
    found = means(answers, None)
    # Of two models the first by name less the second, which is after - before.
    moved = next(iter(differences(answers, None)), None)
    several = {model: one for model, one in found.items() if math.isfinite(one.half_width)}
    return Measure(
        before=several.get(BEFORE),
        after=several.get(AFTER),
        difference=None if moved is None else moved.difference,
        n=sum(model == AFTER for *_, model in answers),
    )
