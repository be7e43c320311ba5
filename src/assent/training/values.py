"""What PPO's value model learns and what it tells: returns, advantages by GAE, and the loss toward the returns.

Schulman et al. 2016 (GAE) and 2017; whitening over the whole batch and the clipped value loss as Huang et al. 2024,
"The N+ implementation details of RLHF with PPO".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from assent.algorithms.advantages import gae, token_rewards
from assent.algorithms.masked import whiten
from assent.algorithms.objective import Loss, loss_of, weighted
from assent.algorithms.policy import clipped_value_loss, explained_variance, is_value_clipped
from assent.models.groups import GroupBatch
from assent.training.on_policy import Minibatch, Rows, joined
from assent.training.on_policy_config import PPOConfig


@dataclass(frozen=True)
class Targets:
    """What one minibatch is trained toward, row by row."""

    mini: Minibatch
    old_values: Rows
    advantages: Rows
    returns: Rows


def estimate_advantages(
    minibatches: Sequence[Minibatch], values: Sequence[Rows], scores: Tensor, kl_coefficient: float, config: PPOConfig
) -> tuple[list[Targets], dict[str, float]]:
    """What each minibatch is trained toward, and what was seen of it.

    GAE on rewards that pay -coefficient * (log p - log p_ref) per token and the score at the last token.
    """
    rows = [row for m in minibatches for row in m.rows]
    old, reference = joined(minibatches, "old_logps"), joined(minibatches, "reference_logps")
    value = torch.cat([t for one in values for t in one])
    lengths = [len(t) for m in minibatches for t in m.old_logps]
    row = torch.repeat_interleave(torch.arange(len(rows), device=old.device), torch.tensor(lengths, device=old.device))
    rewards = token_rewards(scores.to(old.device)[rows], old, reference, row, kl_coefficient=kl_coefficient)
    estimate = gae(rewards, value, lengths, gamma=config.gamma, lam=config.lam)
    advantages = whiten(estimate.advantages, keep_mean=False)
    facts = {
        "return": rewards.sum().item() / len(rows),
        "explained_variance": float(explained_variance(value, estimate.returns)),
        "value": value.mean().item(),
    }
    gained, reached = iter(advantages.split(lengths)), iter(estimate.returns.split(lengths))
    targets = [
        Targets(m, before, [*islice(gained, len(m.rows))], [*islice(reached, len(m.rows))])
        for m, before in zip(minibatches, values, strict=True)
    ]
    return targets, facts


def value_objective(values: Tensor, batch: GroupBatch, *, targets: Targets, config: PPOConfig) -> Loss:
    """Half squared error to the returns, clipped around the old value (coefficient times 0.5·max)."""
    old, target = batch.gather(targets.old_values), batch.gather(targets.returns)
    clip = math.inf if config.value_clip is None else config.value_clip
    losses = clipped_value_loss(values, old, target, clip=clip)
    metrics = {
        "value_loss": weighted(losses),
        "value_clip_fraction": weighted(is_value_clipped(values.detach(), old, target, clip=clip)),
    }
    return loss_of(config.value_coefficient * losses, metrics=metrics)
