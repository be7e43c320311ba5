"""Direct preference optimization on rankings of any K: every decided pair of a ranking counts 2/K, ties say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from assent.algorithms.masked import row_sum
from assent.algorithms.objective import Loss, loss_of, weighted
from assent.algorithms.preference import cdpo_loss
from assent.core.errors import DataError
from assent.core.group import Group
from assent.learner.local import LocalLearner
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel, TokenScores
from assent.training.batches import EpochBatches
from assent.training.config import DPOConfig
from assent.training.loop import Loop
from assent.training.targets import Target, local_pairs


class DPOResult(NamedTuple):
    """What training reached, averaged over the last tenth of its steps."""

    steps: int
    loss: float
    accuracy: float
    """Share of pairs whose better answer gained more, relative to the start, than the worse one."""


def train_dpo(
    policy: PolicyModel, groups: Sequence[Group], targets: Sequence[Target], config: DPOConfig, loop: Loop
) -> DPOResult:
    """Train `policy` in place. The reference is the policy as it comes in; its log-probs are computed once."""
    decided = [(g, t.decided()) for g, t in zip(groups, targets, strict=True) if not t.pairs.is_tie.all()]
    if not decided:
        raise DataError("DPO needs pairs with a better and a worse answer, and every pair given is a tie")
    order = EpochBatches(len(decided), config.batch_size, config.epochs, loop.seed)
    learner = LocalLearner(policy.parameters(), policy.logps, config.optimizer, total_steps=order.total_steps)
    budget = config.optimizer.tokens_per_microbatch
    reference = Reference(policy, [g for g, _ in decided], budget)
    seen: list[dict[str, float]] = []
    for step in loop.steps(order.total_steps, {"policy": learner, "reference": reference}, description="DPO"):
        chosen = order.items(step)
        members = [decided[i] for i in chosen]
        batches = pack([g for g, _ in members], budget=budget)
        rows = [logp for i in chosen for logp in reference.answers[i]]
        metrics = learner.forward_backward(
            batches,
            partial(dpo_objective, members=members, reference=rows, config=config),
            weight=sum(t.weight for _, t in members),
        )
        loop.log.record(step, {**metrics, **learner.step()._asdict()})
        loop.shown.update(loss=metrics["loss"], accuracy=metrics["accuracy"])
        seen.append(metrics)
    tail = seen[-max(1, len(seen) // 10) :] or [{"loss": float("nan"), "accuracy": float("nan")}]
    return DPOResult(
        learner.num_steps,
        sum(m["loss"] for m in tail) / len(tail),
        sum(m["accuracy"] for m in tail) / len(tail),
    )


def dpo_objective(
    scores: TokenScores,
    batch: GroupBatch,
    *,
    members: Sequence[tuple[Group, Target]],
    reference: Sequence[float],
    config: DPOConfig,
) -> Loss:
    """DPO (Rafailov et al. 2023, eq. 7) of every decided pair, from log-probs summed over the answers' tokens."""
    logps = row_sum(scores.logps, batch.row, batch.num_rows)
    start = torch.tensor([reference[row] for row in batch.rows], dtype=logps.dtype, device=logps.device)
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

    def __init__(self, policy: PolicyModel, groups: Sequence[Group], budget: int) -> None:
        self._sizes = [len(g.continuations) for g in groups]
        self._rows = torch.zeros(sum(self._sizes))
        with torch.no_grad():
            for batch in pack(groups, budget=budget):
                self._rows[list(batch.rows)] = (
                    row_sum(policy.logps(batch).logps, batch.row, batch.num_rows).float().cpu()
                )

    @property
    def answers(self) -> list[list[float]]:
        """One list of log-probs per group."""
        return [part.tolist() for part in self._rows.split(self._sizes)]

    def tensors(self) -> dict[str, Tensor]:
        """The log-probs."""
        return {"rows": self._rows}

    def state(self) -> dict[str, object]:
        """Nothing else."""
        return {}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, object]) -> None:
        """Take those of the checkpoint."""
        self._rows = tensors["rows"]
