"""Raters weighted so that the judgments speak for a stated population: post-stratification, raked over attributes.

A judgment of group g weighs (share of g in the population) / (share of g in the judgments), for each attribute in turn
until all agree (Deming & Stephan 1940). Weights are capped, since one person who speaks for thousands is no crowd.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assent.core.errors import ConfigError, DataError

_ROUNDS = 100
SHARES_TO_ONE = 0.01
"""By so much stated shares may miss 1 before that is an error; they are scaled to it."""


@dataclass(frozen=True)
class Weighting:
    """The weight of each rater's judgments, with mean 1 over judgments, and what it costs."""

    weight: Mapping[str, float]
    judgments: int
    effective: float
    """(Σ w)² / Σ w² (Kish 1965): so many judgments of one weight would say as much."""
    capped: tuple[str, ...]
    """Groups whose weight the cap holds down, as "attribute=group"."""
    unknown: int
    """Judgments by raters whose group is not told, or not in the population: they keep weight 1."""
    shares: Mapping[str, tuple[float, float, float]]
    """ "attribute=group" -> its share of judgments, in the population, and after weighting."""

    def lines(self) -> list[str]:
        """What was done, in words."""
        moved = ", ".join(f"{n} {a:.0%} → {c:.0%} (wanted {b:.0%})" for n, (a, b, c) in self.shares.items())
        said = [
            f"judgments are weighted to the population: {moved}; {self.judgments} judgments say as much as"
            f" {self.effective:.0f} of one weight"
        ]
        if self.capped:
            said.append(f"the cap on weights keeps {', '.join(self.capped)} below their share in the population")
        if self.unknown:
            said.append(f"{self.unknown} judgments are by raters whose group is not known; they keep weight 1")
        return said

    def facts(self) -> dict[str, float]:
        """The numbers, for the manifest."""
        return {"effective_judgments": round(self.effective, 1), "judgments_of_unknown_group": self.unknown}


def weighting(
    raters: Sequence[str],
    attributes: Mapping[str, Mapping[str, str]],
    population: Mapping[str, Mapping[str, float]],
    *,
    cap: float,
) -> Weighting:
    """The weights; `raters` names who gave each judgment.

    Raises ConfigError for shares that do not add up to 1, DataError for a group of the population that nobody judged
    for: no weight makes up for a voice that is not there.
    """
    weight = np.ones(len(raters))
    places = {}
    for attribute, wanted in population.items():
        if abs(sum(wanted.values()) - 1) > SHARES_TO_ONE or min(wanted.values()) <= 0:
            raise ConfigError(
                f"reward.population.{attribute}: shares are {dict(wanted)}; they should lie above 0 and add up to 1"
            )
        told = [attributes.get(rater, {}).get(attribute) for rater in raters]
        if missing := sorted(set(wanted) - set(told)):
            there = sorted({one for one in told if one is not None})
            raise DataError(
                f"reward.population.{attribute}: nobody of {missing[0]!r} judged; raters told"
                f" {', '.join(there) or 'nothing'}; ask such raters, or leave the group out"
            )
        for group in wanted:
            places[attribute, group] = np.array([one == group for one in told])
    known = np.ones(len(raters), bool)
    for attribute in population:
        known &= np.any([places[a, g] for a, g in places if a == attribute], axis=0)
    for _ in range(_ROUNDS):
        before = weight.copy()
        for attribute, wanted in population.items():
            total = weight[known].sum()
            scale = np.ones(len(raters))
            for group, share in wanted.items():
                here = places[attribute, group] & known
                if weight[here].sum() > 0:
                    scale[here] = share / sum(wanted.values()) * total / weight[here].sum()
            weight = weight * scale
        if known.any():
            weight[known] = _capped(weight[known], cap)
        if np.abs(weight - before).max() < 1e-9:
            break
    return _told(raters, weight, known, places, population, cap)


def _capped(weight: np.ndarray, cap: float) -> np.ndarray:
    """With mean 1 and none above the cap: what is cut off goes to the others, in proportion."""
    weight = weight / weight.mean()
    for _ in range(_ROUNDS):
        if weight.max() <= cap * (1 + 1e-9):
            break
        weight = np.minimum(weight, cap)
        free = weight < cap
        if not free.any():
            break
        weight[free] *= (len(weight) - cap * float((~free).sum())) / weight[free].sum()
    return weight


def _told(
    raters: Sequence[str],
    weight: np.ndarray,
    known: np.ndarray,
    places: Mapping[tuple[str, str], np.ndarray],
    population: Mapping[str, Mapping[str, float]],
    cap: float,
) -> Weighting:
    shares, total = {}, max(float(weight[known].sum()), 1e-12)
    capped = []
    for (attribute, group), here in places.items():
        inside = here & known
        wanted = population[attribute][group]
        now = float(weight[inside].sum()) / total
        shares[f"{attribute}={group}"] = (float(inside.sum()) / max(int(known.sum()), 1), wanted, now)
        if now < wanted - 0.005:
            capped.append(f"{attribute}={group}")
    return Weighting(
        weight=dict(zip(raters, weight.tolist(), strict=True)),
        judgments=len(raters),
        effective=float(weight.sum() ** 2 / (weight**2).sum()),
        capped=tuple(capped),
        unknown=int((~known).sum()),
        shares=shares,
    )
