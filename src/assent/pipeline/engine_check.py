"""Whether the engine of a run can do what every stage asks of it, said before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from assent.generation.config import Sampling
from assent.generation.vllm_honours import refusals


def refuse_samplings(config: BaseModel) -> None:
    """Raise ValueError where settings draw answers in a way that vLLM cannot; it names the key."""
    for key, sampling in _samplings(config, ""):
        for name, why in refusals(sampling):
            raise ValueError(f"{key}.{name} {why}")


def _samplings(value: Any, key: str) -> Iterator[tuple[str, Sampling]]:
    """Every way to draw answers in the settings, with its key."""
    if isinstance(value, Sampling):
        yield key, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _samplings(getattr(value, name), f"{key}.{name}" if key else name)
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from _samplings(one, f"{key}[{number}]")
