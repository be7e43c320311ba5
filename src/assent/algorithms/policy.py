"""Proximal policy optimization: the clipped losses of policy and value function, and the numbers that watch over them.

All are per token. `old_logps` and `old_values` are those of the policy and value function that made the rollouts.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def policy_ratio(logps: Float[Tensor, " S"], old_logps: Float[Tensor, " S"]) -> Float[Tensor, " S"]:
    """π(token)/π_old(token). Exactly 1 before the first update."""
    return (logps - old_logps).exp()


def clipped_policy_loss(
    logps: Float[Tensor, " S"],
    old_logps: Float[Tensor, " S"],
    advantages: Float[Tensor, " S"],
    *,
    clip: float,
    clip_high: float | None = None,
) -> Float[Tensor, " S"]:
    """Negative clipped surrogate -min(r A, clamp(r, 1 - clip, 1 + clip) A) (Schulman et al. 2017, eq. 7).

    Its gradient is that of -r A where the ratio has not yet moved past the clip in the direction of A, and 0 where it
    has. With `clip_high` the upper bound is 1 + clip_high, so that unlikely tokens may rise further than likely ones
    fall (Yu et al. 2025, DAPO, eq. 10). Is -A where policy = old policy.
    """
    ratio = policy_ratio(logps, old_logps)
    high = clip if clip_high is None else clip_high
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + high) * advantages)


def is_clipped(
    logps: Float[Tensor, " S"],
    old_logps: Float[Tensor, " S"],
    advantages: Float[Tensor, " S"],
    *,
    clip: float,
    clip_high: float | None = None,
) -> Bool[Tensor, " S"]:
    """True where the clip of `clipped_policy_loss` takes the gradient away; its mean is the clip fraction.

    A ratio outside the clip that moves against its advantage does not count: there the gradient still pulls it back.
    """
    ratio = policy_ratio(logps, old_logps)
    high = clip if clip_high is None else clip_high
    return ((advantages > 0) & (ratio > 1 + high)) | ((advantages < 0) & (ratio < 1 - clip))


def approx_kl(logps: Float[Tensor, " S"], old_logps: Float[Tensor, " S"]) -> Float[Tensor, " S"]:
    """Estimate r - 1 - log r of KL(π_old ‖ π), never negative (Schulman 2020, k3 with the old policy's samples)."""
    log_ratio = logps - old_logps
    return (torch.expm1(log_ratio) - log_ratio).clamp(min=0)


def clipped_value_loss(
    values: Float[Tensor, " S"],
    old_values: Float[Tensor, " S"],
    returns: Float[Tensor, " S"],
    *,
    clip: float,
) -> Float[Tensor, " S"]:
    """Half the larger squared error of the value and of the value kept within `clip` of the old one.

    The value clipping of PPO's first implementation (Huang et al. 2022, detail 9); an infinite clip gives half the
    squared error. Scale `clip` with the returns: it is a distance in units of reward.
    """
    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - returns).square(), (near - returns).square())


def is_value_clipped(
    values: Float[Tensor, " S"],
    old_values: Float[Tensor, " S"],
    returns: Float[Tensor, " S"],
    *,
    clip: float,
) -> Bool[Tensor, " S"]:
    """True where the clip of `clipped_value_loss` takes the gradient away."""
    near = old_values + (values - old_values).clamp(-clip, clip)
    return (near - returns).abs() > (values - returns).abs()


def explained_variance(values: Float[Tensor, " S"], returns: Float[Tensor, " S"]) -> Float[Tensor, ""]:
    """Share of the variance of returns that the values foresee: 1 at best, 0 for a constant, below 0 for harm.

    Over the whole batch; NaN where all returns are equal, since there is nothing to explain.
    """
    spread = returns.var(correction=0)
    unexplained = (returns - values).var(correction=0)
    return torch.where(spread > 0, 1 - unexplained / spread, torch.nan)
