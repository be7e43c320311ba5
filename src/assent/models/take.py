"""Taking rows of a tensor with a backward pass that gives the same bits every time, on every device.

Torch's own backward of indexing adds with atomics on CUDA and, for `index_put_`, on several CPU threads; sums of floats
then depend on timing. Here the places that read a row are sorted once into rounds in which no row appears twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[np.int64]


class RowGather:
    """Takes rows `index` of a tensor of `num_rows` rows, any row any number of times.

    Places where `is_padding` is True read some row but send no gradient back to it.
    """

    def __init__(self, index: Integers, num_rows: int, *, is_padding: NDArray[np.bool_] | None = None) -> None:
        self.num_rows = num_rows
        self._is_identity = len(index) == num_rows and bool((index == np.arange(num_rows)).all())
        self._index = torch.from_numpy(np.ascontiguousarray(index))
        places = np.arange(len(index)) if is_padding is None else np.flatnonzero(~is_padding)
        rounds = _rounds(index[places], places)
        self._rounds = [(torch.from_numpy(rows), torch.from_numpy(at)) for rows, at in rounds]
        self._covers_all = bool(rounds) and len(rounds[0][0]) == num_rows

    def __call__(self, rows: Shaped[Tensor, "N ..."]) -> Shaped[Tensor, "M ..."]:
        """Return `rows[index]`."""
        return rows if self._is_identity else _Take.apply(rows, self)

    def to(self, device: torch.device | str) -> RowGather:
        """The same on another device."""
        moved = object.__new__(RowGather)
        moved.num_rows, moved._is_identity, moved._covers_all = self.num_rows, self._is_identity, self._covers_all
        moved._index = self._index.to(device)
        moved._rounds = [(rows.to(device), places.to(device)) for rows, places in self._rounds]
        return moved

    def take(self, rows: Tensor) -> Tensor:
        """Forward, outside autograd."""
        return rows.index_select(0, self._index)

    def give_back(self, gradient: Tensor) -> Tensor:
        """Backward: every row's gradient is the sum over the places that took it, always in the same order."""
        if not self._rounds:
            return gradient.new_zeros(self.num_rows, *gradient.shape[1:])
        (rows, places), *more = self._rounds
        total = gradient.index_select(0, places)
        if not self._covers_all:
            total = gradient.new_zeros(self.num_rows, *gradient.shape[1:]).index_copy_(0, rows, total)
        for rows, places in more:
            total.index_add_(0, rows, gradient.index_select(0, places))
        return total


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, gather: RowGather) -> Tensor:
        ctx.gather = gather
        return gather.take(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return ctx.gather.give_back(gradient), None


def _rounds(rows: Integers, places: Integers) -> list[tuple[Integers, Integers]]:
    """Split (row, place) pairs so that no row appears twice in a round; the first round is sorted by row."""
    order = np.argsort(rows, kind="stable")
    rows, places = rows[order], places[order]
    _, first, counts = np.unique(rows, return_index=True, return_counts=True)
    occurrence = np.arange(len(rows)) - np.repeat(first, counts)
    return [
        (np.ascontiguousarray(rows[occurrence == n]), np.ascontiguousarray(places[occurrence == n]))
        for n in range(int(counts.max(initial=0)))
    ]
