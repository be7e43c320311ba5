"""Products with fixed weights while answers are drawn: several layers that read one input are one product.

On a CPU the weights are laid out once for oneDNN, which uses the whole width of its registers; that is a copy, so it is
made again when weights have changed. Elsewhere the live weights are used, and only adapters make a copy.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from assent.models.linear import NarrowLinear

_ROWS = 64  # about how many rows a decode step has, for the layout


class Product:
    """x [T, d] -> x · W^T + b for the layers' weights, one after the other along the last dimension.

    An adapter is added to a float32 weight, and costs nothing while sampling. To a bfloat16 weight it is not: the sum
    would be rounded to the weight as it was before training, so its factors stay a product of their own.
    """

    def __init__(self, layers: Sequence[Any], dtype: torch.dtype) -> None:
        parts = [_part(layer) for layer in layers]
        self._weights: list[Tensor] = [merged.to(dtype) for merged, _ in parts]
        self._factors = [
            (start, end, down.to(dtype), up.to(dtype))
            for (start, end), (_, factors) in zip(_spans(self._weights), parts, strict=True)
            for down, up in factors
        ]
        biases = [_base(layer).bias for layer in layers]
        is_biased = any(bias is not None for bias in biases)
        filled: list[Tensor] = [
            b if b is not None else w.new_zeros(len(w)) for b, w in zip(biases, self._weights, strict=True)
        ]
        self._bias = torch.cat(filled).to(dtype) if is_biased else None
        self._packed: Tensor | None = None
        if _packs(self._weights[0]):
            whole = self._weights[0] if len(layers) == 1 else torch.cat(self._weights)
            self._packed = torch.ops.mkldnn._reorder_linear_weight(whole.contiguous(), _ROWS)
            self._weights = []

    def __call__(self, states: Float[Tensor, "T d"]) -> Float[Tensor, "T n"]:
        """Compute the product."""
        if self._packed is not None:
            found = torch.ops.mkldnn._linear_pointwise(states, self._packed, self._bias, "none", [], "")
        else:
            found = torch.cat([F.linear(states, weight) for weight in self._weights], -1)
            if self._bias is not None:
                found += self._bias
        for start, end, down, up in self._factors:
            found[:, start:end] += F.linear(F.linear(states, down), up)
        return found


def is_plain(layer: Any) -> bool:
    """Whether a layer is a matrix with a bias, or one below plain LoRA adapters: what `Product` can compute."""
    if isinstance(layer, LoraLinear):
        return (
            type(layer.base_layer) in (nn.Linear, NarrowLinear)
            and not any(layer.use_dora.values())
            and not layer.merged
        )
    return type(layer) in (nn.Linear, NarrowLinear)


def _base(layer: Any) -> nn.Linear:
    return layer.base_layer if isinstance(layer, LoraLinear) else layer


def _part(layer: Any) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """A layer's weight with the adapters that can be merged, and the factors (down, up) of those that cannot."""
    weight = _base(layer).weight.detach()
    if not isinstance(layer, LoraLinear) or layer.disable_adapters:
        return weight, []
    factors = [
        (layer.lora_A[name].weight.detach(), layer.lora_B[name].weight.detach() * layer.scaling[name])
        for name in layer.active_adapters
        if name in layer.lora_A
    ]
    if weight.dtype != torch.float32:
        return weight, factors
    for down, up in factors:
        weight = torch.addmm(weight, up.float(), down.float())
    return weight, []


def _spans(weights: Sequence[Tensor]) -> list[tuple[int, int]]:
    ends = itertools.accumulate((len(weight) for weight in weights), initial=0)
    return list(itertools.pairwise(ends))


def _packs(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32
