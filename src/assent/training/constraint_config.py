"""Settings of a constraint: a cost that is kept below a limit while the policy learns."""

from __future__ import annotations

from pydantic import Field, model_validator

from assent.core.config import Config
from assent.training.reward_terms import RewardTerm


class ConstraintConfig(Config):
    """Keep the mean of a cost over answers at or below a limit, by a price that a PID controller sets."""

    cost: RewardTerm
    """What is kept low: any kind of reward. `weight: -1` turns something that should be high, such as a
    criterion, into a cost; its limit is then the negative of the least value that is wanted."""
    limit: float
    """The most that the mean cost of a step's answers should be, in the cost's own unit."""
    proportional: float = Field(default=1.0, ge=0)
    """Price per unit of the present excess over the limit."""
    integral: float = Field(default=0.5, ge=0)
    """Price per unit of the excess summed over steps."""
    derivative: float = Field(default=0.0, ge=0)
    """Price per unit by which the cost rose since the last step; it answers to noise too."""
    start: float = Field(default=0.0, ge=0)
    """Price before the first step."""
    most: float = Field(default=20.0, gt=0)
    """Highest price."""

    @model_validator(mode="after")
    def _works(self) -> ConstraintConfig:
        if self.proportional == self.integral == 0:
            raise ValueError("proportional and integral are both 0, so the limit would do nothing; raise one")
        if self.start > self.most:
            raise ValueError(f"start is {self.start}, above most {self.most}; lower it")
        if self.start and not self.integral:
            raise ValueError("start is kept by the integral part, which is 0; raise integral, or leave start out")
        if self.cost.normalize == "batch":
            raise ValueError("cost.normalize is batch, after which the mean is always 0; take another")
        return self

    @property
    def start_sum(self) -> float:
        """The summed excess that gives the starting price."""
        return self.start / self.integral if self.start else 0.0
