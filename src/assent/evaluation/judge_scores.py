"""How a judge that scores single answers, such as a reward model, scores those of two policies to the same prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assent.core.types import Record
from assent.stats.adjusted import at_zero
from assent.stats.clustered import clustered_mean
from assent.stats.estimate import Estimate

_NEARLY_ALL = 0.95


class JudgeScores(Record):
    """Scores in deviations of the baseline's scores, so that 1 is as much as its answers differ among each other."""

    before: Estimate
    after: Estimate
    change: Estimate
    """After less before, paired by prompt."""
    at_equal_length: Estimate | None = None
    """The change where both answers have as many words: a line over the difference of log words."""
    new_is_longer: float | None = None
    """Share of prompts whose new answer has more words; None in reports from before it was kept."""
    new_is_shorter: float | None = None
    """The same of fewer words."""
    words_before: float
    """Words of an answer on average."""
    words_after: float

    @property
    def is_extrapolated(self) -> bool:
        """Whether hardly any answers are on one side of equal length, so that what is said of it was not seen."""
        return is_one_sided(self.new_is_longer, self.new_is_shorter)


def is_one_sided(longer: float | None, shorter: float | None) -> bool:
    """Whether nearly all new answers are the longer ones, or nearly all the shorter ones: more than 95 %."""
    return max(longer or 0.0, shorter or 0.0) > _NEARLY_ALL


def judge_scores(
    scores: tuple[Sequence[float], Sequence[float]],
    texts: tuple[Sequence[str], Sequence[str]],
    *,
    confidence: float = 0.95,
) -> JudgeScores | None:
    """Scores and texts of the baseline and of the new policy, one a prompt; None where nothing can be told from them:
    for fewer than two prompts, and where the baseline's answers all score alike.
    """
    before, after = (np.asarray(side, float) for side in scores)
    size = float(before.std(ddof=1)) if len(before) > 1 else 0.0
    if size == 0.0:
        return None
    before, after = (before - before.mean()) / size, (after - before.mean()) / size
    items = list(range(len(before)))
    words = [np.array([len(text.split()) for text in side], float) for side in texts]
    longer = np.log1p(words[1]) - np.log1p(words[0])
    return JudgeScores(
        before=clustered_mean(before, items, confidence=confidence),
        after=clustered_mean(after, items, confidence=confidence),
        change=clustered_mean(after - before, items, confidence=confidence),
        at_equal_length=at_zero(after - before, longer, confidence=confidence),
        new_is_longer=float((longer > 0).mean()),
        new_is_shorter=float((longer < 0).mean()),
        words_before=float(words[0].mean()),
        words_after=float(words[1].mean()),
    )
