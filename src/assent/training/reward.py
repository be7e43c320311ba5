"""The reward model: scores whose differences predict how people ranked the answers of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from assent.algorithms.objective import Loss, Weighted, weighted
from assent.algorithms.reward import (
    Pairs,
    bradley_terry_loss,
    centering_penalty,
    davidson_loss,
    davidson_luce_loss,
    plackett_luce_loss,
    rao_kupper_loss,
)
from assent.core.errors import DataError
from assent.core.group import Group
from assent.learner.local import LocalLearner
from assent.models.groups import GroupBatch, pack
from assent.models.scalar import ScalarModel
from assent.training.batches import EpochBatches
from assent.training.config import RewardConfig
from assent.training.loop import Loop
from assent.training.rankings import Target, local_pairs, local_starts

Member = tuple[Group, Target]


def train_reward(
    model: ScalarModel, groups: Sequence[Group], targets: Sequence[Target], config: RewardConfig, loop: Loop
) -> dict[str, Any]:
    """Train `model` in place and set its score normalisation from its final scores of `groups`."""
    members: list[Member] = [
        (g, t.decided() if config.ties == "ignore" else t)
        for g, t in zip(groups, targets, strict=True)
        if config.ties != "ignore" or not t.pairs.is_tie.all()
    ]
    if not members:
        raise DataError("a reward model needs rankings of two answers or more, and there are none; add comparisons")
    likelihood = Likelihood(config, largest_tie=max(len(tier) for _, t in members for r in t.tiers for tier in r))
    order = EpochBatches(len(members), config.batch_size, config.epochs, loop.seed)
    parameters = {**model.parameters(), **likelihood.parameters()}
    learner = LocalLearner(parameters, model.at_last, config.optimizer, total_steps=order.total_steps)
    budget = config.optimizer.tokens_per_microbatch
    for step in loop.steps(order.total_steps, {"reward": learner}, description="reward model"):
        chosen = [members[i] for i in order.items(step)]
        metrics = learner.forward_backward(
            pack([g for g, _ in chosen], budget=budget),
            partial(reward_objective, members=chosen, likelihood=likelihood, config=config),
            weight=sum(t.weight for _, t in chosen),
        )
        loop.log.record(step, {**metrics, **learner.step()._asdict()})
        loop.shown.update(loss=metrics["loss"], accuracy=metrics.get("accuracy", float("nan")))
    scores = torch.tensor(score_groups(model, [g for g, _ in members], budget=budget))
    model.score_mean, model.score_std = scores.mean().item(), max(scores.std().item(), 1e-6)
    return {
        "steps": learner.num_steps,
        "score_mean": model.score_mean,
        "score_std": model.score_std,
        **likelihood.facts(),
    }


@torch.no_grad()
def score_groups(model: ScalarModel, groups: Sequence[Group], *, budget: int) -> list[float]:
    """Raw score of every answer, group by group."""
    scores = [0.0] * sum(len(g.continuations) for g in groups)
    for batch in pack(groups, budget=budget):
        for row, score in zip(batch.rows, model.at_last(batch).tolist(), strict=True):
            scores[row] = score
    return scores


class Likelihood:
    """How likely rankings are given scores, with the strength of ties as a learned parameter."""

    def __init__(self, config: RewardConfig, *, largest_tie: int) -> None:
        self.config, self.has_ties = config, largest_tie > 1
        size = max(1, largest_tie - 1) if config.loss == "plackett_luce" else 1
        self.log_tie = nn.Parameter(torch.full((size,), -1.0))

    def parameters(self) -> dict[str, nn.Parameter]:
        """The log of the tie strength, where it is learned."""
        return {"likelihood.log_tie": self.log_tie} if self.config.ties in ("davidson", "rao_kupper") else {}

    def facts(self) -> dict[str, float]:
        """What was learned about ties."""
        return {"tie_strength": self.log_tie[0].exp().item()} if self.parameters() else {}

    def pairwise(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss of each pair."""
        tie = self.log_tie[0].to(scores.device).exp()
        match self.config.ties:
            case "davidson":
                return davidson_loss(scores, pairs, tie=tie)
            case "rao_kupper":
                return rao_kupper_loss(scores, pairs, tie=tie)
            case "half" | "ignore":
                return bradley_terry_loss(scores, pairs)

    def listwise(self, scores: Tensor, tiers: Sequence[Sequence[int]]) -> Tensor:
        """Loss of one whole ranking: Plackett-Luce, or Davidson-Luce where any ranking of the data holds a tie."""
        order = torch.tensor([[i for tier in tiers for i in tier]], device=scores.device)
        if not self.has_ties:
            return plackett_luce_loss(scores, order)[0]
        tie = self.log_tie.to(scores.device).exp()
        return davidson_luce_loss(scores, order, [len(t) for t in tiers], tie=tie)[0]


def reward_objective(
    scores: Tensor, batch: GroupBatch, *, members: Sequence[Member], likelihood: Likelihood, config: RewardConfig
) -> Loss:
    """Negative log-likelihood of the rankings, plus the penalty that keeps each group's mean score near zero."""
    pairs = local_pairs(batch, members)
    if config.loss == "bradley_terry":
        total = (likelihood.pairwise(scores, pairs) * pairs.weight).sum()
    else:
        total = torch.stack(
            [
                likelihood.listwise(scores, [[start + i for i in tier] for tier in tiers])
                for (_, target), start in zip(members, local_starts(batch, [g for g, _ in members]), strict=True)
                if start is not None
                for tiers in target.tiers
            ]
        ).sum()
    weight = float(pairs.weight.sum())
    number = {g: i for i, g in enumerate(dict.fromkeys(batch.group_of_row))}
    group = torch.tensor([number[g] for g in batch.group_of_row], device=scores.device)
    centering = centering_penalty(scores, group, len(number))
    decided = ~pairs.is_tie
    lead = (scores[pairs.better] - scores[pairs.worse]).detach()[decided]
    metrics = {
        "loss": Weighted(total.detach(), weight),
        "accuracy": weighted((lead > 0).float() + 0.5 * (lead == 0).float(), pairs.weight[decided]),
        "score": weighted(scores),
    }
    return Loss(total + config.centering * centering.sum(), weight, metrics)
