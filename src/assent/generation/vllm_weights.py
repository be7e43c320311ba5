"""The weights of a policy as vLLM wants them: under the names of a checkpoint, adapters added to them or apart."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import peft
import torch
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from assent.models.policy import PolicyModel
from assent.models.quiet import quiet

_OWN = "default"
"""What PEFT calls the adapter that is trained."""
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Those that vLLM makes room for."""


def adapter_rank(policy: PolicyModel) -> int | None:
    """The room that the policy's adapter takes in vLLM; None where it has none that vLLM could compute apart.

    Apart go plain adapters of linear layers, one to a layer.
    """
    if not isinstance(policy.hf, peft.PeftModel):
        return None
    layers = [module for module in policy.core.modules() if isinstance(module, BaseTunerLayer)]
    for layer in layers:
        is_plain = isinstance(layer, LoraLayer) and isinstance(layer.get_base_layer(), nn.Linear)
        if not is_plain or list(layer.active_adapters) != [_OWN] or layer.use_dora.get(_OWN) or layer.lora_bias[_OWN]:
            return None
    largest = max((layer.r[_OWN] for layer in layers), default=0)
    return next((rank for rank in _RANKS if rank >= largest), None)


def base_weights(policy: PolicyModel) -> Iterator[tuple[str, Tensor]]:
    """Every weight by its name in a checkpoint, without what adapters add; views, not copies."""
    for name, weight in policy.core.named_parameters():
        if "lora_" not in name:
            yield name.replace(".base_layer.", "."), weight.detach()


def merged_weights(policy: PolicyModel) -> Iterator[tuple[str, Tensor]]:
    """Every weight by its name in a checkpoint, with what adapters add to it; one layer at a time is copied.

    The policy itself stays as it is, to the bit.
    """
    adapted = {name: one for name, one in policy.core.named_modules() if isinstance(one, BaseTunerLayer)}
    for name, weight in base_weights(policy):
        layer = adapted.get(name.removesuffix(".weight"))
        yield name, weight if layer is None else _with_adapters(layer, weight)


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write weights where the processes of one vLLM read them, see `load_saved`."""
    save_file({name: weight.cpu().contiguous() for name, weight in weights.items()}, path)


def load_saved(worker: Any, path: str) -> None:
    """Let one process of a vLLM take its part of the weights that `save_weights` wrote; called inside that process."""
    with safe_open(path, framework="pt") as held, torch.no_grad():
        worker.reload_weights(weights_iterator=((name, held.get_tensor(name)) for name in held.keys()))  # noqa: SIM118


def save_adapter(policy: PolicyModel, folder: Path) -> None:
    """Write the policy's own adapter alone, as PEFT writes one."""
    with quiet():
        policy.hf.save_pretrained(str(folder), selected_adapters=[_OWN], save_embedding_layers=False)


def _with_adapters(layer: BaseTunerLayer, weight: Tensor) -> Tensor:
    if any(getattr(layer, "use_dora", {}).get(name) for name in layer.active_adapters):
        return _merged_dora(layer)
    added = [layer.get_delta_weight(name) for name in layer.active_adapters]
    with torch.no_grad():
        return torch.stack([weight.float(), *(one.float() for one in added)]).sum(0).to(weight.dtype)


def _merged_dora(layer: BaseTunerLayer) -> Tensor:
    """DoRA scales the sum by row; PEFT's own merge of a copy of the layer does that."""
    merged = copy.deepcopy(layer)
    merged.merge()
    return merged.get_base_layer().weight.detach()
