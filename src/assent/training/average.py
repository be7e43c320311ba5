"""A moving average of the weights, which InstructGPT shipped instead of the last ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from assent.learner.learner import Learner


class MovingAverage:
    """Exponential average over PPO batches with `decay` (0.992 in Ouyang et al. 2022); does nothing if None."""

    def __init__(self, learner: Learner[Any], decay: float | None) -> None:
        self._learner, self._decay = learner, decay
        self._weights: dict[str, Tensor] = learner.weights() if decay is not None else {}

    @torch.no_grad()
    def observe(self) -> None:
        """Move the average toward the present weights."""
        if self._decay is not None:
            for name, now in self._learner.weights().items():
                self._weights[name].lerp_(now, 1 - self._decay)

    def take(self) -> None:
        """Put the average into the model."""
        if self._decay is not None:
            self._learner.load_weights(self._weights)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the averaged weights; empty where there is no average."""
        return {name: one.clone() for name, one in self._weights.items()}

    def tensors(self) -> Mapping[str, Tensor]:
        """The averaged weights."""
        return self._weights

    def state(self) -> Mapping[str, Any]:
        """Nothing besides the tensors."""
        return {}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        self._weights = {name: t.clone() for name, t in tensors.items()}
