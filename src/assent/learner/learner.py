"""The seam between algorithms and machines: forward_backward, step, score, state.

An algorithm never sees devices, shards or micro-batch sizes. `learner.local` is the one-process version and the
reference that every other must agree with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from torch import Tensor

from assent.algorithms.objective import Loss
from assent.models.groups import GroupBatch

Output = TypeVar("Output")
Objective = Callable[[Output, GroupBatch], Loss]


class StepReport(NamedTuple):
    """What an optimizer step did."""

    grad_norm: float
    """Global norm before clipping."""
    learning_rate: float


class Learner(Protocol, Generic[Output]):
    """One model and its optimizer."""

    def forward_backward(
        self, batches: Sequence[GroupBatch], objective: Objective[Output], *, weight: float
    ) -> dict[str, float]:
        """Add the gradient of (sum of losses / weight); returns the objective's metrics, averaged by their weights."""
        ...

    def step(self) -> StepReport:
        """Clip, move the weights, forget the gradient."""
        ...

    def score(self, batches: Sequence[GroupBatch]) -> list[Output]:
        """The model's outputs without gradient, one per micro-batch."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Everything a checkpoint needs to go on with the same bits: weights and optimizer moments."""
        ...

    def state(self) -> dict[str, Any]:
        """The JSON part of the same."""
        ...

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        ...
