"""Settings of the engine that samples with vLLM."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assent.core.config import Config


class VllmConfig(Config):
    """How vLLM is set up beside the models that are trained."""

    gpu_memory_utilization: float = Field(default=0.4, gt=0, le=1)
    """Share of a GPU's memory that vLLM takes for its weights, keys and values; the rest is for training."""
    cache_gib: float | None = Field(default=None, gt=0)
    """Memory for keys and values in GiB; null: on a GPU what `gpu_memory_utilization` leaves, on a CPU 1."""
    context: int | None = Field(default=None, ge=2)
    """Longest prompt with its answer, in tokens; null: as long as the policy's context window, which the memory for
    keys and values has to hold at least once."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """The type that vLLM computes in; auto: that of the policy's weights."""
    enforce_eager: bool | None = None
    """Compute without compiled graphs; null: so on a CPU, with graphs on a GPU."""
    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs over which one vLLM parts every layer (on a CPU: processes), for a policy that one GPU does not hold. It has
    to divide the policy's attention heads."""
    adapters: Literal["auto", "merged"] = "auto"
    """auto: under `model.lora` vLLM gets the base once and then adapters alone, where it can compute them. merged: it
    gets whole weights each time, with the adapter added to them."""
