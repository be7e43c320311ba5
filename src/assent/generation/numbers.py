"""How the numbers that tell a decode step where its rows stand come to the device: anew each time, or to one place.

What a GPU repeats by itself reads and writes the same memory in the same shapes each time. So these numbers are laid
over the former ones, and counts are rounded up: few shapes are ever met, and what is too much stands for nothing.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

_LENGTHS = 64  # tokens of prompts and answers are rounded up to a multiple of this


class StepNumbers(Protocol):
    """Brings the whole numbers of one decode step to the device."""

    def put(self, numbers: NDArray[np.int64]) -> Int[Tensor, ...]:
        """These numbers on the device."""
        ...

    def count(self, needed: int, most: int) -> int:
        """How many rows, or prompts, a step computes that needs so many; at most `most`."""
        ...

    def length(self, needed: int, most: int) -> int:
        """How many tokens of prompts, or of answers, a step reads that needs so many; at most `most`."""
        ...


class FreshNumbers:
    """Numbers of their own for each step, and just as many as are needed."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def put(self, numbers: NDArray[np.int64]) -> Int[Tensor, ...]:
        """These numbers on the device."""
        return torch.from_numpy(numbers).to(self._device)

    def count(self, needed: int, most: int) -> int:
        """As many as are needed."""
        return needed

    def length(self, needed: int, most: int) -> int:
        """As many as are needed."""
        return needed


class FixedNumbers:
    """Numbers that lie where those of the step before lay, if their shapes are the same, and counts rounded up.

    They are all copied at once, by `lay`: until then `put` only says where they will be.
    """

    def __init__(self, device: torch.device, capacity: int) -> None:
        """`capacity` is the number of numbers that there is room for."""
        self._there = torch.zeros(capacity, dtype=torch.int64, device=device)
        self._waiting: list[NDArray[np.int64]] = []
        self._end = 0

    def put(self, numbers: NDArray[np.int64]) -> Int[Tensor, ...]:
        """Where these numbers will be once they are laid."""
        start, self._end = self._end, self._end + numbers.size
        self._waiting.append(numbers.ravel())
        return self._there[start : self._end].view(numbers.shape)

    def lay(self) -> None:
        """Copy what was put since the last call to the device; the next numbers begin at the front again."""
        self._there[: self._end].copy_(torch.from_numpy(np.concatenate(self._waiting)))
        self._waiting, self._end = [], 0

    def count(self, needed: int, most: int) -> int:
        """The next power of two."""
        return min(1 << max(needed - 1, 0).bit_length(), most)

    def length(self, needed: int, most: int) -> int:
        """The next multiple of 64."""
        return min(-(-needed // _LENGTHS) * _LENGTHS, most)


def filled(numbers: NDArray[np.int64], count: int, value: int = 0) -> NDArray[np.int64]:
    """Numbers [n] with `value` after them, [count]; as they are where there are as many already."""
    missing = count - len(numbers)
    return np.append(numbers, np.full(missing, value)) if missing else numbers
