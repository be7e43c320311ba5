"""Supervised fine-tuning: next-token loss on what the assistant should say. Also pre-training: all text counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from assent.algorithms.objective import Loss, loss_of
from assent.core.group import Group
from assent.learner.learner import Learner, Scorer
from assent.learner.scorer import each_scored
from assent.models.groups import GroupBatch, Packed, pack
from assent.models.policy import TokenScores
from assent.training.batches import EpochBatches
from assent.training.config import SFTConfig
from assent.training.evaluation_config import BestConfig
from assent.training.looks import Looks, Schedule
from assent.training.loop import Loop, Resumable


class SFTResult(NamedTuple):
    """What training reached; losses are nats per scored token."""

    steps: int
    first_eval_loss: float | None
    best_eval_loss: float | None
    stopped_early: bool


def next_token_loss(scores: TokenScores, batch: GroupBatch) -> Loss:
    """Negative log-likelihood of every scored token."""
    return loss_of(-scores.logps, metrics={})


def train_sft(
    learner: Learner[TokenScores], train: Sequence[Group], held_out: Sequence[Group], config: SFTConfig, loop: Loop
) -> SFTResult:
    """Train the policy of `learner`; with held-out groups it ends with the weights of the best evaluation."""
    order = EpochBatches(len(train), config.batch_size, config.epochs, loop.seed)
    budget = config.optimizer.tokens_per_microbatch
    unseen = Packed(held_out, budget=budget) if held_out else None

    def measure(taken: int) -> dict[str, float]:
        assert unseen is not None
        loop.shown["held out"] = loss = evaluation_loss(learner, unseen)
        return {"loss": loss}

    looks = Looks(learner, _schedule(config, order), None if unseen is None else measure, loop)
    parts: dict[str, Resumable] = {"policy": learner, "looks": looks}
    for step in loop.steps(order.total_steps, parts, description="training", looks=looks):
        batches = pack([train[i] for i in order.items(step)], budget=budget)
        weight = sum(b.num_scored for b in batches)
        metrics = learner.forward_backward(batches, next_token_loss, weight=weight).metrics
        report = learner.step(learning_rate=config.optimizer.rate_at(learner.num_steps, order.total_steps))
        loop.log.record(step, {**metrics, **report._asdict()})
        loop.shown["loss"] = metrics["loss"]
    looks.take()
    return SFTResult(learner.num_steps, looks.first.get("loss"), looks.best.value, looks.is_exhausted)


def _schedule(config: SFTConfig, order: EpochBatches) -> Schedule:
    """So many looks in each pass, or every so many steps; fine-tuning always ends with the best of them."""
    every = config.evaluate_every
    if not every:
        every = (
            math.ceil(order.steps_per_epoch / config.evals_per_epoch) if config.evals_per_epoch else order.total_steps
        )
    return Schedule(every, BestConfig(measure="heldout_loss", every=every, patience=config.patience))


def evaluation_loss(policy: Scorer[TokenScores], batches: Sequence[GroupBatch]) -> float:
    """Mean negative log-likelihood per scored token, in nats."""
    total, count = 0.0, 0
    for batch, scores in each_scored(policy, batches):
        total -= scores.logps.double().sum().item()
        count += batch.num_scored
    return total / count
