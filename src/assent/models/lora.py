"""Low-rank adapters: attach, merge, and tell an adapter folder from a model folder."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peft
import torch
from transformers import PreTrainedModel
from transformers.utils import find_adapter_config_file

from assent.core import seeds
from assent.core.errors import ModelError
from assent.models.config import LoraConfig
from assent.models.quiet import quiet


def adapter_base(path: str | Path, *, revision: str | None = None) -> str | None:
    """The base model that an adapter folder belongs to; None where the folder holds a whole model."""
    try:
        found = find_adapter_config_file(str(path), revision=revision)
    except OSError:
        return None  # neither a folder nor on the hub: opening the model says so
    if found is None:
        return None
    base = peft.PeftConfig.from_pretrained(str(path), revision=revision).base_model_name_or_path
    if not base:
        raise ModelError(
            f"{path}: the adapter does not name its base model; set base_model_name_or_path in adapter_config.json"
        )
    return str(base)


def merge_adapter(hf: PreTrainedModel, adapter: str | Path, *, revision: str | None = None) -> PreTrainedModel:
    """Load an adapter onto its base and add it to the weights."""
    try:
        with quiet():
            return peft.PeftModel.from_pretrained(hf, str(adapter), revision=revision).merge_and_unload()
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{adapter}: the adapter does not fit its base model: {error}") from error


def attach(
    hf: PreTrainedModel, config: LoraConfig, *, whole_modules: Sequence[str] = (), task: str, seed: int = 0
) -> peft.PeftModel:
    """Wrap a model with fresh float32 adapters, whose product is zero.

    `whole_modules` (a reward head) are trained in full.
    """
    target: Any = config.target if isinstance(config.target, str) else list(config.target)
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=0.0,
        target_modules=target,
        modules_to_save=list(whole_modules) or None,
        task_type=task,
    )
    # peft draws the first factor from torch's global generator; the fork keeps that inside and from a named seed.
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(seed, "lora"))
        try:
            return peft.get_peft_model(hf, settings)
        except ValueError as error:
            raise ModelError(f"LoRA fits no module named {config.target!r}: {error}") from error


def merged_copy(hf: peft.PeftModel) -> PreTrainedModel:
    """A plain model with the adapter added to its weights; `hf` itself stays as it is, to the bit."""
    # Merging in place and unmerging would leave rounding errors in the weights that go on being trained.
    return copy.deepcopy(hf).merge_and_unload()


def name_base(hf: peft.PeftModel, base: str) -> None:
    """Write into the adapter where its base lies; a folder is named by its full path."""
    hf.peft_config["default"].base_model_name_or_path = str(Path(base).resolve()) if Path(base).exists() else base
