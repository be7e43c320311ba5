"""Constraints while a policy moves: costs measured, priced and carried in checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from assent.algorithms.lagrange import PIDMultiplier, priced
from assent.core.types import Prompt
from assent.training.constraint_config import ConstraintConfig
from assent.training.rewards import Term


class Constraints:
    """Costs that are kept below limits: what each answer's reward is after them. A part that checkpoints carry."""

    def __init__(self, costs: Sequence[Term], settings: Sequence[ConstraintConfig]) -> None:
        self.costs = tuple(costs)
        self._controllers = [
            PIDMultiplier(
                one.limit, one.proportional, one.integral, one.derivative, one.most, sum=one.start_sum, value=one.start
            )
            for one in settings
        ]

    @property
    def multipliers(self) -> list[float]:
        """Price of a unit of each cost."""
        return [one.value for one in self._controllers]

    def price(
        self, rewards: Tensor, prompts: Sequence[Prompt], completions: Sequence[str]
    ) -> tuple[Tensor, dict[str, float]]:
        """Rewards [B] less the prices of a step's answers, and what is logged; the prices first follow their costs.

        To be called once a step. Raises FunctionError naming the cost and the answer of a NaN or infinite score.
        """
        costs: list[list[float]] = []
        facts: dict[str, float] = {}
        for number, cost in enumerate(self.costs):
            scores, seen = cost.measure(prompts, completions)
            own = [cost.weight * score for score in scores]
            mean = math.fsum(own) / len(own)
            self._controllers[number] = self._controllers[number].update(mean)
            costs.append(own)
            facts |= {name: value for name, value in seen.items() if not name.startswith("reward/")}
            facts |= {
                f"cost/{cost.name}": mean,
                f"limit/{cost.name}": self._controllers[number].limit,
                f"multiplier/{cost.name}": self._controllers[number].value,
            }
        return priced(rewards, torch.tensor(costs, dtype=rewards.dtype), self.multipliers), facts

    def tensors(self) -> Mapping[str, Tensor]:
        """None."""
        return {}

    def state(self) -> Mapping[str, Any]:
        """What the controllers remember."""
        return {"controllers": [[one.sum, one.before, one.value] for one in self._controllers]}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take the prices of a checkpoint."""
        self._controllers = [
            replace(one, sum=total, before=before, value=value)
            for one, (total, before, value) in zip(self._controllers, state["controllers"], strict=True)
        ]
