"""Which items an optimizer step sees: a fresh permutation per epoch, computed from the step number alone."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from assent.core import seeds


@dataclass(frozen=True)
class EpochBatches:
    """`epochs` passes over `num_items`, `batch_size` at a time; the last batch of an epoch may be smaller."""

    num_items: int
    batch_size: int
    epochs: float
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass."""
        return math.ceil(self.num_items / self.batch_size)

    @property
    def total_steps(self) -> int:
        """Optimizer steps in all passes."""
        return max(1, round(self.epochs * self.steps_per_epoch))

    def items(self, step: int) -> list[int]:
        """Item numbers of a step, 0 ≤ step < total_steps."""
        epoch, within = divmod(step, self.steps_per_epoch)
        order = _order(self.num_items, self.seed, "epoch", epoch)
        return [int(i) for i in order[within * self.batch_size : (within + 1) * self.batch_size]]


def endless(num_items: int, *, count: int, step: int, seed: int, name: str) -> list[int]:
    """`count` item numbers for a step of a run without epochs: consecutive slices of endless permutations."""
    first = step * count
    chosen: list[int] = []
    while len(chosen) < count:
        epoch, within = divmod(first + len(chosen), num_items)
        order = _order(num_items, seed, name, epoch)
        chosen.extend(int(i) for i in order[within : within + count - len(chosen)])
    return chosen


@functools.lru_cache(maxsize=8)
def _order(num_items: int, seed: int, name: str, epoch: int) -> np.ndarray:
    """The permutation of an epoch; drawn once, so that a step does not cost more the more data there is."""
    order = seeds.stream(seed, name, epoch).permutation(num_items)
    order.flags.writeable = False
    return order
