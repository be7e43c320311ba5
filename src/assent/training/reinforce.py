"""REINFORCE++: PPO's clip and token-level KL without a value model, whitened over the whole batch (Hu et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from assent.algorithms.advantages import dr_grpo_advantages, gae, token_rewards
from assent.algorithms.masked import whiten
from assent.algorithms.objective import Loss
from assent.core import seeds
from assent.core.types import Prompt
from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores
from assent.training.course import Course
from assent.training.loop import Loop
from assent.training.on_policy import (
    Minibatch,
    Roles,
    Rows,
    clipped_objective,
    distance,
    joined,
    sample,
    score,
    update_policy,
)
from assent.training.on_policy_config import ReinforceConfig


def train_reinforce(roles: Roles, prompts: Sequence[Prompt], config: ReinforceConfig, loop: Loop) -> None:
    """Move the policy toward tokens after which more reward came than the mean token of the batch saw.

    Raises ConfigError for settings that cannot work.
    """
    config.refuse()
    course = Course(roles, config, loop)
    for step in course.steps():
        roles.writer.engine.load_weights(roles.policy, version=step)
        experience = sample(roles, prompts, config, seed=loop.seed, step=step)
        minibatches = score(experience, roles, config, seed=seeds.derive(loop.seed, "split", step))
        rewards = experience.scores
        if config.baseline == "group":
            rewards = dr_grpo_advantages(rewards, experience.group, len(experience.rollouts.groups))
        facts = experience.facts | distance(experience, minibatches)
        facts |= update_policy(
            roles,
            minibatches,
            partial(objective, advantages=token_advantages(minibatches, rewards, course.kl.coefficient), config=config),
            config,
            weights=[m.num_tokens for m in minibatches],
            seed=seeds.derive(loop.seed, "order", step),
        )
        course.finish_step(step, facts, len(experience.rollouts.texts))


def token_advantages(minibatches: Sequence[Minibatch], rewards: Tensor, kl_coefficient: float) -> dict[int, Tensor]:
    """Reward to come after each token, less the price of the KL to come, whitened over the batch; by row.

    A_t = r - β Σ_{i ≥ t} log π/π_ref of token i (Hu et al. 2025, eq. 5): GAE with λ = γ = 1 and a value of 0.
    """
    rows = [row for m in minibatches for row in m.rows]
    old, reference = joined(minibatches, "old_logps"), joined(minibatches, "reference_logps")
    lengths = [len(logps) for m in minibatches for logps in m.old_logps]
    row = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor(lengths)).to(old.device)
    paid = token_rewards(rewards.to(old.device)[rows], old, reference, row, kl_coefficient=kl_coefficient)
    to_come = gae(paid, torch.zeros_like(paid), lengths, gamma=1.0, lam=1.0).advantages
    return dict(zip(rows, whiten(to_come, keep_mean=False).split(lengths), strict=True))


def objective(
    scores: TokenScores,
    batch: GroupBatch,
    *,
    mini: Minibatch,
    advantages: dict[int, Tensor],
    config: ReinforceConfig,
) -> Loss:
    """PPO's clipped surrogate of every token."""
    own: Rows = [advantages[row] for row in mini.rows]
    return clipped_objective(scores, batch, mini=mini, advantages=own, config=config)
