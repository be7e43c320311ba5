"""Choices: how likely each of several tokens is in one place, from one computation of what stands before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from assent.core.group import TokenIds
from assent.models.groups import GroupBatch
from assent.models.take import RowGather


def with_choices(batch: GroupBatch, choices: Sequence[TokenIds]) -> GroupBatch:
    """The batch with `choices[row]` scored in the place of the last token of each row, and nothing else.

    Rows are the caller's numbers. The state before the last token is read once for each choice, and is computed once.
    Raises ValueError for a row whose last token is not scored.
    """
    ends = np.cumsum(batch.row_lengths) - 1
    before = batch.scored.numpy()[ends]
    if (batch.targets.numpy()[ends] != batch.tokens.numpy()[batch.last.numpy()]).any():
        raise ValueError("a row's last token must be scored for another to take its place")
    own = [np.asarray(choices[number], dtype=np.int64) for number in batch.rows]
    lengths = tuple(len(tokens) for tokens in own)
    scored = np.repeat(before, lengths)
    return replace(
        batch,
        scored=torch.from_numpy(scored),
        targets=torch.from_numpy(np.concatenate(own)),
        row=torch.from_numpy(np.repeat(np.arange(len(own)), lengths)),
        row_lengths=lengths,
        take_scored=RowGather(scored, batch.num_tokens),
    )
