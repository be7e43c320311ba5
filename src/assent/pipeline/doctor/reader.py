"""What `assent doctor` knows of a base once it was looked at."""

from __future__ import annotations

from dataclasses import dataclass

from assent.core.findings import Finding
from assent.data.render import Renderer


@dataclass(frozen=True)
class Reader:
    """What decides how long texts are, and how large the model is."""

    renderer: Renderer
    context: int
    parameters: int
    """0 where the model is on the hub and was not loaded."""
    num_bytes: int = 0
    """What its weights take on disk, in the type that they have there."""
    adapters: int | None = None
    """Parameters of an adapter on it; None where all weights are trained."""


@dataclass
class OpenedBase:
    """A base model as far as it could be opened."""

    reader: Reader | None
    findings: list[Finding]


def millions(count: int) -> str:
    """A number of parameters."""
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count / 1e3:.0f} k"
