"""How far the policy has moved from its reference, in nats, and the controllers that set the price of moving.

Samples come from the policy: `logps` is log π(token), `ref_logps` is log π_ref of the same token, and the mean of every
estimator over the policy's samples estimates KL(π ‖ π_ref).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor


def k1(logps: Float[Tensor, " S"], ref_logps: Float[Tensor, " S"]) -> Float[Tensor, " S"]:
    """Unbiased estimate log π/π_ref of the KL per token (Schulman 2020, k1). Negative wherever π < π_ref.

    The one for the reward. Its gradient has mean zero over the policy's own samples, so as a loss it does nothing.
    """
    return logps - ref_logps


def k2(logps: Float[Tensor, " S"], ref_logps: Float[Tensor, " S"]) -> Float[Tensor, " S"]:
    """Half the squared log-ratio (Schulman 2020, k2).

    Biased at a distance, but on the policy's own samples the mean of its gradient is the gradient of the KL: the one
    for a loss.
    """
    return 0.5 * (logps - ref_logps).square()


def k3(logps: Float[Tensor, " S"], ref_logps: Float[Tensor, " S"]) -> Float[Tensor, " S"]:
    """Unbiased, never negative estimate r - 1 - log r with r = π_ref/π (Schulman 2020, k3). The one for a meter."""
    log_ratio = ref_logps - logps
    # expm1 may round below its argument by one unit, and this is shown as a distance.
    return (torch.expm1(log_ratio) - log_ratio).clamp(min=0)


def kl_reward(logps: Float[Tensor, " S"], ref_logps: Float[Tensor, " S"], *, coefficient: float) -> Float[Tensor, " S"]:
    """Per-token penalty -coefficient · k1, added to the reward (Ziegler et al. 2019, eq. 2)."""
    return -coefficient * k1(logps, ref_logps)


@dataclass(frozen=True)
class FixedKL:
    """The same coefficient for ever."""

    coefficient: float

    def update(self, observed_kl_per_response: float, num_responses: int) -> FixedKL:
        """Itself, whatever was observed."""
        return self


@dataclass(frozen=True)
class AdaptiveKL:
    """Raises the coefficient while the KL lies above its target and lowers it below (Ziegler et al. 2019, section 2.2).

    `target` is the KL summed over a whole response, in nats, not a mean per token: 6 is gentle for a sentence and very
    tight for a page. `horizon` counts responses; after that many at twice the target or more (or at 0), the coefficient
    has changed by about a fifth.
    """

    coefficient: float
    target: float
    horizon: float

    def __post_init__(self) -> None:
        if self.target <= 0 or self.horizon <= 0 or self.coefficient <= 0:
            raise ValueError(f"adaptive KL wants coefficient, target and horizon > 0, got {self}")

    def update(self, observed_kl_per_response: float, num_responses: int) -> AdaptiveKL:
        """The controller after a batch: coefficient · (1 + error · num_responses / horizon), error clipped to ±0.2.

        Raises ValueError for a batch of five horizons or more, which could turn the penalty into a reward.
        """
        if num_responses >= self.horizon / _ERROR_LIMIT:
            raise ValueError(
                f"adaptive KL: {num_responses} responses in a batch are too many for horizon {self.horizon}"
            )
        error = observed_kl_per_response / self.target - 1
        error = min(max(error, -_ERROR_LIMIT), _ERROR_LIMIT)
        return replace(self, coefficient=self.coefficient * (1 + error * num_responses / self.horizon))


_ERROR_LIMIT = 0.2


def best_of_n_kl(n: int) -> float:
    """KL from a policy to the best of n of its answers, log n - (n - 1)/n nats (Stiennon et al. 2020, appendix G).

    Exact where no two answers are equal and rewards do not tie, else an upper bound (Beirami et al. 2024); the reward,
    and who gave it, do not matter.
    """
    if n < 1:
        raise ValueError(f"the best of n answers wants n of at least 1, got {n}")
    return math.log(n) - (n - 1) / n
