"""Prompts of like length and the attention of answers to them: a few long ones do not make all others cost as much.

Keys and values of prompts lie in buffers as long as the longest of them. Each shelf has buffers of its own, and each
decode step reads every shelf on which live prompts lie for the rows that answer them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from assent.generation.numbers import StepNumbers, filled
from assent.models.attention import AttentionCall

KeyValue = tuple[Float[Tensor, "Hkv T D"], Float[Tensor, "Hkv T D"]]
SHELF_TOKENS = 1024
"""Another shelf costs a step some more operations, about as much as it takes to read so many keys and values."""
_LIKE = 1.5
"""Prompts lie together up to this ratio of their lengths."""


def edges_of(lengths: Sequence[int], least: int | None = None) -> list[int]:
    """Lengths of prompts up to which they lie together, ascending. A shelf more saves over `least` tokens of padding.

    Those on one shelf are read as if all were as long as the longest of them: a few long prompts among many short ones
    would else cost each step, and memory, as much as if all were long.
    """
    least = SHELF_TOKENS if least is None else least
    waiting = sorted(lengths, reverse=True)
    edges: list[int] = []
    while waiting:
        edges.append(waiting[0])
        shorter = [one for one in waiting if one * _LIKE < waiting[0]]
        if sum(waiting[0] - one for one in shorter) <= least:
            break
        waiting = shorter
    return edges[::-1]


class Shelf:
    """Keys and values of live prompts of like length, in places 0 … P - 1 without holes."""

    def __init__(self) -> None:
        self.kept: dict[int, KeyValue] = {}
        """By layer, [places, Hkv, longest, D] each; beyond a prompt's length stand numbers without a meaning."""
        self.lengths = np.zeros(0, dtype=np.int64)
        self.expected = 0
        """Places that will be wanted at once."""
        self.moves = 0
        """How often buffers were made or grown, and so lie elsewhere."""

    def lay(self, prompt: dict[int, KeyValue], length: int) -> int:
        """Put a prompt in the next place; which it is."""
        place = len(self.lengths)
        for layer, pair in prompt.items():
            former = self.kept.get(layer, nothing_like(pair))
            self.kept[layer] = grown(former, max(place + 1, self.expected), length)
            self.moves += self.kept[layer] is not former
            for buffer, given in zip(self.kept[layer], pair, strict=True):
                buffer[place, :, :length] = given
        self.lengths = np.append(self.lengths, length)
        return place

    def remove(self, place: int) -> int:
        """Let the last prompt take the place of one that has no rows; where that one stood."""
        last = len(self.lengths) - 1
        length = int(self.lengths[last])
        if place != last:
            for buffer in (buffer for pair in self.kept.values() for buffer in pair):
                buffer[place, :, :length] = buffer[last, :, :length]
            self.lengths[place] = length
        self.lengths = self.lengths[:last]
        if not last:
            self.kept.clear()
        return last


