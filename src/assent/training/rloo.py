"""RLOO: REINFORCE on whole answers, each against the mean of the others of its prompt (Ahmadian et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from assent.algorithms.advantages import rloo_advantages
from assent.algorithms.masked import row_sum
from assent.algorithms.objective import Loss, loss_of, weighted
from assent.algorithms.policy import approx_kl, clipped_policy_loss, is_clipped, policy_ratio
from assent.core import seeds
from assent.core.types import Prompt
from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores
from assent.training.course import Course
from assent.training.loop import Loop
from assent.training.on_policy import Minibatch, Roles, distance, row_kl, sample, score, update_policy
from assent.training.on_policy_config import RLOOConfig


def train_rloo(roles: Roles, prompts: Sequence[Prompt], config: RLOOConfig, loop: Loop) -> None:
    """Move the policy toward answers whose reward, less the price of their distance, is above that of the others.

    Raises ConfigError for settings that cannot work.
    """
    config.refuse()
    course = Course(roles, config, loop)
    for step in course.steps():
        roles.writer.engine.load_weights(roles.policy, version=step)
        experience = sample(roles, prompts, config, seed=loop.seed, step=step)
        minibatches = score(experience, roles, config, seed=seeds.derive(loop.seed, "split", step))
        rewards = experience.scores - course.kl.coefficient * row_kl(experience, minibatches)
        advantages = rloo_advantages(rewards, experience.group, len(experience.rollouts.groups))
        facts = experience.facts | distance(experience, minibatches)
        facts |= update_policy(
            roles,
            minibatches,
            partial(rloo_objective, advantages=advantages, config=config),
            config,
            weights=[m.num_rows for m in minibatches],
            seed=seeds.derive(loop.seed, "order", step),
        )
        course.finish_step(step, facts, len(experience.rollouts.texts))


def rloo_objective(
    scores: TokenScores, batch: GroupBatch, *, mini: Minibatch, advantages: Tensor, config: RLOOConfig
) -> Loss:
    """The policy gradient of whole answers: an answer is one action, and its ratio is clipped as one.

    At the first update its gradient is that of -A log π(answer) (Ahmadian et al. 2024, eq. 7).
    """
    old = batch.gather(mini.old_logps)
    advantage = batch.pick(advantages[mini.rows])
    whole, before = (row_sum(logps, batch.row, batch.num_rows) for logps in (scores.logps, old))
    losses = clipped_policy_loss(whole, before, advantage, clip=config.clip)
    if mini.weights is not None:
        losses = losses * batch.pick(torch.stack([row[0] for row in mini.weights]))  # the same for all of its tokens
    now = scores.logps.detach()
    metrics = {
        "policy_loss": weighted(losses),
        "approx_kl": weighted(approx_kl(now, old)),
        "clip_fraction": weighted(is_clipped(whole.detach(), before, advantage, clip=config.clip)),
        "ratio_error": weighted((policy_ratio(now, old) - 1).abs()),
    }
    return loss_of(losses, metrics=metrics)
