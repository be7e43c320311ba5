"""What every method shares that learns from judgments themselves: passes over groups, the reference, what is watched.

A method (dpo, kto, orpo, simpo) says what is learned of which groups:

    lesson = Lesson("DPO", groups, weights, objective, …)       one loss for each optimizer batch
    result = passes(policy, lesson, config, loop)               the loop over epochs, with checkpoints

A lesson may have a second one, `held_out`, of groups that are measured on the way and never learned.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from assent.algorithms.objective import Loss, Weighted, means, merge_metrics, weighted
from assent.algorithms.preference import answer_logps
from assent.core.errors import DataError
from assent.core.group import Group, answer_starts
from assent.learner.learner import Learner, Objective, Scorer
from assent.learner.scorer import each_scored, sum_logps
from assent.models.groups import GroupBatch, Packed, pack
from assent.models.policy import TokenScores
from assent.training.batches import EpochBatches
from assent.training.looks import Looks, Schedule
from assent.training.loop import Loop, Resumable
from assent.training.members import Member, Members
from assent.training.preference_config import PreferenceConfig
from assent.training.targets import Target, local_best

Ranked = tuple[Sequence[Group], Sequence[Target]]
"""Groups with who ranked their answers how."""


class PreferenceResult(NamedTuple):
    """What training reached, averaged over the last tenth of its steps."""

    steps: int
    loss: float
    accuracy: float
    """Share of pairs whose better answer is ahead of the worse one, relative to the start where there is a reference;
    of answers, with KTO, that gained beyond its reference point as their label says."""


@dataclass(frozen=True)
class Lesson:
    """What a method teaches."""

    title: str
    groups: Sequence[Group]
    weights: Sequence[float]
    """What the losses of each group are divided by."""
    objective: Callable[[int, Sequence[int]], Objective[TokenScores]]
    """The loss of a step, from its number and the numbers of its groups."""
    order: EpochBatches
    parts: Mapping[str, Resumable] = field(default_factory=dict)
    """What checkpoints carry beside the policy."""
    remember: Callable[[Sequence[int], Sequence[GroupBatch], Sequence[TokenScores]], None] = lambda *_: None
    """Told what the policy said of the groups of a step, before the step."""
    held_out: Examination | None = None
    """What is measured on the way; None: nothing."""


@dataclass(frozen=True)
class Examination:
    """Groups that are measured and never learned, with the loss of all of them."""

    groups: Sequence[Group]
    objective: Callable[[], Objective[TokenScores]]
    parts: Mapping[str, Resumable] = field(default_factory=dict)
    """What checkpoints carry of it."""

    def measure(self, policy: Scorer[TokenScores], budget: int) -> dict[str, float]:
        """The means of what the objective reports."""
        objective = self.objective()
        with torch.no_grad():
            scored = each_scored(policy, Packed(self.groups, budget=budget))
            losses = [objective(one._replace(logps=one.logps.cpu()), batch) for batch, one in scored]
        return means(merge_metrics(loss.metrics for loss in losses))


def passes(policy: Learner[TokenScores], lesson: Lesson, config: PreferenceConfig, loop: Loop) -> PreferenceResult:
    """Pass over the groups `config.epochs` times, a step for each `config.batch_size` of them."""
    order, seen, held_out = lesson.order, [], lesson.held_out
    budget = config.optimizer.tokens_per_microbatch
    measure = None if held_out is None else lambda _: held_out.measure(policy, budget)
    looked_at = 0 if held_out is None else len(held_out.groups)
    schedule = Schedule.of(config, looked_at=looked_at, learned=config.batch_size)
    looks = Looks(policy, schedule, measure, loop)
    parts: dict[str, Resumable] = {"policy": policy, "looks": looks, **lesson.parts}
    parts |= {} if held_out is None else held_out.parts
    for step in loop.steps(order.total_steps, parts, description=lesson.title, looks=looks):
        chosen = order.items(step)
        batches = pack([lesson.groups[i] for i in chosen], budget=budget)
        objective = lesson.objective(step, chosen)
        passed = policy.forward_backward(batches, objective, weight=sum(lesson.weights[i] for i in chosen))
        lesson.remember(chosen, batches, passed.outputs)
        report = policy.step(learning_rate=config.optimizer.rate_at(policy.num_steps, order.total_steps))
        metrics = passed.metrics
        loop.log.record(step, {**metrics, **report._asdict()})
        loop.shown.update(loss=metrics["loss"], accuracy=metrics.get("accuracy", float("nan")))
        seen.append(metrics)
    looks.take()
    tail = seen[-max(1, len(seen) // 10) :] or [{"loss": float("nan"), "accuracy": float("nan")}]
    reached = (sum(m.get(name, float("nan")) for m in tail) / len(tail) for name in ("loss", "accuracy"))
    return PreferenceResult(policy.num_steps, *reached)


def order_of(groups: Sequence[object], config: PreferenceConfig, loop: Loop) -> EpochBatches:
    """Which of the groups each step sees."""
    return EpochBatches(len(groups), config.batch_size, config.epochs, loop.seed)


def decided(groups: Sequence[Group], targets: Sequence[Target], title: str) -> Members:
    """Groups with any pair of which one is better, without their ties. Raises DataError where there is none."""
    found = Members(groups, targets).changed(Target.decided).where(lambda target: target.weight > 0)
    if not len(found):
        raise DataError(f"{title} needs pairs with a better and a worse answer, and every pair given is a tie")
    return found


def weights_of(members: Members) -> Sequence[float]:
    """The weight of each member's target."""
    return array("d", (target.weight for target in members.targets))


