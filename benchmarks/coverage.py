"""How often the intervals of reports and dashboards hold the truth, where it is known: `python benchmarks/coverage.py`.

Every row draws worlds of its own (`--worlds`, default 400) and prints the share of 95 % intervals that hold the number
that they are about, with the error of that share, and their mean width. About five minutes on one core.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from assent.core import seeds
from assent.evaluation.length_control import length_controlled
from assent.feedback.battles import Battle, standings
from assent.stats.clustered import cautious_share, clustered_mean, clustered_share, jackknife, ratio, two_way_share
from assent.stats.estimate import Estimate

Random = np.random.Generator
World = Callable[[Random], tuple[Estimate, float]]
"""Draws a world and gives the interval in it and the truth."""


def shares(clusters: int, each: int, *, uneven: bool = False) -> World:
    """Clusters whose own share comes from Beta(2, 1), whose mean is 2/3; uneven ones hold 1 to 30 values."""

    def world(random: Random) -> tuple[Estimate, float]:
        sizes = random.integers(1, 31, clusters) if uneven else np.full(clusters, each)
        names = np.repeat(np.arange(clusters), sizes)
        values = (random.random(len(names)) < random.beta(2, 1, clusters)[names]).astype(float)
        return clustered_share(values, names), 2 / 3

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


def lengths(prompts: int, each: int, *, skill: float, shift: float = 0.0) -> World:
    """Verdicts that follow σ(skill + ½ tanh(Δ / sd)); new answers are longer by `shift` deviations."""

    def world(random: Random) -> tuple[Estimate, float]:
        difference = np.repeat(random.normal(shift, 1.0, prompts), each)
        chance = expit(skill + 0.5 * np.tanh(difference / np.std(difference)))
        values = (random.random(len(chance)) < chance).astype(float)
        names = [str(i) for i in np.repeat(np.arange(prompts), each)]
        return length_controlled(values, difference, names), float(expit(skill))

    return world


def dashboard(tasks: int) -> World:
    """The share of a dashboard: three values a task, whose own share comes from Beta(2, 1)."""

    def world(random: Random) -> tuple[Estimate, float]:
        chance = random.beta(2, 1, tasks)
        found = cautious_share((i, float(random.random() < chance[i])) for i in range(tasks) for _ in range(3))
        assert found is not None
        return found, 2 / 3

    return world


def tau(tasks: int) -> World:
    """A mean of agreements between -1 and 1, one a task, by `ratio`."""

    def world(random: Random) -> tuple[Estimate, float]:
        found = ratio(list(2 * random.beta(4, 1, tasks) - 1), [1.0] * tasks, between=(-1.0, 1.0))
        assert found is not None
        return found, 0.6

    return world


def left_out(tasks: int) -> World:
    """A mean of the same kind by the jackknife, as alpha has it."""

    def world(random: Random) -> tuple[Estimate, float]:
        values: NDArray[np.float64] = 2 * random.beta(4, 1, tasks) - 1
        found = jackknife(lambda weights: weights @ values / weights.sum(axis=1), tasks, between=(-1.0, 1.0))
        assert found is not None
        return found, 0.6

    return world


def battle(votes: int) -> World:
    """The strongest of four models, against the average one; every vote by another person."""
    truth = np.array([1.0, 0.25, -0.25, -1.0])

    def world(random: Random) -> tuple[Estimate, float]:
        fought = []
        for n in range(votes):
            a, b = random.choice(4, 2, replace=False)
            won = random.random() < expit(truth[a] - truth[b])
            fought.append(Battle(f"m{a}", f"m{b}", "a" if won else "b", f"r{n}"))
        table = {one.model: one.strength for one in standings(fought)}
        return table.get("m0", Estimate(estimate=0.0, low=-math.inf, high=math.inf)), 1.0

    return world


def rows() -> Iterator[tuple[str, World]]:
    """What is measured."""
    for clusters in (2, 3, 5, 10, 30):
        yield f"share, {clusters} prompts of 4 verdicts", shares(clusters, 4)
    for clusters in (3, 10, 30):
        yield f"share, {clusters} prompts of 1 to 30 verdicts", shares(clusters, 4, uneven=True)
    for clusters in (5, 10, 30):
        yield f"mean of skewed values, {clusters} prompts", skewed_means(clusters)
    for people in (2, 3, 5, 8, 12, 30):
        yield f"win rate over raters, 60 prompts, {people} raters", raters(60, people, 2)
    yield "win rate over raters, 240 prompts, 8 raters, share .9", raters(240, 8, 2, lean=2.5)
    for prompts in (5, 10, 30, 60, 240):
        yield f"at equal length, {prompts} prompts, σ(½)", lengths(prompts, 2, skill=0.5)
    for prompts, skill in ((10, 3.0), (30, 4.0), (60, 4.0), (240, 5.0)):
        yield f"at equal length, {prompts} prompts, σ({skill:g})", lengths(prompts, 2, skill=skill)
    yield "at equal length, 240 prompts, new longer by 2.5 sd", lengths(240, 2, skill=0.5, shift=2.5)
    for tasks in (2, 3, 5, 10, 30):
        yield f"dashboard's share, {tasks} tasks", dashboard(tasks)
    for tasks in (3, 5, 10):
        yield f"mean tau, {tasks} tasks", tau(tasks)
        yield f"jackknife, {tasks} tasks", left_out(tasks)
    for votes in (12, 40, 150):
        yield f"strength in battles, {votes} votes", battle(votes)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=400)
    count = parser.parse_args().worlds
    print("| interval | covers | ± | mean width |\n|---|---|---|---|")
    for name, world in rows():
        held, widths = 0, []
        for number in range(count):
            found, truth = world(seeds.stream(0, "coverage", name, number))
            held += found.low <= truth <= found.high
            widths.append(found.high - found.low)
        share = held / count
        error = 1.96 * math.sqrt(share * (1 - share) / count)
        print(f"| {name} | {share:.3f} | {error:.3f} | {float(np.mean(widths)):.3f} |", flush=True)


if __name__ == "__main__":
    main()
