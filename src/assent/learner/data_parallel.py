"""Data parallelism over groups: several processes train one model, each computing its share of every optimizer batch.

Every process holds the whole model, runs the same trainer on the same data and draws the same numbers; only the
micro-batches are shared out. What comes back, weights and metrics and outputs, is that of one `LocalLearner` up to the
order of sums. It is the second implementation of `Learner`, made to keep the protocol honest and to be what sharded
learners are tested against; it makes no use of overlap or buckets, and speed is not its point.

Processes must have joined a `torch.distributed` group before, and call the same methods in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic

import torch
import torch.distributed as dist
from torch import Tensor

from assent.algorithms.objective import means, merge_metrics
from assent.core.errors import NonFiniteError
from assent.learner.learner import Objective, Output, Passed, StepReport
from assent.learner.local import LocalLearner
from assent.models.groups import GroupBatch


class DataParallelLearner(Generic[Output]):
    """The learner of one process among several; `own` holds its copy of the model. All start from process 0's."""

    def __init__(self, own: LocalLearner[Output]) -> None:
        self._own = own
        for parameter in own.parameters.values():
            dist.broadcast(parameter.detach(), src=0)

    @property
    def num_steps(self) -> int:
        """Optimizer steps taken so far."""
        return self._own.num_steps

    def forward_backward(
        self, batches: Sequence[GroupBatch], objective: Objective[Output], *, weight: float
    ) -> Passed[Output]:
        """Add this process's part of the gradient; see `Learner.forward_backward`.

        Raises NonFiniteError on every process where the loss is not finite on one.
        """
        mine = shares(batches, dist.get_world_size())[dist.get_rank()]
        parts, problem = [], None
        try:
            parts = self._own.accumulate([batches[i] for i in mine], objective, weight=weight)
        except NonFiniteError as error:
            problem = (str(error), error.batch)
        everyone = _gathered((dict(zip(mine, parts, strict=True)) if problem is None else {}, problem))
        for _, found in everyone:
            if found is not None:
                self._own.drop_gradients()
                raise NonFiniteError(found[0], batch=found[1])
        known = {i: part for parts, _ in everyone for i, part in parts.items()}
        ordered = [known[i] for i in range(len(batches))]
        return Passed(means(merge_metrics(metrics for metrics, _ in ordered)), [output for _, output in ordered])

    def step(self, *, learning_rate: float) -> StepReport:
        """Add up the gradients of all processes, then step as one; see `Learner.step`."""
        parameters = list(self._own.parameters.values())
        has = torch.tensor([float(p.grad is not None) for p in parameters])
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([has.to(grads[0]), *(g.flatten() for g in grads)])
        dist.all_reduce(flat)
        count = len(parameters)
        summed = flat[count:].split([p.numel() for p in parameters])
        for parameter, is_there, grad in zip(parameters, flat[:count].tolist(), summed, strict=True):
            # What nobody has a gradient for stays without: a gradient of zero would still decay its weights.
            parameter.grad = grad.view_as(parameter) if is_there else None
        return self._own.step(learning_rate=learning_rate)

    def score(self, batches: Sequence[GroupBatch]) -> list[Output]:
        """Outputs without gradient, one per micro-batch, computed by all processes together."""
        mine = shares(batches, dist.get_world_size())[dist.get_rank()]
        own = self._own.score([batches[i] for i in mine])
        known = {i: output for part in _gathered(dict(zip(mine, own, strict=True))) for i, output in part.items()}
        return [known[i] for i in range(len(batches))]

    def weights(self) -> dict[str, Tensor]:
        """A copy of the trained weights; the same on every process."""
        return self._own.weights()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Set the trained weights of this process; every process must be given the same."""
        self._own.load_weights(weights)

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimizer moments; the same on every process, each of which keeps its own checkpoint."""
        return self._own.tensors()

    def state(self) -> dict[str, Any]:
        """The JSON part of the same."""
        return self._own.state()

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint, on every process."""
        self._own.restore(tensors, state)


def shares(batches: Sequence[GroupBatch], processes: int) -> list[list[int]]:
    """Which micro-batches each process computes: the largest first, each to whoever has the fewest tokens so far.

    The same for all processes. Where there are fewer micro-batches than processes, some have none.
    """
    chosen: list[list[int]] = [[] for _ in range(processes)]
    loads = [0] * processes
    for i in sorted(range(len(batches)), key=lambda i: (-batches[i].num_tokens, i)):
        least = loads.index(min(loads))
        chosen[least].append(i)
        loads[least] += batches[i].num_tokens
    return [sorted(numbers) for numbers in chosen]


def _gathered(value: Any) -> list[Any]:
    """What every process gave, by rank. Only processes of this very run talk here."""
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found
