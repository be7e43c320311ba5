"""Scoring without a gradient: a frozen model of this process behind `Scorer`, and its numbers per answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Generic

import torch
from torch import Tensor

from assent.algorithms.masked import row_sum
from assent.core.group import Group, TokenIds
from assent.learner import peers
from assent.learner.learner import Output, Scorer
from assent.learner.room import Room
from assent.models.choices import with_choices
from assent.models.groups import GroupBatch, Packed, pack
from assent.models.policy import TokenScores


class LocalScorer(Generic[Output]):
    """A model of this process that is only asked: `outputs` gives what it says of a micro-batch.

    `within` makes the model what it should be while it is asked (`PolicyModel.reference`: adapters off).
    """

    def __init__(
        self,
        outputs: Callable[[GroupBatch], Output],
        *,
        within: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._outputs, self._within = outputs, within
        self._room = Room()

    @torch.no_grad()
    def score(self, batches: Sequence[GroupBatch]) -> list[Output]:
        """Outputs without gradient, one per micro-batch."""
        with self._within():
            return self._room.scores(batches, self._outputs)


def each_scored(scorer: Scorer[Output], batches: Sequence[GroupBatch]) -> Iterator[tuple[GroupBatch, Output]]:
    """Every micro-batch with what the model says of it: one held at a time, or one for each process that scores."""
    for start in range(0, len(batches), peers.count()):
        some = list(batches[start : start + peers.count()])
        yield from zip(some, scorer.score(some), strict=True)


def sum_logps(
    scorer: Scorer[TokenScores],
    groups: Sequence[Group],
    *,
    budget: int,
    on_progress: Callable[[int], None] = lambda n: None,
) -> Tensor:
    """Log-prob of every answer, summed over its tokens [answers], group by group; on the CPU, in float32.

    `on_progress(n)` is told whenever n more answers are done.
    """
    found = torch.zeros(sum(len(g.continuations) for g in groups))
    for batch, scores in each_scored(scorer, Packed(groups, budget=budget)):
        found[list(batch.rows)] = row_sum(scores.logps, batch.row, batch.num_rows).float().cpu()
        on_progress(len(batch.rows))
    return found


def choice_logps(
    scorer: Scorer[TokenScores], groups: Sequence[Group], choices: Sequence[TokenIds], *, budget: int
) -> list[Tensor]:
    """Log-probs of each of `choices[row]` in the place of the last token of each row; float32 on the CPU, by row."""
    found: dict[int, Tensor] = {}
    asked_for = [with_choices(batch, choices) for batch in pack(groups, budget=budget)]
    for asked, scores in each_scored(scorer, asked_for):
        found |= asked.scatter(scores.logps.float().cpu())
    return [found[row] for row in range(len(choices))]


def score_groups(
    scorer: Scorer[Tensor],
    groups: Sequence[Group],
    *,
    budget: int,
    on_progress: Callable[[int], None] = lambda count: None,
) -> list[float]:
    """One number per answer, group by group, from a scorer of rows [B]; `on_progress` as for `sum_logps`."""
    scores = [0.0] * sum(len(g.continuations) for g in groups)
    for batch, found in each_scored(scorer, Packed(groups, budget=budget)):
        for row, score in zip(batch.rows, found.tolist(), strict=True):
            scores[row] = score
        on_progress(len(batch.rows))
    return scores
