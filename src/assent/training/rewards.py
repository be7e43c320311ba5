"""What PPO maximises: any weighted sum of reward models and Python functions of (prompts, completions)."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from assent.core.errors import ConfigError, NonFiniteError, RunError
from assent.core.group import Group
from assent.core.types import Prompt
from assent.data.render import Renderer
from assent.models.groups import pack
from assent.models.scalar import ScalarModel


class RewardFn(Protocol):
    """Scores answers; a higher score is a better answer."""

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> Sequence[float]:
        """One score per (prompt, completion)."""
        ...


@dataclass(frozen=True)
class ModelReward:
    """Scores of a reward model, which reads text with its own tokenizer and template."""

    model: ScalarModel
    renderer: Renderer
    tokens_per_microbatch: int
    normalize: bool
    """Shift and scale by the mean and deviation of the scores on the answers it was trained on."""

    @torch.no_grad()
    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Score each completion; neighbours that share a prompt share its computation."""
        groups: list[Group] = []
        start = 0
        for end in range(1, len(prompts) + 1):
            if end == len(prompts) or prompts[end].id != prompts[start].id:
                groups.append(self.renderer.group(prompts[start], completions[start:end]))
                start = end
        scores = [0.0] * len(prompts)
        for batch in pack(groups, budget=self.tokens_per_microbatch):
            for row, score in zip(batch.rows, self.model.at_last(batch).tolist(), strict=True):
                scores[row] = score
        if self.normalize:
            scores = [(s - self.model.score_mean) / self.model.score_std for s in scores]
        return scores


@dataclass(frozen=True)
class FunctionReward:
    """A user's function, checked: right length, finite numbers, errors named."""

    name: str
    function: Callable[[Sequence[Prompt], Sequence[str]], Sequence[float]]

    @classmethod
    def load(cls, target: str) -> FunctionReward:
        """Import "package.module:function". Raises ConfigError when it is not there."""
        module, colon, attribute = target.partition(":")
        if not colon:
            raise ConfigError(f'reward target wants "package.module:function", got {target!r}')
        try:
            function = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"reward target {target!r} cannot be imported: {error}") from error
        return cls(target, function)

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Call the function. Raises RunError naming it when it raises or returns the wrong number of scores."""
        try:
            scores = [float(s) for s in self.function(prompts, completions)]
        except Exception as error:
            raise RunError(f"reward function {self.name} raised {type(error).__name__}: {error}") from error
        if len(scores) != len(completions):
            raise RunError(
                f"reward function {self.name} returned {len(scores)} scores for {len(completions)} completions"
            )
        return scores


class Scores(NamedTuple):
    """Rewards of some answers, and the mean of every term before weighting."""

    totals: list[float]
    means: dict[str, float]


@dataclass(frozen=True)
class WeightedRewards:
    """The weighted sum, clipped. A term of weight 0 is only watched."""

    terms: tuple[tuple[float, str, RewardFn], ...]
    clip: float | None

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> Scores:
        """Raises NonFiniteError naming the term, the prompt and the answer of the first NaN or infinite score."""
        totals = [0.0] * len(completions)
        means = {}
        for weight, name, reward in self.terms:
            scores = reward(prompts, completions)
            for i, score in enumerate(scores):
                if not math.isfinite(score):
                    raise NonFiniteError(
                        f"reward {name} gave {score} for prompt {prompts[i].id}, answer {completions[i][:80]!r}"
                    )
                totals[i] += weight * score
            means[name] = math.fsum(scores) / len(scores)
        if self.clip is not None:
            totals = [max(-self.clip, min(self.clip, t)) for t in totals]
        return Scores(totals, means)
