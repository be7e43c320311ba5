"""Reading one line of a gate off the evidence: the number that is held against its limit, with an honest interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assent.evaluation.gate.config import Gain, Keep
from assent.evaluation.gate.evidence import Compared
from assent.evaluation.outcomes import Kind, Outcome, estimates
from assent.stats.clustered import clustered_mean
from assent.stats.estimate import Estimate
from assent.stats.paired import score_difference, share_difference
from assent.stats.resampled import ANYWHERE, difference_of, left_out
from assent.stats.sequential import asymptotic_sequence, bounded_sequence, in_order

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """How sure the look is that is taken now."""

    alpha: float
    """One-sided, of the whole campaign."""
    look: int | None = None
    """Number of the look, from 1 on, where there may be any number of them; None: there is one."""

    @property
    def sequence(self) -> float:
        """Confidence of the two-sided interval of a confidence sequence, or of the only look."""
        return 1 - 2 * self.alpha

    @property
    def confidence(self) -> float:
        """That of an ordinary interval at this look.

        Look k of any number may err with alpha / (k (k + 1)), which sums to alpha over all of them (Bonferroni).
        """
        k = self.look
        return 1 - 2 * self.alpha / (1 if k is None else k * (k + 1))


@dataclass(frozen=True)
class Reading:
    """A number of the evidence, and how much it rests on."""

    estimate: Estimate
    """With the interval that decides."""
    usual: Estimate
    """With the 95 % interval of a single look, from which the number of further labels is reckoned."""
    clusters: int
    items: int
    missing: float = 0.0
    """Share of items that could be read for one of both policies only."""


@dataclass(frozen=True)
class Pairs:
    """One measure's values of both policies, item by item."""

    after: Floats
    before: Floats
    clusters: tuple[str, ...]
    missing: float

    @classmethod
    def of(cls, compared: Compared, name: str) -> Pairs:
        """Items that both policies have the measure of. Of a measure of both together, what is no difference stands for
        the old one."""
        new = {one.item: one for one in compared.after.outcomes if name in one.values}
        if compared.against is not None:
            values = np.array([one.values[name] for one in new.values()])
            prompts = {one.cluster for one in compared.after.outcomes}
            missing = 1 - len({one.cluster for one in new.values()}) / len(prompts) if prompts else 0.0
            return cls(values, np.full(len(new), compared.against), tuple(o.cluster for o in new.values()), missing)
        old = {o.item: o for o in (() if compared.before is None else compared.before.outcomes) if name in o.values}
        both = [item for item in new if item in old]
        either = len(new) + len(old) - len(both)
        return cls(
            np.array([new[item].values[name] for item in both]),
            np.array([old[item].values[name] for item in both]),
            tuple(new[item].cluster for item in both),
            0.0 if not either else 1 - len(both) / either,
        )


def read(line: Gain | Keep, compared: Compared, level: Level) -> Reading | None:
    """What a line is held against: a paired difference, a ratio, or the new policy's own number.

    None where it was not measured: no item, fewer than two clusters, or no old policy to be held against.
    """
    kind, part = compared.kinds[line.name], compared.of_group(line.slice)
    if isinstance(line, Keep) and (line.at_most, line.at_least) != (None, None):
        return _alone(part, line.name, kind, level)
    if isinstance(line, Keep) and line.ratio is not None:
        return _ratio(part, line.name, kind, level)
    return difference(part, line.name, kind, level)


def difference(compared: Compared, name: str, kind: Kind, level: Level) -> Reading | None:
    """New - old, paired by item."""
    if kind.interval is not None or kind.statistic is not None:
        return _difference_of_statistics(compared, name, kind, level)
    pairs = Pairs.of(compared, name)
    if len(set(pairs.clusters)) < 2:
        return None
    low, high = kind.range or (-math.inf, math.inf)
    is_share = (low, high) == (0.0, 1.0)

    def once(confidence: float) -> Estimate:
        if is_share:
            is_binary = bool(np.isin([pairs.after, pairs.before], (0.0, 1.0)).all())
            make = score_difference if is_binary else share_difference
            return make(pairs.after, pairs.before, pairs.clusters, confidence=confidence)
        return clustered_mean(pairs.after - pairs.before, pairs.clusters, confidence=confidence)

    span = (low - high, high - low) if math.isfinite(high - low) else None
    return _reading(pairs, pairs.after - pairs.before, once, level, between=span)


