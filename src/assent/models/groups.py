"""The group batch: groups of rows that share a prompt, laid end to end in one flat row, nothing padded.

Two groups, prompt [7 8] with answers [1 2] and [3], and prompt [9] with answer [4 5]:

    tokens      7  8  1  2  3  9  4  5
    positions   0  1  2  3  2  0  1  2
    segments    (0, 2) prompt · (2, 4) after (0, 2) · (4, 5) after (0, 2) · (5, 8) one row, prompt and answer together
    scored      1  2  1  5  6          states whose next token counts; state 1 is read twice
    targets     1  2  3  4  5
    row         0  0  1  2  2
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int, Shaped
from numpy.typing import NDArray
from torch import Tensor

from assent.core.group import Group
from assent.core.lazy import Lazy
from assent.models.attention_cuda import FlexPlan, best_plan
from assent.models.group_plan import GroupPlan
from assent.models.last_layer import Place, Reading
from assent.models.take import RowGather

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GroupBatch:
    """One micro-batch of groups, flat."""

    tokens: Int[Tensor, " T"]
    positions: Int[Tensor, " T"]
    """Place of each token in its own row; a continuation's go on from its prompt's end."""
    segments: Integers
    """[N, 4]: (start, end, prefix_start, prefix_end); the prefix is (0, 0) where there is none."""
    scored: Int[Tensor, " S"]
    """Index into T of the state that predicts each scored token."""
    targets: Int[Tensor, " S"]
    row: Int[Tensor, " S"]
    """Local row of each scored token; rows are contiguous and in order."""
    last: Int[Tensor, " B"]
    """Index into T of each row's last real token."""
    rows: tuple[int, ...]
    """Number of each local row in the caller's order."""
    group_of_row: tuple[int, ...]
    """Number of each local row's group in the caller's order."""
    row_lengths: tuple[int, ...]
    """Scored tokens of each local row."""
    plan: GroupPlan | FlexPlan
    take_scored: RowGather
    """Takes the rows `scored` of the token states."""
    take_last: RowGather
    """Takes the rows `last` of the token states."""

    @property
    def num_tokens(self) -> int:
        """Real tokens, prompts counted once; all of them are computed and no others."""
        return len(self.tokens)

    @property
    def num_scored(self) -> int:
        """Scored tokens."""
        return len(self.targets)

    @property
    def num_rows(self) -> int:
        """Continuations."""
        return len(self.rows)

    @cached_property
    def num_unshared_tokens(self) -> int:
        """Tokens of all rows if every continuation repeated its prompt."""
        return int(self.positions[self.last].sum()) + self.num_rows

    def reading(self, place: Place) -> Reading:
        """The tokens whose states are read there, for a pass whose last layer leaves the others out."""
        return self._at_scored if place == "scored" else self._at_last

    @cached_property
    def _at_scored(self) -> Reading:
        return self._reading(self.scored)

    @cached_property
    def _at_last(self) -> Reading:
        return self._reading(self.last)

    def _reading(self, places: Tensor) -> Reading:
        found = Reading.of(places.cpu().numpy(), self.segments, self.positions.cpu().numpy())
        return found if self.tokens.device.type == "cpu" else found.to(self.tokens.device)

    def gather(self, per_row: Sequence[Shaped[Tensor, " _"]]) -> Shaped[Tensor, " S"]:
        """Lay the caller's per-row tensors (one value per scored token) along S."""
        parts = [per_row[number] for number in self.rows]
        lengths = tuple(len(part) for part in parts)
        if lengths != self.row_lengths:
            raise ValueError(f"rows {self.rows} have {self.row_lengths} scored tokens, but were given {lengths} values")
        return torch.cat(parts).to(self.tokens.device)

    def scatter(self, flat: Shaped[Tensor, " S"]) -> dict[int, Shaped[Tensor, " _"]]:
        """Cut values along S into one view per row, by the row's number in the caller's order."""
        return dict(zip(self.rows, flat.split(self.row_lengths), strict=True))

    def pick(self, per_row: Shaped[Tensor, " N"]) -> Shaped[Tensor, " B"]:
        """The values of this batch's rows, out of one value per row in the caller's order."""
        return per_row[torch.tensor(self.rows, device=per_row.device)].to(self.tokens.device)

    def listed(self) -> list[dict[str, object]]:
        """Every row as plain numbers, prompt included: {"row": its number in the caller's order, "tokens": ids}."""
        tokens = self.tokens.tolist()
        ends = {end: (start, *prefix) for start, end, *prefix in self.segments.tolist()}
        found = []
        for row, last in zip(self.rows, self.last.tolist(), strict=True):
            start, prefix_start, prefix_end = ends[last + 1]
            found.append({"row": row, "tokens": tokens[prefix_start:prefix_end] + tokens[start : last + 1]})
        return found

    def to(self, device: torch.device | str) -> GroupBatch:
        """The same on another device."""
        if self.tokens.device == torch.device(device):
            return self
        names = ("tokens", "positions", "scored", "targets", "row", "last", "plan", "take_scored", "take_last")
        moved = replace(self, **{name: getattr(self, name).to(device) for name in names})
        return replace(moved, plan=best_plan(moved.plan, self.segments, moved.positions))


