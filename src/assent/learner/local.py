"""The learner of one process: AdamW on the parameters of one model, fp32 master weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Generic

import torch
from torch import Tensor, nn

from assent.algorithms.objective import Weighted, means, merge_metrics
from assent.core.errors import NonFiniteError, RunError
from assent.learner.config import OptimizerConfig
from assent.learner.learner import Objective, Output, Passed, StepReport
from assent.learner.room import Room
from assent.models.groups import GroupBatch


class LocalLearner(Generic[Output]):
    """Trains `parameters` (name -> tensor) through `outputs`: from a micro-batch to what the objective reads.

    Two learners may share a process (policy and value model), and weights that neither of them trains.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        outputs: Callable[[GroupBatch], Output],
        config: OptimizerConfig,
        *,
        training: Callable[[int, int], AbstractContextManager[None]] = lambda step, part: nullcontext(),
    ) -> None:
        """`training(step, part)` is what the model computes within for a gradient: with dropout, where it has some."""
        self._training = training
        self.parameters = {name: p for name, p in parameters.items() if p.requires_grad}
        if not self.parameters:
            raise RunError("nothing to train: every parameter of the model is frozen")
        self.outputs = outputs
        self.config = config
        self.num_steps = 0
        self._accumulated: list[GroupBatch] = []
        self.room = Room(config.most_tokens)
        matrices = [p for p in self.parameters.values() if p.ndim >= 2]
        vectors = [p for p in self.parameters.values() if p.ndim < 2]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": config.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            fused=True,
        )

    def forward_backward(
        self, batches: Sequence[GroupBatch], objective: Objective[Output], *, weight: float
    ) -> Passed[Output]:
        """Accumulate the gradient of (sum of losses / `weight`); see `Learner.forward_backward`."""
        parts = self.accumulate(batches, objective, weight=weight)
        return Passed(means(merge_metrics(metrics for metrics, _ in parts)), [output for _, output in parts])

    def accumulate(
        self, batches: Sequence[GroupBatch], objective: Objective[Output], *, weight: float
    ) -> list[tuple[Mapping[str, Weighted], Output]]:
        """The same with the sums behind the metrics, one per micro-batch: for learners that add up over processes."""
        compute = partial(self._accumulate, objective=objective, weight=weight)
        return self.room.passes(batches, compute, forget=self._leave)

    def _accumulate(
        self, batches: Sequence[GroupBatch], *, objective: Objective[Output], weight: float
    ) -> list[tuple[Mapping[str, Weighted], Output]]:
        parts: list[tuple[Mapping[str, Weighted], Output]] = []
        device = next(iter(self.parameters.values())).device
        for batch in (one.to(device) for one in batches):  # objectives lay their targets beside the batch
            self._accumulated.append(batch)
            with self._training(self.num_steps, len(self._accumulated)):
                output = self.outputs(batch)
            loss = objective(output, batch)
            if not torch.isfinite(loss.total):
                self.drop_gradients()
                raise self._loss_error(loss.total, batch)
            (loss.total / weight).backward()
            parts.append((loss.metrics, detached(output)))
        return parts

    def step(self, *, learning_rate: float) -> StepReport:
        """One AdamW update. Raises NonFiniteError if a gradient is not finite."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        norm = self._clipped_norm()
        if norm != norm or norm == float("inf"):
            batch = self._listed()
            self.drop_gradients()
            raise NonFiniteError(
                f"the gradient norm is {norm} at optimizer step {self.num_steps}; nothing was stepped:"
                f" lower the learning rate ({self.config.learning_rate:g})",
                batch=batch,
            )
        self._optimizer.step()
        self._clear()
        self.num_steps += 1
        return StepReport(norm, learning_rate)

    @torch.no_grad()
    def score(self, batches: Sequence[GroupBatch]) -> list[Output]:
        """Outputs of the model as it is now, without gradient."""
        return self.room.scores(batches, self.outputs)

    def tensors(self) -> dict[str, Tensor]:
        """Weights and both Adam moments under their parameter's name."""
        saved: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            saved[f"weight/{name}"] = parameter.detach()
            moments = self._optimizer.state.get(parameter, {})
            for moment in ("exp_avg", "exp_avg_sq", "step"):
                if moment in moments:
                    saved[f"{moment}/{name}"] = moments[moment]
        return saved

    def state(self) -> dict[str, Any]:
        """How many steps were taken."""
        return {"num_steps": self.num_steps}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take weights, moments and the step count from a checkpoint."""
        self.num_steps = int(state["num_steps"])
        for name, parameter in self.parameters.items():
            parameter.copy_(tensors[f"weight/{name}"])
            moments = {
                m: tensors[f"{m}/{name}"].clone() for m in ("exp_avg", "exp_avg_sq", "step") if f"{m}/{name}" in tensors
            }
            if moments:
                self._optimizer.state[parameter] = moments

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Set the weights (best epoch, moving average) and leave the optimizer as it is."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[name])

    def weights(self) -> dict[str, Tensor]:
        """A copy of the trained weights, by name."""
        return {name: p.detach().clone() for name, p in self.parameters.items()}

    def drop_gradients(self) -> None:
        """Forget what was accumulated since the last step."""
        self._clear()

    def _clear(self) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        self._accumulated.clear()
        self.room.clear()

    def _leave(self) -> None:
        """Drop the gradient of a pass that ended half way."""
        self.drop_gradients()

    def _clipped_norm(self) -> float:
        """Scale the gradients down to the largest norm that is allowed; their norm before."""
        return nn.utils.clip_grad_norm_(list(self.parameters.values()), self.config.max_grad_norm).item()

    def _listed(self) -> list[dict[str, object]]:
        """The rows that were learned from since the last step, as plain JSON."""
        return [row for part in self._accumulated for row in part.listed()]

    def _loss_error(self, total: Tensor, batch: GroupBatch) -> NonFiniteError:
        """What is said of a micro-batch whose loss is not finite."""
        return NonFiniteError(
            f"the loss is {total.item()} at optimizer step {self.num_steps} in a micro-batch of"
            f" {batch.num_rows} rows and {batch.num_tokens} tokens; nothing was stepped:"
            f" lower the learning rate ({self.config.learning_rate:g}) or look at the data of this step",
            batch=batch.listed(),
        )


def detached(output: Any) -> Any:
    """What a model said, without gradient: a tensor, or tuples of tensors and None."""
    match output:
        case Tensor():
            return output.detach()
        case tuple():
            parts = [detached(part) for part in output]
            return type(output)(*parts) if hasattr(output, "_fields") else tuple(parts)
        case None:
            return None
        case _:
            raise TypeError(f"a model's output is a tensor or a tuple of tensors, got {type(output).__name__}")
