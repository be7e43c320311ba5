"""Attention of a group batch on a GPU: one FlexAttention call a layer over the segment table, nothing padded or copied.

    visible(q, k)    k in the segment of q and not after it, or k in the prefix of that segment; in the window, if any

Which blocks of 128 × 128 pairs hold anything visible follows from the table alone, so that no mask of T × T is made.
It has to be compiled for the device (Dong et al. 2024, Triton); where that cannot be done or gives other numbers than
the fused attention of torch, the buckets of `models.group_plan` are computed there, and it is said once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from assent.models.attention import AttentionCall

if TYPE_CHECKING:
    from assent.models.group_plan import GroupPlan

_log = logging.getLogger(__name__)
Integers = NDArray[np.int64]
BLOCK = 128
_TOLERANCE = 2e-2
_NOBODY = -1


class FlexPlan:
    """The attention of one group batch in a single call per layer; see `GroupPlan` for `segments` and `positions`."""

    def __init__(
        self, segments: Integers, positions: Tensor, buckets: GroupPlan | None, *, is_compiled: bool = True
    ) -> None:
        """On the device of `positions`. `buckets` is the same plan as calls by buckets, for other devices."""
        device = positions.device
        self._segments, self._buckets, self._device = segments, buckets, device
        self._num_tokens = len(positions)
        size = -(-self._num_tokens // BLOCK) * BLOCK
        segment, prefix = np.full(size, _NOBODY), np.zeros((2, size), dtype=np.int64)
        for number, (start, end, prefix_start, prefix_end) in enumerate(segments.tolist()):
            segment[start:end] = number
            prefix[:, start:end] = [[prefix_start], [prefix_end]]
        self._segment = torch.from_numpy(segment).to(device)
        self._prefix_start, self._prefix_end = (torch.from_numpy(one).to(device) for one in prefix)
        self._positions = F.pad(positions, (0, size - self._num_tokens))
        self._masks: dict[int | None, Any] = {}
        self._attend = _attention(is_compiled)

    def attend(self, call: AttentionCall) -> Float[Tensor, "T H D"]:
        """Compute the attention of one layer."""
        missing = len(self._segment) - self._num_tokens
        query, key, value = (F.pad(x, (0, 0, 0, missing))[None] for x in (call.query, call.key, call.value))
        window = call.sliding_window
        said = self._attend(
            query,
            key,
            value,
            score_mod=None if call.softcap is None else _capped(call.softcap),
            block_mask=self._mask(window),
            scale=call.scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        return said[0, :, : self._num_tokens].transpose(0, 1)

    def to(self, device: torch.device | str) -> FlexPlan | GroupPlan:
        """The same on another device, where it is computed by buckets."""
        if torch.device(device) == self._device or self._buckets is None:
            return self
        return self._buckets.to(device)

    def _mask(self, window: int | None) -> Any:
        if window not in self._masks:
            from torch.nn.attention.flex_attention import BlockMask

            table = torch.from_numpy(blocks(self._segments, len(self._segment))).to(self._device)
            counts = table.sum(-1, dtype=torch.int32)
            # Those that hold something come first, in order; the others are never looked at.
            order = torch.argsort(table, dim=-1, descending=True, stable=True).to(torch.int32)
            self._masks[window] = BlockMask.from_kv_blocks(
                counts[None, None], order[None, None], BLOCK_SIZE=BLOCK, mask_mod=self._visible(window)
            )
        return self._masks[window]

    def _visible(self, window: int | None) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
        segment, positions = self._segment, self._positions
        prefix_start, prefix_end = self._prefix_start, self._prefix_end

        # Lambdas: what is wrapped to have its shapes checked cannot be compiled.
        longest = self._num_tokens if window is None else window
        return lambda batch, head, query, key: (
            (
                ((segment[query] == segment[key]) & (key <= query))
                | ((key >= prefix_start[query]) & (key < prefix_end[query]))
            )
            & (positions[query] - positions[key] < longest)
        )


def blocks(segments: Integers, size: int) -> NDArray[np.bool_]:
    """[size / 128, size / 128], True where a block of queries may see anything in a block of keys."""
    count = size // BLOCK
    found = np.zeros((count, count), dtype=np.bool_)
    end_of_all = int(segments[:, 1].max())
    padding = [] if end_of_all == size else [(end_of_all, size, 0, 0)]
    for start, end, prefix_start, prefix_end in [*segments.tolist(), *padding]:
        first, last = start // BLOCK, (end - 1) // BLOCK
        for query in range(first, last + 1):
            found[query, first : query + 1] = True
        if prefix_end > prefix_start:
            found[first : last + 1, prefix_start // BLOCK : (prefix_end - 1) // BLOCK + 1] = True
    return found


def best_plan(plan: GroupPlan, segments: Integers, positions: Tensor) -> GroupPlan | FlexPlan:
    """The plan of a batch on its device: FlexAttention on a GPU where it works there, else the buckets."""
    if positions.device.type != "cuda" or not works(positions.device):
        return plan
    return FlexPlan(segments, positions, plan)


@lru_cache(maxsize=4)
def works(device: torch.device) -> bool:
    """Whether FlexAttention compiles on a device and gives the numbers and gradients of torch's fused attention."""
    try:
        off = _difference(device)
    # Whatever a compiler says that is missing or broken: there is another way.
    except Exception as error:
        said = str(error).strip().splitlines() or [""]
        _log.warning("attention by buckets: FlexAttention fails here (%s: %s)", type(error).__name__, said[0][:200])
        return False
    if not off <= _TOLERANCE:
        _log.warning("attention by buckets: FlexAttention differs from the fused attention by %.2g here", off)
        return False
    return True


def _difference(device: torch.device, *, is_compiled: bool = True, with_gradient: bool = True) -> float:
    """Largest difference of outputs and gradients from the fused attention, on a prompt with two answers."""
    segments = np.array([[0, 90, 0, 0], [90, 150, 0, 90], [150, 200, 0, 90]], dtype=np.int64)
    positions = torch.cat([torch.arange(150), torch.arange(90, 140)]).to(device)
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(heads, 200, 64, generator=generator).to(device).requires_grad_(with_gradient) for heads in (4, 2, 2)
    ]
    plan = FlexPlan(segments, positions, None, is_compiled=is_compiled)
    found = plan.attend(AttentionCall(0, *tensors, scaling=0.125, sliding_window=None, softcap=None))
    tokens = torch.arange(200, device=device)
    visible = plan._visible(None)(tokens[:1], tokens[:1], tokens[:, None], tokens[None, :])
    expected = F.scaled_dot_product_attention(
        *(x[None] for x in tensors), attn_mask=visible, scale=0.125, enable_gqa=True
    )[0].transpose(0, 1)
    pairs = [(found, expected)]
    if with_gradient:
        weights = torch.randn(found.shape, generator=generator).to(device)
        both = [torch.autograd.grad((one * weights).sum(), tensors) for one in (found, expected)]
        pairs += list(zip(*both, strict=True))
    return max((one - other).abs().max().item() for one, other in pairs)


def _capped(softcap: float) -> Callable[..., Tensor]:
    return lambda score, batch, head, query, key: softcap * torch.tanh(score / softcap)


@lru_cache(maxsize=2)
def _attention(is_compiled: bool) -> Callable[..., Any]:
    from torch.nn.attention.flex_attention import flex_attention

    # Rows differ from batch to batch, and a compilation each would cost more than it saves.
    return torch.compile(flex_attention, dynamic=True) if is_compiled else flex_attention
