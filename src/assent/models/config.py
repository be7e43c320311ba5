"""Knobs of loading a model, of its LoRA adapter, and of a model made from scratch."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from assent.core import processor
from assent.core.config import Config


class LoraConfig(Config):
    """Low-rank adapters (Hu et al. 2021), as PEFT computes them; its other settings are refused by name."""

    rank: int = Field(default=16, ge=1)
    """Rank of the update of each matrix."""
    alpha: float = Field(default=32.0, gt=0)
    """The update is scaled by alpha / rank."""
    target: Literal["all-linear"] | tuple[str, ...] = Field(default="all-linear", json_schema_extra={"outside": "none"})
    """Which matrices are adapted: all of the decoder's, or those whose names end so (q_proj, v_proj, …)."""
    exclude: tuple[str, ...] = Field(default=(), json_schema_extra={"outside": "none", "added_later": True})
    """Matrices that are left as they are, of those that `target` means, by the ends of their names."""
    dropout: float = Field(default=0.0, ge=0, lt=1, json_schema_extra={"added_later": True})
    """Share of an adapter's inputs that each training step leaves out, in fine-tuning, reward models and methods on
    rankings. 0 wherever answers are sampled to learn from: there ratios of probabilities must compare weights."""
    use_rslora: bool = Field(default=False, json_schema_extra={"added_later": True})
    """Scale the update by alpha / √rank, so that large ranks learn as fast as small ones (Kalajdzievski 2023)."""
    use_dora: bool = Field(default=False, json_schema_extra={"added_later": True})
    """Also learn the length of each matrix's rows (DoRA, Liu et al. 2024). Slower, and no base is shared."""
    init: Literal["kaiming", "gaussian"] = Field(default="kaiming", json_schema_extra={"added_later": True})
    """How the first factor is drawn; the second is zero, so that every adapter starts as its base."""
    rank_pattern: dict[str, int] = Field(default_factory=dict, json_schema_extra={"added_later": True})
    """Another rank for matrices whose names end so."""
    alpha_pattern: dict[str, float] = Field(default_factory=dict, json_schema_extra={"added_later": True})
    """Another alpha for matrices whose names end so."""

    @model_validator(mode="before")
    @classmethod
    def _as_peft_calls_them(cls, values: Any) -> Any:
        for name in values if isinstance(values, Mapping) else ():
            if name in _OTHER_NAMES:
                raise ValueError(f"{name} is called {_OTHER_NAMES[name]} here")
            if name in _REFUSED:
                raise ValueError(f"{name} is not offered: {_REFUSED[name]}")
        return values

    @model_validator(mode="after")
    def _check_ranks(self) -> LoraConfig:
        for name, rank in self.rank_pattern.items():
            if rank < 1:
                raise ValueError(f"rank_pattern gives {name} rank {rank}; give 1 or more, or exclude it")
        return self

    def without_dropout(self) -> LoraConfig:
        """The same for methods that sample answers."""
        return self.model_copy(update={"dropout": 0.0})


_OTHER_NAMES = {
    "r": "rank",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "target_modules": "target",
    "exclude_modules": "exclude",
    "init_lora_weights": "init",
}
"""What PEFT calls settings that are there."""
_IN_PLACE = "it changes weights of the base, and the start is had by switching adapters off"
_BY_WEIGHT = "embeddings and heads are read by their weights, where only some tokens are scored"
_UNCHECKED = "nothing checks yet that group batches and merging compute the same with it"
_REFUSED = {
    "bias": _IN_PLACE,
    "lora_bias": "most matrices have no bias that it could be merged into",
    "loftq_config": _IN_PLACE,
    "eva_config": _IN_PLACE,
    "corda_config": _IN_PLACE,
    "modules_to_save": _BY_WEIGHT,
    "trainable_token_indices": _BY_WEIGHT,
    "ensure_weight_tying": _BY_WEIGHT,
    "target_parameters": _UNCHECKED,
    "layer_replication": _UNCHECKED,
    "layers_to_transform": "name the matrices in target or exclude, such as layers.0.mlp.up_proj",
    "layers_pattern": "name the matrices in target or exclude, such as layers.0.mlp.up_proj",
}
"""Settings of PEFT that are not there, and why."""


class ModelConfig(Config):
    """How a policy, reward model or value model is loaded and trained."""

    lora: LoraConfig | None = None
    """Train low-rank adapters instead of all weights; learning rates that are left open are then ten times as high."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights in memory. Training all weights needs float32; bfloat16 is for adapters (LoRA) only. On a CPU
    that has no products in bfloat16 (x86 without AVX-512) float32 is taken in its place, and that is said."""
    products: Literal["float32", "bfloat16", "auto"] = Field(default="float32", json_schema_extra={"added_later": True})
    """What products of float32 weights are computed in. bfloat16: a rounded copy of them; weights, sums of gradients,
    norms, softmax and heads stay float32. auto: bfloat16 where a measurement at the start shows 1.5 times the speed."""
    quantize: Literal["nf4", "int8"] | None = Field(default=None, json_schema_extra={"added_later": True})
    """QLoRA: hold the frozen base of models that learn under LoRA in 4 bits (nf4) or 8 bits (int8), by bitsandbytes
    (pip install 'assent[quantized]'). Sampling for raters, evaluation and export use the adapter on the unquantized
    base. null: in `dtype`."""
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

    def held_on(self, device: str) -> ModelConfig:
        """As a device holds models: in float32 on a CPU where products in bfloat16 take many times as long."""
        if self.dtype == "float32" or processor.computes_bfloat16(device):
            return self
        return self.model_copy(update={"dtype": "float32"})

    @model_validator(mode="after")
    def _quantized_under_adapters(self) -> ModelConfig:
        if self.quantize is not None and self.lora is None:
            raise ValueError(f"quantize is {self.quantize}, but all weights are trained; set lora too, or leave it out")
        if self.quantize is not None and self.lora is not None and self.lora.use_dora:
            raise ValueError("quantize and lora.use_dora: nothing checks the two together yet; leave one of them out")
        return self


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
