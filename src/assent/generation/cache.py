"""Keys and values of the local engine, and the two attention plans over them: prompts first, then a token per row.

A prompt is computed once and kept once, whatever number of answers it gets: its keys are read once a step for all of
them together, and each answer reads its own tokens besides. What a step reads is then nearly the sum of lengths.
Live answers always fill rows 0 … B - 1, and their prompts places 0 … P - 1, without holes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from assent.generation.numbers import FreshNumbers, StepNumbers, filled
from assent.generation.shelves import KeyValue, Part, Shelf, grown, nothing_like
from assent.models.attention import AttentionCall
from assent.models.group_plan import GroupPlan


class PromptPlan:
    """Attention over several prompts laid end to end in one flat row; remembers their keys and values by layer."""

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        ends = np.cumsum(lengths)
        starts = ends - lengths
        nothing = np.zeros_like(ends)
        self.positions = np.concatenate([np.arange(length) for length in lengths])
        segments = np.stack([starts, ends, nothing, nothing], axis=1)
        self._spans = [slice(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        self._plan = GroupPlan(segments, self.positions).to(device)
        self._layers: dict[int, KeyValue] = {}

    def attend(self, call: AttentionCall) -> Float[Tensor, "T H D"]:
        """Let each token see its own prompt up to itself."""
        self._layers[call.layer] = (call.key, call.value)
        return self._plan.attend(call)

    def keys_values(self, number: int) -> dict[int, KeyValue]:
        """Keys and values of one prompt, by layer; views that keep those of all prompts alive."""
        span = self._spans[number]
        return {layer: (key[:, span], value[:, span]) for layer, (key, value) in self._layers.items()}


class KeyValueCache:
    """Keys and values of live prompts and of the answers to them, and the attention of one new token per row.

    Buffers are made and grown as they are needed, by layer: [prompts, Hkv, longest prompt, D] for prompts of like
    length and [rows, Hkv, longest answer, D] for what was written. A prompt leaves with the last of its rows.
    """

    def __init__(self, rows: int, edges: Sequence[int] = ()) -> None:
        """`edges` are the lengths up to which prompts lie together, see `shelves.edges_of`; without any, all do."""
        self._rows = rows
        self._edges = np.array(edges, dtype=np.int64)
        self._shelves = [Shelf() for _ in range(max(len(edges), 1))]
        self._own: dict[int, KeyValue] = {}
        self._moves = 0  # how often they were grown
        self._shelf = np.zeros(0, dtype=np.int64)  # of each live row's prompt
        self._place = np.zeros(0, dtype=np.int64)  # of that prompt on its shelf
        self._used = np.zeros(rows, dtype=np.int64)  # tokens written, by row
        self._step: _Step | None = None

    def expect(self, lengths: Sequence[int]) -> None:
        """Say how long the prompts are that come next, so that there is room for just as many."""
        for number, shelf in enumerate(self._shelves):
            shelf.expected = len(shelf.lengths) + sum(self._number(length) == number for length in lengths)

    def fork(self, prompt: dict[int, KeyValue], count: int) -> None:
        """Add a prompt with this number of rows that have nothing of their own yet."""
        length = next(iter(prompt.values()))[0].shape[1]
        number = self._number(length)
        place = self._shelves[number].lay(prompt, length)
        for layer, pair in prompt.items():
            if layer not in self._own:
                self._own[layer] = grown(nothing_like(pair), self._rows, 1)
        first = len(self._place)
        self._shelf = np.append(self._shelf, np.full(count, number))
        self._place = np.append(self._place, np.full(count, place))
        self._used[first : first + count] = 0

    def keep(self, former: NDArray[np.int64]) -> None:
        """Renumber rows: row n is what row `former[n]` ≥ n was; rows not named are gone, and so are their prompts."""
        for target in np.flatnonzero(former != np.arange(len(former))).tolist():
            source = int(former[target])
            used = int(self._used[source])
            self._used[target] = used
            for buffer in (buffer for pair in self._own.values() for buffer in pair):
                buffer[target, :, :used] = buffer[source, :, :used]
        self._shelf, self._place = self._shelf[former], self._place[former]
        for number, shelf in enumerate(self._shelves):
            is_here = self._shelf == number
            for place in range(len(shelf.lengths) - 1, -1, -1):
                if not (is_here & (self._place == place)).any():
                    last = shelf.remove(place)
                    self._place[is_here & (self._place == last)] = place

    def at(
        self, positions: NDArray[np.int64], device: torch.device, numbers: StepNumbers | None = None
    ) -> KeyValueCache:
        """Set the position [B] of each live row's next token; `numbers` is how that comes to the device."""
        numbers = FreshNumbers(device) if numbers is None else numbers
        lengths = np.array(
            [self._shelves[s].lengths[p] for s, p in zip(self._shelf.tolist(), self._place.tolist(), strict=True)]
        )
        own = positions - lengths
        self._used[: len(own)] = own + 1
        self._step = _Step.of(self._shelves, self._shelf, self._place, own, self._rows, numbers)
        for layer, former in self._own.items():
            self._own[layer] = grown(former, self._rows, self._step.longest)
            self._moves += self._own[layer] is not former
        return self

    @property
    def shapes(self) -> tuple[int, ...]:
        """Equal for two steps that read and write the same memory in the same shapes."""
        step = self._step
        if step is None:
            raise RuntimeError("shapes was asked before at")
        parts = [(*part.members.shape, len(part.where), part.prompt_length) for part in step.parts]
        moves = self._moves + sum(shelf.moves for shelf in self._shelves)
        return (moves, len(step.rows), step.longest, *(size for part in parts for size in part))

    def attend(self, call: AttentionCall) -> Float[Tensor, "B H D"]:
        """Write each row's new key and value, and let its query see its prompt and its own tokens up to there.

        One query per row: heads that share a key-value head are stacked as its queries, and so are the rows of one
        prompt, so neither copies a key. On a CPU batched products are faster than the fused kernel.
        """
        step = self._step
        if step is None:
            raise RuntimeError("attend was called before at")
        num_heads, num_rows, width = call.query.shape
        num_kv_heads = call.key.shape[0]
        keys, values = self._own[call.layer]
        keys[step.rows, :, step.own] = call.key.transpose(0, 1)
        values[step.rows, :, step.own] = call.value.transpose(0, 1)
        keys, values = (x[:num_rows, :, : step.longest].flatten(0, 1) for x in (keys, values))
        queries = (call.query * call.scaling).transpose(0, 1).reshape(num_rows, num_kv_heads, -1, width)
        own = torch.bmm(queries.flatten(0, 1), keys.transpose(1, 2)).view(*queries.shape[:3], -1)
        if len(step.parts) == 1:
            found, shares = step.parts[0].look(call, queries, own)
        else:
            found, shares = torch.empty_like(queries), torch.empty_like(own)
            for part in step.parts:
                found[part.where], shares[part.where] = part.look(call, queries[part.where], own[part.where])
        found = torch.baddbmm(found.flatten(0, 1), shares.flatten(0, 1), values)
        return found.view(num_rows, num_heads, width)

    def _number(self, length: int) -> int:
        """Of the shelf on which a prompt of this length lies."""
        return min(int(np.searchsorted(self._edges, length)), len(self._shelves) - 1)


@dataclass(eq=False)
class _Step:
    """Where the rows of one decode step stand."""

    rows: Int[Tensor, " B"]
    own: Int[Tensor, " B"]
    """Place of the new token among those of its answer."""
    longest: int
    """The longest answer, new tokens counted, or more."""
    parts: list[Part]

    @classmethod
    def of(
        cls,
        shelves: Sequence[Shelf],
        shelf: NDArray[np.int64],
        place: NDArray[np.int64],
        own: NDArray[np.int64],
        most: int,
        numbers: StepNumbers,
    ) -> _Step:
        """Live rows stand in these places of these shelves, with new tokens at `own`; there may be `most` rows."""
        rows, longest = numbers.count(len(own), most), numbers.length(int(own.max()) + 1, sys.maxsize)
        parts = []
        for number in np.unique(shelf).tolist():
            where = np.flatnonzero(shelf == number)
            count = rows if len(where) == len(own) else len(where)
            part = Part.of(
                shelves[number], where, place[where], own[where], rows=count, longest=longest, numbers=numbers
            )
            parts.append(part)
        return cls(numbers.put(np.arange(rows)), numbers.put(filled(own, rows)), longest, parts)
