"""Keys and values of the local engine, and the two attention plans over them: prompts first, then a token per row.

A prompt is computed once, whatever number of answers it gets; `KeyValueCache.fork` copies its keys and values to the
row of each answer. Live answers always fill rows 0 … B - 1, so one slice of each buffer is the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

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


class KeyValueCache:
    """Preallocated keys and values of the live rows, and the attention of one new token per row over them.

    Buffers are [rows, Hkv, length, D] per layer, made when the first prompt arrives. Memory in numbers of the model's
    dtype: 2 · layers · rows · Hkv · length · D.
    """

    def __init__(self, rows: int, length: int) -> None:
        self._rows, self._length = rows, length
        self._used = np.zeros(rows, dtype=np.int64)  # positions written, by row
        self._seen = 0  # the largest of them among live rows
        self._buffers: dict[int, tuple[Tensor, Tensor]] = {}
        self._positions = torch.empty(0, dtype=torch.long)
        self._row_numbers = torch.empty(0, dtype=torch.long)
        self._masks: dict[tuple[int | None, int, int, torch.dtype], Tensor] = {}

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
        self._seen = int(positions.max()) + 1
        self._positions = torch.from_numpy(positions).to(device)
        if len(self._row_numbers) != num_rows:
            self._row_numbers = torch.arange(num_rows, device=device)
        self._masks.clear()
        return self

    def attend(self, call: AttentionCall) -> Float[Tensor, "B H D"]:
        """Write each row's new key and value at its position, and let its query see its row up to there.

        One query per row: the heads that share a key-value head are stacked as its queries, so grouped-query attention
        copies no keys, and two batched matrix products do the work (on a CPU they are faster than the fused kernel).
        """
        keys, values = self._buffers[call.layer]
        num_heads, num_rows, width = call.query.shape
        num_kv_heads = call.key.shape[0]
        shared = num_heads // num_kv_heads
        keys[self._row_numbers, :, self._positions] = call.key.transpose(0, 1)
        values[self._row_numbers, :, self._positions] = call.value.transpose(0, 1)
        seen_keys = keys[:num_rows].flatten(0, 1)[:, : self._seen]
        seen_values = values[:num_rows].flatten(0, 1)[:, : self._seen]
        queries = (call.query * call.scaling).transpose(0, 1).reshape(num_rows * num_kv_heads, shared, width)
        mask = self._mask(call.sliding_window, num_kv_heads, shared, queries.dtype)
        if call.softcap is None:
            scores = torch.baddbmm(mask, queries, seen_keys.transpose(1, 2))
        else:
            scores = torch.bmm(queries, seen_keys.transpose(1, 2))
            scores = scores.div_(call.softcap).tanh_().mul_(call.softcap) + mask
        shares = scores.softmax(-1, dtype=torch.float32).to(seen_values.dtype)
        return torch.bmm(shares, seen_values).view(num_rows, num_heads, -1)

    def _buffer(self, like: Float[Tensor, "Hkv T D"]) -> Float[Tensor, "rows Hkv length D"]:
        # Zeros, not empty: a masked position still enters the sum with weight 0, and 0 · NaN is NaN.
        return like.new_zeros(self._rows, like.shape[0], self._length, like.shape[2])

    def _mask(
        self, window: int | None, num_kv_heads: int, shared: int, dtype: torch.dtype
    ) -> Float[Tensor, "BHkv G L"]:
        """0 where a row may look, -inf elsewhere; made once per step for each kind of layer."""
        if window is not None and window >= self._seen:
            window = None
        kind = (window, num_kv_heads, shared, dtype)
        if kind not in self._masks:
            places = torch.arange(self._seen, device=self._positions.device)
            is_hidden = places > self._positions[:, None]
            if window is not None:
                is_hidden |= places <= self._positions[:, None] - window
            mask = torch.zeros(is_hidden.shape, dtype=dtype, device=places.device).masked_fill_(is_hidden, -torch.inf)
            by_head = mask[:, None, None].expand(-1, num_kv_heads, shared, -1)
            self._masks[kind] = by_head.reshape(-1, shared, self._seen)
        return self._masks[kind]
