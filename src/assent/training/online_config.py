"""Settings of the methods that sample and learn by comparing or choosing answers: online DPO, best of n."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from assent.core.findings import Finding, error, warning
from assent.learner.config import OptimizerConfig
from assent.training.on_policy_config import KLConfig, OnPolicyConfig


class NoKLConfig(KLConfig):
    """No price of KL in the reward."""

    kind: Literal["off"] = "off"
    """off: the method itself limits how far the policy moves."""


class ComparingConfig(OnPolicyConfig):
    """What methods have that compare or choose answers. Of rewards only the order counts."""

    samples_per_prompt: int = Field(default=4, ge=2)
    """Answers to each prompt; their prompt is computed once."""
    kl: NoKLConfig = NoKLConfig()
    """off: the method itself limits how far the policy moves."""
    reward_clip: float | None = Field(default=None, gt=0)
    """The summed reward is clipped to plus or minus this, which ties what lies beyond; null: not clipped."""

    def _problems(self) -> Iterator[Finding]:
        yield from (found for found in super()._problems() if found.key != "optimize.kl.kind")
        if self.clip != OnPolicyConfig.model_fields["clip"].default:
            said = f"is {self.clip:g}, and {self.title} has no policy ratio that it could clip"
            yield warning("optimize.clip", said, "leave it out")


class OnlineDPOConfig(ComparingConfig):
    """Online DPO: the policy answers each prompt several times, and DPO learns from the best and the worst answer
    by reward (Guo et al. 2024)."""

    title: ClassVar[str] = "online DPO"
    learns_from: ClassVar[str] = "which of its own answers scores best and which worst"
    learned_answers: ClassVar[int | None] = 2

    kind: Literal["online_dpo"] = "online_dpo"
    """Which method moves the policy."""
    beta: float = Field(default=0.1, gt=0)
    """Strength of the implicit KL."""
    loss: Literal["sigmoid", "ipo"] = "sigmoid"
    """Cross-entropy of the pair (DPO), or squared distance of the gap to 1/(2 beta) (IPO)."""


class BestOfNConfig(ComparingConfig):
    """Best of n, learned: the start answers each prompt n times, and the policy is fine-tuned on the answer with
    the highest reward."""

    title: ClassVar[str] = "best of n"
    learns_from: ClassVar[str] = "the best of n of its own answers"
    learned_answers: ClassVar[int | None] = 1
    draws_in_turn: ClassVar[bool] = False
    scores_rollouts: ClassVar[bool] = False

    kind: Literal["best_of_n"] = "best_of_n"
    """Which method moves the policy."""
    samples_per_prompt: int = Field(default=8, ge=2)
    """n: answers to each prompt, of which one is kept."""
    epochs: int = Field(default=2, ge=1)
    """Passes over the answers that were kept."""
    kl_limit: float | None = Field(default=None, gt=0)
    """Not used: nothing is learned from answers of another policy than the start."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-5)
    """Optimizer of the policy."""

    def _problems(self) -> Iterator[Finding]:
        yield from super()._problems()
        if self.constraints:
            said = "are given, and best of n learns from its start's answers, so that no price could steer a cost"
            yield error("optimize.constraints", said, "subtract the cost in optimize.rewards by a negative weight")
        if self.guards is not None:
            said = "are given, and best of n samples from its start alone, so that there is no course to guard"
            yield error("optimize.guards", said, "leave them out")
