"""Worlds of known truth for means, shares, ratios and paired differences, one interval in each: used by coverage.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from assent.stats.calibration import reliability_bins
from assent.stats.clustered import (
    cautious_share,
    clustered_mean,
    clustered_share,
    jackknife,
    paired_difference,
    ratio,
    two_way_share,
)
from assent.stats.estimate import Estimate
from assent.stats.independent import wilson
from assent.stats.paired import mcnemar, share_difference

Random = np.random.Generator
World = Callable[[Random], tuple[Estimate, float]]
"""Draws a world and gives the interval in it and the truth."""
Clusters = NDArray[np.intp]
UNKNOWN = Estimate(estimate=0.0, low=-math.inf, high=math.inf)
NUMBERS = (5, 8, 20, 60, 200)
"""Clusters."""


@dataclass(frozen=True)
class Row:
    """One kind of interval in one kind of world."""

    interval: str
    """The function that makes it."""
    conditions: str
    world: World
    cost: int = 1
    """So many times fewer draws by default."""
    aim: Literal["95", "at least 95"] = "95"


def names(random: Random, clusters: int, each: int) -> Clusters:
    """Which cluster each observation is of; with `each` 0 they hold 1 to 30."""
    sizes = np.full(clusters, each) if each else random.integers(1, 31, clusters)
    return np.repeat(np.arange(clusters), sizes)


def alike(random: Random, of: Clusters, share: float, icc: float) -> NDArray[np.float64]:
    """0 or 1 with a share that differs from cluster to cluster by a beta distribution: correlated by `icc` inside."""
    if icc == 0:
        return (random.random(len(of)) < share).astype(float)
    spread = 1 / icc - 1
    own = random.beta(share * spread, (1 - share) * spread, int(of.max()) + 1)
    return (random.random(len(of)) < own[of]).astype(float)


def shares(clusters: int, each: int, share: float, icc: float) -> World:
    def world(random: Random) -> tuple[Estimate, float]:
        of = names(random, clusters, each)
        return clustered_share(alike(random, of, share, icc), of), share

    return world


def dashboard(clusters: int, share: float, icc: float) -> World:
    def world(random: Random) -> tuple[Estimate, float]:
        of = names(random, clusters, 3)
        found = cautious_share(zip(of.tolist(), alike(random, of, share, icc).tolist(), strict=True))
        assert found is not None
        return found, share

    return world


def means(clusters: int, each: int, icc: float) -> World:
    def world(random: Random) -> tuple[Estimate, float]:
        of = names(random, clusters, each)
        values = math.sqrt(icc) * random.normal(size=clusters)[of] + math.sqrt(1 - icc) * random.normal(size=len(of))
        return clustered_mean(values, of), 0.0

    return world


def skewed_means(clusters: int) -> World:
    """Means of lognormal values, four a cluster."""

    def world(random: Random) -> tuple[Estimate, float]:
        values = np.exp(0.5 * random.normal(size=clusters)[:, None] + 0.5 * random.normal(size=(clusters, 4)))
        return clustered_mean(values.ravel(), np.repeat(np.arange(clusters), 4)), math.exp(0.25)

    return world


def raters(prompts: int, people: int, each: int, *, lean: float = 0.5) -> World:
    """Verdicts of people who differ by 0.8 logits on prompts that differ by 0.7, every pair in both orders."""
    middle = np.random.default_rng(0).normal(size=400_000) * math.hypot(0.8, 0.7) + lean
    truth = float(expit(middle).mean())

    def world(random: Random) -> tuple[Estimate, float]:
        who = np.array([random.choice(people, min(each, people), replace=False) for _ in range(prompts)])
        who = np.repeat(who.ravel(), 2)
        which = np.repeat(np.arange(prompts), 2 * min(each, people))
        logits = lean + 0.8 * random.normal(size=people)[who] + 0.7 * random.normal(size=prompts)[which]
        values = (random.random(len(who)) < expit(logits + np.tile([0.5, -0.5], len(who) // 2))).astype(float)
        return two_way_share(values, which, who), truth

    return world


def differences(clusters: int, gained: float, lost: float, icc: float, *, is_plain: bool = False) -> World:
    """Two shares over the same items, four a prompt; `gained` and `lost` of them change."""
    make = paired_difference if is_plain else share_difference

    def world(random: Random) -> tuple[Estimate, float]:
        of = names(random, clusters, 4)
        is_own = random.random(len(of)) >= math.sqrt(icc)
        draw = np.where(is_own, random.random(len(of)), random.random(clusters)[of])
        after, before = (draw < gained).astype(float), ((draw >= gained) & (draw < gained + lost)).astype(float)
        return make(after, before, of), gained - lost

    return world


def score_differences(clusters: int) -> World:
    """Scores that a prompt moves by 1 and noise by 1, the second policy's better by 0.3."""

    def world(random: Random) -> tuple[Estimate, float]:
        of = names(random, clusters, 4)
        hard = random.normal(size=clusters)[of]
        gain = 0.3 + 0.3 * random.normal(size=clusters)[of]
        after, before = hard + gain + random.normal(size=len(of)), hard + random.normal(size=len(of))
        return paired_difference(after, before, of), 0.3

    return world


