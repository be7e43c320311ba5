"""Looks on the way: every few steps what is held out is measured, and the best weights are kept where that is asked.

    looks = Looks(learner, Schedule.of(config, looked_at=100, learned=32), measure, loop)
    for step in loop.steps(total, {"policy": learner, "looks": looks}, description=…, looks=looks):
        ...
    looks.take()

A look draws nothing from the streams that training draws from and leaves weights and optimizer as they are, so that
with it and without it a training ends with the same bits, but where the best weights are the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from assent.core.runlog import Answered
from assent.learner.learner import Learner
from assent.training.evaluation_config import BestConfig, Evaluated, cadence
from assent.training.loop import Loop

Measures = Callable[[int], Mapping[str, float]]
"""After so many steps: what is measured on what is held out, by name."""
Answers = Callable[[int], Sequence[Answered]]
"""After so many steps: what the policy answers to a few held-out prompts."""
Weights = Callable[[], Mapping[str, Tensor]]


class Schedule(NamedTuple):
    """When there is a look, beside those before the first step and after the last."""

    every: int | None
    best: BestConfig | None = None

    @classmethod
    def of(cls, config: Evaluated, *, looked_at: int, learned: int) -> Schedule:
        """As the settings say, of a look at so many rows and steps that learn from so many."""
        return cls(cadence(config.evaluate_every, looked_at=looked_at, learned=learned), config.best)

    @property
    def is_empty(self) -> bool:
        """Whether there is never a look."""
        return not self.every and self.best is None

    def is_due(self, taken: int, total: int) -> bool:
        """Whether there is a look after so many steps."""
        return taken == total or _falls(taken, self.every) or self.is_candidate(taken, total)

    def is_candidate(self, taken: int, total: int) -> bool:
        """Whether the weights after so many steps may become the best."""
        return self.best is not None and (taken == total or _falls(taken, self.best.every))


@dataclass
class Best:
    """The best look so far and its weights."""

    value: float | None = None
    step: int | None = None
    """Steps that were taken before it."""
    looks: int = 0
    """How many it was chosen from."""
    since: int = 0
    """Looks since then."""

    def see(self, value: float, taken: int, *, is_low: bool) -> bool:
        """Note a look; whether it is the best so far."""
        self.looks += 1
        is_better = not math.isnan(value) and (
            self.value is None or (value < self.value if is_low else value > self.value)
        )
        if is_better:
            self.value, self.step, self.since = value, taken, 0
        else:
            self.since += 1
        return is_better


class Looks:
    """The looks of one training; a part that checkpoints carry."""

    def __init__(
        self,
        learner: Learner[Any],
        schedule: Schedule,
        measure: Measures | None,
        loop: Loop,
        answers: Answers | None = None,
    ) -> None:
        self._learner, self._schedule, self._measure, self._loop = learner, schedule, measure, loop
        self._answers = loop.answers if answers is None else answers
        self.result: Weights = learner.weights
        """The weights that training would end with."""
        self.first: dict[str, float] = {}
        """What was measured before the first step."""
        self.best = Best()
        self._weights: dict[str, Tensor] = {}
        self._is_on = measure is not None and not schedule.is_empty

    @property
    def is_exhausted(self) -> bool:
        """True when the last `patience` looks brought no improvement."""
        best = self._schedule.best
        return best is not None and best.patience is not None and self.best.since >= best.patience

    def begin(self) -> None:
        """Look before the first step, once; a training that was resumed later on cannot any more."""
        if self._is_on and not self.first and self._loop.done == 0:
            self.first = self._look(0)

    def after(self, taken: int, total: int) -> None:
        """Look after so many steps, where it is time."""
        if not self._is_on or not self._schedule.is_due(taken, total):
            return
        found, best = self._look(taken), self._schedule.best
        if best is None or not self._schedule.is_candidate(taken, total):
            return
        name = best.measure.removeprefix("heldout_")
        if self.best.see(found.get(name, math.nan), taken, is_low=name == "loss"):
            self._weights = dict(self.result())
        if self.is_exhausted and taken < total:
            self._loop.end(f"{best.patience} evaluations brought no better {best.measure} than step {self.best.step}")
            self._loop.log.say(f"stopped: {self._loop.ended}")

    def take(self) -> None:
        """Put the best weights into the model where they are asked for, and say which they are."""
        best = self._schedule.best
        if best is None or not self._weights:
            return
        self._learner.load_weights(self._weights)
        facts = {"measure": best.measure, "step": self.best.step, "value": self.best.value, "looks": self.best.looks}
        self._loop.facts["best"] = facts
        looks = self.best.looks
        among = "the only evaluation there was"
        if looks > 1:
            among = f"the best of {looks} evaluations (chosen from so many, the figure is an optimistic one)"
        found = f"{best.measure} {self.best.value:.4g}, {among}"
        self._loop.log.say(f"best: the weights after step {self.best.step} are the result, {found}")

    def _look(self, taken: int) -> dict[str, float]:
        assert self._measure is not None
        found = dict(self._measure(taken))
        row = max(taken - 1, 0)
        self._loop.log.record(row, {"after": float(taken), **found}, kind="eval")
        if self._answers is not None:
            self._loop.log.show(row, taken, self._answers(taken))
        return found

    def tensors(self) -> Mapping[str, Tensor]:
        """The best weights."""
        return self._weights

    def state(self) -> Mapping[str, Any]:
        """What the best look was, and the first."""
        return {"best": vars(self.best), "first": {n: None if math.isnan(v) else v for n, v in self.first.items()}}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        self._weights, self.best = tensors, Best(**state["best"])
        self.first = {name: math.nan if value is None else value for name, value in state["first"].items()}


def _falls(taken: int, every: int | None) -> bool:
    return bool(every) and taken % (every or 1) == 0
