"""Processes that train one model together: who is first, what each of them has, what one finds out for all.

A process that has not joined others by `join` is alone, and everything here is then what it would be without. A
library may start `torch.distributed` for purposes of its own, as vLLM does: that makes nobody a peer. All processes
call the same functions in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")
_joined = False


def join(backend: str, meeting_point: str, *, rank: int, count: int) -> None:
    """Train together with `count - 1` other processes that meet at the same address, a URL of `torch.distributed`."""
    global _joined
    dist.init_process_group(backend, init_method=meeting_point, rank=rank, world_size=count)
    _joined = True


def leave() -> None:
    """Be alone again."""
    global _joined
    _joined = False
    dist.destroy_process_group()


def count() -> int:
    """How many processes train together; 1 where this one is alone."""
    return dist.get_world_size() if is_joined() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if is_joined() else 0


def is_joined() -> bool:
    """Whether this process has joined others, be it a group of one."""
    return _joined


def is_first() -> bool:
    """Whether this process is the one that writes and talks."""
    return rank() == 0


def gathered(value: T) -> list[T]:
    """What every process gave, by rank. Only processes of this very run talk here."""
    if not is_joined():
        return [value]
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


def from_first(find: Callable[[], T]) -> T:
    """What the first process finds; the others wait for it. What it raises is raised by all."""
    if not is_joined():
        return find()
    said: list[Any] = [None, None]
    if is_first():
        try:
            said[0] = find()
        except Exception as error:  # handed on to the others, and raised by all of them below
            said[1] = error
    dist.broadcast_object_list(said, src=0, device=torch.device("cpu"))
    if said[1] is not None:
        raise said[1]
    found: T = said[0]
    return found


def is_true_anywhere(mine: bool) -> bool:
    """Whether it is so on any process."""
    return bool(largest(int(mine)))


def largest(mine: int) -> int:
    """The largest of the numbers that the processes give."""
    if not is_joined():
        return mine
    number = torch.tensor([mine])
    dist.all_reduce(number, op=dist.ReduceOp.MAX)
    return int(number.item())
