"""What every method shares that samples from the policy it trains: roles, rollouts scored, minibatches, a policy step.

A method (ppo, grpo, rloo, reinforce) adds how advantages are made and which loss they enter; its loop reads

    roles.writer.engine.load_weights(roles.policy, …)           the engine samples from the policy as it is now
    experience = sample(roles, prompts, config, …)              answers and their rewards
    minibatches = score(experience, roles, config, …)           log-probs of the policy before the update, of the start
    …                                                           advantages, then epochs of `policy_step`

`training/course.py` gives it its steps, and what is carried from one to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from assent.algorithms.objective import Loss, Weighted, loss_of, weighted
from assent.algorithms.policy import approx_kl, clipped_policy_loss, is_clipped, policy_ratio
from assent.core import seeds
from assent.core.group import Group
from assent.core.types import Prompt
from assent.generation.writer import LocalWriter
from assent.learner.learner import Learner, Objective, Scorer
from assent.models.groups import GroupBatch, pack
from assent.models.policy import TokenScores
from assent.stats.diversity import expected_distinct, opener_entropy, top_opener, words_of
from assent.training.ahead import Ahead
from assent.training.batches import endless
from assent.training.constraints import Constraints
from assent.training.correction import Correction
from assent.training.gauge import HeldOut
from assent.training.on_policy_config import OnPolicyConfig
from assent.training.rewards import WeightedRewards
from assent.training.rollouts import Rollouts, rollouts_of, sample_rollouts
from assent.training.sft import next_token_loss

FIRST_WORDS = 30
"""Words of each answer that are looked at to see whether answers become alike."""
Rows = list[Tensor]
"""One 1-D tensor per row, one value per token of its answer."""


@dataclass(frozen=True)
class Roles:
    """Who takes part: the policy that learns, what it must stay near, who rewards, who samples."""

    policy: Learner[TokenScores]
    reference: Scorer[TokenScores]
    """The start of the policy, with the temperature of the rollouts."""
    reward: WeightedRewards
    writer: LocalWriter
    demonstrations: Sequence[Group] = ()
    """For the PTX mix."""
    constraints: Constraints | None = None
    """Costs that are kept below limits."""
    held_out: HeldOut | None = None
    """For the guards; None where the settings want none."""
    ahead: Ahead | None = None
    """Has answers drawn one step ahead; None: each step waits for its own, of the policy as it is."""


@dataclass(frozen=True)
class Experience:
    """The rollouts of one step with their rewards."""

    rollouts: Rollouts
    scores: Tensor
    """[B], one reward per row, less the prices of costs where there are constraints."""
    facts: dict[str, float]
    """What is logged of them."""
    correction: Correction | None = None
    """How rows are weighed for what their engine computed otherwise; None: all alike."""

    @property
    def group(self) -> Tensor:
        """[B], the number of each row's group."""
        sizes = torch.tensor([len(g.continuations) for g in self.rollouts.groups])
        return torch.repeat_interleave(torch.arange(len(sizes)), sizes)

    def weights(self, rows: Sequence[int], logps: Rows) -> Rows | None:
        """What each token of these rows counts, whose log-probs by the policy before the update are given."""
        if self.correction is None:
            return None
        return self.correction.weights(logps, [torch.from_numpy(self.rollouts.behaviour_logps[row]) for row in rows])


@dataclass(frozen=True)
class Minibatch:
    """The rows of one optimizer step: packed once, scored and trained in the same micro-batches."""

    batches: list[GroupBatch]
    rows: list[int]
    """Row numbers in the rollouts; every list below is in this order."""
    old_logps: Rows
    reference_logps: Rows
    num_rows: int
    """Rows that the step stands for: those above, and those left out because they teach nothing."""
    num_tokens: int
    """Scored tokens of the same."""
    weights: Rows | None = None
    """What each token counts, where the engine did not draw from the policy itself; None: all alike."""
    values: Rows | None = None
    """Of the states before the tokens, where the policy says them with its log-probs; None: a value model does."""


