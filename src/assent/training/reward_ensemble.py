"""Several reward models as one reward: their mean, the mean less some deviations, or the lowest score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from assent.algorithms.conservative import lower_bound
from assent.core.scoring import Score, ScoreFunction
from assent.core.types import Prompt
from assent.training.rewards import standardized
from assent.training.term_config import Normalize


@dataclass
class EnsembleReward:
    """Scores of several reward models put together, answer by answer (Coste et al. 2023, arXiv 2310.02743)."""

    members: tuple[Score, ...]
    take: Literal["mean", "lower", "worst"]
    k: float
    normalize: Normalize = "none"
    """batch: each model's scores are scaled over the answers of a call before they are put together, so that none
    counts for more because of its unit. What comes out is not scaled once more."""
    _seen: dict[str, float] = field(default_factory=dict, init=False)
    is_shared: ClassVar[bool] = True
    """Processes that train together score together."""

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """One score per answer. Raises FunctionError for a model's first NaN or infinite score."""
        raw = [
            ScoreFunction(f"model {number} of the ensemble", one)(prompts, completions)
            for number, one in enumerate(self.members, start=1)
        ]
        scaled = [standardized(one) for one in raw] if self.normalize == "batch" else raw
        scores = torch.tensor(scaled, dtype=torch.float64)
        self._seen = {"spread": scores.std(dim=0, unbiased=False).mean().item()}
        if self.normalize == "batch":  # the mean of what was scaled says nothing
            self._seen["reward"] = self._combined(torch.tensor(raw, dtype=torch.float64)).mean().item()
        return self._combined(scores).tolist()

    def watched(self) -> dict[str, float]:
        """Of the last call: the mean over answers of the deviation over models, in deviations where they were scaled.

        Where they were, also the mean reward before that, which stands in the log as that of every other term.
        """
        return self._seen

    def _combined(self, scores: Float[Tensor, "M B"]) -> Float[Tensor, " B"]:
        if self.take == "worst":
            return scores.min(dim=0).values
        return lower_bound(scores, k=0.0 if self.take == "mean" else self.k)
