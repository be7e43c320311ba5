"""The over-optimization gauge: scores measured on the way from the start, and whether the best of them is behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from assent.core.scoring import Score
from assent.core.types import Prompt
from assent.stats.overoptimization import Forecast, forecast

Name = Literal["gold", "proxy"]


@dataclass(frozen=True)
class HeldOut:
    """What guards ask and score with, and training never sees."""

    prompts: tuple[Prompt, ...]
    gold: Score | None
    """The held-out reward; None where only probes are wanted."""


class Point(NamedTuple):
    """One measurement."""

    step: int
    """Steps that the policy had taken."""
    distance: float
    """√KL to the start, in √nats per answer."""
    proxy: float
    """Mean score by the reward that trains."""
    gold: float
    """Mean score by the held-out reward."""


class Reading(NamedTuple):
    """What the measurements so far say of one of the two scores."""

    best: int
    """Number of the best measurement: highest mean of itself and its neighbours, of those that have a later one."""
    forecast: Forecast | None
    past_peak: float
    """How sure it is that the score falls at the newest distance; 0 where nothing is forecast, or nothing fell."""


def read(points: Sequence[Point], name: Name = "gold") -> Reading | None:
    """Best, forecast and whether the peak is behind; None before the second measurement.

    Both must say that it is behind: the fitted slope, and the newest measurements, which lie below the best.
    """
    if len(points) < 2:
        return None
    scores = [getattr(point, name) for point in points]
    smooth = [mean(scores[max(0, i - 1) : i + 2]) for i in range(len(scores))]
    settled = smooth[:-1]
    best = settled.index(max(settled))
    fitted = forecast([point.distance for point in points], scores)
    newest = points[-NEWEST:]
    is_lower = best < len(points) - 2 and mean([getattr(p, name) for p in newest]) < settled[best]
    sure = fitted.past_peak(mean([p.distance for p in newest])) if fitted is not None and is_lower else 0.0
    return Reading(best, fitted, sure)


NEWEST = 3
"""Measurements whose means stand for where the policy is now."""


def mean(values: Sequence[float]) -> float:
    """Their mean."""
    return sum(values) / len(values)
