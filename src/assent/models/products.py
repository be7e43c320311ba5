"""In which type the products of a decoder's layers are computed, and the measurement that chooses where it is open.

Weights stay float32 whatever is chosen, and so do embeddings, norms, residuals and the heads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel

from assent.core import processor
from assent.models.attention import NARROW_FLAG
from assent.models.decoder import body
from assent.models.linear import NARROW, GatheredLinear, NarrowLinear, follow_optimizers

Kind = Literal["float32", "bfloat16"]
_ROWS = 256
_FLOPS = 5e8
"""Of one product that is timed; large layers are timed with fewer rows."""
_TURNS = 3


@dataclass(frozen=True)
class Products:
    """What the products of a model are computed in, and why."""

    kind: Kind
    reason: str
    is_told: bool = True
    """False: by default, and not worth a word."""


def layers_of(hf: PreTrainedModel) -> list[nn.Linear]:
    """The plain float32 linear layers of the decoder; what lies beside it (a head) is none of them."""
    beside = {id(hf.get_output_embeddings()), id(getattr(hf, "score", None))}
    kinds = (nn.Linear, NarrowLinear, GatheredLinear)
    found = [one for one in body(hf).modules() if type(one) in kinds and id(one) not in beside]
    return [one for one in found if one.weight.dtype == torch.float32]


def choose(hf: PreTrainedModel, wanted: Literal["float32", "bfloat16", "auto"]) -> Products:
    """What to compute in; `auto` is measured at the model's own shapes, once in a process."""
    if wanted == "float32":
        return Products("float32", "model.products is float32", is_told=False)
    layers = layers_of(hf)
    if not layers:
        return Products("float32", f"{type(hf).__name__} has no linear layers of float32")
    if wanted == "bfloat16":
        return Products("bfloat16", "model.products is bfloat16")
    shapes = sorted({(one.out_features, one.in_features) for one in layers}, key=lambda shape: -shape[0] * shape[1])
    wide, narrow = measured(layers[0].weight.device, tuple(shapes[:3]))
    said = f"at its shapes they were measured at {wide / 1e9:.0f} GFLOP/s in float32, {narrow / 1e9:.0f} in bfloat16"
    return Products(processor.chosen(float32=wide, bfloat16=narrow), said)


def compute_in(hf: PreTrainedModel, kind: Kind) -> None:
    """Let the linear layers of the decoder compute so."""
    is_narrow = kind == "bfloat16"
    follow_optimizers()
    for layer in layers_of(hf):
        layer.__class__ = NarrowLinear if is_narrow else nn.Linear
    for module in body(hf).modules():
        if isinstance(getattr(module, "layer_idx", None), int):
            setattr(module, NARROW_FLAG, is_narrow)


@lru_cache(maxsize=16)
def measured(device: torch.device, shapes: tuple[tuple[int, int], ...]) -> tuple[float, float]:
    """FLOP/s of products with weights [out, in], in float32 and in bfloat16 with what is rounded on the way."""
    seconds, flops = [0.0, 0.0], 0.0
    with torch.inference_mode():
        for out, into in shapes:
            rows = int(min(_ROWS, max(16, _FLOPS / (2 * out * into))))
            given, weight = torch.ones(rows, into, device=device), torch.ones(out, into, device=device)
            copied = weight.to(NARROW)
            flops += 2 * rows * out * into
            seconds[0] += _least(lambda: F.linear(given, weight), device)  # noqa: B023 - called at once
            seconds[1] += _least(lambda: F.linear(given.to(NARROW), copied).float(), device)  # noqa: B023
    return flops / seconds[0], flops / seconds[1]


def _least(product: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of a few turns, after one to warm up."""
    found = []
    for _ in range(_TURNS + 1):
        begin = time.perf_counter()
        product()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - begin)
    return min(found[1:])