@runtime_checkable
class PairObjective(Protocol):
    """The loss of a method without a reference, for one micro-batch."""

    def __call__(self, scores: TokenScores, batch: GroupBatch, *, members: Sequence[Member], config: Any) -> Loss:
        """Summed over the pairs of these rankings."""
        ...


def on_pairs(
    policy: Learner[TokenScores],
    ranked: Ranked,
    objective: PairObjective,
    config: PreferenceConfig,
    loop: Loop,
    held_out: Ranked | None = None,
) -> PreferenceResult:
    """The passes of a method that needs no reference over the decided pairs of groups with their targets."""
    members = decided(*ranked, config.title)
    examined = None
    if held_out is not None:
        unseen = decided(*held_out, f"{config.title} on what is held out")
        examined = Examination(unseen.groups, lambda: partial(objective, members=unseen, config=config))

    def of_step(step: int, chosen: Sequence[int]) -> Objective[TokenScores]:
        return partial(objective, members=[members[i] for i in chosen], config=config)

    order = order_of(members, config, loop)
    lesson = Lesson(config.title, members.groups, weights_of(members), of_step, order)
    lesson = replace(lesson, held_out=examined)
    return passes(policy, lesson, config, loop)


def with_best(loss: Loss, means: Tensor, batch: GroupBatch, members: Sequence[Member], *, factor: float) -> Loss:
    """A loss and `factor` times the next-token loss of the best answers; `means` [B] are per token, per answer."""
    if not factor:
        return loss
    rows, weight = local_best(batch, members)
    best = -means[rows] * weight
    metrics = {**loss.metrics, "sft_loss": weighted(-means[rows], weight)}
    total = loss.total + factor * best.sum()
    metrics["loss"] = Weighted(total.detach(), loss.weight)
    return Loss(total, loss.weight, metrics)


class Reference:
    """Log-probs of every answer under the start policy, summed over tokens; checkpointed, since the policy moves."""

    def __init__(self, start: Scorer[TokenScores], groups: Sequence[Group], budget: int) -> None:
        self._starts = answer_starts(groups)
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


def both_logps(scores: TokenScores, batch: GroupBatch, reference: Tensor, *, normalized: bool) -> tuple[Tensor, Tensor]:
    """Log-probs of each answer [B] now and at the start, summed or `normalized` to means over its tokens.

    `reference` [rows of the optimizer batch] are sums.
    """
    logps = answer_logps(scores.logps, batch.row, batch.num_rows, normalized=normalized)
    start = batch.pick(reference).to(logps)
    lengths = torch.tensor(batch.row_lengths, device=logps.device)
    return logps, start / lengths if normalized else start
