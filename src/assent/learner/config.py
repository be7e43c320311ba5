"""Knobs of the optimizer that every trainer shares."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assent.algorithms import schedules
from assent.core.config import Config


class OptimizerConfig(Config):
    """AdamW with a schedule, global-norm clipping, and a budget of real tokens per micro-batch."""

    learning_rate: float = Field(default=1e-5, gt=0)
    """Peak learning rate."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """How the learning rate changes after warm-up."""
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of all steps spent raising the learning rate from zero."""
    floor: float = Field(default=0.0, ge=0, le=1)
    """Share of the peak at which the schedule ends."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the first moment."""
    beta2: float = Field(default=0.95, ge=0, lt=1)
    """Decay of the second moment."""
    epsilon: float = Field(default=1e-5, gt=0)
    """Adam's epsilon; 1e-5 keeps the first PPO updates small (Huang et al. 2024)."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay, on matrices only."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this global norm."""
    tokens_per_microbatch: int = Field(default=2048, ge=1)
    """Real tokens computed at once. It changes speed and memory; results change only by rounding."""
    most_tokens: int | None = Field(default=None, ge=1, json_schema_extra={"affects_result": False})
    """Micro-batches of more real tokens are cut into several, and results change only by rounding. null: as the memory
    plan of the run says."""
    checkpointing: Literal["auto", "on", "off"] = Field(default="auto", json_schema_extra={"affects_result": False})
    """on: keep only what goes from layer to layer for the backward pass and compute each layer again there. The result
    is the same, with a fraction of the memory and about a third more time. auto: as the memory plan of the run says."""

    def rate_at(self, step: int, total_steps: int) -> float:
        """Learning rate of optimizer step `step` (from 0) of `total_steps`: the peak times the schedule."""
        total = max(1, total_steps)
        warmup = round(self.warmup * total)
        match self.schedule:
            case "constant":
                return self.learning_rate * schedules.constant(step, total, warmup=warmup)
            case "linear":
                return self.learning_rate * schedules.linear(step, total, warmup=warmup, floor=self.floor)
            case "cosine":
                return self.learning_rate * schedules.cosine(step, total, warmup=warmup, floor=self.floor)
