"""PPO for language models: sample, score, penalise distance, estimate advantages, update policy and value model.

Schulman et al. 2017 with the details that decide whether it works on text (Ziegler et al. 2019, Ouyang et al. 2022,
Huang et al. 2024, "The N+ implementation details"): reward at the last real token, k1 KL in the reward, whitening
over the whole batch, ratio exactly 1 at first, for a minibatch is scored in the micro-batches that it is trained in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from assent.algorithms.objective import Loss, Weighted
from assent.core import seeds
from assent.core.types import Prompt
from assent.learner.learner import Learner
from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores
from assent.training.course import Course
from assent.training.loop import Loop
from assent.training.on_policy import (
    Roles,
    by_row,
    clipped_objective,
    distance,
    is_too_far,
    policy_step,
    sample,
    score,
    summary,
)
from assent.training.on_policy_config import PPOConfig
from assent.training.values import HasHead, Targets, ValueStart, estimate_advantages, value_objective


def train_ppo(
    roles: Roles,
    prompts: Sequence[Prompt],
    config: PPOConfig,
    loop: Loop,
    *,
    critic: Learner[Tensor],
    value_model: HasHead | None = None,
) -> None:
    """Move the policy toward reward; `critic` learns the value of the state before each token.

    `value_model` is the model that the critic trains, to be brought to the scale of the returns by the first batch; it
    is left as it is where none is given.
    With `config.shares_trunk` the policy says values too, and `critic` is the head that it says them by.
    With `config.ema` the policy ends with the averaged weights. Raises ConfigError for settings that cannot work.
    """
    config.refuse()
    course = Course(roles, config, loop)
    start = ValueStart(value_model)
    for step in course.steps(critic=critic, **({"value_start": start} if start.is_due else {})):
        roles.writer.engine.load_weights(roles.policy, version=step)
        experience = sample(roles, prompts, config, seed=loop.seed, step=step)
        minibatches = score(experience, roles, config, seed=seeds.derive(loop.seed, "split", step))
        said = [by_row(m.batches, critic.score(m.batches)) if m.values is None else m.values for m in minibatches]
        targets, facts = estimate_advantages(minibatches, said, experience.scores, course.kl.coefficient, config, start)
        facts |= experience.facts | distance(experience, minibatches)
        seed = seeds.derive(loop.seed, "order", step)
        facts |= update(targets, roles, critic, config, policy_moves=step >= config.critic_warmup, seed=seed)
        course.finish_step(step, facts, len(experience.rollouts.texts))


def update(
    targets: Sequence[Targets],
    roles: Roles,
    critic: Learner[Tensor],
    config: PPOConfig,
    *,
    policy_moves: bool,
    seed: int,
) -> dict[str, float]:
    """Pass over the batch `config.epochs` times; the policy stops early once it is too far from its rollouts."""
    seen: list[dict[str, float]] = []
    for epoch in range(config.epochs):
        for m in seeds.stream(seed, epoch).permutation(len(targets)):
            one, ptx = targets[m], seeds.derive(seed, "ptx", epoch, int(m))
            if policy_moves and config.shares_trunk:
                metrics = _learn_together(one, roles, critic, config, seed=ptx)
            else:
                metrics = _learn_apart(one, roles, critic, config, policy_moves=policy_moves, seed=ptx)
            policy_moves = policy_moves and not is_too_far(metrics, config)
            seen.append(metrics)
    return summary(seen)


def _learn_apart(
    one: Targets, roles: Roles, critic: Learner[Tensor], config: PPOConfig, *, policy_moves: bool, seed: int
) -> dict[str, float]:
    """A step of the critic and, where it moves, one of the policy, each from passes of its own."""
    weight = one.mini.num_tokens
    metrics = critic.forward_backward(
        one.mini.batches, partial(value_objective, targets=one, config=config), weight=weight
    ).metrics
    metrics |= _value_step(critic, config)
    if policy_moves:
        objective = partial(clipped_objective, mini=one.mini, advantages=one.advantages, config=config)
        metrics |= policy_step(roles, one.mini, objective, config, weight=weight, seed=seed)
    return metrics


def _learn_together(
    one: Targets, roles: Roles, critic: Learner[Tensor], config: PPOConfig, *, seed: int
) -> dict[str, float]:
    """A step of the policy and one of its value head, from one pass through both."""
    objective = partial(joint_objective, targets=one, config=config)
    metrics = policy_step(roles, one.mini, objective, config, weight=one.mini.num_tokens, seed=seed)
    return metrics | _value_step(critic, config)


def _value_step(critic: Learner[Tensor], config: PPOConfig) -> dict[str, float]:
    rate = config.value_optimizer.rate_at(critic.num_steps, config.updates)
    return {"value_grad_norm": critic.step(learning_rate=rate).grad_norm}


def joint_objective(scores: TokenScores, batch: GroupBatch, *, targets: Targets, config: PPOConfig) -> Loss:
    """The policy's loss plus the value loss (Schulman et al. 2017, eq. 9), of a policy that says values too."""
    if scores.values is None:
        raise ValueError("this policy says no values; make it with pipeline.learners.trunk_learners")
    policy = clipped_objective(scores, batch, mini=targets.mini, advantages=targets.advantages, config=config)
    value = value_objective(scores.values, batch, targets=targets, config=config)
    total = policy.total + value.total
    loss = {"loss": Weighted(total.detach(), policy.weight)}
    return Loss(total, policy.weight, {**value.metrics, **policy.metrics, **loss})
