"""GRPO: every answer against the others of its prompt, no value model (Shao et al. 2024, DeepSeekMath, section 4.1).

Choices of its successors are settings: Dr. GRPO (Liu et al. 2025) divides by no deviation and no length
(`scale: none`, `average: constant`); DAPO (Yu et al. 2025) averages over tokens (`average: token`), lets ratios rise
further than they fall (`clip_high`) and shapes the reward near the length limit (`overlong_buffer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from assent.algorithms.advantages import dr_grpo_advantages, grpo_advantages, overlong_penalty
from assent.algorithms.kl import k3
from assent.algorithms.objective import Loss, loss_of, weighted
from assent.core import seeds
from assent.core.types import Prompt
from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores
from assent.training.course import Course
from assent.training.loop import Loop
from assent.training.on_policy import (
    Experience,
    Minibatch,
    Roles,
    corrected,
    distance,
    per_token,
    row_kl,
    sample,
    score,
    surrogate,
    update_policy,
)
from assent.training.on_policy_config import GRPOConfig

EPSILON = 1e-4
"""Added to a group's deviation."""


def train_grpo(roles: Roles, prompts: Sequence[Prompt], config: GRPOConfig, loop: Loop) -> None:
    """Move the policy toward answers that are better than the others of their prompt.

    Where the KL has no price, groups whose answers all have the same reward teach nothing and are not computed; their
    rows still count in the average. Raises ConfigError for settings that cannot work.
    """
    config.refuse()
    course = Course(roles, config, loop)
    for step in course.steps():
        roles.writer.engine.load_weights(roles.policy, version=step)
        experience = sample(roles, prompts, config, seed=loop.seed, step=step)
        rewards = shaped_rewards(experience, config)
        teaching, price = differ(rewards, experience.group), course.kl.coefficient
        seed = seeds.derive(loop.seed, "split", step)
        minibatches = score(experience, roles, config, seed=seed, teaching=None if price else teaching)
        in_reward = config.kl.estimator == "k1"
        if in_reward and price:
            rewards = rewards - price * row_kl(experience, minibatches)
        facts = experience.facts | distance(experience, minibatches)
        facts["teaching_groups"] = teaching.float().mean().item()
        advantages = advantages_of(rewards, experience.group, config)
        kl = 0.0 if in_reward else price
        facts |= update_policy(
            roles,
            minibatches,
            partial(grpo_objective, advantages=advantages, kl=kl, config=config),
            config,
            weights=[m.num_tokens if config.average == "token" else m.num_rows for m in minibatches],
            seed=seeds.derive(loop.seed, "order", step),
        )
        course.finish_step(step, facts, len(experience.rollouts.texts))


def shaped_rewards(experience: Experience, config: GRPOConfig) -> Tensor:
    """Rewards [B], less what answers near the length limit lose."""
    lengths = torch.tensor(experience.rollouts.lengths)
    longest = config.sampling.max_new_tokens
    return experience.scores + overlong_penalty(lengths, longest=longest, buffer=config.overlong_buffer)


def differ(rewards: Tensor, group: Tensor) -> Tensor:
    """[groups], True where the answers of a prompt do not all have the same reward."""
    empty = torch.zeros(int(group.max()) + 1)
    best, worst = (empty.scatter_reduce(0, group, rewards, way, include_self=False) for way in ("amax", "amin"))
    return best > worst


def advantages_of(rewards: Tensor, group: Tensor, config: GRPOConfig) -> Tensor:
    """Advantage of each answer [B] within its group."""
    groups = int(group.max()) + 1
    if config.scale == "std":
        return grpo_advantages(rewards, group, groups, epsilon=EPSILON)
    return dr_grpo_advantages(rewards, group, groups)


def grpo_objective(
    scores: TokenScores, batch: GroupBatch, *, mini: Minibatch, advantages: Tensor, kl: float, config: GRPOConfig
) -> Loss:
    """Clipped surrogate and `kl` · k3 of every token (Shao et al. 2024, eq. 3 and 4), averaged as the config says."""
    losses, metrics = surrogate(
        scores.logps, batch, mini, per_token(advantages, mini, batch), clip=config.clip, clip_high=config.clip_high
    )
    distances = k3(scores.logps, batch.gather(mini.reference_logps))
    metrics["k3"] = weighted(distances)
    distances = corrected(distances, batch, mini)
    match config.average:
        case "answer":
            lengths = torch.tensor(batch.row_lengths, device=losses.device)
            weight = 1 / lengths[batch.row]
        case "token":
            weight = torch.ones_like(losses)
        case "constant":
            weight = torch.full_like(losses, 1 / config.sampling.max_new_tokens)
    return loss_of(losses + kl * distances, weight=weight, metrics=metrics)
