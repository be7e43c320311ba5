"""Rewriting the weights of a model folder in another type, and what the rounding did to them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from assent.core import files
from assent.core.errors import ModelError

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ON_DISK = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
"""How safetensors writes the types."""
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Cast:
    """What became of the weights."""

    before: str
    """Their type, or types."""
    after: str
    num_bytes: int
    """Size of the weights on disk, afterwards."""
    largest: float
    """The largest change of a weight by rounding, as a share of the weight."""
    rounded: float
    """Root mean square of the changes by rounding."""
    trained: float | None
    """Root mean square of what training had changed; None where the start is not known."""

    @property
    def is_exact(self) -> bool:
        """Whether no weight was changed."""
        return self.rounded == 0.0

    @property
    def drowns_training(self) -> bool:
        """Whether rounding moved the weights further than training had."""
        return self.trained is not None and not self.is_exact and self.rounded >= self.trained > 0


def cast_weights(folder: Path, to: str, *, start: Path | None = None) -> Cast:
    """Write the weights in `folder` in another type, a file at a time; `start` is the model that training began from.

    Raises ModelError where a weight is too large for the type.
    """
    before: dict[str, None] = {}
    found = _Sums()
    begun = {} if start is None else _places(start)
    for file in sorted(folder.glob("*.safetensors")):
        changed: dict[str, Tensor] = {}
        with safe_open(str(file), framework="pt") as tensors:
            kinds = {tensors.get_slice(name).get_dtype() for name in tensors.keys()} & set(ON_DISK)  # noqa: SIM118
            if {ON_DISK[kind] for kind in kinds} <= {to}:
                before |= dict.fromkeys(ON_DISK[kind] for kind in kinds)
                continue
            metadata = tensors.metadata()
            for name in tensors.keys():  # noqa: SIM118
                weight = tensors.get_tensor(name)
                changed[name] = weight.to(TYPES[to]) if weight.is_floating_point() else weight
                if weight.is_floating_point():
                    before[str(weight.dtype).removeprefix("torch.")] = None
                    found.add(weight, changed[name], _start_of(name, begun), where=f"{folder.name}: {name}", to=to)
        save_file(changed, str(file), metadata=metadata)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    _say_type(folder, to)
    files.readable(folder)
    return Cast(" and ".join(before), to, size, found.largest, found.rounded(), found.trained())


@torch.no_grad()
def narrow(hf: nn.Module, to: str, *, added: int | None = None) -> None:
    """Give each weight of a float32 model the type that it had on disk, where that holds its values exactly.

    `added` is the number of a token whose row was added at the end of the embeddings, as the mean of the others: it
    counts for nothing, and is rounded.
    """
    if to not in TYPES:
        return
    for parameter in hf.parameters():
        small = parameter.data.to(TYPES[to])
        rows = slice(0, added) if added is not None and added == len(parameter) - 1 else slice(None)
        if torch.equal(small[rows].to(parameter.dtype), parameter.data[rows]):
            parameter.data = small


class _Sums:
    """Sums over all weights, in float64."""

    def __init__(self) -> None:
        self.largest = 0.0
        self._rounded = self._trained = 0.0
        self._count = self._compared = 0

    def add(self, weight: Tensor, changed: Tensor, start: Tensor | None, *, where: str, to: str) -> None:
        if not torch.isfinite(changed).all() and torch.isfinite(weight).all():
            most = f"{weight.abs().max():.3g}"
            raise ModelError(f"{where} holds {most}, which is too large for {to}; take bfloat16 or float32")
        off = (changed.to(weight.dtype) - weight).double()
        self._rounded += float(off.square().sum())
        self._count += weight.numel()
        relative = off.abs() / weight.double().abs().clamp_min(torch.finfo(TYPES[to]).tiny)
        self.largest = max(self.largest, float(relative.max()) if weight.numel() else 0.0)
        if start is not None and start.shape == weight.shape:
            self._trained += float((weight.double() - start.double()).square().sum())
            self._compared += weight.numel()

    def rounded(self) -> float:
        return math.sqrt(self._rounded / max(self._count, 1))

    def trained(self) -> float | None:
        return math.sqrt(self._trained / self._compared) if self._compared else None


def _places(folder: Path) -> dict[str, Path]:
    return {name: file for file in sorted(folder.glob("*.safetensors")) for name in _names(file)}


def _names(file: Path) -> Iterator[str]:
    with safe_open(str(file), framework="pt") as tensors:
        yield from tensors.keys()


def _start_of(name: str, begun: dict[str, Path]) -> Tensor | None:
    if name not in begun:
        return None
    with safe_open(str(begun[name]), framework="pt") as tensors:
        found: Tensor = tensors.get_tensor(name)
        return found


def _say_type(folder: Path, to: str) -> None:
    """Write the type into config.json, and the new size into the index of a model in several files."""
    config = folder / "config.json"
    if config.is_file():
        values = json.loads(config.read_text(encoding="utf-8"))
        for part in (values, *(one for one in values.values() if isinstance(one, dict))):
            for key in ("dtype", "torch_dtype"):
                if key in part:
                    part[key] = to
        values.setdefault("dtype", to)
        files.write_json(config, values)
    index = folder / _INDEX
    if index.is_file():
        values = json.loads(index.read_text(encoding="utf-8"))
        files_there = {folder / name for name in values["weight_map"].values()}
        values.setdefault("metadata", {})["total_size"] = sum(_payload(file) for file in files_there)
        files.write_json(index, values)


def _payload(file: Path) -> int:
    with file.open("rb") as stream:
        return file.stat().st_size - 8 - int.from_bytes(stream.read(8), "little")
