"""Settings of the guards that watch a method while it trains: over-optimization gauge and reward-hack probes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from assent.core.config import Config
from assent.core.findings import Finding, error, warning
from assent.training.reward_terms import ModelRewardConfig, RewardTerm


class FittedGoldConfig(Config):
    """A reward model of its own, fitted to judgments that the reward model in training never sees."""

    kind: Literal["fitted"] = "fitted"
    """Which kind of held-out reward this is."""
    share: float = Field(default=0.4, gt=0, lt=1)
    """Share of the prompts, and of the raters, that the held-out model learns from, and the reward model does not.
    Judgments of a rater of one side on a prompt of the other are used by neither, and counted."""


GoldConfig = Annotated[FittedGoldConfig | RewardTerm, Field(discriminator="kind")]


class GuardsConfig(Config):
    """What is measured every few steps, and what happens once the held-out reward has passed its peak."""

    every: int = Field(default=5, ge=1)
    """Steps between measurements."""
    prompts: int = Field(default=64, ge=4)
    """Held-out prompts that are answered in each; the policy is never trained on them."""
    samples: int = Field(default=2, ge=1)
    """Answers to each."""
    gold: GoldConfig | None = FittedGoldConfig()
    """The held-out reward: fitted to judgments that are set apart, or a reward as under `rewards` (a model from a
    folder, a Python function, a judge). null: no held-out reward, only probes."""
    then: Literal["stop", "keep_best", "raise_kl", "warn"] = "stop"
    """What happens once the peak has passed. stop: training ends, and the best weights are the result. keep_best:
    all steps are done, and the best weights are the result. raise_kl: the KL coefficient rises from then on.
    warn: only a warning."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence that is required before the held-out reward counts as falling."""
    kl_factor: float = Field(default=2.0, gt=1)
    """With raise_kl, the factor on the KL coefficient at each measurement after the peak."""
    probes: bool = True
    """Score answers without thought, flattery and padding beside the policy's own answers."""

    def problems(self, *, steps: int, has_kl: bool) -> Iterator[Finding]:
        """What cannot work for a method of so many steps."""
        if isinstance(self.gold, ModelRewardConfig) and self.gold.path is None:
            said = "names the round's reward model, which is the one that is optimized"
            yield error("optimize.guards.gold", said, "give a path, or kind: fitted")
        if self.then == "raise_kl" and not has_kl:
            said = "is raise_kl, but optimize.kl.kind is off, and nothing can be raised"
            yield error("optimize.guards.then", said, "use a fixed or adaptive KL, or another reaction")
        if self.gold is not None and steps < MEASUREMENTS * self.every:
            said = (
                f"is {self.every}, so {steps} steps hold {steps // self.every + 1} measurements, and a peak wants more"
            )
            yield warning("optimize.guards.every", said, f"lower it to {max(1, steps // MEASUREMENTS)} or less")


MEASUREMENTS = 6
"""Fewer than so many measurements after the start show no peak with confidence."""
