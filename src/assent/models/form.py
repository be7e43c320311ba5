"""The form of a model without its weights: what the processes of a cluster hold that are given them by the first."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from assent.models import score_head
from assent.models.attention import attention_of
from assent.models.decoder import Way, body
from assent.models.last_layer import prepare
from assent.models.parity import switch_attention
from assent.models.products import Products, compute_in
from assent.models.quiet import quiet


@dataclass(frozen=True, eq=False)
class Form:
    """Everything of an opened model but its weights. It can be pickled."""

    kind: type[PreTrainedModel]
    config: PretrainedConfig
    generation: GenerationConfig | None
    dtype: torch.dtype
    attention: str
    heads: int | None
    """Of a score head that transformers has no class for (`models.score_head`); None without one."""
    tokenizer: PreTrainedTokenizerFast
    way: Way
    products: Products
    base: str | None
    """Where it was opened from; None: from nowhere on disk."""
    own_type: str | None
    """The type that a policy's weights had on disk."""

    @classmethod
    def of(cls, model: Any) -> Form | None:
        """That of a policy or a scalar model; None where its class is code of its own, which others cannot import."""
        hf = model.core
        if not type(hf).__module__.startswith("transformers."):
            return None
        return cls(
            kind=type(hf),
            config=hf.config,
            generation=getattr(hf, "generation_config", None),
            dtype=hf.dtype,
            attention=attention_of(hf),
            heads=hf.score.out_features if score_head.is_named(hf.config) else None,
            tokenizer=model.tokenizer,
            way=model.way,
            products=model.products,
            base=model.base,
            own_type=getattr(model, "own_type", None),
        )

    def hollow(self) -> PreTrainedModel:
        """A model of this form whose weights are on no device yet ("meta")."""
        with quiet(), torch.device("meta"):
            hf: PreTrainedModel = self.kind._from_config(copy.deepcopy(self.config), dtype=self.dtype)  # type: ignore[assignment]
        if self.heads is not None:
            score_head.attach(hf, where=self.base or self.kind.__name__, heads=self.heads)
        hf.generation_config = self.generation
        switch_attention(hf, self.attention)
        if self.way.reads:
            prepare(body(hf), hf.config.get_text_config().num_hidden_layers)
        compute_in(hf, self.products.kind)
        return hf.eval()
