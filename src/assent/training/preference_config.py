"""Settings of the methods that learn from judgments themselves, without a reward model between: DPO."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from assent.learner.config import OptimizerConfig
from assent.training.method import Method, Need, RankedRows


class DPOConfig(Method):
    """Direct preference optimization on the same judgments (Rafailov et al. 2023)."""

    title: ClassVar[str] = "DPO"
    learns_from: ClassVar[str] = "the rankings themselves"

    kind: Literal["dpo"] = "dpo"
    """Which method moves the policy."""
    beta: float = Field(default=0.1, gt=0)
    """Strength of the implicit KL."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Assumed share of flipped labels (conservative DPO)."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the comparisons."""
    batch_size: int = Field(default=32, ge=1)
    """Comparisons per optimizer step; every decided pair of a ranking counts 2/K."""
    max_length: int | None = None
    """Longest prompt and answer in tokens; null: the model's context."""
    too_long: Literal["error", "drop", "truncate_left"] = "drop"
    """What happens to longer ones."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-6)
    """Optimizer of the policy."""

    @property
    def needs(self) -> frozenset[Need]:
        """The judgments; no reward model stands between."""
        return frozenset({"judgments"})

    def ranked_rows(self) -> RankedRows:
        """As the settings say."""
        return RankedRows(self.max_length, self.too_long)