def odds(pairs: int, gained: float, lost: float) -> World:
    def world(random: Random) -> tuple[Estimate, float]:
        draw = random.random(pairs)
        found = mcnemar((draw < gained).astype(float), ((draw >= gained) & (draw < gained + lost)).astype(float)).odds
        return found or UNKNOWN, gained / lost

    return world


def seconds(people: int) -> World:
    """Seconds per task of raters of differing pace, 2 to 20 tasks each, as the forecast has it."""

    def world(random: Random) -> tuple[Estimate, float]:
        tasks = random.integers(2, 21, people).astype(float)
        spent = tasks * 30 * np.exp(0.4 * random.normal(size=people) - 0.08)
        return ratio(spent.tolist(), tasks.tolist()) or UNKNOWN, 30.0

    return world


def taus(tasks: int, *, leaves_out: bool = False) -> World:
    """Means of agreements between -1 and 1 whose own mean is .6, by `ratio` or by the jackknife."""

    def world(random: Random) -> tuple[Estimate, float]:
        values: NDArray[np.float64] = 2 * random.beta(4, 1, tasks) - 1
        if leaves_out:
            found = jackknife(lambda weights: weights @ values / weights.sum(axis=1), tasks, between=(-1.0, 1.0))
        else:
            found = ratio(values.tolist(), [1.0] * tasks, between=(-1.0, 1.0))
        return found or UNKNOWN, 0.6

    return world


def votes_with_the_majority(people: int, share: float) -> World:
    """Of raters with 5 to 40 votes each, as the alarm on groups has it."""

    def world(random: Random) -> tuple[Estimate, float]:
        votes = random.integers(5, 41, people)
        own = random.beta(share * 9, (1 - share) * 9, people)
        tops, bottoms = random.binomial(votes, own).tolist(), votes.tolist()
        found = ratio(tops, bottoms) or UNKNOWN
        return (ratio(tops, bottoms, between=(0.0, 1.0)) or UNKNOWN) if found.half_width > 0 else found, share

    return world


def a_bin(prompts: int, icc: float) -> World:
    """One bin of a reliability diagram, three pairs a prompt."""

    def world(random: Random) -> tuple[Estimate, float]:
        of = names(random, prompts, 3)
        said, happened = np.full(len(of), 0.75), alike(random, of, 0.75, icc)
        found = reliability_bins(said, happened, num_bins=2, confidence=0.95, clusters=of)[0]
        return Estimate(estimate=found.observed, low=found.lower, high=found.upper), 0.75

    return world


def independent(size: int, share: float) -> World:
    def world(random: Random) -> tuple[Estimate, float]:
        return wilson(int(random.binomial(size, share)), size), share

    return world


def rows() -> Iterator[Row]:
    """What is measured of them."""
    for size in NUMBERS:
        for share in (0.5, 0.95):
            yield Row("wilson", f"{size} trials, share {share:g}", independent(size, share))
    for clusters in NUMBERS:
        for each, icc in ((4, 0.0), (4, 0.3), (4, 0.9), (0, 0.3)):
            how = f"{clusters} prompts of {each or '1 to 30'}, ICC {icc:g}"
            yield Row("clustered_mean", how, means(clusters, each, icc))
            for share in (0.5, 0.9, 0.98):
                yield Row("clustered_share", f"{how}, share {share:g}", shares(clusters, each, share, icc))
        yield Row("clustered_mean", f"{clusters} prompts, skewed (lognormal)", skewed_means(clusters))
        for share in (0.6, 0.95):
            yield Row(
                "cautious_share", f"{clusters} tasks of 3, ICC .3, share {share:g}", dashboard(clusters, share, 0.3)
            )
        yield Row("paired_difference", f"{clusters} prompts of 4 scores", score_differences(clusters))
        for gained, lost in ((0.3, 0.2), (0.05, 0.02)):
            how = f"{clusters} prompts of 4, ICC .3, gained {gained:g}, lost {lost:g}"
            yield Row("share_difference", how, differences(clusters, gained, lost, 0.3))
        yield Row("ratio", f"{clusters} raters' seconds per task", seconds(clusters))
        how = f"{clusters} raters with the majority, share .9"
        yield Row("ratio, between", how, votes_with_the_majority(clusters, 0.9))
        yield Row("ratio, between", f"{clusters} tasks' tau", taus(clusters))
        yield Row("jackknife", f"{clusters} tasks' tau", taus(clusters, leaves_out=True))
        yield Row("reliability_bins", f"{clusters} prompts of 3 pairs, ICC .3", a_bin(clusters, 0.3))
        yield Row("mcnemar, odds", f"{clusters} pairs, gained .3, lost .2", odds(clusters, 0.3, 0.2))
    for people in (2, 3, 5, 8, 20, 60):
        yield Row("two_way_share", f"60 prompts, {people} raters", raters(60, people, 2), cost=2)
    yield Row("two_way_share", "240 prompts, 8 raters, share .9", raters(240, 8, 2, lean=2.5), cost=4)
