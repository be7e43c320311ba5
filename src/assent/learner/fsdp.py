"""The learner of one process among several that part the weights of one model between them (FSDP2).

Every process runs the same trainer on the same data and draws the same numbers; micro-batches are shared out by tokens,
gradients are summed and lie where the weights do. What comes back is that of one `LocalLearner` up to rounding.
Processes must have joined a `torch.distributed` group before, and call the same methods in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from assent.algorithms.objective import Weighted, means, merge_metrics
from assent.core.errors import NonFiniteError
from assent.learner import agreement, peers
from assent.learner.config import OptimizerConfig
from assent.learner.learner import Objective, Output, Passed
from assent.learner.local import LocalLearner, detached
from assent.learner.room import Room
from assent.learner.sharding import Frozen, asked, begin_anew, is_sharded, shard, whole
from assent.models.groups import GroupBatch

T = TypeVar("T")


class ShardedLearner(LocalLearner[Output], Generic[Output]):
    """Trains the model `hf` through `outputs`, its weights, gradients and moments parted over all processes."""

    def __init__(
        self,
        hf: nn.Module,
        outputs: Callable[[GroupBatch], Output],
        config: OptimizerConfig,
        *,
        frozen: Frozen = "replicated",
        training: Callable[[int, int], AbstractContextManager[None]] = lambda step, part: nullcontext(),
    ) -> None:
        """Shard `hf`, if it is not yet; see `LocalLearner`, and `sharding.shard` for `frozen`."""
        shard(hf, frozen=frozen)
        self._hf = hf
        self._before = 0  # micro-batches of this step so far, of all processes
        super().__init__(dict(hf.named_parameters()), outputs, config, training=training)
        self.room = Room(config.most_tokens, is_shared=True)
        self._scorer = ShardedScorer[Output](hf, outputs)

    def forward_backward(
        self, batches: Sequence[GroupBatch], objective: Objective[Output], *, weight: float
    ) -> Passed[Output]:
        """Add this process's part of the gradient; see `Learner.forward_backward`.

        Raises NonFiniteError on every process where the loss is not finite on one.
        """
        parts = self.accumulate(batches, objective, weight=weight)
        outputs = [_moved(output, self._device) for _, output in parts]
        return Passed(means(merge_metrics(metrics for metrics, _ in parts)), outputs)

    def _accumulate(
        self, batches: Sequence[GroupBatch], *, objective: Objective[Output], weight: float
    ) -> list[tuple[Mapping[str, Weighted], Output]]:
        mine = shares(batches, peers.count())[peers.rank()]
        passes, spare = _passes(batches, mine)
        parts: dict[int, tuple[Mapping[str, Weighted], Output]] = {}
        for number in passes:
            batch = (batches[spare] if number is None else batches[number]).to(self._device)
            with self._training(self.num_steps, self._before + (number or 0) + 1):
                output = asked(self._hf, lambda batch=batch: self.outputs(batch))  # type: ignore[misc]
            total, metrics = _nothing(output), {}
            if number is not None:
                self._accumulated.append(batch)
                loss = objective(output, batch)
                total, metrics = loss.total, dict(loss.metrics)
                parts[number] = (metrics, detached(output))
            self._refuse_loss(total, batch)
            (total / weight).backward()
        self._before += len(batches)
        return _in_order(agreement.gathered(_moved(parts, "cpu")))

    def score(self, batches: Sequence[GroupBatch]) -> list[Output]:
        """Outputs without gradient, one per micro-batch, computed by all processes together."""
        return self._scorer.score(batches)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the trained weights, whole, on every process."""
        return dict(self.each_weight())

    def each_weight(self) -> Iterator[tuple[str, Tensor]]:
        """The same one at a time, for who cannot hold all; every process goes through all of them."""
        for name, parameter in self.parameters.items():
            yield name, whole(parameter)

    @torch.no_grad()
    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Set the trained weights; every process is given the same, whole."""
        for name, parameter in self.parameters.items():
            _put(parameter, tensors[name])

    def tensors(self) -> dict[str, Tensor]:
        """This process's shards of weights and moments under their parameter's name."""
        saved = super().tensors()
        # A file of shards has no place for a tensor without dimensions.
        return {name: one.reshape(1) if name.startswith("step/") else one for name, one in saved.items()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint: tensors are whole, or shards that lie as those of this learner."""
        self.num_steps = int(state["num_steps"])
        for name, parameter in self.parameters.items():
            _put(parameter, tensors[f"weight/{name}"])
            if f"exp_avg/{name}" not in tensors:
                continue
            moments = {"step": tensors[f"step/{name}"].reshape(()).clone()}
            for moment in ("exp_avg", "exp_avg_sq"):
                moments[moment] = torch.zeros_like(parameter)
                _put(moments[moment], tensors[f"{moment}/{name}"])
            self._optimizer.state[parameter] = moments

    def like(self, name: str) -> Tensor | None:
        """An empty tensor that lies as this learner would hold what a checkpoint calls `name`; None: whole."""
        kind, _, parameter = name.partition("/")
        known = self.parameters.get(parameter)
        return None if known is None or kind == "step" else torch.empty_like(known.detach())

    @property
    def _device(self) -> torch.device:
        return next(iter(self.parameters.values())).device

    def _refuse_loss(self, total: Tensor, batch: GroupBatch) -> None:
        """Raise on every process where the loss of this pass is not finite on one."""
        is_bad = not bool(torch.isfinite(total))
        if agreement.agree(agreement.NOT_FINITE if is_bad else agreement.FINE) == agreement.FINE:
            return
        error = self._loss_error(total, batch) if is_bad else None
        mine = None if error is None else (str(error), error.batch)
        said = [one for one in peers.gathered(mine) if one is not None]
        self._leave()
        raise NonFiniteError(said[0][0], batch=said[0][1])

    def _clear(self) -> None:
        super()._clear()
        self._before = 0

    def _leave(self) -> None:
        begin_anew(self._hf)
        self.drop_gradients()

    def _listed(self) -> list[dict[str, object]]:
        return [row for rows in peers.gathered(super()._listed()) for row in rows]

    def _clipped_norm(self) -> float:
        norm = nn.utils.clip_grad_norm_(list(self.parameters.values()), self.config.max_grad_norm)
        return float(norm.full_tensor().item() if isinstance(norm, DTensor) else norm.item())


