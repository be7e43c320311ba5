"""A crowd: simulated people with drawn traits, those who train apart from those who evaluate."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from assent.core import seeds
from assent.core.types import Rater
from assent.raters.config import Role, SimulatedConfig
from assent.raters.panel import Panel
from assent.raters.simulated import SimulatedRater, Traits, Truths, Utility

_LEVELS = 0.5
"""Deviation over people of what they add to scores, in points."""


def crowd(
    config: SimulatedConfig,
    utility: Utility,
    *,
    role: Role,
    seed: int,
    per_task: int = 1,
    truth: Truths | None = None,
) -> Panel:
    """The simulated people of one role. Those who evaluate are other people than those whose labels train.

    `truth` is what they score answers by, where the settings name criteria.
    """
    ids = list(config.ids(role, seed))
    people = tuple(
        SimulatedRater(
            record=Rater(id=name, kind="simulated", attributes={"group": traits.group}),
            traits=traits,
            utility=utility,
            seed=seed,
            truth=truth if config.criteria else None,
        )
        for name, traits in zip(ids, draw_traits(config, len(ids), role=role, seed=seed), strict=True)
    )
    return Panel(people, seed=seed, per_task=per_task)


def draw_traits(config: SimulatedConfig, number: int, *, role: Role, seed: int) -> list[Traits]:
    """Traits of `number` people. Shares are kept to the person: 20 % careless of 30 are 6, whatever the seed."""
    groups = _shared_out(config.groups, number, seeds.stream(seed, "crowd", role, "groups"))
    careless, inverted = round(config.careless_share * number), round(config.inverted_share * number)
    order = seeds.stream(seed, "crowd", role, "faults").permutation(number)
    is_careless, is_inverted = set(order[:careless].tolist()), set(order[careless : careless + inverted].tolist())
    return [
        _traits(
            config,
            groups[i],
            seeds.stream(seed, "crowd", role, i),
            careless=1.0 if i in is_careless else config.slip,
            sign=-1.0 if i in is_inverted else 1.0,
            severity=_severity(config, seeds.stream(seed, "crowd", role, "severity", i)),
        )
        for i in range(number)
    ]


def _traits(
    config: SimulatedConfig,
    group: str,
    random: np.random.Generator,
    *,
    careless: float,
    sign: float,
    severity: Mapping[str, float],
) -> Traits:
    sharpness, position, length, ties, cuts = random.normal(size=5).tolist()
    return Traits(
        group=group,
        sharpness=sign * config.sharpness * math.exp(config.sharpness_spread * sharpness),
        careless=careless,
        position_lean=config.position_lean + config.spread * position,
        length_lean=config.length_lean + config.spread * length,
        fatigue=config.fatigue,
        sitting=config.sitting,
        tie_threshold=config.tie_threshold * math.exp(config.spread * ties),
        strength_cuts=tuple(cut * math.exp(config.spread * cuts) for cut in config.strength_cuts),  # type: ignore[arg-type]
        words_per_minute=config.words_per_minute,
        severity=severity,
    )


def _severity(config: SimulatedConfig, random: np.random.Generator) -> dict[str, float]:
    """Points that one person adds to scores, by criterion."""
    return {name: float(random.normal(0, _LEVELS)) for name in config.criteria}


def _shared_out(shares: Mapping[str, float], number: int, random: np.random.Generator) -> list[str]:
    """Names in numbers as near to their shares as whole people allow (largest remainders), shuffled."""
    total = sum(shares.values())
    exact = {name: share / total * number for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: number - sum(counts.values())]:
        counts[name] += 1
    names = [name for name, count in counts.items() for _ in range(count)]
    return [names[i] for i in random.permutation(number)]
