"""Where models live: the device that the settings of a run choose."""

from __future__ import annotations

import torch

from assent.core.errors import ConfigError
from assent.pipeline.config import ComputeConfig


def device_of(compute: ComputeConfig) -> torch.device:
    """The device the models live on. Raises ConfigError where a GPU is asked for and there is none."""
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("compute.device is cuda, but torch sees no GPU; set it to auto or cpu")
    if compute.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(compute.device)