def sample(roles: Roles, prompts: Sequence[Prompt], config: OnPolicyConfig, *, seed: int, step: int) -> Experience:
    """Sample the rollouts of a step, and reward them: less the penalty where an answer did not end.

    Where `roles.ahead` is given, the answers may be those of the weights before the step before this one.
    """
    rollouts, age = _drawn(roles, prompts, config, seed=seed, step=step)
    scored = roles.reward(rollouts.row_prompts, rollouts.texts)
    unfinished = ~torch.tensor(rollouts.finished)
    scores = torch.tensor(scored.totals, dtype=torch.float32) - config.missing_eos_penalty * unfinished.float()
    terms = scored.facts if len(scored.facts) > 1 else {}
    cut = [words_of(text, most=FIRST_WORDS) for text in rollouts.texts]
    alike = {"ead": expected_distinct(cut), "opener_entropy": opener_entropy(cut), "top_opener": top_opener(cut)}
    facts = {
        "reward": scores.mean().item(),
        "reward_std": scores.std(unbiased=False).item(),
        "length": sum(rollouts.lengths) / len(rollouts.lengths),
        "eos_rate": sum(rollouts.finished) / len(rollouts.finished),
        "empty_rate": sum(not text.strip() for text in rollouts.texts) / len(rollouts.texts),
    }
    if roles.constraints is not None:
        scores, seen = roles.constraints.price(scores, rollouts.row_prompts, rollouts.texts)
        terms = terms | seen
    known = {name: value for name, value in alike.items() if value is not None}
    aged = {} if roles.ahead is None else {"staleness": float(age)}
    is_exact = roles.writer.engine.is_exact and roles.ahead is None
    correction = Correction.of(config.correction, is_exact=is_exact, of_answers=config.acts_in_answers)
    return Experience(rollouts, scores, facts | known | terms | aged, correction)


def _drawn(
    roles: Roles, prompts: Sequence[Prompt], config: OnPolicyConfig, *, seed: int, step: int
) -> tuple[Rollouts, int]:
    """The rollouts of a step, and by how many steps the weights that drew them are older than the policy's."""
    writer, sampling = roles.writer, config.sampling

    def chosen(step: int) -> list[Prompt]:
        numbers = endless(len(prompts), count=config.prompts_per_step, step=step, seed=seed, name="prompts")
        return [prompts[i] for i in numbers]

    def settings(step: int) -> dict[str, Any]:
        drawn_with = seeds.derive(seed, "rollouts", step)
        return {"num_samples": config.samples_per_prompt, "sampling": sampling, "seed": drawn_with}

    if roles.ahead is None:
        return sample_rollouts(writer, chosen(step), **settings(step)), 0
    answers, age = roles.ahead.take(step, config.steps, lambda step: writer.begin(chosen(step), **settings(step)))
    return rollouts_of(chosen(step), writer.read(chosen(step), answers, sampling)), age


def score(
    experience: Experience, roles: Roles, config: OnPolicyConfig, *, seed: int, teaching: Tensor | None = None
) -> list[Minibatch]:
    """Split the groups into minibatches and compute log-probs of each, of the policy as it is and of the reference.

    `teaching` [groups] says which groups have anything to teach; the others are neither scored nor trained, but count.
    """
    groups, samples = experience.rollouts.groups, config.samples_per_prompt
    order = [int(i) for i in seeds.stream(seed).permutation(len(groups))]
    minibatches = []
    for m in range(config.minibatches):
        members = sorted(order[m :: config.minibatches])
        kept = [i for i in members if teaching is None or bool(teaching[i])]
        batches = pack([groups[i] for i in kept], budget=config.optimizer.tokens_per_microbatch) if kept else []
        rows = [i * samples + k for i in kept for k in range(samples)]
        said = roles.policy.score(batches)
        old = by_row(batches, [scores.logps for scores in said])
        values = [scores.values for scores in said if scores.values is not None]
        minibatches.append(
            Minibatch(
                batches=batches,
                rows=rows,
                old_logps=old,
                reference_logps=by_row(batches, [scores.logps for scores in roles.reference.score(batches)]),
                num_rows=len(members) * samples,
                num_tokens=sum(len(c) for i in members for c in groups[i].continuations),
                weights=experience.weights(rows, old),
                values=by_row(batches, values) if values else None,
            )
        )
    return minibatches