def _alone(compared: Compared, name: str, kind: Kind, level: Level) -> Reading | None:
    """The new policy's own number."""
    is_whole = kind.statistic is not None or kind.interval is not None
    outcomes = [one for one in compared.after.outcomes if is_whole or name in one.values]
    if len({one.cluster for one in outcomes}) < 2:
        return None

    def once(confidence: float) -> Estimate | None:
        return estimates(outcomes, {name: kind}, confidence=confidence)[name]

    missing = 0.0 if compared.before is None or is_whole else Pairs.of(compared, name).missing
    if is_whole:
        return _spent(once, outcomes, level, missing)
    values, clusters = np.array([one.values[name] for one in outcomes]), tuple(one.cluster for one in outcomes)
    alone = Pairs(values, values, clusters, missing)
    between = kind.range if kind.range is not None and math.isfinite(kind.range[1] - kind.range[0]) else None
    return _reading(alone, values, once, level, between=between)


def _ratio(compared: Compared, name: str, kind: Kind, level: Level) -> Reading | None:
    """Mean of the new policy over that of the old one, linearized: mean of after - ratio · before over the latter."""
    pairs = Pairs.of(compared, name)
    below = float(pairs.before.mean()) if len(pairs.before) else 0.0
    if kind.statistic is not None or len(set(pairs.clusters)) < 2 or not below > 0:
        return None
    ratio = float(pairs.after.mean()) / below
    parts = (pairs.after - ratio * pairs.before) / below

    def once(confidence: float) -> Estimate:
        return clustered_mean(parts + ratio, pairs.clusters, confidence=confidence)

    return _reading(pairs, parts + ratio, once, level, between=None)


def _difference_of_statistics(compared: Compared, name: str, kind: Kind, level: Level) -> Reading | None:
    after, own, against = compared.after.outcomes, kind.interval, compared.against
    if len({one.cluster for one in after if one.values}) < 2:
        return None
    if own is not None and against is not None:
        missing, judged = Pairs.of(compared, "win_rate").missing, [one for one in after if one.values]
        return _spent(lambda confidence: _less(own(judged, confidence), against), judged, level, missing)
    if compared.before is None or kind.statistic is None:
        return None
    earlier, statistic = {one.item: one for one in compared.before.outcomes}, difference_of(kind.statistic)
    sides = [(one, earlier[one.item]) for one in after if one.item in earlier]
    clusters = [one.cluster for one, _ in sides]

    low, high = kind.range or ANYWHERE
    between = low - high, high - low

    def once(confidence: float) -> Estimate | None:
        return left_out(sides, clusters, statistic, between=between, confidence=confidence) if sides else None

    return _spent(once, after, level)


def _spent(
    once: Callable[[float], Estimate | None], outcomes: Sequence[Outcome], level: Level, missing: float = 0.0
) -> Reading | None:
    """A number that is no mean: at each of many looks a part of alpha is spent."""
    decides, usual = once(level.confidence), once(0.95)
    if decides is None or usual is None or not math.isfinite(usual.estimate):
        return None
    return Reading(decides, usual, len({one.cluster for one in outcomes}), len(outcomes), missing)


def _reading(
    pairs: Pairs,
    values: Floats,
    once: Callable[[float], Estimate | None],
    level: Level,
    *,
    between: tuple[float, float] | None,
) -> Reading | None:
    """A mean of values [n]: a confidence sequence of its clusters where there may be many looks."""
    usual = once(0.95)
    if usual is None:
        return None
    if level.look is None:
        decides = once(level.confidence)
        assert decides is not None
    else:
        means = in_order(values, pairs.clusters)
        decides = (
            asymptotic_sequence(means, confidence=level.sequence)
            if between is None
            else bounded_sequence(means, between=between, confidence=level.sequence)
        )
    return Reading(decides, usual, len(set(pairs.clusters)), len(values), pairs.missing)


def _less(found: Estimate | None, by: float) -> Estimate | None:
    if found is None:
        return None
    return Estimate(estimate=found.estimate - by, low=found.low - by, high=found.high - by, n=found.n)
