"""The seam between algorithms and machines: `Learner` (forward_backward, step, score, weights, state) and `Scorer`.

An algorithm never sees devices, shards or processes. `learner.local` is the one-process version and the reference that
every other must agree with; `learner.fsdp` is the second, over several processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from torch import Tensor

from assent.algorithms.objective import Loss
from assent.models.groups import GroupBatch

Output = TypeVar("Output")
OutputCo = TypeVar("OutputCo", covariant=True)
Objective = Callable[[Output, GroupBatch], Loss]
"""From what the model says of a micro-batch to its summed loss. It has no side effects: a learner may recompute it."""


class Passed(NamedTuple, Generic[Output]):
    """What a pass over an optimizer batch gives back beside the gradient."""

    metrics: dict[str, float]
    """The objective's metrics, averaged by their weights over the whole batch."""
    outputs: list[Output]
    """What the model said of each micro-batch, without gradient, in the order of the batches."""


class StepReport(NamedTuple):
    """What an optimizer step did."""

    grad_norm: float
    """Global norm before clipping."""
    learning_rate: float


@runtime_checkable
class Scorer(Protocol[OutputCo]):
    """One model that only scores: a reference, a reward model, a policy under evaluation."""

    def score(self, batches: Sequence[GroupBatch]) -> Sequence[OutputCo]:
        """The model's outputs without gradient, one per micro-batch."""
        ...


@runtime_checkable
class Learner(Protocol[Output]):
    """One model and its optimizer. A learner is a `Scorer` of its model as it is now."""

    @property
    def num_steps(self) -> int:
        """Optimizer steps taken so far."""
        ...

    def forward_backward(
        self, batches: Sequence[GroupBatch], objective: Objective[Output], *, weight: float
    ) -> Passed[Output]:
        """Add the gradient of (sum of losses / weight); several calls before a step add up.

        `weight` is that of the whole optimizer step, so any split into micro-batches or over processes gives the same
        gradient. Raises NonFiniteError before anything was stepped; the gradients of this step are dropped.
        """
        ...

    def step(self, *, learning_rate: float) -> StepReport:
        """Clip, move the weights, forget the gradient. Raises NonFiniteError if a gradient is not finite."""
        ...

    def score(self, batches: Sequence[GroupBatch]) -> list[Output]:
        """The model's outputs without gradient, one per micro-batch."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """A copy of the trained weights, whole, by name: for an engine, a moving average, the best epoch."""
        ...

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Set the trained weights and leave the optimizer as it is."""
        ...

    def tensors(self) -> Mapping[str, Tensor]:
        """What this process must keep to go on with the same bits: its weights and optimizer moments.

        A learner that shards its model gives its own shards, and each process keeps its own checkpoint.
        """
        ...

    def state(self) -> Mapping[str, Any]:
        """The JSON part of the same."""
        ...

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        ...