def by_row(batches: Sequence[GroupBatch], flat: Sequence[Tensor]) -> Rows:
    """Cut the flat tensors [S] of micro-batches into rows, in the order the groups were given."""
    rows: dict[int, Tensor] = {}
    for batch, values in zip(batches, flat, strict=True):
        rows.update(batch.scatter(values))
    return [rows[i] for i in range(len(rows))]


def distance(experience: Experience, minibatches: Sequence[Minibatch]) -> dict[str, float]:
    """How far the policy is from the reference and how sure it is, over the rows that were scored; and sampler gaps."""
    old, reference = joined(minibatches, "old_logps"), joined(minibatches, "reference_logps")
    num_rows = sum(len(m.rows) for m in minibatches)
    if not num_rows:
        return {}
    logps = experience.rollouts.behaviour_logps
    gaps = [
        (torch.from_numpy(logps[row]) - own.cpu()).abs()
        for m in minibatches
        for row, own in zip(m.rows, m.old_logps, strict=True)
    ]
    gap = torch.cat(gaps)
    counted = [row for m in minibatches for row in m.weights or ()]
    weighed = {} if experience.correction is None else experience.correction.facts(counted)
    return weighed | {
        "kl_per_response": (old - reference).sum().item() / num_rows,
        "kl_per_token": (old - reference).mean().item(),
        "entropy": -old.mean().item(),
        "sampler_gap_mean": gap.mean().item(),
        "sampler_gap_max": gap.max().item(),
    }


def row_kl(experience: Experience, minibatches: Sequence[Minibatch]) -> Tensor:
    """log π/π_ref of each answer [B] (k1 summed over its tokens), 0 for rows that were not scored."""
    found = torch.zeros(len(experience.scores))
    for m in minibatches:
        for row, logps, reference in zip(m.rows, m.old_logps, m.reference_logps, strict=True):
            found[row] = (logps - reference).sum().cpu()
    return found


def per_token(per_row: Tensor, mini: Minibatch, batch: GroupBatch) -> Tensor:
    """One value per row of the rollouts [B] laid along the scored tokens of a micro-batch [S]."""
    return batch.pick(per_row[mini.rows])[batch.row]


def joined(minibatches: Sequence[Minibatch], name: str) -> Tensor:
    """The values of all minibatches along S, minibatch by minibatch, row by row."""
    parts = [values for m in minibatches for values in getattr(m, name)]
    return torch.cat(parts) if parts else torch.zeros(0)


def corrected(values: Tensor, batch: GroupBatch, mini: Minibatch) -> Tensor:
    """Values of scored tokens [S], each times what its token counts."""
    return values if mini.weights is None else values * batch.gather(mini.weights)


def clipped_objective(
    scores: TokenScores, batch: GroupBatch, *, mini: Minibatch, advantages: Rows, config: OnPolicyConfig
) -> Loss:
    """Clipped surrogate (Schulman et al. 2017, eq. 7) of every token of the answers, all alike."""
    losses, metrics = surrogate(scores.logps, batch, mini, batch.gather(advantages), clip=config.clip)
    return loss_of(losses, metrics=metrics)


