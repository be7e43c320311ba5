"""Online DPO: each step, the best of the policy's own answers against the worst by reward (Guo et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from assent.algorithms.masked import row_sum
from assent.algorithms.objective import Loss, loss_of, weighted
from assent.algorithms.policy import approx_kl
from assent.algorithms.preference import dpo_loss, ipo_loss
from assent.core import seeds
from assent.core.group import Group
from assent.core.types import Prompt
from assent.models.groups import GroupBatch, pack
from assent.models.policy import TokenScores
from assent.training.course import Course
from assent.training.loop import Loop
from assent.training.on_policy import Experience, Minibatch, Roles, distance, sample, score, update_policy
from assent.training.online_config import OnlineDPOConfig


def train_online_dpo(roles: Roles, prompts: Sequence[Prompt], config: OnlineDPOConfig, loop: Loop) -> None:
    """Move the policy toward the best of its answers and away from the worst. Raises ConfigError for bad settings."""
    config.refuse()
    course = Course(roles, config, loop)
    for step in course.steps():
        roles.writer.engine.load_weights(roles.policy, version=step)
        experience = sample(roles, prompts, config, seed=loop.seed, step=step)
        minibatches = score(experience, roles, config, seed=seeds.derive(loop.seed, "split", step))
        facts = experience.facts | distance(experience, minibatches)
        ends = best_and_worst(experience.scores, config.samples_per_prompt)
        budget = config.optimizer.tokens_per_microbatch
        pairs = [contrasted(mini, experience, ends, budget=budget) for mini in minibatches]
        gap = experience.scores[ends[:, 0]] - experience.scores[ends[:, 1]]
        facts |= {"contrast": gap.mean().item(), "teaching_groups": (gap > 0).float().mean().item()}
        facts |= update_policy(
            roles,
            pairs,
            partial(online_dpo_objective, config=config),
            config,
            weights=[len(mini.rows) / 2 for mini in pairs],
            seed=seeds.derive(loop.seed, "order", step),
        )
        course.finish_step(step, facts, len(experience.rollouts.texts))


def best_and_worst(scores: Tensor, samples: int) -> Tensor:
    """Rows of the best and the worst answer of each group [G, 2]; the first of those that tie."""
    by_group = scores.view(-1, samples)
    start = torch.arange(len(by_group)) * samples
    return torch.stack([start + by_group.argmax(1), start + by_group.argmin(1)], dim=1)


def contrasted(mini: Minibatch, experience: Experience, ends: Tensor, *, budget: int) -> Minibatch:
    """A minibatch of the same groups with two answers each, best and worst; without those that all score alike."""
    samples, groups = _size(experience), experience.rollouts.groups
    place = {row: i for i, row in enumerate(mini.rows)}
    chosen = [
        (best, worst)
        for best, worst in ends.tolist()
        if best in place and experience.scores[best] > experience.scores[worst]
    ]
    pairs = []
    for rows in chosen:
        whole = groups[rows[0] // samples]
        pairs.append(Group(whole.prompt, tuple(whole.continuations[row % samples] for row in rows)))
    flat = [row for both in chosen for row in both]
    old, reference = ([values[place[row]] for row in flat] for values in (mini.old_logps, mini.reference_logps))
    batches = pack(pairs, budget=budget) if pairs else []
    return Minibatch(batches, flat, old, reference, len(flat), sum(len(c) for g in pairs for c in g.continuations))


def online_dpo_objective(scores: TokenScores, batch: GroupBatch, *, mini: Minibatch, config: OnlineDPOConfig) -> Loss:
    """DPO (Rafailov et al. 2023, eq. 7) or IPO of pairs whose answers lie one after the other, the better one first."""
    old, start = batch.gather(mini.old_logps), batch.gather(mini.reference_logps)
    now, before = (row_sum(logps, batch.row, batch.num_rows) for logps in (scores.logps, start))
    loss = dpo_loss if config.loss == "sigmoid" else ipo_loss
    losses = loss(now[0::2], now[1::2], before[0::2], before[1::2], beta=config.beta)
    ahead = (now - before).detach()
    margin = config.beta * (ahead[0::2] - ahead[1::2])
    metrics = {
        "accuracy": weighted(margin > 0),
        "margin": weighted(margin),
        "better_gain": weighted(ahead[0::2]),
        "approx_kl": weighted(approx_kl(scores.logps.detach(), old)),
    }
    return loss_of(losses, metrics=metrics)


def _size(experience: Experience) -> int:
    return len(experience.rollouts.groups[0].continuations)
