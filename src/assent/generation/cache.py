"""Keys and values of the local engine, and the two attention plans over them: prompts first, then a token per row.

A prompt is computed once and kept once, whatever number of answers it gets: its keys are read once a step for all of
them together, and each answer reads its own tokens besides. What a step reads is then nearly the sum of lengths.
Live answers always fill rows 0 … B - 1, and their prompts places 0 … P - 1, without holes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
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
    """Keys and values of live prompts and of the answers to them, and the attention of one new token per row.

    Buffers are made and grown as they are needed, by layer: [prompts, Hkv, longest prompt, D] for prompts and
    [rows, Hkv, longest answer, D] for what was written. A prompt leaves with the last of its rows.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._prompts: dict[int, KeyValue] = {}
        self._own: dict[int, KeyValue] = {}
        self._lengths = np.zeros(0, dtype=np.int64)  # of live prompts
        self._place = np.zeros(0, dtype=np.int64)  # of each live row's prompt
        self._used = np.zeros(rows, dtype=np.int64)  # tokens written, by row
        self._step: _Step | None = None

    def fork(self, prompt: dict[int, KeyValue], count: int) -> None:
        """Add a prompt with this number of rows that have nothing of their own yet."""
        place = len(self._lengths)
        for layer, pair in prompt.items():
            length = pair[0].shape[1]
            like = self._prompts.get(layer, (pair[0][None, :, :0], pair[1][None, :, :0]))
            self._prompts[layer] = _grown(like, place + 1, length)
            for buffer, given in zip(self._prompts[layer], pair, strict=True):
                buffer[place, :, :length] = given
            if layer not in self._own:
                self._own[layer] = _grown((pair[0][None, :, :0], pair[1][None, :, :0]), self._rows, 1)
        first = len(self._place)
        self._lengths = np.append(self._lengths, length)
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
        self._place = self._place[former]
        for place in range(len(self._lengths) - 1, -1, -1):
            if not (self._place == place).any():
                self._remove(place)

    def at(self, positions: NDArray[np.int64], device: torch.device) -> KeyValueCache:
        """Set the position [B] of each live row's next token."""
        own = positions - self._lengths[self._place]
        self._used[: len(own)] = own + 1
        self._step = _Step.of(self._place, self._lengths, own, device)
        return self

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
        keys, values = self._own[call.layer] = _grown(self._own[call.layer], self._rows, step.longest)
        keys[step.rows, :, step.own] = call.key.transpose(0, 1)
        values[step.rows, :, step.own] = call.value.transpose(0, 1)
        keys, values = (x[:num_rows, :, : step.longest].flatten(0, 1) for x in (keys, values))
        prompt_keys, prompt_values = (
            x[: step.num_prompts, :, : step.prompt_length].flatten(0, 1) for x in self._prompts[call.layer]
        )
        queries = (call.query * call.scaling).transpose(0, 1).reshape(num_rows, num_kv_heads, -1, width)
        shared = queries.shape[2]
        seen = torch.bmm(step.by_prompt(queries), prompt_keys.transpose(1, 2))
        own = torch.bmm(queries.flatten(0, 1), keys.transpose(1, 2)).view(num_rows, num_kv_heads, shared, -1)
        scores = torch.cat([step.by_row(seen, num_kv_heads, shared), own], -1)
        if call.softcap is not None:
            scores = scores.div_(call.softcap).tanh_().mul_(call.softcap)
        shares = scores.add_(step.mask(call.sliding_window, scores.dtype)).softmax(-1, dtype=torch.float32)
        of_prompt, of_own = shares.to(values.dtype).split([step.prompt_length, step.longest], -1)
        found = step.by_row(torch.bmm(step.by_prompt(of_prompt), prompt_values), num_kv_heads, shared)
        found = torch.baddbmm(found.flatten(0, 1), of_own.flatten(0, 1), values)
        return found.view(num_rows, num_heads, width)

    def _remove(self, place: int) -> None:
        """Let the last prompt take the place of one that has no rows."""
        last = len(self._lengths) - 1
        length = int(self._lengths[last])
        if place != last:
            for buffer in (buffer for pair in self._prompts.values() for buffer in pair):
                buffer[place, :, :length] = buffer[last, :, :length]
            self._lengths[place] = length
            self._place[self._place == last] = place
        self._lengths = self._lengths[:last]


