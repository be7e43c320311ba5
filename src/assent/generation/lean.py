"""A decoder without its modules: the forward pass of llama-like models in few operations, for drawing answers.

The facts of a family are read from its layers and its config. Whether they are all of them is not believed but asked:
`generation.rows` holds this pass to the plain one on a twin, and where they differ the modules compute.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from peft.tuners.lora import LoraLayer
from torch import Tensor
from transformers import PreTrainedModel

from assent.generation.products import Product, is_plain
from assent.models.attention import AttentionCall, AttentionPlan

_FAMILIES = frozenset(
    {"llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma", "gemma2", "gemma3_text"}  # config.model_type
)


class LeanDecoder:
    """The decoder of `core` with weights of `dtype` as they were at the last `refresh`.

    States and norms are float32, products and attention are computed in `dtype`. `core` itself stays as it is.
    """

    def __init__(self, core: PreTrainedModel, dtype: torch.dtype) -> None:
        self._core, self._dtype = core, dtype
        # A CPU has no fast small products in bfloat16.
        self._attention_dtype = torch.float32 if core.device.type == "cpu" else dtype
        self._body: Any = core.get_decoder()
        self._softcap = getattr(core.config, "final_logit_softcapping", None)
        self._layers: list[_Layer] = []
        self._head: Product | None = None
        self._taken: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, core: PreTrainedModel, dtype: torch.dtype | None = None) -> LeanDecoder | None:
        """The lean decoder of a model, in its own type if none is given; None where it is of no known form."""
        if core.config.model_type not in _FAMILIES:
            return None
        layers: Any = core.get_decoder().layers
        products = [core.get_output_embeddings(), *(one for layer in layers for one in _products(layer))]
        return cls(core, dtype or core.dtype) if all(is_plain(one) for one in products) else None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._core.device

    def refresh(self) -> None:
        """Take the weights of the model as they are now; nothing is done where they are those of the copy."""
        now = self._weights_now()
        if self._head is not None and now is not None and now == self._taken:
            return
        self.release()
        self._taken = now
        with torch.no_grad():
            kinds = getattr(self._core.config, "layer_types", None)
            for number, layer in enumerate(self._body.layers):
                self._layers.append(
                    _Layer(layer, number, kinds[number] if kinds else None, (self._dtype, self._attention_dtype))
                )
            self._norm = _Norm(self._body.norm)
            self._head = Product([self._core.get_output_embeddings()], self._dtype)

    def release(self) -> None:
        """Give the copy's memory back; the next pass needs a `refresh`."""
        self._layers, self._head = [], None

    def _weights_now(self) -> tuple[Any, ...] | None:
        """Equal where nothing was written to a weight in between; None where that cannot be known."""
        adapters = [(m.disable_adapters, *m.active_adapters) for m in self._core.modules() if isinstance(m, LoraLayer)]
        weights = list(self._core.parameters())
        if any(weight.is_inference() for weight in weights):
            return None
        return (*((weight.data_ptr(), weight._version) for weight in weights), *adapters)

    def __call__(
        self,
        tokens: Int[Tensor, " T"],
        positions: Int[Tensor, " T"],
        plan: AttentionPlan,
        *,
        last: Int[Tensor, " N"] | None,
    ) -> Float[Tensor, "N V"]:
        """Logits at the flat indices `last`, or everywhere."""
        if self._head is None:
            self.refresh()
        states = self._core.get_input_embeddings()(tokens).float()
        turns: dict[str | None, _Turn] = {}
        for layer in self._layers:
            kind = layer.kind if self._core.config.model_type == "gemma3_text" else None
            if kind not in turns:
                turns[kind] = _Turn(self._body.rotary_emb, states, positions, kind)
            states = layer(states, turns[kind], plan)
        states = self._norm(states if last is None else states[last])
        assert self._head is not None
        logits = self._head(states.to(self._dtype))
        return logits if self._softcap is None else logits.div_(self._softcap).tanh_().mul_(self._softcap)


class _Turn:
    """The rotation of queries and keys by their positions, one for all layers that share it."""

    def __init__(self, rotary: Any, states: Tensor, positions: Tensor, kind: str | None) -> None:
        cos, sin = rotary(states, positions[None], *([] if kind is None else [kind]))
        half = sin.shape[-1] // 2
        self._cos = cos[0, :, None]
        self._sin = torch.cat([-sin[..., :half], sin[..., half:]], -1)[0, :, None]
        self._half = half

    def __call__(self, heads: Float[Tensor, "T H D"]) -> Float[Tensor, "T H D"]:
        swapped = heads.roll(self._half, -1)
        cos, sin = self._cos.to(heads.dtype), self._sin.to(heads.dtype)
        return (heads * cos).addcmul_(swapped, sin)