@dataclass(eq=False)
class Part:
    """The rows of a decode step whose prompts lie on one shelf: one is number `nth` of the rows of prompt `place`."""

    where: Int[Tensor, " B"]
    """Which rows of the step they are."""
    kept: dict[int, KeyValue]
    place: Int[Tensor, " B"]
    nth: Int[Tensor, " B"]
    members: Int[Tensor, "P K"]
    """Rows of each prompt, counted within this part; filled up with row 0."""
    lengths: Int[Tensor, " B"]
    """Of each row's prompt."""
    own: Int[Tensor, " B"]
    """Place of the new token among those of its answer."""
    prompt_length: int
    """Of the longest prompt, or more."""
    longest: int
    """The longest answer of the step, new tokens counted, or more."""
    masks: dict[tuple[int | None, torch.dtype], Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        shelf: Shelf,
        where: NDArray[np.int64],
        place: NDArray[np.int64],
        own: NDArray[np.int64],
        *,
        rows: int,
        longest: int,
        numbers: StepNumbers,
    ) -> Part:
        """Rows `where` [B] of a step, whose prompts lie in these places [B], with new tokens at `own` [B].

        Up to `rows` they are followed by rows of nobody, which answer the first prompt.
        """
        counts = np.bincount(place, minlength=len(shelf.lengths))
        order = np.argsort(place, kind="stable")
        nth = np.empty_like(place)
        nth[order] = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        held = next(iter(shelf.kept.values()))[0].shape
        most = int(counts.max())
        members = np.zeros((numbers.count(len(shelf.lengths), held[0]), numbers.count(most, rows)), dtype=np.int64)
        members[place, nth] = np.arange(len(place))
        there, at, number, lengths, new = (
            numbers.put(filled(one, rows, value))
            for one, value in (
                (where, 0),
                (place, 0),
                (nth, 0),
                (shelf.lengths[place], int(shelf.lengths[0])),
                (own, 0),
            )
        )
        prompt_length = numbers.length(int(shelf.lengths.max()), held[2])
        return cls(there, shelf.kept, at, number, numbers.put(members), lengths, new, prompt_length, longest)

    def look(
        self, call: AttentionCall, queries: Float[Tensor, "B Hkv G D"], own: Float[Tensor, "B Hkv G n"]
    ) -> tuple[Float[Tensor, "B Hkv G D"], Float[Tensor, "B Hkv G n"]]:
        """What the queries find in their prompts, and how much of their attention each own token has.

        `own` is how the queries and the keys of their own tokens agree.
        """
        num_prompts, num_kv_heads = len(self.members), queries.shape[1]
        keys, values = (x[:num_prompts, :, : self.prompt_length].flatten(0, 1) for x in self.kept[call.layer])
        shared = queries.shape[2]
        seen = torch.bmm(self._by_prompt(queries), keys.transpose(1, 2))
        scores = torch.cat([self._by_row(seen, num_kv_heads, shared), own], -1)
        if call.softcap is not None:
            scores = scores.div_(call.softcap).tanh_().mul_(call.softcap)
        shares = scores.add_(self._mask(call.sliding_window, scores.dtype)).softmax(-1, dtype=torch.float32)
        of_prompt, of_own = shares.to(values.dtype).split([self.prompt_length, self.longest], -1)
        return self._by_row(torch.bmm(self._by_prompt(of_prompt), values), num_kv_heads, shared), of_own

    def _by_prompt(self, x: Float[Tensor, "B Hkv G n"]) -> Float[Tensor, "PHkv KG n"]:
        """The rows of each prompt together."""
        return x[self.members].transpose(1, 2).flatten(2, 3).flatten(0, 1)

    def _by_row(self, x: Float[Tensor, "PHkv KG n"], num_kv_heads: int, shared: int) -> Float[Tensor, "B Hkv G n"]:
        """What `_by_prompt` puts together, apart again."""
        return x.view(len(self.members), num_kv_heads, -1, shared, x.shape[-1])[self.place, :, self.nth]

    def _mask(self, window: int | None, dtype: torch.dtype) -> Float[Tensor, "B 1 1 n"]:
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


def nothing_like(pair: KeyValue) -> KeyValue:
    """Buffers as of this prompt, with room for nothing."""
    return pair[0][None, :, :0], pair[1][None, :, :0]


def grown(pair: KeyValue, count: int, length: int) -> KeyValue:
    """Buffers [n, Hkv, L, D] with room for `count` · `length`; if they must grow, by a quarter of the places or L.

    Zeros, not empty: a masked position still enters the sum with weight 0, and 0 · NaN is NaN.
    """
    held = pair[0].shape
    if held[0] >= count and held[2] >= length:
        return pair
    count = max(count, held[0] + held[0] // 4) if held[0] < count and held[2] else max(count, held[0])
    length = max(length, 2 * held[2]) if held[2] < length else held[2]

    def grow(buffer: Tensor) -> Tensor:
        grown = buffer.new_zeros(count, buffer.shape[1], length, buffer.shape[3])
        grown[: held[0], :, : held[2]] = buffer
        return grown

    return grow(pair[0]), grow(pair[1])