def pack(groups: Sequence[Group], *, budget: int) -> list[GroupBatch]:
    """Cut groups, longest first, into micro-batches of at most `budget` real tokens.

    A group is never split; one that is larger than the budget is a batch of its own. Row numbers count continuations
    in the order given. The same groups always give the same batches.
    """
    return list(Packed(groups, budget=budget))


class Packed(Lazy[GroupBatch]):
    """The batches of `pack`, each laid out when it is asked for: for a pass over more groups than memory holds."""

    def __init__(self, groups: Sequence[Group], *, budget: int) -> None:
        if budget < 1:
            raise ValueError(f"budget is a number of real tokens of at least 1, got {budget}")
        self._groups = groups
        shapes = ((len(g.continuations), g.longest, g.num_tokens) for g in groups)
        rows, longest, tokens = np.fromiter(shapes, dtype=np.dtype((np.int64, 3)), count=len(groups)).T
        self._first_row = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(rows)])
        self._order = np.lexsort((-tokens, -longest))
        self._starts = array("q")
        """Where in the order each batch begins."""
        room = 0
        for place, number in enumerate(self._order):
            size = int(tokens[number])
            if not place or size > room:
                self._starts.append(place)
                room = budget
            room -= size
        self._starts.append(len(groups))

    def __len__(self) -> int:
        """How many batches there are."""
        return len(self._starts) - 1

    def at(self, place: int) -> GroupBatch:
        """The batch at this place."""
        numbers = self._order[self._starts[place] : self._starts[place + 1]].tolist()
        return _batch([(n, int(self._first_row[n]), self._groups[n]) for n in numbers])


def _batch(numbered: Sequence[tuple[int, int, Group]]) -> GroupBatch:
    """Lay (group number, number of its first row, group) end to end."""
    layout = _Layout()
    for _, _, group in numbered:
        layout.add(group)
    tokens, positions = np.concatenate(layout.tokens), np.concatenate(layout.positions)
    scored = np.concatenate(layout.scored)
    last = np.array(layout.last, dtype=np.int64)
    segments = np.array(layout.segments, dtype=np.int64)
    lengths = [len(states) for states in layout.scored]
    return GroupBatch(
        tokens=torch.from_numpy(tokens),
        positions=torch.from_numpy(positions),
        segments=segments,
        scored=torch.from_numpy(scored),
        targets=torch.from_numpy(np.concatenate(layout.targets)),
        row=torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths)),
        last=torch.from_numpy(last),
        rows=tuple(first + k for _, first, group in numbered for k in range(len(group.continuations))),
        group_of_row=tuple(number for number, _, group in numbered for _ in group.continuations),
        row_lengths=tuple(lengths),
        plan=GroupPlan(segments, positions),
        take_scored=RowGather(scored, len(tokens)),
        take_last=RowGather(last, len(tokens)),
    )


class _Layout:
    """The flat arrays while they grow."""

    def __init__(self) -> None:
        self.tokens: list[Integers] = []
        self.positions: list[Integers] = []
        self.segments: list[tuple[int, int, int, int]] = []
        self.scored: list[Integers] = []
        self.targets: list[Integers] = []
        self.last: list[int] = []
        self._end = 0

    def add(self, group: Group) -> None:
        """Append one group: its prompt, then its continuations."""
        start, length = self._end, len(group.prompt)
        self._extend(group.prompt, first_position=0)
        prompt_end = self._end
        is_single = len(group.continuations) == 1
        if not is_single:
            self.segments.append((start, prompt_end, 0, 0))
        for continuation, is_scored in zip(group.continuations, group.is_scored, strict=True):
            own_start = self._end
            self._extend(continuation, first_position=length)
            before = np.arange(own_start - 1, self._end - 1, dtype=np.int64)
            before[0] = prompt_end - 1
            self.scored.append(before[is_scored])
            self.targets.append(np.asarray(continuation, dtype=np.int64)[is_scored])
            self.last.append(self._end - 1)
            prefix = (0, 0) if is_single else (start, prompt_end)
            self.segments.append((start if is_single else own_start, self._end, *prefix))

    def _extend(self, tokens: Integers, *, first_position: int) -> None:
        self.tokens.append(np.asarray(tokens, dtype=np.int64))
        self.positions.append(np.arange(first_position, first_position + len(tokens), dtype=np.int64))
        self._end += len(tokens)