class _Norm:
    """x / sqrt(mean(x²) + eps) · w over the last dimension, w one more than stored in the Gemma family."""

    def __init__(self, *norms: Any, repeats: tuple[int, ...] = ()) -> None:
        norm = norms[0]
        offset = 1.0 if type(norm).__name__.startswith("Gemma") else 0.0
        weights = [one.weight.detach().float() + offset for one in norms]
        # Heads: one weight for all queries, another for all keys.
        self._weight = (
            torch.cat([w.expand(n, -1) for w, n in zip(weights, repeats, strict=True)]) if repeats else weights[0]
        )
        self._eps = float(getattr(norm, "variance_epsilon", None) or norm.eps)

    def __call__(self, states: Tensor) -> Tensor:
        states = states.float()
        scale = states.square().mean(-1, keepdim=True).add_(self._eps).rsqrt_()
        return (states * scale).mul_(self._weight)


class _Layer:
    """One layer: attention, then the gated unit, each with its norms."""

    def __init__(self, layer: Any, number: int, kind: str | None, types: tuple[torch.dtype, torch.dtype]) -> None:
        attention, unit, config = layer.self_attn, layer.mlp, layer.self_attn.config
        dtype, self._attention_dtype = types
        self.kind, self._number, self._dtype = kind, number, dtype
        self._width = attention.head_dim
        self._heads = config.num_attention_heads, config.num_key_value_heads
        self._scaling = attention.scaling
        self._window = getattr(attention, "sliding_window", getattr(config, "sliding_window", None))
        self._softcap = getattr(attention, "attn_logit_softcapping", None)
        self._turns = bool(getattr(attention, "use_rope", True))
        q_norm = getattr(attention, "q_norm", None)
        self._head_norm = None if q_norm is None else _Norm(q_norm, attention.k_norm, repeats=self._heads)
        self._qkv = Product([attention.q_proj, attention.k_proj, attention.v_proj], dtype)
        self._out = Product([attention.o_proj], dtype)
        self._gate_up = Product([unit.gate_proj, unit.up_proj], dtype)
        self._down = Product([unit.down_proj], dtype)
        self._act = unit.act_fn
        self._before_attention = _Norm(layer.input_layernorm)
        # Gemma 2 and 3 norm what attention and unit give; `post_attention_layernorm` is elsewhere the unit's own.
        wraps = hasattr(layer, "pre_feedforward_layernorm")
        after = layer.post_attention_layernorm
        self._after_attention = _Norm(after) if wraps else None
        self._before_unit = _Norm(layer.pre_feedforward_layernorm if wraps else after)
        self._after_unit = _Norm(layer.post_feedforward_layernorm) if wraps else None

    def __call__(self, states: Float[Tensor, "T d"], turn: _Turn, plan: AttentionPlan) -> Float[Tensor, "T d"]:
        found = self._out(self._attend(self._before_attention(states).to(self._dtype), turn, plan))
        states = states + (found if self._after_attention is None else self._after_attention(found))
        gate, up = self._gate_up(self._before_unit(states).to(self._dtype)).chunk(2, -1)
        found = self._down(self._act(gate).mul_(up))
        return states.add_(found if self._after_unit is None else self._after_unit(found))

    def _attend(self, states: Float[Tensor, "T d"], turn: _Turn, plan: AttentionPlan) -> Float[Tensor, "T n"]:
        num_heads, num_kv_heads = self._heads
        heads = self._qkv(states).view(len(states), -1, self._width).to(self._attention_dtype)
        turned, value = heads.split([num_heads + num_kv_heads, num_kv_heads], 1)
        if self._head_norm is not None:
            turned = self._head_norm(turned).to(self._attention_dtype)
        if self._turns:
            turned = turn(turned)
        query, key = turned.split([num_heads, num_kv_heads], 1)
        call = AttentionCall(
            layer=self._number,
            query=query.transpose(0, 1),
            key=key.transpose(0, 1),
            value=value.transpose(0, 1),
            scaling=self._scaling,
            sliding_window=self._window,
            softcap=self._softcap,
        )
        return plan.attend(call).reshape(len(states), -1).to(self._dtype)


def _products(layer: Any) -> tuple[Any, ...]:
    attention, unit = layer.self_attn, layer.mlp
    return (
        *(attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj),
        *(unit.gate_proj, unit.up_proj, unit.down_proj),
    )
