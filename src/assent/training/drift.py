"""Drift within training: whether rollouts become alike, beside those of the first steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

FIRST = 5
"""Steps whose mean is what later ones are held against, and steps of which the newest mean is made."""
FALLS = {"ead": 0.25, "opener_entropy": 0.35}
"""A mean below the first by more than this share of it is alarming."""
RISES = {"top_opener": 0.2}
"""The same of a rise, in the number's own unit."""
GAP = 0.05
"""Nats per token between sampler and learner, on average, beyond which something is wrong with one of them."""


class Drift:
    """What was logged of the first steps and of the newest; a part that checkpoints carry. Each alarm is told once."""

    def __init__(self) -> None:
        self._first: dict[str, list[float]] = {}
        self._newest: dict[str, list[float]] = {}
        self._told: list[str] = []

    def observe(self, facts: Mapping[str, float]) -> list[str]:
        """Take a step's numbers, and say what has become alarming."""
        said = []
        for name in (*FALLS, *RISES):
            if name not in facts:
                continue
            first = self._first.setdefault(name, [])
            if len(first) < FIRST:
                first.append(facts[name])
                continue
            self._newest[name] = [*self._newest.get(name, []), facts[name]][-FIRST:]
            if len(self._newest[name]) == FIRST and name not in self._told:
                before, now = sum(first) / FIRST, sum(self._newest[name]) / FIRST
                fell = name in FALLS and now < before * (1 - FALLS[name])
                if fell or (name in RISES and now > before + RISES[name]):
                    self._told.append(name)
                    words = name.replace("_", " ").replace("ead", "EAD")
                    said.append(f"answers become alike: {words} {before:.3f} at first, {now:.3f} now")
        gap = facts.get("sampler_gap_mean", 0.0)
        if gap > GAP and "gap" not in self._told:
            self._told.append("gap")
            said.append(f"sampler and learner differ by {gap:.3f} nats per token")
        return said

    def tensors(self) -> Mapping[str, Tensor]:
        """None."""
        return {}

    def state(self) -> Mapping[str, Any]:
        """Everything."""
        return {"first": self._first, "newest": self._newest, "told": self._told}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take the numbers of a checkpoint."""
        self._first, self._newest, self._told = dict(state["first"]), dict(state["newest"]), list(state["told"])