@dataclass(eq=False)
class _Step:
    """Where the rows of one decode step stand: row n is number `nth[n]` of the rows of prompt `place[n]`."""

    place: Int[Tensor, " B"]
    nth: Int[Tensor, " B"]
    members: Int[Tensor, "P K"]
    """Rows of each prompt; filled up with row 0."""
    lengths: Int[Tensor, " B"]
    """Of each row's prompt."""
    rows: Int[Tensor, " B"]
    own: Int[Tensor, " B"]
    """Place of the new token among those of its answer."""
    prompt_length: int
    longest: int
    """The longest answer, new tokens counted."""
    masks: dict[tuple[int | None, torch.dtype], Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls, place: NDArray[np.int64], lengths: NDArray[np.int64], own: NDArray[np.int64], device: torch.device
    ) -> _Step:
        counts = np.bincount(place, minlength=len(lengths))
        order = np.argsort(place, kind="stable")
        nth = np.empty_like(place)
        nth[order] = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        members = np.zeros((len(lengths), counts.max()), dtype=np.int64)
        members[place, nth] = np.arange(len(place))

        def on_device(array: NDArray[np.int64]) -> Tensor:
            return torch.from_numpy(array).to(device)

        return cls(
            place=on_device(place),
            nth=on_device(nth),
            members=on_device(members),
            lengths=on_device(lengths[place]),
            rows=on_device(np.arange(len(place))),
            own=on_device(own),
            prompt_length=int(lengths.max()),
            longest=int(own.max()) + 1,
        )

    @property
    def num_prompts(self) -> int:
        return len(self.members)

    def by_prompt(self, x: Float[Tensor, "B Hkv G n"]) -> Float[Tensor, "PHkv KG n"]:
        """The rows of each prompt together."""
        return x[self.members].transpose(1, 2).flatten(2, 3).flatten(0, 1)

    def by_row(self, x: Float[Tensor, "PHkv KG n"], num_kv_heads: int, shared: int) -> Float[Tensor, "B Hkv G n"]:
        """What `by_prompt` puts together, apart again."""
        return x.view(self.num_prompts, num_kv_heads, -1, shared, x.shape[-1])[self.place, :, self.nth]

    def mask(self, window: int | None, dtype: torch.dtype) -> Float[Tensor, "B 1 1 n"]:
        """0 where a row may look, -inf elsewhere; made once per step for each kind of layer."""
        if window is not None and window >= self.prompt_length + self.longest:
            window = None
        if (window, dtype) not in self.masks:
            device = self.place.device
            prompt, own = (torch.arange(n, device=device) for n in (self.prompt_length, self.longest))
            hidden = torch.cat([prompt >= self.lengths[:, None], own > self.own[:, None]], -1)
            if window is not None:
                positions = torch.cat([prompt.expand(len(self.own), -1), own + self.lengths[:, None]], -1)
                hidden |= positions <= (self.lengths + self.own)[:, None] - window
            mask = torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, -torch.inf)
            self.masks[window, dtype] = mask[:, None, None]
        return self.masks[window, dtype]


def _grown(pair: KeyValue, count: int, length: int) -> KeyValue:
    """Buffers [n, Hkv, L, D] with room for `count` · `length`: twice the room each time it has to grow.

    Zeros, not empty: a masked position still enters the sum with weight 0, and 0 · NaN is NaN.
    """
    held = pair[0].shape
    if held[0] >= count and held[2] >= length:
        return pair
    count = max(count, 2 * held[0]) if held[0] < count and held[2] else max(count, held[0])
    length = max(length, 2 * held[2]) if held[2] < length else held[2]

    def grow(buffer: Tensor) -> Tensor:
        grown = buffer.new_zeros(count, buffer.shape[1], length, buffer.shape[3])
        grown[: held[0], :, : held[2]] = buffer
        return grown

    return grow(pair[0]), grow(pair[1])
