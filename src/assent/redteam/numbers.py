"""Numbers of a red team: attack success by behaviour, behind a detector with known errors, and after k tries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assent.redteam.detectors import Quality
from assent.stats.clustered import two_way_share
from assent.stats.estimate import Estimate
from assent.stats.prevalence import Corrected, corrected_share


@dataclass(frozen=True)
class Try:
    """An attack on a behaviour."""

    behaviour: str
    attack: str
    """Its operators."""
    hit: float
    """1 where it worked, else 0."""


def attack_success(tries: Sequence[Try]) -> Estimate | None:
    """Mean of attacks that work within a behaviour, then over behaviours (HarmBench, arXiv 2402.04249, section 4).

    The interval holds over other behaviours and over other attacks: many attacks on few behaviours say little about
    other behaviours. Of one behaviour, or one attack, it is all that is possible. None where nothing was tried.
    """
    by_behaviour: dict[str, list[float]] = {}
    for one in tries:
        by_behaviour.setdefault(one.behaviour, []).append(one.hit)
    means = [sum(hits) / len(hits) for hits in by_behaviour.values()]
    if not means:
        return None
    share, attacks = sum(means) / len(means), [one.attack for one in tries]
    if len(means) < 2 or len(set(attacks)) < 2:
        return Estimate(estimate=share, low=0.0, high=1.0, n=len(tries))
    found = two_way_share([one.hit for one in tries], [one.behaviour for one in tries], attacks)
    return Estimate(estimate=share, low=min(found.low, share), high=max(found.high, share), n=len(tries))


def behind(observed: Estimate, quality: Quality) -> Corrected:
    """Attack success without the errors of the detector, whose uncertainty is in the interval."""
    return corrected_share(observed.model_copy(update={"n": None}), quality.sensitivity, quality.specificity)


def success_within(tries: Sequence[tuple[str, float]], k: int) -> float | None:
    """Expected share of behaviours of which one of `k` attacks drawn at random works: 1 - E[(1 - p)^k].

    p of a behaviour is drawn from a Beta distribution that is fitted to all behaviours by maximum likelihood on a grid
    (beta-binomial), and seen through the behaviour's own attacks. `tries` are behaviours with 1 for an attack that
    worked and 0 else. None where nothing was tried; k from 1.
    """
    counts: dict[str, tuple[float, int]] = {}
    for behaviour, hit in tries:
        good, n = counts.get(behaviour, (0.0, 0))
        counts[behaviour] = good + hit, n + 1
    if not counts:
        return None
    a, b = _fitted(list(counts.values()))
    missed = [math.exp(_beta(a + s, b + n - s + k) - _beta(a + s, b + n - s)) for s, n in counts.values()]
    return 1 - sum(missed) / len(missed)


def _fitted(counts: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """The two parameters of the Beta distribution under which these successes of so many tries are likeliest."""
    grid = [
        (mean * size, (1 - mean) * size)
        for mean in np.concatenate([np.geomspace(1e-4, 0.05, 12), np.linspace(0.06, 0.98, 24)]).tolist()
        for size in np.geomspace(0.5, 200, 14).tolist()
    ]
    return max(grid, key=lambda ab: sum(_beta(ab[0] + s, ab[1] + n - s) - _beta(*ab) for s, n in counts))


def _beta(a: float, b: float) -> float:
    """log of the Beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
