"""Weights of rollouts whose engine does not compute what the learner computes, and how far apart the two are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from assent.algorithms.importance import effective_share, is_near, truncated_weight
from assent.algorithms.masked import row_mean, row_sum
from assent.training.correction_config import CorrectionConfig


@dataclass(frozen=True)
class Correction:
    """What is done to the rollouts of an engine: their weights, and which of them count nothing."""

    cap: float
    bound: float | None = None
    """None: no answer is left out."""
    of_answers: bool = False
    """Whether an answer is one action, with one weight, or each of its tokens is one."""

    @classmethod
    def of(cls, config: CorrectionConfig, *, is_exact: bool, of_answers: bool) -> Correction | None:
        """As the settings say, for an engine that computes what the learner computes or not; None: all count alike."""
        if config.kind == "none" or (config.kind == "auto" and is_exact):
            return None
        return cls(config.cap, config.bound if config.kind == "masked" else None, of_answers)

    def weights(self, logps: Sequence[Tensor], behaviour: Sequence[Tensor]) -> list[Tensor]:
        """Weight of each token, row by row, from its log-probs by the learner before the update, and by the engine."""
        if not logps:
            return []
        lengths = [len(one) for one in logps]
        device, rows = logps[0].device, len(lengths)
        row = torch.repeat_interleave(torch.arange(rows), torch.tensor(lengths)).to(device)
        ratio = torch.cat(list(logps)) - torch.cat(list(behaviour)).to(device)
        actions = row_sum(ratio, row, rows)[row] if self.of_answers else ratio
        weights = truncated_weight(actions, cap=self.cap)
        if self.bound is not None:
            weights = weights * is_near(row_mean(ratio, row, rows), bound=self.bound)[row]
        return list(weights.split(lengths))

    def facts(self, weights: Sequence[Tensor]) -> dict[str, float]:
        """What is logged of the weights of a batch: their mean, how many were truncated or masked, what is left.

        Tokens count each for one, also where an answer has one weight.
        """
        every = torch.cat(list(weights))
        is_kept = torch.stack([row[0] > 0 for row in weights]).float()
        facts = {
            "correction_weight": every.mean().item(),
            "correction_truncated": (every >= self.cap).float().mean().item(),
            "correction_ess": effective_share(every).item(),
        }
        return facts if self.bound is None else facts | {"correction_masked": 1.0 - is_kept.mean().item()}
