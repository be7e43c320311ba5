"""Knobs of loading a model, of its LoRA adapter, and of a model made from scratch."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import Field, model_validator

from assent.core.config import Config


class LoraConfig(Config):
    """Low-rank adapters (Hu et al. 2021). Dropout is 0, as in every stage."""

    rank: int = Field(default=16, ge=1)
    """Rank of the update of each matrix."""
    alpha: float = Field(default=32.0, gt=0)
    """The update is scaled by alpha / rank."""
    target: Literal["all-linear"] | tuple[str, ...] = Field(default="all-linear", json_schema_extra={"outside": "none"})
    """Which matrices get adapters: all of the decoder's, or those whose names end with one of these (q_proj,
    v_proj, …)."""


class ModelConfig(Config):
    """How a policy, reward model or value model is loaded and trained."""

    lora: LoraConfig | None = None
    """Train low-rank adapters instead of all weights; learning rates that are left open are then ten times as high."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights in memory. Training all weights needs float32; bfloat16 is for adapters (LoRA) only."""
    attention: Literal["auto", "groups", "padded"] = "auto"
    """auto: the group batch where a check at load time shows that it gives the same numbers, else padded rows.
    groups: end with an error where the check fails. padded: always padded rows."""
    pad_token: str | None = None
    """Padding token to use or add. null: the tokenizer's own; where there is none, or where it also ends texts or
    turns, a special token that nothing else uses, or else a new one. No result depends on it."""
    template: str | None = Field(default=None, json_schema_extra={"outside": "template"})
    """Chat template: Jinja text or a file with it; null: the tokenizer's own, or a plain one where it has none."""
    date: datetime.date | None = Field(default=None, json_schema_extra={"affects_result": False})
    """The date that is given to a chat template which asks for it. null: in a run the day on which it was first
    started (`run.yaml` keeps it), elsewhere today. Only stages whose templates read the date depend on it."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model."""


class ScratchConfig(Config):
    """Shape of a small decoder that starts from random weights."""

    kind: Literal["llama"] = "llama"
    """Architecture."""
    hidden: int = Field(default=128, ge=8)
    """Width of the token states."""
    layers: int = Field(default=4, ge=1)
    """Decoder layers."""
    heads: int = Field(default=4, ge=1)
    """Attention heads."""
    kv_heads: int | None = Field(default=None, ge=1)
    """Key-value heads; null: as many as heads."""
    ffn: int | None = Field(default=None, ge=8)
    """Width inside the feed-forward layers; null: 8/3 of hidden, rounded up to a multiple of 32."""
    context: int = Field(default=1024, ge=16)
    """Longest row in tokens."""
    tie_embeddings: bool = True
    """Input and output embeddings are one matrix."""

    @model_validator(mode="after")
    def _check(self) -> ScratchConfig:
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden must be a multiple of 2 · heads, got hidden={self.hidden}, heads={self.heads}")
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise ValueError(f"heads must be a multiple of kv_heads, got heads={self.heads}, kv_heads={self.kv_heads}")
        return self

    @property
    def ffn_width(self) -> int:
        """Width inside the feed-forward layers."""
        return self.ffn or -(-8 * self.hidden // 3 // 32) * 32
