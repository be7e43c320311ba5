"""Attention of a group batch in few calls per layer: which blocks are computed together is decided once, at packing.

A block is a piece of attention that needs nothing outside itself. Two kinds exist:

    causal      a whole row (K = 1) or the prompt of a group (K ≥ 2)      queries = keys = the segment
    branching   continuations of one prompt                              queries = their tokens, keys = prompt + them

Blocks of similar size share a bucket: they are gathered from the flat batch into one padded tensor and computed by one
call. A bucket ends where padding would cost more than another call, so long segments are computed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from assent.models.attention import AttentionCall
from assent.models.take import RowGather

Integers = NDArray[np.int64]

_PADDING_SHARE = 0.25
"""A bucket may compute this share of query-key pairs for nothing, …"""
_PADDING_FREE = 8192
"""… or this many pairs, which cost about as much as one more call."""
_WRITTEN_OUT = 2**21
"""Pairs of a bucket up to which narrow products are written out, which is twice as fast as the fused ones on a CPU."""
_PROMPT = -1
"""Number of the segment in `_Bucket.key_segments` that every query of its block may see."""
_PADDING = -2
"""Number of the segment of padded queries and keys."""


class GroupPlan:
    """The attention of one group batch: every token sees its own row up to itself, and nothing else.

    `segments` is [N, 4] (start, end, prefix_start, prefix_end) as in `GroupBatch`, `positions` [T] numbers tokens from
    the beginning of their row. With `read`, [R] numbers of tokens in order, only these ask: queries are theirs, and
    keys and values come in the order of `unread_first`.
    """

    def __init__(self, segments: Integers, positions: Integers, read: Integers | None = None) -> None:
        asks = np.ones(len(positions), dtype=np.bool_)
        if read is not None:
            asks[:] = False
            asks[read] = True
        num_tokens, num_queries = len(positions), int(asks.sum())
        self._buckets = [_Bucket.of(blocks, positions) for blocks in _bucketed(_blocks(segments, asks))]
        queries = np.concatenate([b.query_index for b in self._buckets])
        is_padding = np.concatenate([b.query_segments == _PADDING for b in self._buckets], axis=None)
        keys = np.concatenate([b.key_index for b in self._buckets])
        is_key_padding = np.concatenate([b.key_segments == _PADDING for b in self._buckets], axis=None)
        if read is not None:
            queries = (np.cumsum(asks) - 1)[queries]
            keys = np.argsort(unread_first(read, num_tokens))[keys]
        back = np.empty(num_queries, dtype=np.int64)
        back[queries[~is_padding]] = np.flatnonzero(~is_padding)
        self._queries = RowGather(queries, num_queries, is_padding=is_padding)
        self._keys = RowGather(keys, num_tokens, is_padding=is_key_padding)
        self._outputs = RowGather(back, len(queries))
        self._masks: dict[tuple[int, int | None, torch.dtype], Tensor] = {}
        self._device = torch.device("cpu")

    @property
    def pairs_computed(self) -> int:
        """Query-key pairs that one head of one layer computes (a causal call counts its whole square)."""
        return sum(b.count * b.num_queries * b.num_keys for b in self._buckets)

    @property
    def num_calls(self) -> int:
        """Attention calls per layer."""
        return len(self._buckets)

    def attend(self, call: AttentionCall) -> Float[Tensor, "R H D"]:
        """Compute the attention of one layer, for the tokens that ask: all, or those that are read."""
        wide = call.query.dtype
        asked = [x.to(torch.bfloat16) if call.narrow else x for x in (call.query, call.key, call.value)]
        query, key, value = (x.transpose(0, 1) for x in asked)
        queries, keys, values = self._queries(query), self._keys(key), self._keys(value)
        key_sizes = [b.count * b.num_keys for b in self._buckets]
        pieces = zip(
            queries.split([b.count * b.num_queries for b in self._buckets]),
            keys.split(key_sizes),
            values.split(key_sizes),
            strict=True,
        )
        writes_out = queries.dtype == torch.bfloat16 and queries.device.type == "cpu" and call.softcap is None
        outputs = []
        for number, (bucket, (query, key, value)) in enumerate(zip(self._buckets, pieces, strict=True)):
            is_written_out = writes_out and bucket.is_small
            mask = self._mask(number, call.sliding_window, query.dtype, for_all=is_written_out)
            query, key, value = (x.unflatten(0, (bucket.count, -1)).transpose(1, 2) for x in (query, key, value))
            if is_written_out and mask is not None:
                output = _written_out(query * call.scaling, key, value, mask)
            else:
                output = _attention(query, key, value, mask, call)
            outputs.append(output.transpose(1, 2).flatten(0, 1))
        return self._outputs(outputs[0] if len(outputs) == 1 else torch.cat(outputs)).to(wide)

    def to(self, device: torch.device | str) -> GroupPlan:
        """The same on another device."""
        moved = object.__new__(GroupPlan)
        moved._buckets = self._buckets
        moved._queries, moved._keys = self._queries.to(device), self._keys.to(device)
        moved._outputs = self._outputs.to(device)
        moved._masks, moved._device = {}, torch.device(device)
        return moved

    def _mask(
        self, number: int, window: int | None, dtype: torch.dtype, *, for_all: bool
    ) -> Float[Tensor, "n 1 Q K"] | None:
        """0 where a query may look and -inf elsewhere, made once for all layers.

        None where that is plainly causal and a mask is not wanted for all buckets.
        """
        bucket = self._buckets[number]
        if window is not None and window >= bucket.longest:
            window = None
        if bucket.is_causal and window is None and not for_all:
            return None
        kind = (number, window, dtype)
        if kind not in self._masks:
            is_visible = torch.from_numpy(bucket.visible(window)).to(self._device)
            mask = torch.zeros(is_visible.shape, dtype=dtype, device=self._device)
            self._masks[kind] = mask.masked_fill_(~is_visible, -torch.inf)[:, None]
        return self._masks[kind]


def unread_first(read: Integers, num_tokens: int) -> Integers:
    """Numbers of all tokens [T]: first those that are not read, then those that are, each in order."""
    is_read = np.zeros(num_tokens, dtype=np.bool_)
    is_read[read] = True
    return np.concatenate([np.flatnonzero(~is_read), np.flatnonzero(is_read)])


@dataclass(frozen=True, eq=False)
class _Block:
    """Segments whose tokens are the queries, or some of them; the prefix (may be empty) and all of them are keys."""

    prefix: tuple[int, int]
    own: tuple[tuple[int, int], ...]
    asking: tuple[Integers, ...]
    """Tokens of each segment that are queries."""

    @property
    def is_causal(self) -> bool:
        return self.num_queries == self.num_keys

    @cached_property
    def num_queries(self) -> int:
        return sum(len(tokens) for tokens in self.asking)

    @cached_property
    def num_keys(self) -> int:
        return sum(end - start for start, end in (self.prefix, *self.own))


@dataclass(frozen=True, eq=False)
class _Bucket:
    """Blocks computed by one call, padded on the right to the same numbers of queries and keys."""

    count: int
    num_queries: int
    num_keys: int
    is_causal: bool
    longest: int
    """A window of at least this many tokens hides nothing."""
    query_index: Integers
    """Flat token of each padded place, [n · Q]; padding repeats the first token of its block."""
    key_index: Integers
    query_segments: Integers
    """Number of the segment in its block, [n, Q]."""
    key_segments: Integers
    query_positions: Integers
    key_positions: Integers

    @property
    def is_small(self) -> bool:
        """Whether a score for each of its pairs and heads is no burden on memory."""
        return self.count * self.num_queries * self.num_keys <= _WRITTEN_OUT

    @classmethod
    def of(cls, blocks: Sequence[_Block], positions: Integers) -> _Bucket:
        num_queries = max(b.num_queries for b in blocks)
        num_keys = max(b.num_keys for b in blocks)
        query_index, query_segments = _padded([[*enumerate(b.asking)] for b in blocks], num_queries)
        keys = [[(_PROMPT, np.arange(*b.prefix)), *enumerate(np.arange(*one) for one in b.own)] for b in blocks]
        key_index, key_segments = _padded(keys, num_keys)
        return cls(
            count=len(blocks),
            num_queries=num_queries,
            num_keys=num_keys,
            is_causal=blocks[0].is_causal,
            longest=int(positions[query_index].max()) + 1,
            query_index=query_index.reshape(-1),
            key_index=key_index.reshape(-1),
            query_segments=query_segments,
            key_segments=key_segments,
            query_positions=positions[query_index],
            key_positions=positions[key_index],
        )

    def visible(self, window: int | None) -> NDArray[np.bool_]:
        """[n, Q, K]: True where a query may look."""
        queries, keys = self.query_segments[:, :, None], self.key_segments[:, None, :]
        distance = self.query_positions[:, :, None] - self.key_positions[:, None, :]
        is_visible = ((keys == _PROMPT) | (keys == queries)) & (distance >= 0)
        if window is not None:
            is_visible &= distance < window
        is_visible[queries[:, :, 0] == _PADDING] = False
        # A softmax over nothing is NaN: padded queries, whose output nobody reads, look at the first key.
        is_visible[:, :, 0] |= self.query_segments == _PADDING
        return is_visible


def _blocks(segments: Integers, asks: NDArray[np.bool_]) -> list[_Block]:
    """One causal block per segment without prefix, one branching block for what shares a prompt (or a part of it)."""
    blocks, branches = [], dict[tuple[int, int], list[tuple[int, int]]]()

    def add(prefix: tuple[int, int], own: Sequence[tuple[int, int]]) -> None:
        asking = tuple(start + np.flatnonzero(asks[start:end]) for start, end in own)
        if any(map(len, asking)):
            blocks.append(_Block(prefix, tuple(own), asking))

    for start, end, prefix_start, prefix_end in segments.tolist():
        if prefix_start == prefix_end:
            add((0, 0), [(start, end)])
        else:
            branches.setdefault((prefix_start, prefix_end), []).append((start, end))
    for prefix, own in branches.items():
        queries = [int(asks[start:end].sum()) for start, end in own]
        if _is_cheaper_joined(prefix[1] - prefix[0], queries, [end - start for start, end in own]):
            add(prefix, own)
        else:
            for segment in own:
                add(prefix, [segment])
    return blocks


def _is_cheaper_joined(prompt: int, queries: Sequence[int], keys: Sequence[int]) -> bool:
    """True where continuations should share one copy of the prompt's keys and values.

    Joined, every continuation is also multiplied with its siblings, for nothing; apart, each copies the prompt.
    """
    siblings = sum(queries) * sum(keys) - sum(q * k for q, k in zip(queries, keys, strict=True))
    copies = (len(keys) - 1) * prompt
    return siblings < _PAIRS_PER_COPY * copies


_PAIRS_PER_COPY = 27
"""Query-key pairs that cost as much time as copying one token's key and value; measured on one
Zen 4 core at widths 128 and 256, where factors from 8 to 100 differ by less than 5 %."""


@dataclass
class _OpenBucket:
    """Blocks for one call, as long as another may join them."""

    blocks: list[_Block]
    needed: int
    """Pairs of a query and a key that they have."""
    num_queries: int
    """Of the block with most."""
    num_keys: int

    @classmethod
    def of(cls, block: _Block) -> _OpenBucket:
        return cls([block], block.num_queries * block.num_keys, block.num_queries, block.num_keys)

    def takes(self, block: _Block) -> bool:
        """Add a block of the same kind, unless padding would get dearer than another call."""
        needed = self.needed + block.num_queries * block.num_keys
        queries, keys = max(self.num_queries, block.num_queries), max(self.num_keys, block.num_keys)
        computed = (len(self.blocks) + 1) * queries * keys
        is_wasteful = computed - needed > max(_PADDING_FREE, _PADDING_SHARE * computed)
        if is_wasteful or self.blocks[0].is_causal != block.is_causal:
            return False
        self.blocks.append(block)
        self.needed, self.num_queries, self.num_keys = needed, queries, keys
        return True


def _bucketed(blocks: Sequence[_Block]) -> list[list[_Block]]:
    """Sort blocks by size and cut where padding gets dearer than another call."""
    buckets: list[_OpenBucket] = []
    for block in sorted(blocks, key=lambda b: (b.is_causal, b.num_keys, b.num_queries, b.own), reverse=True):
        if not buckets or not buckets[-1].takes(block):
            buckets.append(_OpenBucket.of(block))
    return [one.blocks for one in buckets]


def _padded(rows: Sequence[Sequence[tuple[int, Integers]]], width: int) -> tuple[Integers, Integers]:
    """Token index and segment number of each place, [n, width]; a row is a list of (segment number, its tokens)."""
    index = np.empty((len(rows), width), dtype=np.int64)
    segments = np.full((len(rows), width), _PADDING, dtype=np.int64)
    for row, parts in enumerate(rows):
        tokens = np.concatenate([some for _, some in parts])
        index[row, : len(tokens)] = tokens
        index[row, len(tokens) :] = tokens[0]
        segments[row, : len(tokens)] = np.concatenate([np.full(len(some), n) for n, some in parts])
    return index, segments


def _attention(
    query: Float[Tensor, "n H Q D"],
    key: Float[Tensor, "n Hkv K D"],
    value: Float[Tensor, "n Hkv K D"],
    mask: Float[Tensor, "n 1 Q K"] | None,
    call: AttentionCall,
) -> Float[Tensor, "n H Q D"]:
    shared = query.shape[1] // key.shape[1]
    if call.softcap is None:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, scale=call.scaling, enable_gqa=shared > 1
        )
    key, value = key.repeat_interleave(shared, dim=1), value.repeat_interleave(shared, dim=1)
    scores = (query @ key.transpose(2, 3) * (call.scaling / call.softcap)).tanh() * call.softcap
    if mask is None:
        length = query.shape[2]
        is_hidden = torch.ones(length, length, dtype=torch.bool, device=query.device).triu_(1)
        scores = scores.masked_fill(is_hidden, -torch.inf)
    else:
        scores = scores + mask
    wide = torch.promote_types(scores.dtype, torch.float32)
    return scores.softmax(dim=-1, dtype=wide).to(value.dtype) @ value


def _written_out(
    query: Float[Tensor, "n H Q D"],
    key: Float[Tensor, "n Hkv K D"],
    value: Float[Tensor, "n Hkv K D"],
    mask: Float[Tensor, "m 1 Q K"],
) -> Float[Tensor, "n H Q D"]:
    """Attention by its definition. Heads that share keys are laid out as further queries, so that no key is copied."""
    shared = query.shape[1] // key.shape[1]
    laid = query.reshape(len(query), key.shape[1], -1, query.shape[-1])
    hidden = mask.expand(-1, shared, -1, -1).reshape(len(mask), 1, -1, mask.shape[-1])
    chances = (laid @ key.transpose(2, 3)).add_(hidden).softmax(-1)
    return (chances @ value).view(query.shape)
