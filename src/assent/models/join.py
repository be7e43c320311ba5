"""Adapters that were trained one on top of the other, as one adapter on the first one's base."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from assent.core import files
from assent.core.errors import ModelError
from assent.models.lora import CONFIG, WEIGHTS

_A, _B = ".lora_A.weight", ".lora_B.weight"
_UNKNOWN = ("use_dora", "rank_pattern", "alpha_pattern", "lora_bias", "layer_replication", "trainable_token_indices")
"""Settings of an adapter under which it is more than a sum of two thin matrices."""


def join_adapters(adapters: Sequence[Path], to: Path, *, base: str, revision: str | None = None) -> None:
    """Write the sum of adapters, in the order in which they were trained, as an adapter on `base`.

    W + s₁B₁A₁ + s₂B₂A₂ = W + [s₁B₁ s₂B₂][A₁; A₂]: ranks add up, and nothing is approximated. What the last one trained
    in full (a reward head) is taken over. Raises ModelError where an adapter is no plain LoRA.
    """
    settings = [json.loads((folder / CONFIG).read_text(encoding="utf-8")) for folder in adapters]
    tensors = [load_file(folder / WEIGHTS) for folder in adapters]
    last = dict(settings[-1])
    if len(adapters) > 1:
        for folder, one, weights in zip(adapters, settings, tensors, strict=True):
            _check(folder, one, weights, is_last=folder is adapters[-1])
        joined = _joined(settings, tensors)
        last |= {"r": sum(one["r"] for one in settings), "use_rslora": False}
        last |= {
            "lora_alpha": last["r"],
            "target_modules": sorted({m for one in settings for m in one["target_modules"]}),
        }
    else:
        joined = tensors[0]
    to.mkdir(parents=True, exist_ok=True)
    save_file(joined, to / WEIGHTS, metadata={"format": "pt"})
    last |= {"base_model_name_or_path": base, "revision": revision}
    files.write_json(to / CONFIG, last)


def _joined(settings: Sequence[Mapping[str, Any]], tensors: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    modules = dict.fromkeys(name.removesuffix(_A) for weights in tensors for name in weights if name.endswith(_A))
    joined = {name: tensor for name, tensor in tensors[-1].items() if not name.endswith((_A, _B))}
    for module in modules:
        first, second = [], []
        like = next(weights for weights in tensors if module + _A in weights)
        for one, weights in zip(settings, tensors, strict=True):
            rank = int(one["r"])
            thin, tall = like[module + _A], like[module + _B]
            # A module that only some of the adapters reach gets rows of zeros from the others.
            first.append(weights.get(module + _A, thin.new_zeros(rank, thin.shape[1])))
            second.append(_scale(one) * weights.get(module + _B, tall.new_zeros(tall.shape[0], rank)))
        joined[module + _A], joined[module + _B] = torch.cat(first), torch.cat(second, dim=1)
    return {name: tensor.contiguous() for name, tensor in joined.items()}


def _scale(settings: Mapping[str, Any]) -> float:
    rank = float(settings["r"])
    return float(settings["lora_alpha"]) / (rank**0.5 if settings.get("use_rslora") else rank)


def _check(folder: Path, settings: Mapping[str, Any], weights: Mapping[str, Tensor], *, is_last: bool) -> None:
    more = [name for name in weights if not name.endswith((_A, _B))]
    odd = [name for name in _UNKNOWN if settings.get(name)]
    if settings.get("peft_type") != "LORA" or settings.get("bias", "none") != "none" or odd or (more and not is_last):
        why = ", ".join([str(settings.get("peft_type")), *odd, *more[:1]])
        said = f"{folder}: cannot be joined with the adapters around it ({why})"
        raise ModelError(f"{said}; export the merged model, without --adapter")
