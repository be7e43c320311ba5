"""Direct preference optimization on rankings of any K: every decided pair of a ranking counts 2/K, ties say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from assent.algorithms.masked import row_sum
from assent.algorithms.objective import Loss, loss_of, weighted
from assent.algorithms.preference import cdpo_loss
from assent.core.errors import DataError
from assent.core.group import Group
from assent.learner.learner import Learner, Scorer
from assent.learner.scorer import sum_logps
from assent.models.groups import GroupBatch, pack
from assent.models.policy import TokenScores
from assent.training.batches import EpochBatches
from assent.training.loop import Loop
from assent.training.preference_config import DPOConfig
from assent.training.targets import Target, local_pairs


class DPOResult(NamedTuple):
    """What training reached, averaged over the last tenth of its steps."""

    steps: int
    loss: float
    accuracy: float
    """Share of pairs whose better answer gained more, relative to the start, than the worse one."""


def train_dpo(
    policy: Learner[TokenScores], groups: Sequence[Group], targets: Sequence[Target], config: DPOConfig, loop: Loop
) -> DPOResult:
    """Train the policy. The reference is the policy as it comes in; its log-probs are computed once."""
    decided = [(g, t.decided()) for g, t in zip(groups, targets, strict=True) if not t.pairs.is_tie.all()]
    if not decided:
        raise DataError("DPO needs pairs with a better and a worse answer, and every pair given is a tie")
    order = EpochBatches(len(decided), config.batch_size, config.epochs, loop.seed)
    budget = config.optimizer.tokens_per_microbatch
    reference = Reference(policy, [g for g, _ in decided], budget)
    seen: list[dict[str, float]] = []
    for step in loop.steps(order.total_steps, {"policy": policy, "reference": reference}, description="DPO"):
        chosen = order.items(step)
        members = [decided[i] for i in chosen]
        batches = pack([g for g, _ in members], budget=budget)
        metrics = policy.forward_backward(
            batches,
            partial(dpo_objective, members=members, reference=reference.of(chosen), config=config),
            weight=sum(t.weight for _, t in members),
        ).metrics
        report = policy.step(learning_rate=config.optimizer.rate_at(policy.num_steps, order.total_steps))
        loop.log.record(step, {**metrics, **report._asdict()})
        loop.shown.update(loss=metrics["loss"], accuracy=metrics["accuracy"])
        seen.append(metrics)
    tail = seen[-max(1, len(seen) // 10) :] or [{"loss": float("nan"), "accuracy": float("nan")}]
    return DPOResult(
        policy.num_steps,
        sum(m["loss"] for m in tail) / len(tail),
        sum(m["accuracy"] for m in tail) / len(tail),
    )


def dpo_objective(
    scores: TokenScores,
    batch: GroupBatch,
    *,
    members: Sequence[tuple[Group, Target]],
    reference: Tensor,
    config: DPOConfig,
) -> Loss:
    """DPO (Rafailov et al. 2023, eq. 7) of every decided pair, from log-probs summed over the answers' tokens.

    `reference` [rows of the optimizer batch] are those of the start.
    """
    logps = row_sum(scores.logps, batch.row, batch.num_rows)
    start = batch.pick(reference).to(logps)
    pairs = local_pairs(batch, members)
    losses = cdpo_loss(
        logps[pairs.better],
        logps[pairs.worse],
        start[pairs.better],
        start[pairs.worse],
        beta=config.beta,
        label_smoothing=config.label_smoothing,
    )
    gain = (logps - start).detach()
    margin = config.beta * (gain[pairs.better] - gain[pairs.worse])
    metrics = {
        "accuracy": weighted(margin > 0, pairs.weight),
        "margin": weighted(margin, pairs.weight),
        "better_gain": weighted(gain[pairs.better], pairs.weight),
    }
    return loss_of(losses, weight=pairs.weight, metrics=metrics)


class Reference:
    """Log-probs of every answer under the start policy, summed over tokens; checkpointed, since the policy moves."""

    def __init__(self, start: Scorer[TokenScores], groups: Sequence[Group], budget: int) -> None:
        self._starts = np.cumsum([0, *(len(g.continuations) for g in groups)])
        self._rows = sum_logps(start, groups, budget=budget)

    def of(self, chosen: Sequence[int]) -> Tensor:
        """Log-probs of the answers of these groups [rows], one after another."""
        return torch.cat([self._rows[self._starts[i] : self._starts[i + 1]] for i in chosen])

    def tensors(self) -> dict[str, Tensor]:
        """The log-probs."""
        return {"rows": self._rows}

    def state(self) -> dict[str, object]:
        """Nothing else."""
        return {}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, object]) -> None:
        """Take those of the checkpoint."""
        self._rows = tensors["rows"]
