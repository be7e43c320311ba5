"""How well the heads of a reward model say what people score by criteria, on prompts that they never saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from assent.core.types import Comparison, Record
from assent.feedback.quality.agreement import hit
from assent.stats.clustered import clustered_share, jackknife, numbered
from assent.stats.estimate import Estimate

Floats = NDArray[np.float64]


class CriterionReport(Record):
    """One criterion on held-out answers; intervals are clustered by prompt. None where fewer than two prompts say."""

    answers: int
    """Answers that anybody scored by it."""
    pairs: int
    """Pairs of answers to a prompt that one rater scored differently; so a rater's own level plays no part."""
    accuracy: Estimate | None = None
    """Share of those pairs that the head orders as the rater did; equal scores count half."""
    correlation: Estimate | None = None
    """Spearman's rank correlation of what the head says with the mean score, over answers of all prompts."""


def criterion_report(comparisons: Sequence[Comparison], name: str, said: Sequence[float]) -> CriterionReport:
    """`said` is what the head of the criterion says of every completion, comparison by comparison."""
    hits: list[float] = []
    prompts: list[str] = []
    means: list[tuple[float, float, str]] = []
    start = 0
    for one in comparisons:
        place = {completion.id: start + n for n, completion in enumerate(one.completions)}
        start += len(place)
        given: dict[str, list[float]] = {}
        for scores in _by_rater(one, name, place):
            for answer, score in scores.items():
                given.setdefault(answer, []).append(score)
            for first, second in combinations(scores, 2):
                if scores[first] != scores[second]:
                    lead = said[place[first]] - said[place[second]]
                    hits.append(hit(lead if scores[first] > scores[second] else -lead))
                    prompts.append(one.prompt.id)
        means += [(said[place[i]], float(np.mean(some)), one.prompt.id) for i, some in given.items()]
    return CriterionReport(
        answers=len(means),
        pairs=len(hits),
        accuracy=clustered_share(hits, prompts) if len(set(prompts)) > 1 else None,
        correlation=_spearman(means),
    )


def _by_rater(comparison: Comparison, name: str, known: dict[str, int]) -> Iterator[dict[str, float]]:
    """What each judgment scored by a criterion: answer -> score."""
    for judgment in comparison.judgments:
        yield {i: said[name] for i, said in judgment.scores.items() if name in said and i in known}


def _spearman(rows: Sequence[tuple[float, float, str]]) -> Estimate | None:
    """Of (said, score, prompt); ranks are those among all, also where a prompt is left out."""
    if len({prompt for *_, prompt in rows}) < 2:
        return None
    first, second = (rankdata([row[n] for row in rows]) for n in (0, 1))
    index, clusters = numbered([row[2] for row in rows])

    def correlation(weights: Floats) -> Floats:
        w = weights[:, index]
        w = w / w.sum(axis=1, keepdims=True)
        x, y = (values - (w @ values)[:, None] for values in (first, second))
        spread = (w * x * x).sum(1) * (w * y * y).sum(1)
        # Ranks differ by half or more; less is what rounding leaves where all are alike, and then nothing correlates.
        known = np.where(spread > 1e-9, spread, np.nan)
        found: Floats = (w * x * y).sum(1) / np.sqrt(known)
        return found

    return jackknife(correlation, clusters, between=(-1.0, 1.0))
