"""What stands beside the judgments of a comparison: everything known of its task that no comparison has a field for.

It travels in the comparison's meta under `aside`, which our own format keeps; every other format counts it as lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field, ValidationError

from assent.core.problems import first_problem
from assent.core.types import Comparison, Judgment, Purpose, Record, Task, TaskKind
from assent.data.losses import (
    DECISIONS,
    EARLIER,
    FACTS,
    GUIDELINES,
    KNOWN_ANSWERS,
    PROPENSITIES,
    REPEATS,
    SINGLES,
    SKIPS,
    TIMES,
    UNJUDGED,
    VIEWINGS,
    Losses,
)
from assent.data.task_records import Circumstances, Decision, Moment, TaskFacts, TaskRecord, with_edits

ASIDE = "aside"


class _Named(Record):
    """Which task it is."""

    id: str
    kind: TaskKind = "rank"
    purpose: Purpose = "reward"


class _Aside(Record):
    """What stands beside."""

    times: dict[str, Moment] = Field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    task: _Named | None = None
    facts: TaskFacts | None = None
    about: dict[str, Circumstances] = Field(default_factory=dict)
    others: tuple[Judgment, ...] = ()
    """Skips, and judgments that were corrected later."""


def as_comparison(record: TaskRecord) -> Comparison:
    """What can be learned from a task, with all the rest beside it. `as_record` is the way back."""
    said = record.said
    shown = {judgment.id for judgment in said}
    named = _Named(id=record.task.id, kind=record.task.kind, purpose=record.task.purpose)
    beside = _Aside(
        times=record.times,
        decisions=record.decisions,
        task=named if record.task.id else None,
        facts=record.facts,
        about=record.about,
        others=tuple(judgment for judgment in record.judgments if judgment.id not in shown),
    )
    kept = beside.model_dump(mode="json", exclude_defaults=True)
    meta = {**record.meta, ASIDE: kept} if kept else record.meta
    task = record.task
    return Comparison(prompt=task.prompt, completions=task.completions, judgments=tuple(said), meta=meta)


def as_record(comparison: Comparison) -> TaskRecord:
    """The task of a comparison. Raises ValueError where what stands beside it is not as this format says."""
    plain, found = taken(comparison)
    beside = _aside(found)
    named = beside.task or _Named(id="")
    task = Task(
        id=named.id,
        prompt=comparison.prompt,
        completions=comparison.completions,
        kind=named.kind,
        purpose=named.purpose,
    )
    return TaskRecord(
        task=task,
        judgments=(*comparison.judgments, *beside.others),
        facts=beside.facts,
        times=beside.times,
        about=beside.about,
        decisions=beside.decisions,
        meta=plain.meta,
    )


def decisions_of(comparison: Comparison) -> tuple[Decision, ...]:
    """What adjudicators decided about its task, oldest first."""
    return tuple(sorted(_aside(taken(comparison)[1]).decisions, key=lambda decision: decision.at))


def to_learn_from(comparison: Comparison) -> tuple[Comparison, int]:
    """The comparison with the decisions beside it and nothing else, and how many skips stood there."""
    plain, found = taken(comparison)
    if not found:
        return comparison, 0
    beside = _aside(found)
    decisions = _Aside(decisions=beside.decisions).model_dump(mode="json", exclude_defaults=True)
    kept = plain.model_copy(update={"meta": {**plain.meta, ASIDE: decisions}}) if decisions else plain
    corrected = {judgment.supersedes for judgment in (*comparison.judgments, *beside.others)}
    return kept, sum(judgment.id not in corrected for judgment in beside.others)


def taken(comparison: Comparison) -> tuple[Comparison, dict[str, Any]]:
    """The comparison without it, and it."""
    found = comparison.meta.get(ASIDE)
    if not isinstance(found, dict):
        return comparison, {}
    return comparison.model_copy(update={"meta": {k: v for k, v in comparison.meta.items() if k != ASIDE}}), found


def without(items: Iterable[Comparison | TaskRecord], losses: Losses) -> list[Comparison]:
    """The comparisons of a format that has no place beside them; everything that stood there is counted as lost."""
    kept = []
    for item in items:
        if isinstance(item, Comparison):
            plain, found = taken(item)
            kept.append(plain)
            if found:
                _count(as_record(item), losses)
            continue
        _count(item, losses)
        if (made := _plain(item)) is not None:
            kept.append(made)
    return kept


def _plain(record: TaskRecord) -> Comparison | None:
    """What a format without a place for the rest writes of a task: also edits of one answer alone, unranked."""
    said, task = record.said, record.task
    if record.is_repeat or not said:
        return None
    completions = task.completions if len(task.completions) > 1 else with_edits(task, said)
    if len(completions) < 2:
        return None
    return Comparison(prompt=task.prompt, completions=completions, judgments=tuple(said), meta=record.meta)


def _count(record: TaskRecord, losses: Losses) -> None:
    """Count what a comparison does not hold. What is left out as a whole counts once, with all that belongs to it."""
    holding = record.holding
    written = [] if _plain(record) is None else record.said
    losses.add(DECISIONS, len(record.decisions))
    losses.add(EARLIER, len(record.judgments) - len(holding))
    if record.facts is not None:
        losses.add(KNOWN_ANSWERS, record.facts.gold is not None)
        losses.add(UNJUDGED, not record.judgments)
        losses.add(FACTS, bool(written))
    if record.is_repeat:
        losses.add(REPEATS, len(holding))
        return
    losses.add(SKIPS, len(holding) - len(record.said))
    losses.add(SINGLES, len(record.said) - len(written))
    about = [record.about[judgment.id] for judgment in written if judgment.id in record.about]
    losses.add(TIMES, sum(judgment.id in record.times for judgment in written))
    losses.add(GUIDELINES, sum(one.guideline is not None for one in about))
    losses.add(PROPENSITIES, sum(one.propensity is not None for one in about))
    losses.add(VIEWINGS, sum(one.is_told for one in about))


def _aside(found: dict[str, Any]) -> _Aside:
    try:
        return _Aside.model_validate(found)
    except ValidationError as error:
        raise ValueError(f"meta.{ASIDE}: {first_problem(error)}") from None
