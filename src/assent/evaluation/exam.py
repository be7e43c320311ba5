"""Exams: a suite with questions of its own, asked of a subject and of the null baselines beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assent.core import seeds
from assent.core.errors import ConfigError, DataError
from assent.core.hashing import hash_json, short
from assent.data.config import Source
from assent.data.rows import BadRow, Row, parts, read_rows
from assent.evaluation.nulls import NULLS
from assent.evaluation.outcomes import Found, Kind, Outcome, estimates
from assent.evaluation.subject import Ability, Subject
from assent.evaluation.suites.config import PackagedSettings
from assent.raters.rater import SingleRater


@dataclass(frozen=True)
class Exam:
    """What a suite works with."""

    subject: Subject
    seed: int
    judge: SingleRater | None = None
    """Who judges answers, for suites that need somebody."""
    on_progress: Callable[[int], None] = field(default=lambda n: None, repr=False)
    """Told how many more items are done."""


@dataclass(frozen=True)
class Suite:
    """Questions, how answers to them are measured, and what the numbers mean."""

    config: type[PackagedSettings]
    """Its settings; their `kind` names it."""
    kinds: Mapping[str, Kind]
    """Measures by name."""
    abilities: frozenset[Ability]
    """What a subject needs one of, to be examined."""
    load: Callable[[Any], Sequence[Any]]
    """The items of a config; raises DataError with file and line."""
    examine: Callable[[Any, Sequence[Any], Exam], list[Outcome]]
    """What it finds of a subject, one outcome per item, in their order."""
    cluster: Callable[[Any], str] = field(default=lambda item: str(item), repr=False)
    """What an item hangs together with; a limit draws whole clusters."""
    wants_judge: bool = False
    """Whether it cannot do without a judge."""
    remarks: Callable[[Any, Sequence[Outcome]], Mapping[str, int | str]] = field(
        default=lambda config, outcomes: {}, repr=False
    )
    """What it says of a subject in words beside its numbers: verdicts against stated margins, alarms."""
    identity: Callable[[Any], Mapping[str, str]] = field(default=lambda config: {}, repr=False)
    """Hashes of questions that come with the package, for the key of what was found."""

    @property
    def kind(self) -> str:
        """Its name."""
        return str(self.config.model_fields["kind"].default)


def sit(suite: Suite, config: Any, exam: Exam) -> Found:
    """Examine a subject and, with the same items, the null baselines.

    Raises ConfigError where the subject cannot be asked what the suite asks, or a judge is missing.
    """
    if not suite.abilities & exam.subject.abilities:
        raise ConfigError(
            f"suite {config.title}: it wants {' or '.join(sorted(suite.abilities))}, and {exam.subject.name} gives"
            f" {', '.join(sorted(exam.subject.abilities)) or 'none'}; leave the suite out for it"
        )
    if suite.wants_judge and exam.judge is None:
        raise ConfigError(f"suite {config.title} wants a judge; give suites' judge, an autorater, in the settings")
    items = drawn(suite.load(config), config.limit, exam.seed, cluster=suite.cluster)
    outcomes = suite.examine(config, items, exam)
    nulls = {} if suite.wants_judge else {null.name: _means(suite, config, items, null, exam) for null in NULLS}
    source = short(hash_json([suite.kind, [[one.item, one.prompt] for one in outcomes]]))
    return Found(
        suite=config.title,
        subject=exam.subject.name,
        source=source,
        outcomes=tuple(outcomes),
        nulls=nulls,
        notes={"items": len(items), **suite.identity(config), **suite.remarks(config, outcomes)},
    )


def drawn(items: Sequence[Any], limit: int | None, seed: int, *, cluster: Callable[[Any], str]) -> list[Any]:
    """At most `limit` items, whole clusters of them, in their order; the same for the same seed."""
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
    found = estimates(suite.examine(config, items, Exam(null, exam.seed)), suite.kinds)
    return {name: None if one is None else one.estimate for name, one in found.items()}
