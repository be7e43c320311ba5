"""What PPO maximises: any weighted sum of reward models and Python functions of (prompts, completions)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from assent.core.group import Group
from assent.core.scoring import Score, ScoreFunction
from assent.core.types import Prompt
from assent.data.render import Renderer
from assent.learner.learner import Scorer
from assent.learner.scorer import score_groups


@dataclass(frozen=True)
class ModelReward:
    """Scores of a reward model, which reads text with its own tokenizer and template."""

    scorer: Scorer[Tensor]
    """Raw score of each row [B]."""
    renderer: Renderer
    tokens_per_microbatch: int
    mean: float = 0.0
    """Subtracted from raw scores: the mean on the answers it was trained on, 0 for raw ones."""
    std: float = 1.0
    """By which they are divided then."""

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Score each completion; neighbours that share a prompt share its computation."""
        groups: list[Group] = []
        start = 0
        for end in range(1, len(prompts) + 1):
            if end == len(prompts) or prompts[end].id != prompts[start].id:
                groups.append(self.renderer.group(prompts[start], completions[start:end]))
                start = end
        scores = score_groups(self.scorer, groups, budget=self.tokens_per_microbatch)
        return [(s - self.mean) / self.std for s in scores]


class Scores(NamedTuple):
    """Rewards of some answers, and the mean of every term before weighting."""

    totals: list[float]
    means: dict[str, float]


@dataclass(frozen=True)
class WeightedRewards:
    """The weighted sum, clipped. A term of weight 0 is only watched."""

    terms: tuple[tuple[float, str, Score], ...]
    """(weight, name, function) each."""
    clip: float | None

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> Scores:
        """Raises FunctionError naming the term and the answer of the first NaN or infinite score."""
        totals = [0.0] * len(completions)
        means = {}
        for weight, name, reward in self.terms:
            scores = ScoreFunction(name, reward)(prompts, completions)
            totals = [total + weight * score for total, score in zip(totals, scores, strict=True)]
            means[name] = math.fsum(scores) / len(scores)
        if self.clip is not None:
            totals = [max(-self.clip, min(self.clip, t)) for t in totals]
        return Scores(totals, means)
