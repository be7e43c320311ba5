"""Exams: a suite with questions of its own, asked of a subject and of the null baselines beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assent.core import seeds
from assent.core.errors import ConfigError, DataError
from assent.core.hashing import hash_json, short
from assent.data.config import Source
from assent.data.rows import BadRow, Row, parts, read_rows
from assent.evaluation.nulls import NULLS
from assent.evaluation.outcomes import Found, Kind, Outcome, estimates
from assent.evaluation.settings import PackagedSettings
from assent.evaluation.subject import Ability, Ruled, Subject, TooLongError
from assent.raters.rater import SingleRater


@dataclass(frozen=True)
class Exam:
    """What a suite works with."""

    subject: Subject
    seed: int
    judge: SingleRater | None = None
    """Who judges answers, for suites that need somebody."""


@dataclass(frozen=True)
class Suite:
    """Questions, how answers to them are measured, and what the numbers mean."""

    config: type[PackagedSettings]
    """Its settings; their `kind` names it."""
    kinds: Mapping[str, Kind]
    """Measures by name; a suite whose files name further ones (own) has those in `measures`."""
    abilities: frozenset[Ability]
    """What a subject needs one of, to be examined."""
    load: Callable[[Any], Sequence[Any]]
    """The items of a config; raises DataError with file and line."""
    examine: Callable[[Any, Sequence[Any], Exam], list[Outcome]]
    """What it finds of a subject, one outcome per item, in their order."""
    cluster: Callable[[Any], str] = field(default=lambda item: str(item), repr=False)
    """What an item hangs together with; a limit draws whole clusters."""
    wants_judge: Callable[[Any], bool] = field(default=lambda config: False, repr=False)
    """Whether it cannot do without a judge."""
    criteria: Callable[[Any], tuple[str, ...]] = field(default=lambda config: (), repr=False)
    """Criteria of the judge that the config names; none: all that the judge has."""
    measured: Callable[[Any], Mapping[str, Kind]] | None = field(default=None, repr=False)
    """The measures of a config, where they are not all of `kinds`."""
    notes: Callable[[Any, Sequence[Outcome]], Mapping[str, int | str]] = field(
        default=lambda config, outcomes: {}, repr=False
    )
    """What else is to be said of what was found: what could not be read, a version, a signature."""
    beside: Callable[[Any], Mapping[str, str]] = field(default=lambda config: {}, repr=False)
    """Hashes of what it reads that the config does not name: name -> hash."""

    @property
    def kind(self) -> str:
        """Its name."""
        return str(self.config.model_fields["kind"].default)

    def measures(self, config: Any) -> Mapping[str, Kind]:
        """The measures of a config by name."""
        return self.kinds if self.measured is None else self.measured(config)


def sit(suite: Suite, config: Any, exam: Exam) -> Found:
    """Examine a subject and, with the same items, the null baselines.

    Raises ConfigError where the subject cannot be asked what the suite asks, or a judge is missing.
    """
    if not suite.abilities & exam.subject.abilities:
        raise ConfigError(
            f"suite {config.title}: it wants {' or '.join(sorted(suite.abilities))}, and {exam.subject.name} gives"
            f" {', '.join(sorted(exam.subject.abilities)) or 'none'}; leave the suite out for it"
        )
    if suite.wants_judge(config) and exam.judge is None:
        raise ConfigError(f"suite {config.title} wants a judge; name one as `judge` beside `suites`")
    items = drawn(suite.load(config), config.limit, exam.seed, cluster=suite.cluster)
    if not items:
        raise ConfigError(f"suite {config.title}: {config.path} holds nothing that the suite can ask")
    items, too_long = fitting(suite, config, items, exam)
    outcomes = suite.examine(config, items, exam)
    # A judge's time is dear: where one is asked, the constant answer alone stands for those without thought.
    shown = NULLS[:1] if suite.wants_judge(config) else NULLS
    nulls = {null.name: _means(suite, config, items, null, exam) for null in shown}
    source = short(hash_json([suite.kind, [[one.item, one.prompt] for one in outcomes]]))
    return Found(
        suite=config.title,
        subject=exam.subject.name,
        source=source,
        kind=suite.kind,
        outcomes=tuple(outcomes),
        nulls=nulls,
        notes={
            "items": len(items),
            **({"too long for the subject": too_long} if too_long else {}),
            **suite.notes(config, outcomes),
        },
    )


def fitting(suite: Suite, config: Any, items: Sequence[Any], exam: Exam) -> tuple[list[Any], int]:
    """The items that fit the subject's context, and how many do not. Raises DataError where hardly any does.

    Each item is asked of the subject's ruler alone. Where a judge belongs to the suite, or the subject has no ruler,
    all are taken to fit.
    """
    if suite.wants_judge(config) or not isinstance(exam.subject, Ruled):
        return list(items), 0
    tried = replace(exam, subject=exam.subject.ruler)
    kept = []
    for item in items:
        try:
            suite.examine(config, [item], tried)
            kept.append(item)
        except TooLongError as error:
            last = error
    if len({suite.cluster(item) for item in kept}) < 2 and len(kept) < len(items):
        raise DataError(f"suite {config.title}: {len(items) - len(kept)} of {len(items)} items do not fit: {last}")
    return kept, len(items) - len(kept)


def drawn(items: Sequence[Any], limit: int | None, seed: int, *, cluster: Callable[[Any], str]) -> list[Any]:
    """At most `limit` items, whole clusters of them, in their order; the same for the same seed.

    Raises ConfigError where no cluster is that small.
    """
    if limit is None or len(items) <= limit:
        return list(items)
    names = list(dict.fromkeys(cluster(item) for item in items))
    sizes: dict[str, int] = {}
    for item in items:
        sizes[cluster(item)] = sizes.get(cluster(item), 0) + 1
    kept: set[str] = set()
    room = limit
    for place in seeds.stream(seed, "suite items").permutation(len(names)).tolist():
        if sizes[names[place]] <= room:
            kept.add(names[place])
            room -= sizes[names[place]]
    if not kept:
        raise ConfigError(
            f"a limit of {limit} items is too low: dependent items are asked together, {min(sizes.values())} items"
            " at least; raise the limit, or leave it out"
        )
    return [item for item in items if cluster(item) in kept]


def rows_of(path: Path) -> list[Row]:
    """The rows of a suite's file or folder. Raises DataError for the first that is none, or where there is none."""
    source = Source(path=path)
    rows = []
    for name, part in parts(source):
        for row in read_rows(name, part, source):
            if isinstance(row, BadRow):
                raise row.error
            rows.append(row)
    if not rows:
        raise DataError("holds no rows", path=path)
    return rows


def _means(suite: Suite, config: Any, items: Sequence[Any], null: Subject, exam: Exam) -> dict[str, float | None]:
    found = estimates(suite.examine(config, items, Exam(null, exam.seed, exam.judge)), suite.measures(config))
    return {name: None if one is None else one.estimate for name, one in found.items()}
