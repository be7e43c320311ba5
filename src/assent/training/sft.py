"""Supervised fine-tuning: next-token loss on what the assistant should say. Also pre-training: all text counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from assent.algorithms.objective import Loss, loss_of
from assent.core.group import Group
from assent.learner.learner import Learner, Scorer
from assent.models.groups import GroupBatch, pack
from assent.models.policy import TokenScores
from assent.training.batches import EpochBatches
from assent.training.config import SFTConfig
from assent.training.loop import Loop


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
    held_out_batches = pack(held_out, budget=budget) if held_out else []
    best = BestWeights(learner, config.patience)
    interval = (
        math.ceil(order.steps_per_epoch / config.evals_per_epoch) if config.evals_per_epoch else order.total_steps
    )
    if held_out_batches:
        best.first = evaluation_loss(learner, held_out_batches)
    for step in loop.steps(order.total_steps, {"policy": learner, "best": best}, description="training"):
        batches = pack([train[i] for i in order.items(step)], budget=budget)
        weight = sum(b.num_scored for b in batches)
        metrics = learner.forward_backward(batches, next_token_loss, weight=weight).metrics
        report = learner.step(learning_rate=config.optimizer.rate_at(learner.num_steps, order.total_steps))
        loop.log.record(step, {**metrics, **report._asdict()})
        loop.shown["loss"] = metrics["loss"]
        if held_out_batches and ((step + 1) % interval == 0 or step + 1 == order.total_steps):
            loss = evaluation_loss(learner, held_out_batches)
            loop.log.record(step, {"eval_loss": loss}, kind="eval")
            loop.shown["eval"] = loss
            if best.see(loss):
                break
    best.take()
    return SFTResult(learner.num_steps, best.first, best.loss, best.exhausted)


def evaluation_loss(policy: Scorer[TokenScores], batches: Sequence[GroupBatch]) -> float:
    """Mean negative log-likelihood per scored token, in nats."""
    total = sum(-scores.logps.double().sum().item() for scores in policy.score(batches))
    return total / sum(batch.num_scored for batch in batches)


class BestWeights:
    """Keeps the weights of the best evaluation and says when patience is exhausted."""

    def __init__(self, learner: Learner[Any], patience: int | None) -> None:
        self._learner, self._patience = learner, patience
        self._weights: dict[str, Tensor] = {}
        self._since = 0
        self.first: float | None = None
        self.loss: float | None = None

    @property
    def exhausted(self) -> bool:
        """True when the last `patience` evaluations brought no improvement."""
        return self._patience is not None and self._since >= self._patience

    def see(self, loss: float) -> bool:
        """Note an evaluation loss; True: stop."""
        if self.loss is None or loss < self.loss:
            self.loss, self._since, self._weights = loss, 0, self._learner.weights()
        else:
            self._since += 1
        return self.exhausted

    def take(self) -> None:
        """Put the best weights into the model."""
        if self._weights:
            self._learner.load_weights(self._weights)

    def tensors(self) -> Mapping[str, Tensor]:
        """The best weights."""
        return self._weights

    def state(self) -> Mapping[str, Any]:
        """The best loss and how long ago it was."""
        return {"loss": self.loss, "since": self._since, "first": self.first}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        self._weights, self.loss, self._since, self.first = tensors, state["loss"], state["since"], state["first"]
