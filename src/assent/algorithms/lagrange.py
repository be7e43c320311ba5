"""Constraints on a mean cost: a price that a controller sets, and the reward that is left after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class PIDMultiplier:
    """A Lagrange multiplier that a PID controller steers (Stooke et al. 2020, arXiv 2007.03964, algorithm 2).

    With the excess e = cost - limit and the rise r = max(0, cost - cost before),

        I ← max(0, I + e)        λ ← max(0, proportional · e + integral · I + derivative · r)

    With `integral` alone this is gradient ascent on λ, the multiplier of Safe RLHF (Dai et al. 2023, arXiv 2310.12773,
    eq. 12) without its logarithm. `most` bounds λ, and I so that it does not wind up beyond it.
    """

    limit: float
    proportional: float
    integral: float
    derivative: float
    most: float
    sum: float = 0.0
    """I, the excess so far."""
    before: float | None = None
    """The cost before; None: none was seen."""
    value: float = 0.0
    """λ."""

    def update(self, cost: float) -> PIDMultiplier:
        """The controller after a batch with this mean cost."""
        excess = cost - self.limit
        rise = 0.0 if self.before is None else max(0.0, cost - self.before)
        bound = self.most / self.integral if self.integral > 0 else float("inf")
        total = min(max(0.0, self.sum + excess), bound)
        value = self.proportional * excess + self.integral * total + self.derivative * rise
        return replace(self, sum=total, before=cost, value=min(max(0.0, value), self.most))


def priced(
    rewards: Float[Tensor, " B"], costs: Float[Tensor, "C B"], multipliers: Sequence[float]
) -> Float[Tensor, " B"]:
    """(reward - Σ λ · cost) / (1 + Σ λ) of each answer (Dai et al. 2023, eq. 28; Stooke et al. 2020, section 4.3).

    Divided so that a high price does not make the step larger: as λ grows the costs alone decide. With all λ at 0 it is
    the reward itself.
    """
    prices = torch.tensor(multipliers, dtype=rewards.dtype, device=rewards.device)
    return (rewards - prices @ costs) / (1 + prices.sum())
