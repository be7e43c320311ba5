"""Several reward models as one reward: their mean, the mean less some deviations, or the lowest score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch

from assent.algorithms.conservative import lower_bound
from assent.core.scoring import Score
from assent.core.types import Prompt


@dataclass
class EnsembleReward:
    """Scores of several reward models put together, answer by answer (Coste et al. 2023, arXiv 2310.02743)."""

    members: tuple[Score, ...]
    take: Literal["mean", "lower", "worst"]
    k: float
    _spread: float = field(default=0.0, init=False)
    is_shared: ClassVar[bool] = True
    """Processes that train together score together."""

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """One score per answer."""
        scores = torch.tensor([list(one(prompts, completions)) for one in self.members], dtype=torch.float64)
        self._spread = scores.std(dim=0, unbiased=False).mean().item()
        if self.take == "worst":
            return scores.min(dim=0).values.tolist()
        return lower_bound(scores, k=0.0 if self.take == "mean" else self.k).tolist()

    def watched(self) -> dict[str, float]:
        """Of the last call: the mean over answers of the deviation over models."""
        return {"spread": self._spread}