def surrogate(
    logps: Tensor, batch: GroupBatch, mini: Minibatch, advantage: Tensor, *, clip: float, clip_high: float | None = None
) -> tuple[Tensor, dict[str, Weighted]]:
    """The clipped surrogate of each token [S] with its advantage [S], and what is watched of it."""
    old = batch.gather(mini.old_logps)
    losses = corrected(clipped_policy_loss(logps, old, advantage, clip=clip, clip_high=clip_high), batch, mini)
    now = logps.detach()
    return losses, {
        "policy_loss": weighted(losses),
        "approx_kl": weighted(approx_kl(now, old)),
        "clip_fraction": weighted(is_clipped(now, old, advantage, clip=clip, clip_high=clip_high)),
        "ratio_error": weighted((policy_ratio(now, old) - 1).abs()),
    }


def policy_step(
    roles: Roles,
    mini: Minibatch,
    objective: Objective[TokenScores],
    config: OnPolicyConfig,
    *,
    weight: float,
    seed: int,
) -> dict[str, float]:
    """One optimizer step of the policy, demonstrations mixed in if so configured; `weight` is that of all rows."""
    policy = roles.policy
    metrics = policy.forward_backward(mini.batches, objective, weight=weight).metrics
    if config.ptx.coefficient and roles.demonstrations:
        add_demonstrations(policy, roles.demonstrations, config, seed=seed)
    report = policy.step(learning_rate=config.optimizer.rate_at(policy.num_steps, config.updates))
    return metrics | report._asdict()


def add_demonstrations(
    policy: Learner[TokenScores], demonstrations: Sequence[Group], config: OnPolicyConfig, *, seed: int
) -> None:
    """Add the PTX gradient: coefficient times the loss of some demonstrations (Ouyang et al. 2022, eq. 2)."""
    size = min(config.ptx.batch_size, len(demonstrations))
    chosen = seeds.stream(seed).choice(len(demonstrations), size=size, replace=False)
    batches = pack([demonstrations[int(i)] for i in chosen], budget=config.optimizer.tokens_per_microbatch)
    weight = sum(b.num_scored for b in batches) / config.ptx.coefficient
    policy.forward_backward(batches, next_token_loss, weight=weight)


@runtime_checkable
class PolicyObjective(Protocol):
    """The loss of a method, for one micro-batch of a minibatch."""

    def __call__(self, scores: TokenScores, batch: GroupBatch, *, mini: Minibatch) -> Loss:
        """Summed over what it counts: tokens, or answers."""
        ...


def update_policy(
    roles: Roles,
    minibatches: Sequence[Minibatch],
    objective: PolicyObjective,
    config: OnPolicyConfig,
    *,
    weights: Sequence[float],
    seed: int,
) -> dict[str, float]:
    """Pass over the batch `config.epochs` times, until the policy is too far from its rollouts (`config.kl_limit`).

    `weights` are what the losses of each minibatch are divided by, rows that were left out included.
    """
    seen: list[dict[str, float]] = []
    for epoch in range(config.epochs):
        for m in seeds.stream(seed, epoch).permutation(len(minibatches)):
            mini = minibatches[m]
            if not mini.batches or (seen and is_too_far(seen[-1], config)):
                continue
            ptx = seeds.derive(seed, "ptx", epoch, int(m))
            seen.append(policy_step(roles, mini, partial(objective, mini=mini), config, weight=weights[m], seed=ptx))
    return summary(seen)


def is_too_far(metrics: Mapping[str, float], config: OnPolicyConfig) -> bool:
    """Whether the last policy step moved beyond the limit, so that its rollouts are used no more."""
    return config.kl_limit is not None and metrics["approx_kl"] > config.kl_limit


def summary(seen: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over the optimizer steps in which a metric was measured, and how many moved the policy."""
    names = dict.fromkeys(name for metrics in seen for name in metrics)
    facts = {n: sum(m[n] for m in seen if n in m) / sum(n in m for m in seen) for n in names}
    facts["policy_updates"] = float(sum("grad_norm" in m for m in seen))
    facts["first_ratio_error"] = next((m["ratio_error"] for m in seen if "ratio_error" in m), 0.0)
    return facts
