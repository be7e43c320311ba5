"""How many more labels or items a line of a gate wants before it can decide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assent.evaluation.gate.reading import Level, Reading
from assent.stats.independent import normal_quantile
from assent.stats.power import Wish, look_of, more_needed

_MOST = 1_000_000
"""More than this is called unreachable."""


def more_items(reading: Reading, lines: Sequence[float], level: Level, power: float, *, least: int) -> int | None:
    """Further clusters after which the interval leaves the nearest of `lines`, if the number stays what it is so far.

    At least as many as are missing to `least`. None where no number would do: it lies on the line.
    """
    short = max(least - reading.clusters, 0)
    if not math.isfinite(reading.usual.half_width) or reading.clusters < 2:
        return short or reading.clusters
    so_far = look_of(reading.usual, reading.clusters)
    line = min(lines, key=lambda one: abs(one - so_far.estimate))
    if level.look is not None:
        found = _sequence_needs(so_far.variance, abs(so_far.estimate - line), level.alpha, power)
        return None if found is None else max(found - reading.clusters, short, 1)
    more = more_needed(so_far, line, wish=Wish(alpha=2 * level.alpha, power=power))
    return None if more is None or more.clusters > _MOST else max(more.clusters, short, 1)


def _sequence_needs(variance: float, apart: float, alpha: float, power: float, *, planned: int = 500) -> int | None:
    """The least number of clusters at which an asymptotic confidence sequence leaves a line that lies `apart`.

    Its half width with this variance (`stats.sequential.asymptotic_sequence`), and the chance `power` to be there.
    """
    surprise = -2 * math.log(2 * alpha)
    rate = (surprise + math.log(surprise) + 1) / planned

    def reaches(size: int) -> float:
        tuned = size * rate
        half = math.sqrt(2 * (tuned + 1) / (size * tuned) * (math.log(tuned + 1) / 2 - math.log(2 * alpha)))
        return math.sqrt(variance) * (half + normal_quantile(2 * power - 1) / math.sqrt(size))

    low, high = 1, 2
    while reaches(high) > apart:
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if reaches(middle) > apart else (low, middle)
    return high
