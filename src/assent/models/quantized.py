"""QLoRA (Dettmers et al. 2023): the frozen base under adapters in 4 or 8 bits, by bitsandbytes (extra `quantized`).

Only matrices of decoder layers are quantized, and only of models that learn; embeddings, norms and heads keep their
type, and so do adapters. What samples, is evaluated or is exported is the adapter on the unquantized base, so that
numbers are about the model that people get.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from assent.core.errors import ModelError
from assent.models.checkpointing import decoder_layers
from assent.models.config import ModelConfig
from assent.models.quiet import quiet

_log = logging.getLogger(__name__)
_BLOCK = 64
"""Weights that share a scale. Where a row is no whole number of blocks, bitsandbytes 0.50.2 reads wrong scales on a CPU
and says nothing: its weights are off by up to two thirds of the largest."""
_FOUR, _EIGHT = "Linear4bit", "Linear8bitLt"


def is_wanted(config: ModelConfig, *, trainable: bool) -> bool:
    """Whether a model that is opened so lies on a quantized base."""
    return trainable and config.lora is not None and config.quantize is not None


def place(hf: PreTrainedModel, config: ModelConfig, device: torch.device | str, *, trainable: bool, where: str) -> None:
    """Bring a model to its device, its matrices quantized on the way if so asked: whole it never lies there.

    Raises ModelError where bitsandbytes is missing, or where nothing of the model can be quantized.
    """
    if is_wanted(config, trainable=trainable):
        assert config.quantize is not None
        _quantize(hf, config.quantize, device, where=where)
    hf.to(device)  # type: ignore[arg-type]


def mark(hf: nn.Module) -> None:
    """Say to PEFT which layers it will find: it asks the model, and not the layers."""
    names = {type(module).__name__ for module in hf.modules()}
    if names & {_FOUR, _EIGHT}:
        told: Any = hf
        told.is_loaded_in_4bit, told.is_loaded_in_8bit = _FOUR in names, _EIGHT in names


def refuse_merging(hf: nn.Module) -> None:
    """Raise ModelError for a model on a quantized base: what was rounded away would be missing in the sum."""
    if any(type(module).__name__ in (_FOUR, _EIGHT) for module in hf.modules()):
        raise ModelError(
            "an adapter is not merged into a quantized base; save the adapter, and open it on the base it was made from"
        )


def _quantize(hf: PreTrainedModel, kind: str, device: torch.device | str, *, where: str) -> None:
    bnb = _library()
    found = [
        (layer, name, module)
        for layer in decoder_layers(hf)
        for name, module in layer.named_modules()
        if type(module) is nn.Linear
    ]
    fitting = [one for one in found if one[2].in_features % _BLOCK == 0]
    if not fitting:
        raise ModelError(
            f"{where}: model.quantize is {kind}, but {type(hf).__name__} has no linear layers that it could quantize;"
            " leave it out"
        )
    if len(fitting) < len(found):
        said = "%s: %d of %d matrices stay in %s: their inputs are no multiple of %d"
        _log.warning(said, where, len(found) - len(fitting), len(found), hf.dtype, _BLOCK)
    for layer, name, module in fitting:
        layer.set_submodule(name, _narrow(bnb, module, kind, hf.dtype).to(device))
    mark(hf)


def _narrow(bnb: Any, module: nn.Linear, kind: str, dtype: torch.dtype) -> nn.Module:
    """The same layer with weights that are quantized once it is moved to its device."""
    has_bias = module.bias is not None
    weight = module.weight.data
    made: Any
    if kind == "nf4":
        made = bnb.nn.Linear4bit(
            module.in_features, module.out_features, bias=has_bias, compute_dtype=dtype, quant_type="nf4", device="meta"
        )
        # Without a gradient it would pack the weights anew for a CPU, and backward could not read them then.
        made.support_avx512bf16_for_cpu = False
        made.weight = bnb.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", module=made)
    else:
        made = bnb.nn.Linear8bitLt(
            module.in_features, module.out_features, bias=has_bias, has_fp16_weights=False, device="meta"
        )
        made.weight = bnb.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    if has_bias:
        made.bias = nn.Parameter(module.bias.data, requires_grad=False)
    module.weight = None  # type: ignore[assignment]
    return made  # type: ignore[no-any-return]


def _library() -> Any:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError("model.quantize needs bitsandbytes, which is not installed; pip install 'assent[quantized]'")
    with quiet():
        import bitsandbytes
    return bitsandbytes
