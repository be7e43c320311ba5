"""What a CUDA graph does, on a CPU: records the operations of a step, and does them again in the very same memory.

As there, nothing of Python runs when they are done again, whatever was made keeps its address, and a step that asks the
device for a number cannot be recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape(TorchDispatchMode):
    """Records every operation, and what came of it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        kwargs = kwargs or {}
        said = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, said))
        return said

    def again(self) -> None:
        """Do all operations again, each result where the first one is."""
        for func, args, kwargs, former in self.calls:
            said = func(*args, **kwargs)
            for old, new in zip(tree_leaves(former), tree_leaves(said), strict=True):
                if isinstance(old, Tensor) and not shares(old, new):
                    old.copy_(new)


def shares(one: Tensor, other: Tensor) -> bool:
    """Whether both are the same memory: an operation in place, or a view."""
    if one.layout != torch.strided or other.layout != torch.strided:
        return one is other
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


class Recorded:
    """A recorder of steps that counts them, and how often they were done again."""

    def __init__(self) -> None:
        self.recorded = 0
        self.again = 0

    def __call__(self, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        tape = Tape()
        with tape:
            said = step()
        self.recorded += 1

        def again() -> Tensor:
            self.again += 1
            said.fill_(torch.nan)  # what is not written anew shows
            tape.again()
            return said

        return again
