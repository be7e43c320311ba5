"""How far raters agree: Krippendorff's alpha, Kendall's tau-b, pairwise agreement, and each rater against the others.

Pure functions of comparisons or of plain numbers. One number over everything hides more than it shows: call them per
slice (language, topic, kind of task) where there are enough judgments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from assent.core.types import Comparison, Ranking

Floats = NDArray[np.float64]


def krippendorff_alpha(units: Iterable[Sequence[float]]) -> float | None:
    """Krippendorff's alpha for ordinal values: 1 full agreement, 0 what chance gives, below 0 worse than chance.

    Each unit holds the values that its raters gave it, in any order and number; only the order of the values counts.
    None where no unit has two ratings or all values are equal. Krippendorff (2011), Computing Krippendorff's
    Alpha-Reliability, section D, with the ordinal metric.
    """
    shared = [np.asarray(unit, float) for unit in units if len(unit) > 1]
    if not shared:
        return None
    levels = np.unique(np.concatenate(shared))
    coincidences = np.zeros((len(levels), len(levels)))
    for unit in shared:
        of_level = (unit[:, None] == levels).sum(axis=0)
        coincidences += (np.outer(of_level, of_level) - np.diag(of_level)) / (len(unit) - 1)
    totals = coincidences.sum(axis=1)
    distance = _ordinal_distance(totals)
    expected = float((np.outer(totals, totals) * distance).sum()) / (totals.sum() - 1)
    return None if expected == 0 else 1 - float((coincidences * distance).sum()) / expected


def pair_votes(comparisons: Iterable[Comparison]) -> list[list[float]]:
    """Every pair of answers as a unit for `krippendorff_alpha`: 1 the first is better, 0 a tie, -1 worse.

    Each pair enters in both directions, since which answer is called first is arbitrary.
    """
    units = [[float(vote.value) for vote in ballot] for ballot in _ballots(_votes(comparisons))]
    return units + [[-value for value in unit] for unit in units]


def mean_tau_b(comparisons: Iterable[Comparison]) -> float | None:
    """Kendall's tau-b, which allows for ties, averaged over every two raters of every comparison.

    Two raters of whom one ties everything say nothing about order and are left out; None where nobody is left.
    """
    from scipy.stats import kendalltau  # where settings alone are read, nothing of scipy is loaded

    taus = []
    for comparison in comparisons:
        ids = [completion.id for completion in comparison.completions]
        for one, other in combinations(_rankings(comparison), 2):
            shared = [i for i in ids if i in one and i in other]
            if len({one[i] for i in shared}) > 1 and len({other[i] for i in shared}) > 1:
                taus.append(float(kendalltau([one[i] for i in shared], [other[i] for i in shared]).statistic))
    return float(np.mean(taus)) if taus else None


def pairwise_agreement(comparisons: Iterable[Comparison]) -> float | None:
    """How often two raters of the same two answers say the same: first, second or tie. None where no pair is shared."""
    same = [
        one.value == other.value
        for ballot in _ballots(_votes(comparisons))
        for one, other in combinations(ballot, 2)
        if one.rater_id != other.rater_id
    ]
    return float(np.mean(same)) if same else None


@dataclass(frozen=True)
class LeftOut:
    """One rater's decided vote on one pair, held against the others' votes on it."""

    prompt_id: str
    rater_id: str
    hit: float
    """1 with the majority of the others, 0 against it, 0.5 where the others are split."""


def leave_one_out(comparisons: Iterable[Comparison]) -> list[LeftOut]:
    """Every decided vote against the majority of the other raters' decided votes on the same pair.

    Per rater it says who differs, which is not the same as who is wrong. Its mean is no ceiling: the majority of two
    or three others is itself often wrong (see `other_raters`).
    """
    found = []
    for ballot in _ballots(vote for vote in _votes(comparisons) if vote.value):
        for vote in ballot:
            others = [other.value for other in ballot if other.rater_id != vote.rater_id]
            if others:
                found.append(LeftOut(vote.pair[0], vote.rater_id, hit(vote.value * sum(others))))
    return found


@dataclass(frozen=True)
class Echo:
    """One rater's decided vote on one pair, and how many of the others' votes on it say the same."""

    prompt_id: str
    rater_id: str
    share: float


def other_raters(comparisons: Iterable[Comparison]) -> list[Echo]:
    """For every decided vote, the share of the other raters' decided votes on the same pair that say the same.

    The mean is how often two raters of one pair agree, without bias for any number of raters.
    """
    found = []
    for ballot in _ballots(vote for vote in _votes(comparisons) if vote.value):
        for vote in ballot:
            others = [other.value == vote.value for other in ballot if other.rater_id != vote.rater_id]
            if others:
                found.append(Echo(vote.pair[0], vote.rater_id, sum(others) / len(others)))
    return found


@dataclass(frozen=True)
class _Vote:
    rater_id: str
    pair: tuple[str, str, str]
    """Prompt and the two answers, sorted."""
    value: int


def _votes(comparisons: Iterable[Comparison]) -> Iterator[_Vote]:
    for comparison in comparisons:
        for judgment in comparison.judgments:
            rank = judgment.ranking.rank() if judgment.ranking else {}
            for one, other in combinations(sorted(rank), 2):
                value = int(np.sign(rank[other] - rank[one]))
                yield _Vote(judgment.rater_id, (comparison.prompt.id, one, other), value)


def _ballots(votes: Iterable[_Vote]) -> Iterable[list[_Vote]]:
    """The votes on each pair."""
    ballots: dict[tuple[str, str, str], list[_Vote]] = {}
    for vote in votes:
        ballots.setdefault(vote.pair, []).append(vote)
    return ballots.values()


def _rankings(comparison: Comparison) -> Sequence[dict[str, int]]:
    rankings: list[Ranking] = [j.ranking for j in comparison.judgments if j.ranking is not None]
    return [ranking.rank() for ranking in rankings]


def _ordinal_distance(totals: Floats) -> Floats:
    """Squared ordinal distance of levels: how many values lie between them, the two levels counted half."""
    below = np.cumsum(totals) - totals / 2
    return (below[:, None] - below[None, :]) ** 2


def hit(margin: float) -> float:
    """What a lead of the better one counts: 1, or 0 where it is behind, half where both are even."""
    return 0.5 if margin == 0 else float(margin > 0)
