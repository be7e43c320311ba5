"""Suites with questions of their own, as tables: before, after, the difference, and what no thought at all reaches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from assent.evaluation.suite import Measure, SuiteReport
from assent.report.run_folder import Run
from assent.stats.estimate import Estimate

UNKNOWN = "—"


@dataclass(frozen=True)
class Line:
    """One measure of a suite, or of a slice of it."""

    name: str
    before: str
    after: str
    difference: str
    tone: str
    """good or bad where the interval of the difference leaves 0 out, else empty."""
    n: str
    nulls: str
    group: str = ""


@dataclass(frozen=True)
class SuiteTable:
    """What one suite found of the run's last policy or reward model, beside what it started from."""

    title: str
    lines: tuple[Line, ...]
    slices: tuple[Line, ...]
    notes: tuple[tuple[str, str], ...]


def suite_tables(run: Run) -> tuple[SuiteTable, ...]:
    """A table per suite of the comparison that decides; empty where the run measured none."""
    return tuple(_table(title, report) for title, report in run.suites.items())


def _table(title: str, report: SuiteReport) -> SuiteTable:
    slices = (line for group, measures in report.slices.items() for line in _lines(measures, group=group))
    notes = ((name.replace("_", " "), str(value)) for name, value in report.notes.items() if value or value == 0)
    return SuiteTable(title, tuple(_lines(report.measures, nulls=report.nulls)), tuple(slices), tuple(notes))


def _lines(
    measures: Mapping[str, Measure], *, nulls: Mapping[str, Mapping[str, float | None]] | None = None, group: str = ""
) -> Iterator[Line]:
    for name, one in measures.items():
        reached = [
            f"{null} {_number(value)}"
            for null, values in (nulls or {}).items()
            if (value := values.get(name)) is not None
        ]
        yield Line(
            name=("↓ " if one.lower_is_better else "") + name.replace("_", " "),
            before=_words(one.before),
            after=_words(one.after),
            difference=_words(one.difference, signed=True),
            tone=_tone(one),
            n=f"{one.n:,}",
            nulls=" · ".join(reached),
            group=group,
        )


def _tone(one: Measure) -> str:
    moved = one.difference
    if moved is None or one.lower_is_better is None or moved.low <= 0 <= moved.high:
        return ""
    return "good" if (moved.estimate > 0) != one.lower_is_better else "bad"


def _words(one: Estimate | None, *, signed: bool = False) -> str:
    if one is None:
        return UNKNOWN
    return f"{_number(one.estimate, signed)} [{_number(one.low, signed)}, {_number(one.high, signed)}]"


def _number(value: float, signed: bool = False) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:+.3f}" if signed else f"{value:.3f}"
