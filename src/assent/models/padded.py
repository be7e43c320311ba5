"""The padded way to compute a group batch, for models whose attention cannot be told what to see: one row per answer.

Prompts are repeated and rows are padded on the right; the results are read back into the flat order of the batch, so
everything after the decoder is the same for both ways.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from assent.models.groups import GroupBatch
from assent.models.take import RowGather


@dataclass(frozen=True, eq=False)
class PaddedRows:
    """The rows of a group batch as a rectangle [B, L]."""

    tokens: Int[Tensor, "B L"]
    is_real: Int[Tensor, "B L"]
    positions: Int[Tensor, "B L"]
    read_flat: RowGather
    """Takes each of the T flat tokens from the B · L places; a shared prompt is read from its first row."""

    @classmethod
    def of(cls, batch: GroupBatch) -> PaddedRows:
        """Repeat prompts and pad. Padding has token 0: it is masked, any token would do."""
        spans = _row_spans(batch)
        longest = max(sum(end - start for start, end in row) for row in spans)
        place_of = np.full(batch.num_tokens, -1, dtype=np.int64)
        index = np.zeros((len(spans), longest), dtype=np.int64)
        is_real = np.zeros((len(spans), longest), dtype=np.int64)
        for number, row in enumerate(spans):
            flat = np.concatenate([np.arange(start, end) for start, end in row])
            index[number, : len(flat)], is_real[number, : len(flat)] = flat, 1
            places = number * longest + np.arange(len(flat))
            is_new = place_of[flat] < 0
            place_of[flat[is_new]] = places[is_new]
        device = batch.tokens.device
        mask = torch.from_numpy(is_real).to(device)
        flat_index = torch.from_numpy(index).to(device)
        return cls(
            tokens=batch.tokens[flat_index] * mask,
            is_real=mask,
            positions=batch.positions[flat_index] * mask,
            read_flat=RowGather(place_of, index.size).to(device),
        )

    def run(self, module: nn.Module) -> Any:
        """Call a transformers module with these rows and whatever of their description it accepts."""
        arguments = {"attention_mask": self.is_real, "position_ids": self.positions, "use_cache": False}
        accepted = _accepted(module.forward)
        return module(self.tokens, **{k: v for k, v in arguments.items() if accepted is None or k in accepted})

    def flat(self, padded: Float[Tensor, "B L n"]) -> Float[Tensor, "T n"]:
        """Read a result back into the order of the batch."""
        return self.read_flat(padded.flatten(0, 1))


def _row_spans(batch: GroupBatch) -> list[list[tuple[int, int]]]:
    """The flat spans (prompt, then continuation) of each local row."""
    prompts = {(start, end) for _, _, start, end in batch.segments.tolist() if start != end}
    rows = []
    for start, end, prefix_start, prefix_end in batch.segments.tolist():
        if prefix_start != prefix_end:
            rows.append([(prefix_start, prefix_end), (start, end)])
        elif (start, end) not in prompts:
            rows.append([(start, end)])
    return rows


def _accepted(forward: Callable[..., Any]) -> frozenset[str] | None:
    """Names a function takes; None: any."""
    parameters = inspect.signature(forward).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()) and "position_ids" in parameters:
        return None
    return frozenset(parameters)
