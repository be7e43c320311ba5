"""Cutting a group batch that is packed already into smaller ones, group by group: for memory that holds less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from assent.core.group import Group, answer_starts
from assent.models.groups import GroupBatch, pack


def cut(batch: GroupBatch, most: int | None) -> list[GroupBatch]:
    """Batches of at most `most` real tokens, in the order of the rows; a larger group is a batch of its own.

    Laid end to end, what a model says of them is what it says of the whole. A batch that fits, or whose rows are asked
    about more than its own tokens, is given back as it is.
    """
    if most is None or batch.num_tokens <= most:
        return [batch]
    groups = _groups_of(batch)
    if groups is None or len(groups) < 2:
        return [batch]
    shares: list[list[int]] = []
    room = 0
    for number, group in enumerate(groups):
        if not shares or group.num_tokens > room:
            shares.append([])
            room = most
        shares[-1].append(number)
        room -= group.num_tokens
    if len(shares) == 1:
        return [batch]
    first = answer_starts(groups)
    return [_part(batch, [groups[n] for n in share], int(first[share[0]])) for share in shares]


def _part(batch: GroupBatch, groups: Sequence[Group], first: int) -> GroupBatch:
    """Groups of a batch, of which the first row is its local row `first`. Packing leaves their order: it is sorted."""
    [part] = pack(groups, budget=2**62)
    rows = slice(first, first + part.num_rows)
    part = replace(part, rows=batch.rows[rows], group_of_row=batch.group_of_row[rows])
    return part.to(batch.tokens.device)


def _groups_of(batch: GroupBatch) -> list[Group] | None:
    """The groups that a batch was packed from; None where its scored tokens are not those of its rows."""
    tokens, scored, last = (one.cpu().numpy() for one in (batch.tokens, batch.scored, batch.last))
    spans = {end: (start, prefix) for start, end, *prefix in batch.segments.tolist()}
    found: list[Group] = []
    before: int | None = None
    states = np.split(scored, np.cumsum(batch.row_lengths)[:-1])
    for row, (end, own) in enumerate(zip((last + 1).tolist(), states, strict=True)):
        start, (prefix_start, prefix_end) = spans[end]
        if prefix_start == prefix_end:  # one row, prompt and answer together: where its answer begins does not matter
            start, prefix_start = (int(own[0]) + 1 if len(own) else end - 1), start
            prefix_end = start
        predicted = np.arange(start - 1, end - 1)
        predicted[0] = prefix_end - 1
        is_scored = np.isin(predicted, own)
        group = Group(tokens[prefix_start:prefix_end], (tokens[start:end],), (is_scored,))
        if batch.group_of_row[row] == before:
            one = found[-1]
            group = Group(one.prompt, (*one.continuations, *group.continuations), (*one.is_scored, *group.is_scored))
            found.pop()
        found.append(group)
        before = batch.group_of_row[row]
    targets = np.concatenate([c[m] for g in found for c, m in zip(g.continuations, g.is_scored, strict=True)])
    is_whole = len(targets) == batch.num_scored and bool(torch.equal(torch.from_numpy(targets), batch.targets.cpu()))
    return found if is_whole else None
