"""The one attention function that Assent registers with transformers; what it computes is said by a plan.

A model loaded with `attn_implementation="assent"` builds no mask of its own. Around each forward pass somebody who
knows which token may see which enters `attend_with(plan)`; every layer then asks the plan. Two plans exist: the group
batch (`models.groups`) for training and scoring, the key-value cache of the local engine (`generation`) for sampling.
Rotary and other positions come from the `position_ids` given to the model, so they are right before a plan is asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel

IMPLEMENTATION = "assent"
NARROW_FLAG = "assent_narrow"
"""On a layer's attention module: whether its products are to be in bfloat16."""


@dataclass(frozen=True)
class AttentionCall:
    """What one layer asks: queries [H, T, D], keys and values [Hkv, T, D] of the T tokens in this pass."""

    layer: int
    query: Tensor
    key: Tensor
    value: Tensor
    scaling: float
    sliding_window: int | None
    """A token sees itself and the `sliding_window` - 1 tokens before it; None: everything before."""
    softcap: float | None
    """Scores become softcap * tanh(score / softcap) before the softmax (Gemma 2)."""
    narrow: bool = False
    """The model's products are to be in bfloat16 (`models.products`); a plan may leave its own in float32."""


@runtime_checkable
class AttentionPlan(Protocol):
    """Says which tokens see which, and computes attention accordingly."""

    def attend(self, call: AttentionCall) -> Tensor:
        """Return the attention output [T, H, D]."""
        ...


_plan: ContextVar[AttentionPlan | None] = ContextVar("assent_attention_plan", default=None)


@contextlib.contextmanager
def attend_with(plan: AttentionPlan) -> Iterator[None]:
    """Let `plan` decide attention for every forward pass in this block."""
    token = _plan.set(plan)
    try:
        yield
    finally:
        _plan.reset(token)


def current_plan() -> AttentionPlan | None:
    """The plan of the block that one is in."""
    return _plan.get()


def attention_of(hf: PreTrainedModel) -> str:
    """How the layers of the decoder compute attention; a model of several parts may say another thing of the whole."""
    return str(hf.config.get_text_config()._attn_implementation or "eager")


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The function transformers calls: query [1, H, T, D], key and value [1, Hkv, T, D] -> [1, T, H, D]."""
    plan = _plan.get()
    if plan is None:
        raise RuntimeError("a model with attention 'assent' was called outside attend_with(plan)")
    if attention_mask is not None:
        # A plan says who sees whom; what the model means to hide besides would be lost without a word.
        raise NotImplementedError(f"layer {module.layer_idx} hands over an attention mask of the model's own making")
    unknown = {name for name, given in kwargs.items() if given is not None and name in _UNSUPPORTED}
    if dropout or unknown:
        extra = ", ".join([*sorted(unknown), *([f"dropout={dropout}"] if dropout else [])])
        raise NotImplementedError(f"attention with {extra} is not computed by a plan")
    call = AttentionCall(
        layer=int(module.layer_idx),  # type: ignore[arg-type]
        query=query[0],
        key=key[0],
        value=value[0].to(query.dtype),
        scaling=scaling if scaling is not None else query.shape[-1] ** -0.5,
        sliding_window=sliding_window,
        softcap=softcap,
        narrow=getattr(module, NARROW_FLAG, False),
    )
    return plan.attend(call).unsqueeze(0), None


_UNSUPPORTED = frozenset({"s_aux", "position_bias", "head_mask"})

AttentionInterface.register(IMPLEMENTATION, _attention)
