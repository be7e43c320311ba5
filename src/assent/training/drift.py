"""Drift within training: whether rollouts become alike, longer, shorter or too sure beside the first steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from assent.training.alarms import Alarm

FIRST = 5
"""Steps whose mean is what later ones are held against, and steps of which the newest mean is made."""
FALLS = {"ead": 0.25, "opener_entropy": 0.35, "entropy": 0.8}
"""A mean below the first by more than this share of it is alarming."""
RISES = {"top_opener": 0.2, "empty_rate": 0.05}
"""The same of a rise, in the number's own unit."""
LENGTHS = (0.67, 1.5)
"""Tokens per answer beside those of the first steps: outside of this they have drifted."""
GAP = 0.05
"""Nats per token between sampler and learner, on average, beyond which something is wrong with one of them."""
WATCHED = (*FALLS, *RISES, "length")
FIXES = {
    "entropy": "lower the learning rate or raise optimize.kl.coefficient: who is sure of all explores nothing",
    "length": "look at whether longer (or shorter) answers are better or only paid for: reward debias: [length]",
    "empty_rate": "silence is paid for: stop earlier, give it a cost (optimize.rewards), or reward debias: [length]",
    "gap": "look at precision and temperature: the policy learns from answers that are not its own",
}
"""What to do of alarms that are not about answers becoming alike."""
ALIKE = "raise optimize.kl.coefficient, or take fewer steps"


class Drift:
    """What was logged of the first steps and of the newest; a part that checkpoints carry. Each alarm is told once."""

    def __init__(self) -> None:
        self._first: dict[str, list[float]] = {}
        self._newest: dict[str, list[float]] = {}
        self._alarms: list[Alarm] = []

    @property
    def alarms(self) -> list[Alarm]:
        """All so far."""
        return list(self._alarms)

    def observe(self, step: int, facts: Mapping[str, float]) -> list[Alarm]:
        """Take a step's numbers, and say what has become alarming."""
        told = {alarm.name for alarm in self._alarms}
        new = [Alarm(name, step, said, FIXES.get(name, ALIKE)) for name, said in self._found(facts) if name not in told]
        self._alarms += new
        return new

    def _found(self, facts: Mapping[str, float]) -> Iterator[tuple[str, str]]:
        for name in WATCHED:
            if name not in facts:
                continue
            first = self._first.setdefault(name, [])
            if len(first) < FIRST:
                first.append(facts[name])
                continue
            self._newest[name] = [*self._newest.get(name, []), facts[name]][-FIRST:]
            if len(self._newest[name]) == FIRST:
                said = _drifted(name, sum(first) / FIRST, sum(self._newest[name]) / FIRST)
                if said is not None:
                    yield name, said
        gap = facts.get("sampler_gap_mean", 0.0)
        if gap > GAP:
            yield "gap", f"sampler and learner differ by {gap:.3f} nats per token"

    def tensors(self) -> Mapping[str, Tensor]:
        """None."""
        return {}

    def state(self) -> Mapping[str, Any]:
        """Everything."""
        return {"first": self._first, "newest": self._newest, "alarms": [list(alarm) for alarm in self._alarms]}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take the numbers of a checkpoint."""
        self._first, self._newest = dict(state["first"]), dict(state["newest"])
        self._alarms = [Alarm(*row) for row in state["alarms"]]


def _drifted(name: str, before: float, now: float) -> str | None:
    """What to say of a number that was `before` in the first steps; None where it has not moved too far."""
    change = f"{before:.3f} at first, {now:.3f} now"
    if name == "length":
        is_far = before > 0 and not LENGTHS[0] <= now / before <= LENGTHS[1]
        return f"answers are {now / before:.2f} times as long as at first: {change}" if is_far else None
    if name in FALLS and now < before * (1 - FALLS[name]):
        words = name.replace("_", " ").replace("ead", "EAD")
        if name == "entropy":
            return f"the policy has become sure of every token: {words} {change}"
        return f"answers become alike: {words} {change}"
    if name == "empty_rate" and now > before + RISES[name]:
        return f"answers say nothing: share of empty ones {change}"
    if name in RISES and now > before + RISES[name]:
        return f"answers become alike: {name.replace('_', ' ')} {change}"
    return None
