"""Decode steps that a GPU repeats by itself: recorded once for each shape as a CUDA graph, then begun with one call.

A decode step of a small model is hundreds of short operations, and a GPU is done with each before Python has asked for
the next. A graph has them all. What it reads and writes never moves: the numbers that say where rows stand lie at one
place (`generation.numbers.FixedNumbers`), counts are rounded up so that few shapes occur, and where a buffer of keys
grew, its steps are recorded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from assent.core.group import TokenIds
from assent.generation.flat import FlatRows, Forward
from assent.generation.numbers import FixedNumbers, filled

CAPTURED_PADDING = 32_768
"""Steps are captured where all prompts lie together, which may cost up to so many tokens of padding in their keys."""

Step = Callable[[], Tensor]
Recorder = Callable[[Step], Step]
"""Records what a step does to the device's memory, and gives back what does it again and returns the same tensor."""


def cuda_graphs() -> Recorder:
    """Records CUDA graphs that share their memory, since no two are ever under way."""
    pool = torch.cuda.graph_pool_handle()

    def record(step: Step) -> Step:
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on with the device meanwhile: a web page, a checkpoint.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            said = step()

        def again() -> Tensor:
            graph.replay()
            return said

        return again

    return record


def recorder_for(device: torch.device) -> Recorder | None:
    """What records steps on this device; None where nothing can, or need not."""
    return cuda_graphs() if device.type == "cuda" else None


class CapturedRows(FlatRows):
    """Flat rows whose decode steps are recorded when a shape comes the second time, and repeated from then on.

    Prompts of all lengths lie on one shelf. A row of nobody, which fills up a shape, costs what a live one costs.
    """

    def __init__(
        self,
        forward: Forward,
        prompts: Sequence[TokenIds],
        order: Sequence[int],
        *,
        capacity: int,
        record: Recorder,
    ) -> None:
        super().__init__(forward, prompts, order, capacity=capacity, edges=())
        self._record = record
        # Per row: token, position, number, place, nth, lengths, twice its own length, where; then who shares a prompt.
        self._numbers = FixedNumbers(forward.device, 9 * capacity + capacity * capacity)
        self._met: set[tuple[int, ...]] = set()
        self._recorded: dict[tuple[int, ...], Step] = {}

    def step(self, tokens: NDArray[np.int64], positions: NDArray[np.int64]) -> Float[Tensor, "B V"]:
        """Feed each row its newest token, at its position; returns the logits of the tokens after."""
        numbers = self._numbers
        plan = self._cache.at(positions, self._forward.device, numbers)
        shapes = plan.shapes
        rows = shapes[1]
        given, places = (numbers.put(filled(one, rows)) for one in (tokens, positions))
        numbers.lay()
        self.positions += rows
        if shapes not in self._met:
            self._forget_what_moved(shapes[0])
            self._met.add(shapes)
            # The first time as always: libraries set themselves up, which cannot be recorded.
            return self._forward(given, places, plan, last=None)[: len(tokens)]
        if shapes not in self._recorded:
            self._recorded[shapes] = self._record(lambda: self._forward(given, places, plan, last=None))
        return self._recorded[shapes]()[: len(tokens)]

    def _forget_what_moved(self, moves: int) -> None:
        """Steps that were recorded before buffers moved read memory that is not theirs any more."""
        self._met = {shapes for shapes in self._met if shapes[0] == moves}
        self._recorded = {shapes: step for shapes, step in self._recorded.items() if shapes[0] == moves}
