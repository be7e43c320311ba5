"""The type that the weights of a model have of themselves, before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from transformers import PretrainedConfig

from assent.models import gguf
from assent.models.cast import ON_DISK
from assent.models.config import ModelConfig
from assent.models.lora import file_of


def own_type_of(path: str | Path, settings: PretrainedConfig, config: ModelConfig, revision: str | None = None) -> str:
    """The type that a model's weights have of themselves; quantized ones have none, and are what they are loaded as."""
    file = gguf.GGUF.at(path)
    return type_on_disk(path, settings, revision) if file is None else file.own_type or config.dtype


def type_on_disk(path: str | Path, settings: PretrainedConfig, revision: str | None = None) -> str:
    """What the config says of the type of the weights; where it says nothing, the type of the first of them."""
    stated = settings.dtype or settings.get_text_config().dtype
    if stated is not None:
        return str(stated).removeprefix("torch.")
    names = [file.name for file in sorted(Path(path).glob("*.safetensors"))] or ["model.safetensors"]
    file = file_of(path, names[0], revision=revision)
    if file is None:
        return "float32"
    with safe_open(str(file), framework="pt") as tensors:
        types = (tensors.get_slice(name).get_dtype() for name in tensors.keys())  # noqa: SIM118
        return next((ON_DISK[one] for one in types if one in ON_DISK), "float32")
