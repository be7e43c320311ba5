"""What each of several processes wrote at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file


def read(folder: Path, rank: int) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, Any]]:
    """Tensors by case and name, and what was said beside them."""
    tensors: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in load_file(folder / f"{rank}.safetensors").items():
        case, _, key = name.partition("/")
        tensors.setdefault(case, {})[key] = tensor
    return tensors, json.loads((folder / f"{rank}.json").read_text(encoding="utf-8"))
