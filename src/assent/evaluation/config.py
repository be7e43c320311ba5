"""Configuration of a blind evaluation."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from assent.core.config import Config
from assent.generation.config import Sampling
from assent.raters.config import RatersConfig


class EvaluateConfig(Config):
    """How two policies are compared: blind, on prompts that neither was trained on, with each pair shown in both
    orders."""

    prompts: int = Field(default=300, ge=2)
    """Held-out prompts; every policy answers each once. Intervals are clustered by prompt."""
    sampling: Sampling = Sampling()
    """How both policies answer."""
    raters_per_pair: int = Field(default=1, ge=1)
    """How many raters judge each pair. Those who also gave training labels are counted and named in the report."""
    raters: RatersConfig | None = Field(default=None, json_schema_extra={"added_later": True})
    """Who judges the comparison and nothing else, such as a reward model fitted to other people's judgments. null:
    those of `collect.raters`; without any, the round's own reward model."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Coverage of every interval."""
    best_of: int = Field(default=1, ge=1, json_schema_extra={"added_later": True})
    """The new policy draws so many answers to each prompt and gives the one that the round's reward model scores best.
    Nothing is trained by it: with `optimize: null` it is the start that answers so, against itself with one answer."""
    judge_record: Path | None = Field(default=None, json_schema_extra={"outside": "file", "added_later": True})
    """The folder that `assent judge` wrote for this run's judge. Before the comparison the judge is asked its
    anchors again; if it has become worse, the stage ends and it judges nothing."""
    bootstrap_draws: int | None = Field(default=None, json_schema_extra={"affects_result": False})
    """No longer read: intervals are computed now and not drawn. The key stays, so that older files are understood."""
