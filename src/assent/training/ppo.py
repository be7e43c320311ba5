"""PPO for language models: sample, score, penalise distance, estimate advantages, update policy and value model.

Schulman et al. 2017 with the details that decide whether it works on text (Ziegler et al. 2019, Ouyang et al. 2022,
Huang et al. 2024, "The N+ implementation details"): reward at the last real token, k1 KL in the reward, whitening
over the whole batch, ratio exactly 1 before the first update because a minibatch is scored in the same micro-batches
it is trained in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from assent.algorithms.advantages import gae, token_rewards
from assent.algorithms.kl import AdaptiveKL, FixedKL
from assent.algorithms.masked import whiten
from assent.algorithms.objective import Loss, loss_of, weighted
from assent.algorithms.policy import (
    approx_kl,
    clipped_policy_loss,
    clipped_value_loss,
    explained_variance,
    is_clipped,
    is_value_clipped,
    policy_ratio,
)
from assent.core import seeds
from assent.core.errors import ConfigError
from assent.core.group import Group
from assent.core.types import Prompt
from assent.data.render import Renderer
from assent.generation.engine import Engine
from assent.generation.writer import LocalWriter
from assent.learner.local import LocalLearner
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel, TokenScores
from assent.models.scalar import ScalarModel
from assent.training.average import MovingAverage
from assent.training.batches import endless
from assent.training.config import KLConfig, PPOConfig
from assent.training.loop import Loop, Resumable
from assent.training.rewards import WeightedRewards
from assent.training.rollouts import Rollouts, sample_rollouts
from assent.training.sft import next_token_loss

Rows = list[Tensor]
"""One 1-D tensor per row, one value per token of its answer."""


@dataclass(frozen=True)
class Roles:
    """Who takes part: the policy that learns, what it must stay near, who values states, who rewards, who samples."""

    policy: PolicyModel
    reference_logps: Callable[[Sequence[GroupBatch]], list[Tensor]]
    """Log-probs of the start policy, [S] per micro-batch."""
    critic: ScalarModel
    reward: WeightedRewards
    engine: Engine
    renderer: Renderer
    demonstrations: tuple[Group, ...] = ()
    """For the PTX mix."""


@dataclass(frozen=True)
class Minibatch:
    """The rows of one optimizer step: packed once, scored and trained in the same micro-batches."""

    batches: list[GroupBatch]
    rows: list[int]
    """Row numbers in the rollouts; every list below is in this order."""
    old_logps: Rows
    old_values: Rows
    reference_logps: Rows

    @property
    def num_tokens(self) -> int:
        """Scored tokens."""
        return sum(len(logps) for logps in self.old_logps)


def train_ppo(roles: Roles, prompts: Sequence[Prompt], config: PPOConfig, loop: Loop) -> None:
    """Move `roles.policy` in place toward reward. With `config.ema` it ends with the averaged weights."""
    check_safe(config)
    updates = config.steps * config.epochs * config.minibatches
    temperature = config.sampling.temperature
    policy = LocalLearner(
        roles.policy.parameters(),
        lambda batch: roles.policy.logps(batch, temperature=temperature),
        config.optimizer,
        total_steps=updates,
    )
    critic = LocalLearner(
        roles.critic.parameters(), roles.critic.at_scored, config.value_optimizer, total_steps=updates
    )
    kl, average = KLState(config.kl), MovingAverage(policy, config.ema)
    parts: dict[str, Resumable] = {"policy": policy, "critic": critic, "kl": kl, "average": average}
    for step in loop.steps(config.steps, parts, description="PPO"):
        chosen = endless(len(prompts), count=config.prompts_per_step, step=step, seed=loop.seed, name="prompts")
        rollouts = sample_rollouts(
            LocalWriter("policy", roles.renderer, roles.engine, roles.policy.max_length),
            [prompts[i] for i in chosen],
            num_samples=config.samples_per_prompt,
            sampling=config.sampling,
            seed=seeds.derive(loop.seed, "rollouts", step),
        )
        scores, means = reward_of(rollouts, roles.reward, config)
        minibatches = score_rollouts(
            rollouts, roles, policy, critic, config, seed=seeds.derive(loop.seed, "split", step)
        )
        estimates, facts = estimate_advantages(minibatches, scores, kl.coefficient, config)
        facts |= describe_rollouts(rollouts, minibatches, scores) | means
        order_seed = seeds.derive(loop.seed, "order", step)
        facts |= update(minibatches, estimates, roles, (policy, critic), config, step=step, seed=order_seed)
        kl.observe(facts["kl_per_response"], len(rollouts.texts))
        average.observe()
        loop.log.record(step, {**facts, "kl_coefficient": kl.coefficient})
        loop.shown.update(reward=facts["reward"], kl=facts["kl_per_response"])
    average.take()


def check_safe(config: PPOConfig) -> None:
    """Refuse settings that are known to fail. Raises ConfigError saying why and what to do."""
    sampling = config.sampling
    if sampling.temperature <= 0:
        raise ConfigError(
            f"optimize.sampling.temperature is {sampling.temperature}: greedy rollouts explore nothing; use 1.0"
        )
    if sampling.top_p < 1:
        raise ConfigError(f"optimize.sampling.top_p is {sampling.top_p}: it biases the PPO ratio; use 1.0 for rollouts")
    if config.kl.kind != "off" and config.kl.coefficient == 0:
        raise ConfigError("optimize.kl.coefficient is 0: say optimize.kl.kind=off if no KL control is meant")
    if config.minibatches > config.prompts_per_step:
        raise ConfigError(
            f"optimize.minibatches is {config.minibatches}, more than the {config.prompts_per_step} prompts of a step"
        )


def reward_of(rollouts: Rollouts, reward: WeightedRewards, config: PPOConfig) -> tuple[Tensor, dict[str, float]]:
    """Score of each row [B], its reward less the penalty where it did not end; and the mean of each term."""
    scored = reward(rollouts.row_prompts, rollouts.texts)
    scores = torch.tensor(scored.totals, dtype=torch.float32)
    unfinished = ~torch.tensor(rollouts.finished)
    means = {f"reward/{name}": mean for name, mean in scored.means.items()} if len(scored.means) > 1 else {}
    return scores - config.missing_eos_penalty * unfinished.float(), means


@torch.no_grad()
def score_rollouts(
    rollouts: Rollouts,
    roles: Roles,
    policy: LocalLearner[TokenScores],
    critic: LocalLearner[Tensor],
    config: PPOConfig,
    *,
    seed: int,
) -> list[Minibatch]:
    """Split the groups into minibatches and compute old log-probs, reference log-probs and values of each."""
    order = [int(i) for i in seeds.stream(seed).permutation(len(rollouts.groups))]
    samples = config.samples_per_prompt
    minibatches = []
    for m in range(config.minibatches):
        members = sorted(order[m :: config.minibatches])
        batches = pack([rollouts.groups[i] for i in members], budget=config.optimizer.tokens_per_microbatch)
        logps = [scores.logps for scores in policy.score(batches)]
        minibatches.append(
            Minibatch(
                batches=batches,
                rows=[i * samples + k for i in members for k in range(samples)],
                old_logps=by_row(batches, logps),
                old_values=by_row(batches, critic.score(batches)),
                reference_logps=by_row(batches, roles.reference_logps(batches)),
            )
        )
    return minibatches


def by_row(batches: Sequence[GroupBatch], flat: Sequence[Tensor]) -> Rows:
    """Cut the flat tensors [S] of micro-batches into rows, in the order the groups were given."""
    rows: dict[int, Tensor] = {}
    for batch, values in zip(batches, flat, strict=True):
        rows.update(batch.scatter(values))
    return [rows[i] for i in range(len(rows))]


@dataclass(frozen=True)
class Estimates:
    """Whitened advantages and value targets, per row of the rollouts."""

    advantages: dict[int, Tensor]
    returns: dict[int, Tensor]


def estimate_advantages(
    minibatches: Sequence[Minibatch], scores: Tensor, kl_coefficient: float, config: PPOConfig
) -> tuple[Estimates, dict[str, float]]:
    """GAE on rewards that pay -coefficient * (log p - log p_ref) per token and the score at the last token."""
    rows = [row for m in minibatches for row in m.rows]
    old = torch.cat([t for m in minibatches for t in m.old_logps])
    reference = torch.cat([t for m in minibatches for t in m.reference_logps])
    values = torch.cat([t for m in minibatches for t in m.old_values])
    lengths = [len(t) for m in minibatches for t in m.old_logps]
    row = torch.repeat_interleave(torch.arange(len(rows), device=old.device), torch.tensor(lengths, device=old.device))
    rewards = token_rewards(scores.to(old.device)[rows], old, reference, row, kl_coefficient=kl_coefficient)
    estimate = gae(rewards, values, lengths, gamma=config.gamma, lam=config.lam)
    advantages = whiten(estimate.advantages, keep_mean=False)
    facts = {
        "kl_per_response": (old - reference).sum().item() / len(rows),
        "kl_per_token": (old - reference).mean().item(),
        "entropy": -old.mean().item(),
        "return": rewards.sum().item() / len(rows),
        "explained_variance": float(explained_variance(values, estimate.returns)),
        "value": values.mean().item(),
    }
    return (
        Estimates(
            dict(zip(rows, advantages.split(lengths), strict=True)),
            dict(zip(rows, estimate.returns.split(lengths), strict=True)),
        ),
        facts,
    )


def update(
    minibatches: Sequence[Minibatch],
    estimates: Estimates,
    roles: Roles,
    learners: tuple[LocalLearner[TokenScores], LocalLearner[Tensor]],
    config: PPOConfig,
    *,
    step: int,
    seed: int,
) -> dict[str, float]:
    """Pass over the batch `config.epochs` times; the policy stops early once it is too far from its rollouts."""
    policy, critic = learners
    policy_moves = step >= config.critic_warmup
    seen: list[dict[str, float]] = []
    for epoch in range(config.epochs):
        for m in seeds.stream(seed, epoch).permutation(len(minibatches)):
            mini = minibatches[m]
            targets = [estimates.returns[r] for r in mini.rows]
            metrics = critic.forward_backward(
                mini.batches,
                partial(value_objective, mini=mini, returns=targets, config=config),
                weight=mini.num_tokens,
            )
            metrics["value_grad_norm"] = critic.step().grad_norm
            if policy_moves:
                advantages = [estimates.advantages[r] for r in mini.rows]
                metrics |= policy.forward_backward(
                    mini.batches,
                    partial(policy_objective, mini=mini, advantages=advantages, config=config),
                    weight=mini.num_tokens,
                )
                mix_demonstrations(policy, roles.demonstrations, config, seed=seeds.derive(seed, "ptx", epoch, int(m)))
                report = policy.step()
                metrics |= {"grad_norm": report.grad_norm, "learning_rate": report.learning_rate}
                policy_moves = config.kl_limit is None or metrics["approx_kl"] <= config.kl_limit
            seen.append(metrics)
    facts = mean_metrics(seen)
    facts["policy_updates"] = float(sum("grad_norm" in m for m in seen))
    facts["first_ratio_error"] = next((m["ratio_error"] for m in seen if "ratio_error" in m), 0.0)
    return facts


def policy_objective(
    scores: TokenScores, batch: GroupBatch, *, mini: Minibatch, advantages: Rows, config: PPOConfig
) -> Loss:
    """Clipped surrogate (Schulman et al. 2017, eq. 7) of every token of the answers."""
    old, advantage = batch.gather(mini.old_logps), batch.gather(advantages)
    losses = clipped_policy_loss(scores.logps, old, advantage, clip=config.clip, dual_clip=None)
    now = scores.logps.detach()
    metrics = {
        "policy_loss": weighted(losses),
        "approx_kl": weighted(approx_kl(now, old)),
        "clip_fraction": weighted(is_clipped(now, old, advantage, clip=config.clip)),
        "ratio_error": weighted((policy_ratio(now, old) - 1).abs()),
    }
    return loss_of(losses, metrics=metrics)


def value_objective(values: Tensor, batch: GroupBatch, *, mini: Minibatch, returns: Rows, config: PPOConfig) -> Loss:
    """Half squared error to the returns, clipped around the old value (coefficient times 0.5·max)."""
    old = batch.gather(mini.old_values)
    target = batch.gather(returns)
    clip = math.inf if config.value_clip is None else config.value_clip
    losses = clipped_value_loss(values, old, target, clip=clip)
    metrics = {
        "value_loss": weighted(losses),
        "value_clip_fraction": weighted(is_value_clipped(values.detach(), old, target, clip=clip)),
    }
    return loss_of(config.value_coefficient * losses, metrics=metrics)


def mix_demonstrations(
    policy: LocalLearner[TokenScores], demonstrations: Sequence[Group], config: PPOConfig, *, seed: int
) -> None:
    """Add the PTX gradient: coefficient times the next-token loss of some demonstrations."""
    if not config.ptx.coefficient or not demonstrations:
        return
    chosen = seeds.stream(seed).choice(
        len(demonstrations), size=min(config.ptx.batch_size, len(demonstrations)), replace=False
    )
    batches = pack([demonstrations[int(i)] for i in chosen], budget=config.optimizer.tokens_per_microbatch)
    weight = sum(b.num_scored for b in batches) / config.ptx.coefficient
    policy.forward_backward(batches, next_token_loss, weight=weight)


def describe_rollouts(rollouts: Rollouts, minibatches: Sequence[Minibatch], scores: Tensor) -> dict[str, float]:
    """Reward, length, how many ended, and the gap between what the sampler and the learner say of the same tokens."""
    gaps = [
        (torch.from_numpy(rollouts.behaviour_logps[row]) - logps.cpu()).abs()
        for m in minibatches
        for row, logps in zip(m.rows, m.old_logps, strict=True)
    ]
    gap = torch.cat(gaps)
    return {
        "reward": scores.mean().item(),
        "reward_std": scores.std(unbiased=False).item(),
        "length": sum(rollouts.lengths) / len(rollouts.lengths),
        "eos_rate": sum(rollouts.finished) / len(rollouts.finished),
        "sampler_gap_mean": gap.mean().item(),
        "sampler_gap_max": gap.max().item(),
    }


def mean_metrics(seen: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean over the optimizer steps in which a metric was measured."""
    names = dict.fromkeys(name for metrics in seen for name in metrics)
    return {n: sum(m[n] for m in seen if n in m) / sum(n in m for m in seen) for n in names}


class KLState:
    """The KL controller of a run, as a part that checkpoints carry."""

    def __init__(self, config: KLConfig) -> None:
        self._controller: AdaptiveKL | FixedKL = (
            AdaptiveKL(coefficient=config.coefficient, target=config.target, horizon=config.horizon)
            if config.kind == "adaptive"
            else FixedKL(coefficient=0.0 if config.kind == "off" else config.coefficient)
        )

    @property
    def coefficient(self) -> float:
        """Reward lost per nat and token."""
        return self._controller.coefficient

    def observe(self, kl_per_response: float, num_responses: int) -> None:
        """Adapt to the KL of a batch."""
        self._controller = self._controller.update(kl_per_response, num_responses)

    def tensors(self) -> Mapping[str, Tensor]:
        """None."""
        return {}

    def state(self) -> Mapping[str, Any]:
        """The coefficient."""
        return {"coefficient": self.coefficient}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take the coefficient of a checkpoint."""
        self._controller = replace(self._controller, coefficient=state["coefficient"])
