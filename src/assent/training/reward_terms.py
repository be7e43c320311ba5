"""Settings of what an answer is rewarded for: reward models and Python functions, each with its weight."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from assent.core.config import Config
from assent.training.code_reward import CodeRewardConfig


class ModelRewardConfig(Config):
    """The round's reward model, or another one from a folder."""

    kind: Literal["model"] = "model"
    """Which kind of reward this is."""
    path: str | None = Field(default=None, json_schema_extra={"outside": "model"})
    """Folder of a reward model; null: the one this round trained."""
    weight: float = 1.0
    """Factor in the sum of rewards."""


class PythonRewardConfig(Config):
    """A Python function `(prompts, completions) -> scores`."""

    kind: Literal["python"] = "python"
    """Which kind of reward this is."""
    target: str = Field(json_schema_extra={"outside": "python"})
    """"package.module:function"; prompts are `Prompt`, completions are texts, scores are floats, one each."""
    weight: float = 1.0
    """Factor in the sum of rewards."""


RewardTerm = Annotated[ModelRewardConfig | PythonRewardConfig | CodeRewardConfig, Field(discriminator="kind")]
