"""How often something truly happens when a detector with known errors counts it, and what no hit at all says.

    share = (observed + Sp - 1) / (Se + Sp - 1)                                            Rogan & Gladen (1978)

Se is the share of true cases that the detector finds, Sp that of others that it leaves alone; both were measured on
some labels, and their uncertainty is in the interval. A detector that may be no better than chance tells nothing: then
the share is unknown, which is not the same as a perfect detector.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from assent.stats.estimate import Estimate

Floats = NDArray[np.float64]
Problem = Literal["", "blind", "misfit"]
"""blind: Se + Sp - 1 may be 0. misfit: fewer or more hits than these errors allow at any share, so that one of them was
measured on other material than this."""
_GRID = np.linspace(0.0, 1.0, 4001)
_ROUNDING = 1e-12
_UNKNOWN = Estimate(estimate=0.5, low=0.0, high=1.0)


class Corrected(NamedTuple):
    """The true share, and what speaks against reading it. A blind detector's is 0 to 1, and its ½ says nothing."""

    share: Estimate
    problem: Problem = ""

    @property
    def is_known(self) -> bool:
        """Whether anything was learned."""
        return self.problem != "blind"


def corrected_share(observed: Estimate, sensitivity: Estimate, specificity: Estimate) -> Corrected:
    """The true share behind a detector's share of hits, from three shares with intervals of one confidence.

    The interval holds every p at which  observed = p · Se + (1 - p) · (1 - Sp)  lies within the joint reach of the
    three: the distances to their own ends, squared and added (MOVER, Zou & Donner 2008; solved for p as Fieller 1940).
    So clusters, few labels and shares near 0 or 1 are as good here as in the intervals that come in; hand in those of
    `clustered_share` or `wilson`. Where nothing fits, too few hits still say that p is below observed / Se, whatever Sp
    is, and too many that 1 - p is below (1 - observed) / Sp. Raises ValueError where one is no share.
    """
    for name, one in (("observed", observed), ("sensitivity", sensitivity), ("specificity", specificity)):
        if not 0 <= one.low <= one.estimate <= one.high <= 1:
            raise ValueError(f"{name} must be a share with an interval inside 0 to 1, got {one}")
    skill = sensitivity.estimate + specificity.estimate - 1
    reach = math.hypot(sensitivity.estimate - sensitivity.low, specificity.estimate - specificity.low)
    if skill - reach <= 0:
        return Corrected(_UNKNOWN, "blind")
    share = min(max((observed.estimate + specificity.estimate - 1) / skill, 0.0), 1.0)
    grid = np.union1d(_GRID, [share])
    short, over = _gaps(grid, observed, sensitivity, specificity)
    fits = np.flatnonzero((short >= -_ROUNDING) & (over >= -_ROUNDING))
    if not len(fits):
        return Corrected(_misfit(observed, sensitivity, specificity), "misfit")
    # One step of the grid outwards: the ends lie between what fits and what does not.
    low, high = float(grid[max(fits[0] - 1, 0)]), float(grid[min(fits[-1] + 1, len(grid) - 1)])
    return Corrected(Estimate(estimate=share, low=min(low, share), high=max(high, share), n=observed.n))


def none_of(n: int, *, confidence: float = 0.95) -> Estimate:
    """0 hits in n independent tries: the share is surely below 1 - (1 - confidence)^(1/n), about 3 / n at 95 %.

    One-sided and exact (Hanley & Lippman-Hand 1983). For tries that hang together n is the number of clusters.
    Raises ValueError for n < 1.
    """
    if n < 1:
        raise ValueError(f"nothing was tried: n is {n}")
    return Estimate(estimate=0.0, low=0.0, high=-math.expm1(math.log1p(-confidence) / n), n=n)


def _misfit(observed: Estimate, se: Estimate, sp: Estimate) -> Estimate:
    """What the one error says that does not speak against what was observed."""
    if observed.estimate < 1 - sp.estimate:
        return Estimate(estimate=0.0, low=0.0, high=min(1.0, observed.high / se.low), n=observed.n)
    return Estimate(estimate=1.0, low=max(0.0, 1 - (1 - observed.low) / sp.low), high=1.0, n=observed.n)


def _gaps(p: Floats, observed: Estimate, se: Estimate, sp: Estimate) -> tuple[Floats, Floats]:
    """How far 0 lies inside the upper and the lower end of observed - p · Se - (1 - p) · (1 - Sp), at each p."""
    middle = observed.estimate - p * se.estimate - (1 - p) * (1 - sp.estimate)
    below = np.sqrt(
        (observed.estimate - observed.low) ** 2
        + (p * (se.high - se.estimate)) ** 2
        + ((1 - p) * (sp.estimate - sp.low)) ** 2
    )
    above = np.sqrt(
        (observed.high - observed.estimate) ** 2
        + (p * (se.estimate - se.low)) ** 2
        + ((1 - p) * (sp.high - sp.estimate)) ** 2
    )
    return middle + above, below - middle
