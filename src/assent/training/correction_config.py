"""Settings of how rollouts are weighed whose sampler does not compute what the learner computes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assent.core.config import Config


class CorrectionConfig(Config):
    """How much each token of a rollout counts where the engine's probability of it is not the learner's."""

    kind: Literal["auto", "none", "truncated", "masked"] = "auto"
    """none: all count alike. truncated: each weighs the learner's probability over the engine's, at most `cap`. masked:
    so too, and answers beyond `bound` count nothing. auto: truncated, or none where the engine computes with the
    learner's own model as it is now (`compute.staleness: 0`)."""
    cap: float = Field(default=2.0, ge=1)
    """The most that a token may weigh; for RLOO, where an answer is one action, the most that an answer may."""
    bound: float = Field(default=1.05, gt=1)
    """With `kind: masked`, the geometric mean over an answer's tokens of the learner's probability over the engine's
    has to lie between 1 / `bound` and `bound`."""