class ShardedScorer(Generic[Output]):
    """A model of several processes that is only asked: each computes its share, and all have all answers.

    `hf` may be sharded, or lie whole on every process. `within` is as for `LocalScorer`.
    """

    def __init__(
        self,
        hf: nn.Module,
        outputs: Callable[[GroupBatch], Output],
        *,
        within: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._hf, self._outputs, self._within = hf, outputs, within

    @cached_property
    def _room(self) -> Room:
        return Room(is_shared=is_sharded(self._hf))  # at the first question: a learner may shard the model before

    @torch.no_grad()
    def score(self, batches: Sequence[GroupBatch]) -> list[Output]:
        """Outputs without gradient, one per micro-batch, on the device of the model."""
        if not batches:
            return []
        with self._within():
            if is_sharded(self._hf):
                found = self._room.answers(batches, self._together, forget=lambda: begin_anew(self._hf))
            else:
                mine = shares(batches, peers.count())[peers.rank()]
                own = self._room.scores([batches[number] for number in mine], self._outputs)
                found = _in_order(peers.gathered(_moved(dict(zip(mine, own, strict=True)), "cpu")))
        device = next(iter(self._hf.parameters())).device
        return [_moved(one, device) for one in found]

    def _together(self, batches: Sequence[GroupBatch]) -> list[tuple[Mapping[str, Weighted], Output]]:
        passes, spare = _passes(batches, shares(batches, peers.count())[peers.rank()])
        found: dict[int, Output] = {}
        for number in passes:
            batch = batches[spare if number is None else number]
            output = asked(self._hf, lambda batch=batch: self._outputs(batch))  # type: ignore[misc]
            if number is not None:
                found[number] = output
        return [({}, output) for output in _in_order(agreement.gathered(_moved(found, "cpu")))]


def _in_order(parts: Sequence[Mapping[int, T]]) -> list[T]:
    """What all processes found, by number from 0 on."""
    known = {number: one for own in parts for number, one in own.items()}
    return [known[number] for number in range(len(known))]


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


def _passes(batches: Sequence[GroupBatch], mine: Sequence[int]) -> tuple[list[int | None], int]:
    """The passes of this process: numbers of its micro-batches, None for one that only keeps step; and what that reads.

    Layers are made whole by all processes at once, so all make the same number of passes.
    """
    most = max(len(one) for one in shares(batches, peers.count()))
    spare = min(range(len(batches)), key=lambda i: (batches[i].num_tokens, i)) if batches else 0
    return [*mine, *([None] * (most - len(mine)))], spare


def _nothing(output: Any) -> Tensor:
    """Zero, which hangs on everything that a model said, so that its gradient is zero and not none."""
    if isinstance(output, Tensor):
        return output.float().sum() * 0.0
    parts = [_nothing(one) for one in output if one is not None]
    return torch.stack(parts).sum()


def _moved(value: Any, device: torch.device | str) -> Any:
    """Tensors in tuples and dictionaries, on another device."""
    match value:
        case Tensor():
            return value.to(device)
        case dict():
            return {name: _moved(one, device) for name, one in value.items()}
        case tuple():
            parts = [_moved(one, device) for one in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        case _:
            return value


def _put(own: Tensor, given: Tensor) -> None:
    """Write a tensor, whole or sharded in the same way, into one that is sharded."""
    if isinstance(own, DTensor) and not isinstance(given, DTensor):
        given = _own_part(own, given)
        own.to_local().copy_(given)
    elif isinstance(own, DTensor) and isinstance(given, DTensor):
        own.to_local().copy_(given.to_local())
    else:
        own.copy_(given)


def _own_part(own: DTensor, given: Tensor) -> Tensor:
    """What of a whole tensor lies on this process: some rows, as FSDP2 parts the first dimension."""
    rows = given.chunk(own.device_mesh.size(), dim=0)
    at = own.device_mesh.get_local_rank()
    return rows[at] if at < len(rows) else given[:0]
