"""From verdicts to an order: order-free margins of pairs, the pairs that are asked, and strengths that fit them.

With l the log-odds of "the first is better", asked in both orders,

    margin    m = (l_AB - l_BA) / 2      what is left when the place does not count; P(A better) = sigmoid(m / T)
    position  b = (l_AB + l_BA) / 2      what the place alone moves this judge on this pair
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from assent.core.errors import DataError
from assent.core.hashing import hash_json
from assent.core.types import Judgment, Ranking
from assent.raters.rater import tiered

COMPLETE = 4
"""Up to so many answers every pair is asked."""
STRENGTH_CUTS = (1.0, 2.0, 3.5)
"""Gaps in logits, after the temperature, from which on an answer is 2, 3 or 4 degrees better."""
_DIGITS = 4
_Reading = TypeVar("_Reading")


@dataclass(frozen=True)
class PairReading:
    """What a judge said of one pair of answers, asked in both orders."""

    first: str
    second: str
    """Ids of the answers."""
    margin: float
    """Logits in favour of `first`, whichever stands first."""
    position: float
    """Logits in favour of the answer shown first."""
    mass: float
    """Least probability that the verdict tokens had together in the two orders."""

    @classmethod
    def of(cls, first: str, second: str, *, ab: Sequence[float], ba: Sequence[float]) -> PairReading:
        """From the log-probabilities of (the one shown first, the other), with `first` shown first and second."""
        shown_first, shown_second = ab[0] - ab[1], ba[0] - ba[1]
        mass = min(sum(math.exp(logp) for logp in order) for order in (ab, ba))
        margin, position = (shown_first - shown_second) / 2, (shown_first + shown_second) / 2
        return cls(first, second, round(margin, _DIGITS), round(position, _DIGITS), round(min(mass, 1.0), _DIGITS))

    def probability(self, temperature: float) -> float:
        """That `first` is better."""
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, self.margin / temperature))))


@dataclass(frozen=True)
class ScoreReading:
    """The score of one answer on one criterion: the expected level, and the mass its tokens covered."""

    answer: str
    criterion: str
    score: float
    mass: float

    @classmethod
    def of(cls, answer: str, criterion: str, logps: Sequence[float]) -> ScoreReading:
        """From the log-probabilities of the levels 1, 2, …: sum s p(s), renormalised over the levels."""
        p = np.exp(np.asarray(logps) - max(logps))
        score = float((p * np.arange(1, len(p) + 1)).sum() / p.sum())
        mass = min(1.0, float(np.exp(np.asarray(logps)).sum()))
        return cls(answer, criterion, round(score, _DIGITS), round(mass, _DIGITS))


def pairs_asked(ids: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of numbers of answers that are asked: all of up to COMPLETE, else each answer against four others.

    Of more answers, those at most two steps apart on a circle are asked, 2 K pairs instead of K (K - 1) / 2. Where an
    answer stands on the circle depends on its id and not on the order in which a task lists them.
    """
    if len(ids) <= COMPLETE:
        return list(combinations(range(len(ids)), 2))
    circle = sorted(range(len(ids)), key=lambda n: (hash_json(ids[n]), ids[n]))
    size = len(circle)
    met = {tuple(sorted((circle[n], circle[(n + step) % size]))) for n in range(size) for step in (1, 2)}
    return sorted((a, b) for a, b in met)


def strengths(ids: Sequence[str], readings: Sequence[PairReading]) -> dict[str, float]:
    """The value of each answer, in logits, whose differences fit the margins best (least squares, sum 0).

    Where every pair was asked, it is the mean margin of an answer against all, itself included; of two answers the
    values differ by their margin.
    """
    place = {name: n for n, name in enumerate(ids)}
    rows = np.zeros((len(readings) + 1, len(ids)))
    for n, one in enumerate(readings):
        rows[n, place[one.first]], rows[n, place[one.second]] = 1.0, -1.0
    rows[-1] = 1.0
    found = np.linalg.lstsq(rows, np.array([*(one.margin for one in readings), 0.0]), rcond=None)[0]
    return {name: round(float(value), _DIGITS) for name, value in zip(ids, found, strict=True)}


def order(values: Mapping[str, float], *, tie_threshold: float, temperature: float) -> Ranking:
    """The order of values in logits; gaps of at most the threshold tie, strengths are read after the temperature."""
    ranking = tiered(values, threshold=tie_threshold)
    tops = [max(values[name] for name in tier) for tier in ranking.tiers]
    gaps = [(upper - lower) / temperature for upper, lower in pairwise(tops)]
    said = tuple(1 + sum(gap >= cut for cut in STRENGTH_CUTS) for gap in gaps)
    return Ranking(tiers=ranking.tiers, strengths=said)


def in_details(pairs: Sequence[PairReading], scores: Sequence[ScoreReading] = ()) -> dict[str, Any]:
    """Readings as the details of a judgment: {"pairs": [{first, second, margin, position, mass}], "scores": [...]}."""
    found = {"pairs": [asdict(one) for one in pairs], "scores": [asdict(one) for one in scores]}
    return {name: said for name, said in found.items() if said}


def pairs_in(judgment: Judgment) -> list[PairReading]:
    """The pairs that a judgment keeps in its details. Raises DataError where something else stands there."""
    return _read(_PAIRS, judgment, "pairs")


def scores_in(judgment: Judgment) -> list[ScoreReading]:
    """The scores by criterion that a judgment keeps in its details, with their masses; likewise."""
    return _read(_SCORES, judgment, "scores")


_PAIRS, _SCORES = TypeAdapter(list[PairReading]), TypeAdapter(list[ScoreReading])


def _read(kind: TypeAdapter[list[_Reading]], judgment: Judgment, name: str) -> list[_Reading]:
    try:
        return kind.validate_python(judgment.details.get(name, []))
    except ValidationError:
        raise DataError(
            f"judgment {judgment.id!r} of task {judgment.task_id!r}: details.{name} are no readings of a judge;"
            " leave them out of the file it came from"
        ) from None
