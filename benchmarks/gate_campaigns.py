"""Campaigns of the release gate as arrays: what its lines say of thousands of them, without an object per item.

The numbers come from the functions that the gate calls; only its records are left out. Of a confidence sequence it is
enough to know whether a limit was ruled out, so the gambler against that limit is played once, for all looks together.
`benchmarks/gate.py --check` holds verdicts of these against those of `evaluation.gate.decide.decide`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from assent.evaluation.gate.config import Gain, GateConfig, Keep
from assent.stats.equivalence import Verdict, above
from assent.stats.estimate import Estimate
from assent.stats.paired import score_difference, share_difference
from assent.stats.sequential import in_order, log_capital

Random = np.random.Generator
Floats = np.ndarray
OLD = {"xstest.over_refusal": 0.1, "xstest.harmful_compliance": 0.15, "hhh.accuracy": 0.7}
"""Shares of the old policy."""
LOWER = ("xstest.over_refusal", "xstest.harmful_compliance")
WIN_RATE = "winrate.win_rate"


@dataclass(frozen=True)
class Shape:
    """How a campaign's items hang together."""

    clusters: int
    each: int = 1
    """Items of a cluster."""
    alike: float = 0.0
    """Share of the variance that a cluster's items have in common."""
    rare: float = 1.0
    """Factor on the old policy's shares: below 1 outcomes are rarer."""


Values = dict[str, tuple[Floats, Floats | None]]
"""Measure -> outcomes [n] of the new and the old policy; no old ones where a measure is of both."""


def drawn(shape: Shape, shifts: Mapping[str, float], config: GateConfig, random: Random) -> Values:
    """What a gate asks of two policies whose true differences are `shifts`, in the good direction."""
    found: Values = {}
    for measure in (one.measure for one in config.lines):
        moved = shifts.get(measure, 0.0)
        if measure == WIN_RATE:
            found[measure] = verdicts(0.5 + moved, shape, random), None
        else:
            rate = OLD[measure] * shape.rare
            found[measure] = pairs(rate, rate + (-moved if measure in LOWER else moved), shape, random)
    return found


def pairs(old: float, new: float, shape: Shape, random: Random) -> tuple[Floats, Floats]:
    """Outcomes [n] of the new and the old policy, correlated by 0.6 within an item."""
    size = shape.clusters * shape.each
    base = common(shape, random)
    sides = [math.sqrt(0.6) * base + math.sqrt(0.4) * random.normal(size=size) for _ in (new, old)]
    return tuple((z < norm.ppf(rate)).astype(float) for z, rate in zip(sides, (new, old), strict=True))  # type: ignore[return-value]


def verdicts(share: float, shape: Shape, random: Random) -> Floats:
    """Which answer was preferred [n]."""
    return (common(shape, random) < norm.ppf(share)).astype(float)


def common(shape: Shape, random: Random) -> Floats:
    """Standard normal numbers [n], of a cluster alike."""
    own, theirs = random.normal(size=shape.clusters * shape.each), random.normal(size=shape.clusters)
    return math.sqrt(1 - shape.alike) * own + math.sqrt(shape.alike) * np.repeat(theirs, shape.each)


def verdict_at(values: Values, shape: Shape, config: GateConfig, looks: Sequence[int], *, naive: bool = False) -> str:
    """What the gate says at the first look that decides, or at the last; `looks` are numbers of clusters.

    `naive`: an ordinary interval at every look, which the gate refuses.
    """
    said = [_of_line(line, *values[line.measure], shape, config, looks, naive) for line in config.lines]
    for at in zip(*said, strict=True):
        whole = "fail" if "fail" in at else "undecided" if "undecided" in at else "pass"
        if whole != "undecided":
            return whole
    return "undecided"


def _of_line(
    line: Gain | Keep,
    new: Floats,
    old: Floats | None,
    shape: Shape,
    config: GateConfig,
    looks: Sequence[int],
    naive: bool,
) -> list[Verdict]:
    """What one line says at each look."""
    sign = -1.0 if line.measure in LOWER else 1.0
    before = np.full(len(new), 0.5) if old is None else old
    limit = line.least if isinstance(line, Gain) else -float(line.margin or 0.0)
    clusters = np.repeat(np.arange(shape.clusters), shape.each)
    if config.looks == "anytime" and not naive:
        means = sign * in_order(new - before, clusters)
        said = _sequence(means, limit, 1 - 2 * config.alpha, looks)
        return [one if at >= config.least_clusters else _short(one) for one, at in zip(said, looks, strict=True)]
    found = []
    for at in looks:
        some = slice(0, at * shape.each)
        make = share_difference if old is None else score_difference
        one = make(new[some], before[some], clusters[some], confidence=1 - 2 * config.alpha)
        turned = one if sign > 0 else Estimate(estimate=-one.estimate, low=-one.high, high=-one.low)
        verdict = above(turned, limit)
        found.append(verdict if at >= config.least_clusters else _short(verdict))
    return found


def _short(verdict: Verdict) -> Verdict:
    """With too few clusters nothing passes."""
    return "undecided" if verdict == "pass" else verdict


def _sequence(means: Floats, limit: float, confidence: float, looks: Sequence[int]) -> list[Verdict]:
    """Whether `stats.sequential.bounded_sequence` of differences [t] in (-1, 1) leaves out a limit, at each look."""
    x, m, wealth = (means + 1) / 2, (limit + 1) / 2, math.log(2 / (1 - confidence))
    rich, poor = (np.maximum.accumulate(one) for one in (log_capital(x, m), log_capital(1 - x, 1 - m)))
    found: list[Verdict] = []
    for at in looks:
        is_above, is_below, centre = rich[at - 1] >= wealth, poor[at - 1] >= wealth, float(means[:at].mean())
        if is_above and not is_below and centre > limit:
            found.append("pass")
        else:
            found.append("fail" if is_below and not is_above and centre < limit else "undecided")
    return found
