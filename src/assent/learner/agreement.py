"""Before several processes do something together they agree that each of them still can: then none waits for ever.

Memory ends on one process and not on the others, somewhere within a pass over a sharded model, and the others are
already on their way to the next layer, which they can only make whole together with it. So every collective within a
pass begins with one number from each process (`agree`, an all-reduce on the CPU, by gloo). Who has failed takes part
in exactly one of these, whichever the others come to next, and all of them leave the pass there: no collective is
begun that not all take part in. On a GPU the processor runs ahead of the device; there is nothing to undo, since what
was issued before was issued by all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from assent.learner import peers

T = TypeVar("T")
# Their names from torch 2.13 on, and before.
_all_gather: Any = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter: Any = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
FINE, NOT_FINITE, NO_MEMORY = 0, 1, 2
"""What a process says of itself: all is well, its loss is not finite, its memory ended."""


class EndedElsewhere(Exception):
    """Another process has no memory left for what all are doing together."""


def agree(mine: int = FINE) -> int:
    """The worst that any process says of itself. Raises EndedElsewhere where memory ended on another."""
    worst = peers.largest(mine)
    if worst == NO_MEMORY and mine != NO_MEMORY:
        raise EndedElsewhere
    return worst


def gathered(value: T) -> list[T]:
    """What every process gave, by rank, where none has failed. Raises EndedElsewhere where one has."""
    agree()
    return peers.gathered(value)


def guard(module: Any) -> None:
    """Let the processes agree before each all-gather and each reduce-scatter of a module under FSDP2."""
    module.set_custom_all_gather(_AllGather())
    module.set_custom_reduce_scatter(_ReduceScatter())


# What a collective needs of memory is allocated by `allocate`, before it is called: that a process has none for it is
# known when the processes agree.
class _Allocating:
    def allocate(self, size: Sequence[Any], *, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.empty(*size, dtype=dtype, device=device)


class _AllGather(_Allocating):
    def __call__(self, output_tensor: Tensor, input_tensor: Tensor, group: Any, async_op: bool = False) -> Any:
        agree()
        return _all_gather(output_tensor, input_tensor, group=group, async_op=async_op)


class _ReduceScatter(_Allocating):
    def __call__(self, output_tensor: Tensor, input_tensor: Tensor, group: Any, op: Any, async_op: bool = False) -> Any:
        agree()
        return _reduce_scatter(output_tensor, input_tensor, op=op, group=group, async_op=async_op)
