"""Kahneman-Tversky optimization: learns from single good and bad answers, no pairs (Ethayarajh et al. 2024)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from assent.algorithms.objective import Loss, loss_of, weighted
from assent.algorithms.preference import kto_loss, kto_reference_point
from assent.core import seeds
from assent.core.group import Group
from assent.core.lazy import Mapped
from assent.learner.learner import Learner, Objective
from assent.learner.scorer import sum_logps
from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores
from assent.training.loop import Loop
from assent.training.mismatched import mismatched
from assent.training.preference import Examination, Lesson, PreferenceResult, Reference, both_logps, order_of, passes
from assent.training.preference_config import KTOConfig


@dataclass(frozen=True, eq=False)
class Liked:
    """Of the answers of a group, one after another, which are good, and what each weighs."""

    is_good: Tensor
    weight: Tensor

    @classmethod
    def of(cls, says: Sequence[float], weights: Sequence[float], config: KTOConfig) -> Liked:
        """From what is said of each, -1 (bad) to 1 (good): by the sign, and with soft labels by the size too."""
        said = torch.tensor(says)
        size = said.abs() if config.labels == "soft" else torch.ones_like(said)
        return cls(
            said > 0, torch.tensor(weights) * size * torch.where(said > 0, config.good_weight, config.bad_weight)
        )


Said = tuple[Sequence[Group], Sequence[Sequence[float]], Sequence[Sequence[float]]]
"""Groups with what is said of each of their answers, and how much that counts."""


def train_kto(
    policy: Learner[TokenScores], said: Said, config: KTOConfig, loop: Loop, held_out: Said | None = None
) -> PreferenceResult:
    """Train the policy on answers of which it is said how good they are. The reference is the policy as it comes in.

    What is `held_out` is measured on the way and never learned. Raises DataError where all answers have one prompt: the
    reference point wants answers to other prompts.
    """
    groups = said[0]
    lesson = _Labelled(policy, said, config, seed=loop.seed)
    order = order_of(groups, config, loop)
    examined = None
    if held_out is not None:
        other = _Labelled(policy, held_out, config, seed=loop.seed)
        everything = range(len(held_out[0]))
        parts = {f"heldout_{name}": part for name, part in other.parts.items()}
        examined = Examination(held_out[0], lambda: other.objective(0, everything), parts)
    taught = Lesson("KTO", groups, lesson.weights, lesson.objective, order, lesson.parts, held_out=examined)
    return passes(policy, taught, config, loop)


class _Labelled:
    """Labelled groups with what the start says of them, and their losses."""

    def __init__(self, policy: Learner[TokenScores], said: Said, config: KTOConfig, *, seed: int) -> None:
        groups, says, weights = said
        self._policy, self._config, self._budget = policy, config, config.optimizer.tokens_per_microbatch
        self._liked = Mapped(partial(Liked.of, config=config), says, weights)
        self._swapped = mismatched(groups, seed=seeds.derive(seed, "mismatched"))
        self._reference = Reference(policy, groups, self._budget)
        self._beside = Reference(policy, self._swapped, self._budget)
        self.weights = array("d", (float(one.weight.sum()) for one in self._liked))
        self.parts = {"reference": self._reference, "beside": self._beside}

    def objective(self, step: int, chosen: Sequence[int]) -> Objective[TokenScores]:
        """The loss of some groups, by their numbers."""
        now = sum_logps(self._policy, [self._swapped[i] for i in chosen], budget=self._budget)
        point = kto_reference_point(now, self._beside.of(chosen))
        own = [self._liked[i] for i in chosen]
        answers = Liked(torch.cat([one.is_good for one in own]), torch.cat([one.weight for one in own]))
        start = self._reference.of(chosen)
        return partial(kto_objective, liked=answers, reference=start, point=point, config=self._config)


def kto_objective(
    scores: TokenScores, batch: GroupBatch, *, liked: Liked, reference: Tensor, point: Tensor, config: KTOConfig
) -> Loss:
    """KTO (Ethayarajh et al. 2024, eq. 8) of every labelled answer; `liked` and `reference` are of the optimizer batch.

    `point` is z before β, the same for all micro-batches of a step.
    """
    logps, start = both_logps(scores, batch, reference, normalized=False)
    is_good, weight, point = batch.pick(liked.is_good), batch.pick(liked.weight), point.to(logps)
    losses = kto_loss(logps, start, is_good, reference_point=point, beta=config.beta)
    gain = (logps - start).detach()
    right = (gain > point) == is_good
    metrics = {
        "accuracy": weighted(right, weight),
        "reference_point": weighted(point.expand_as(gain)),
        "good_gain": weighted(gain[is_good], weight[is_good]),
        "bad_gain": weighted(gain[~is_good], weight[~is_good]),
    }
    return loss_of(losses, weight=weight, metrics=metrics)
