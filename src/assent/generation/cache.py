"""Keys and values of the local engine, and the two attention plans over them: prompts first, then a token per row.

A prompt is computed once, whatever number of answers it gets; `KeyValueCache.fork` copies its keys and values to the
row of each answer. Live answers always fill rows 0 … B - 1, so one slice of each buffer is the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from assent.generation.live import BLOCK_ROWS
from assent.models.attention import AttentionCall
from assent.models.group_plan import GroupPlan

KeyValue = tuple[Float[Tensor, "Hkv T D"], Float[Tensor, "Hkv T D"]]


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


@dataclass(frozen=True)
class _Span:
    """Live rows `first` … `end` - 1, of which the longest sees `seen` positions."""

    first: int
    end: int
    seen: int


class KeyValueCache:
    """Preallocated keys and values of the live rows, and the attention of one new token per row over them.

    Buffers are [rows, Hkv, length, D] per layer, made when the first prompt arrives. Memory in numbers of the model's
    dtype: 2 · layers · rows · Hkv · length · D. Reading them is most of the cost of a step, so rows are attended in
    spans of like length, each read only as far as its longest row.
    """

    def __init__(self, rows: int, length: int) -> None:
        self._rows, self._length = rows, length
        self._used = np.zeros(rows, dtype=np.int64)  # positions written, by row
        self._buffers: dict[int, tuple[Tensor, Tensor]] = {}
        self._positions = torch.empty(0, dtype=torch.long)
        self._row_numbers = torch.empty(0, dtype=torch.long)
        self._spans: list[_Span] = []
        self._masks: dict[tuple[_Span, int | None, int, int, torch.dtype], Tensor] = {}

    def fork(self, prompt: dict[int, KeyValue], rows: slice) -> None:
        """Copy a prompt's keys and values to the beginning of `rows`."""
        for layer, (key, value) in prompt.items():
            if layer not in self._buffers:
                self._buffers[layer] = (self._buffer(key), self._buffer(value))
            keys, values = self._buffers[layer]
            keys[rows, :, : key.shape[1]] = key
            values[rows, :, : key.shape[1]] = value
            self._used[rows] = key.shape[1]

    def move(self, source: int, target: int) -> None:
        """Copy what row `source` holds over row `target`."""
        used = int(self._used[source])
        self._used[target] = used
        for keys, values in self._buffers.values():
            keys[target, :, :used] = keys[source, :, :used]
            values[target, :, :used] = values[source, :, :used]

    def at(self, positions: NDArray[np.int64], device: torch.device) -> KeyValueCache:
        """Set the position [B] of each live row's next token."""
        num_rows = len(positions)
        self._used[:num_rows] = positions + 1
        self._positions = torch.from_numpy(positions).to(device)
        if len(self._row_numbers) != num_rows:
            self._row_numbers = torch.arange(num_rows, device=device)
        self._spans = _spans(self._used[:num_rows])
        self._masks.clear()
        return self

    def attend(self, call: AttentionCall) -> Float[Tensor, "B H D"]:
        """Write each row's new key and value at its position, and let its query see its row up to there."""
        keys, values = self._buffers[call.layer]
        keys[self._row_numbers, :, self._positions] = call.key.transpose(0, 1)
        values[self._row_numbers, :, self._positions] = call.value.transpose(0, 1)
        queries = (call.query * call.scaling).transpose(0, 1)
        outputs = [
            self._attend_span(
                span,
                queries[span.first : span.end],
                keys[span.first : span.end, :, : span.seen],
                values[span.first : span.end, :, : span.seen],
                call,
            )
            for span in self._spans
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _attend_span(
        self,
        span: _Span,
        queries: Float[Tensor, "N H D"],
        keys: Float[Tensor, "N Hkv L D"],
        values: Float[Tensor, "N Hkv L D"],
        call: AttentionCall,
    ) -> Float[Tensor, "N H D"]:
        """One query per row: the heads that share a key-value head are stacked as its queries.

        So grouped-query attention copies no keys, and two batched matrix products do the work.
        """
        num_rows, num_heads, width = queries.shape
        num_kv_heads = keys.shape[1]
        shared = num_heads // num_kv_heads
        by_kv_head = queries.reshape(num_rows * num_kv_heads, shared, width)
        mask = self._mask(span, call.sliding_window, num_kv_heads, shared, queries.dtype)
        if call.softcap is None:
            scores = torch.baddbmm(mask, by_kv_head, keys.flatten(0, 1).transpose(1, 2))
        else:
            scores = torch.bmm(by_kv_head, keys.flatten(0, 1).transpose(1, 2))
            scores = scores.div_(call.softcap).tanh_().mul_(call.softcap) + mask
        shares = scores.softmax(-1, dtype=torch.float32).to(values.dtype)
        return torch.bmm(shares, values.flatten(0, 1)).view(num_rows, num_heads, -1)

    def _buffer(self, like: Float[Tensor, "Hkv T D"]) -> Float[Tensor, "rows Hkv length D"]:
        # Zeros, not empty: a masked position still enters the sum with weight 0, and 0 · NaN is NaN.
        return like.new_zeros(self._rows, like.shape[0], self._length, like.shape[2])

    def _mask(
        self, span: _Span, window: int | None, num_kv_heads: int, shared: int, dtype: torch.dtype
    ) -> Float[Tensor, "NHkv G L"]:
        """0 where a row may look, -inf elsewhere; made once per step for each kind of layer."""
        if window is not None and window >= span.seen:
            window = None
        kind = (span, window, num_kv_heads, shared, dtype)
        if kind not in self._masks:
            places = torch.arange(span.seen, device=self._positions.device)
            newest = self._positions[span.first : span.end, None]
            is_hidden = places > newest
            if window is not None:
                is_hidden |= places <= newest - window
            mask = torch.zeros(is_hidden.shape, dtype=dtype, device=places.device).masked_fill_(is_hidden, -torch.inf)
            self._masks[kind] = mask[:, None, None].expand(-1, num_kv_heads, shared, -1).reshape(-1, shared, span.seen)
        return self._masks[kind]


def _spans(used: NDArray[np.int64]) -> list[_Span]:
    """Cut rows, kept roughly longest first, where reading less is worth another call."""
    spans: list[_Span] = []
    for first in range(0, len(used), BLOCK_ROWS):
        end = min(first + BLOCK_ROWS, len(used))
        span = _Span(first, end, int(used[first:end].max()))
        if spans:
            last = spans[-1]
            joined = _Span(last.first, end, max(last.seen, span.seen))
            if (end - last.first) * joined.seen - _num_read(last) - _num_read(span) < _POSITIONS_PER_CALL:
                spans.pop()
                span = joined
        spans.append(span)
    return spans


def _num_read(span: _Span) -> int:
    return (span.end - span.first) * span.seen


_POSITIONS_PER_CALL = 400
"""Cached positions that are read in the time of one more call per layer (4 heads of width 32 on a CPU)."""
