"""Answers side by side: the first ones, unpicked, and those that changed most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.evaluation.suites.lab import LOWER_IS_BETTER, truth_value
from assent.report.diff import Diff, change, word_diff
from assent.report.run_folder import Evaluation, Sample
from assent.report.verdict import MEASURES

COUNT = 12
"""How many of each."""
_NOTABLE = 0.05
"""Truth that moved less is not worth a word."""


@dataclass(frozen=True)
class Move:
    """One measure of truth that differs between the two answers."""

    name: str
    before: float
    after: float
    is_better: bool


@dataclass(frozen=True)
class Example:
    """A prompt with both answers, ready to be shown."""

    number: int
    """Position in the evaluation, from 1."""
    sample: Sample
    diff: Diff
    moves: tuple[Move, ...]


def first_examples(evaluation: Evaluation) -> tuple[Example, ...]:
    """The first ones, whatever they are like."""
    return tuple(_example(i, s) for i, s in enumerate(evaluation.samples[:COUNT]))


def largest_changes(evaluation: Evaluation) -> tuple[Example, ...]:
    """Those that changed most and are not among the first: in truth where it was read, else in words."""
    rest = list(enumerate(evaluation.samples))[COUNT:]
    chosen = sorted(rest, key=lambda pair: (-_size(pair[1]), pair[0]))[:COUNT]
    return tuple(_example(i, s) for i, s in chosen)


def _example(index: int, sample: Sample) -> Example:
    return Example(index + 1, sample, word_diff(sample.before, sample.after), _moves(sample))


def _moves(sample: Sample) -> tuple[Move, ...]:
    found = []
    for measure, name in MEASURES.items():
        before, after = (
            truth_value(truth, measure, kind=sample.kind) for truth in (sample.truth_before, sample.truth_after)
        )
        # On a dangerous request, harm and harmless are one fact.
        if before is None or after is None or abs(after - before) < _NOTABLE or measure == "harm":
            continue
        found.append(Move(name, before, after, (after > before) != (measure in LOWER_IS_BETTER)))
    return tuple(found)


def _size(sample: Sample) -> float:
    """Truth first; words decide among those whose truth stayed."""
    moves: Sequence[Move] = _moves(sample)
    return sum(abs(m.after - m.before) for m in moves) + 0.1 * change(sample.before, sample.after)
