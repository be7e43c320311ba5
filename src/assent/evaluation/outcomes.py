"""Outcomes: what a suite found of each of its items, and the measures that are made of them, alone and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from assent.core import files
from assent.core.errors import DataError
from assent.core.hashing import hash_bytes, hash_file
from assent.core.problems import first_problem
from assent.core.types import Record
from assent.evaluation.suite import Measure, SuiteReport
from assent.stats.clustered import clustered_mean, clustered_share, paired_difference
from assent.stats.estimate import Estimate
from assent.stats.paired import share_difference
from assent.stats.resampled import ANYWHERE, difference_of, left_out

OUTCOMES = "outcomes.jsonl"
FOUND = "found.json"
OF_REWARD = " of the reward model"
"""What is added to a suite's title where a reward model sat it."""
HASH = "outcomes"
"""In found.json: hash of outcomes.jsonl."""


class Outcome(Record):
    """What a suite found of one of its items."""

    item: str
    """The id under which the item is asked of every subject."""
    cluster: str
    """What hangs together: items of one prompt, one template, one document."""
    values: dict[str, float]
    """Measure -> value; a measure that does not apply to the item, or could not be read, is missing."""
    group: str = ""
    """The slice of the suite that the item belongs to: a category, a kind of question."""
    prompt: str = ""
    """What was asked, as people may read it."""
    answer: str = ""
    """What was answered, or the option that was chosen."""
    note: str = ""
    """Why a measure is missing, or what else a reader should know."""


Statistic = Callable[[Sequence[Outcome]], float | None]
"""A number of all outcomes together; None where they hold nothing to compute it from."""


Interval = Callable[[Sequence[Outcome], float], Estimate | None]
"""A number of all outcomes with its interval at a confidence; None where they hold nothing to compute it from."""


@dataclass(frozen=True)
class Kind:
    """What a measure is."""

    help: str
    """In a sentence: what is measured, in which unit."""
    lower_is_better: bool | None = False
    """None: neither is better."""
    range: tuple[float, float] | None = (0.0, 1.0)
    """Where the number can lie; None: anywhere."""
    statistic: Statistic | None = None
    """How it is made of the outcomes; None: the mean of their values of that name."""
    interval: Interval | None = None
    """The number with an interval of its own, where leaving out clusters gives a poor one; None: from those."""


class Found(Record):
    """What a suite found of one subject."""

    suite: str
    subject: str
    source: str
    """Hash of the items that were asked. Two subjects are compared only on the same items."""
    kind: str = ""
    """Kind of the suite; empty where it was not written down: then its title says it."""
    weights: str = ""
    """Hash of the subject's model; empty where that is not known, as of a hub id."""
    outcomes: tuple[Outcome, ...] = Field(exclude=True)
    nulls: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    """What answers without any thought reach: name of the baseline -> measure -> number."""
    notes: dict[str, int | str] = Field(default_factory=dict)
    """What else is to be said: counts of items left out, a version, a signature."""

    def write(self, folder: Path) -> None:
        """Write outcomes.jsonl and found.json into `folder`."""
        lines = "".join(one.model_dump_json() + "\n" for one in self.outcomes)
        files.write_text(folder / OUTCOMES, lines)
        files.write_json(folder / FOUND, {**self.model_dump(mode="json"), HASH: hash_bytes(lines.encode())})

    @classmethod
    def read(cls, folder: Path) -> Found:
        """What `write` wrote. Raises DataError naming file and line where it cannot be read, or was changed since."""
        outcomes, path = [], folder / OUTCOMES
        try:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                try:
                    outcomes.append(Outcome.model_validate_json(line))
                except ValidationError as error:
                    raise DataError(f"no outcome: {first_problem(error, Outcome)}", path=path, line=number) from None
            path = folder / FOUND
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop(HASH, digest := hash_file(folder / OUTCOMES)) != digest:
                raise DataError("was changed since it was measured; measure it again", path=folder / OUTCOMES)
            return cls.model_validate({**values, "outcomes": outcomes})
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}; measure it again", path=path) from None
        except (ValueError, TypeError) as error:
            raise DataError(f"holds no findings of a suite ({type(error).__name__})", path=path) from None


def estimates(
    outcomes: Sequence[Outcome], kinds: Mapping[str, Kind], *, confidence: float = 0.95
) -> dict[str, Estimate | None]:
    """Each measure of one subject with its interval; None where it applies to nothing."""
    return {name: _estimate(outcomes, name, kind, confidence) for name, kind in kinds.items()}


def report(
    after: Found, kinds: Mapping[str, Kind], *, before: Found | None = None, confidence: float = 0.95
) -> SuiteReport:
    """One subject's measures, and, where there is another, the difference paired by item.

    Raises DataError where both were not asked the same items.
    """
    if before is not None and before.source != after.source:
        raise DataError(
            f"{after.suite}: {before.subject} and {after.subject} were asked other items; measure both anew"
        )
    both = None if before is None else before.outcomes
    measures = _measures(after.outcomes, both, kinds, confidence)
    groups = list(dict.fromkeys(one.group for one in after.outcomes if one.group))
    slices = {
        group: _measures(
            _of_group(after.outcomes, group), None if both is None else _of_group(both, group), kinds, confidence
        )
        for group in groups
        if len(groups) > 1
    }
    return SuiteReport(measures=measures, slices=slices, nulls=after.nulls, notes=after.notes)


def _measures(
    after: Sequence[Outcome], before: Sequence[Outcome] | None, kinds: Mapping[str, Kind], confidence: float
) -> dict[str, Measure]:
    found = {}
    for name, kind in kinds.items():
        one = _estimate(after, name, kind, confidence)
        earlier = None if before is None else _estimate(before, name, kind, confidence)
        if one is None and earlier is None:
            continue
        difference = None if before is None else _difference(after, before, name, kind, confidence)
        number = len(after) if kind.statistic is not None else sum(name in each.values for each in after)
        found[name] = Measure(
            before=earlier, after=one, difference=difference, lower_is_better=kind.lower_is_better, n=number
        )
    return found


def _estimate(outcomes: Sequence[Outcome], name: str, kind: Kind, confidence: float) -> Estimate | None:
    if kind.interval is not None:
        return kind.interval(outcomes, confidence)
    if kind.statistic is not None:
        if not outcomes:
            return None
        clusters, between = [one.cluster for one in outcomes], kind.range or ANYWHERE
        found = left_out(outcomes, clusters, kind.statistic, between=between, confidence=confidence)
        return None if found is None else found.model_copy(update={"n": len(outcomes)})
    said = [(one.values[name], one.cluster) for one in outcomes if name in one.values]
    if not said:
        return None
    values, clusters = [value for value, _ in said], [cluster for _, cluster in said]
    if len(set(clusters)) < 2:
        low, high = kind.range or (float("-inf"), float("inf"))
        return Estimate(estimate=sum(values) / len(values), low=low, high=high, n=len(values))
    if kind.range == (0.0, 1.0):
        mean = clustered_share(values, clusters, confidence=confidence)
    else:
        mean = clustered_mean(values, clusters, confidence=confidence)
        mean = mean if kind.range is None else mean.inside(*kind.range)
    return mean.model_copy(update={"n": len(values)})


def _difference(
    after: Sequence[Outcome], before: Sequence[Outcome], name: str, kind: Kind, confidence: float
) -> Estimate | None:
    if kind.statistic is not None:
        earlier_of = {one.item: one for one in before}
        sides = [(one, earlier_of[one.item]) for one in after if one.item in earlier_of]
        if not sides:
            return None
        clusters = [one.cluster for one, _ in sides]
        low, high = kind.range or ANYWHERE
        between = low - high, high - low
        found = left_out(sides, clusters, difference_of(kind.statistic), between=between, confidence=confidence)
        return None if found is None else found.model_copy(update={"n": len(sides)})
    earlier = {one.item: one.values[name] for one in before if name in one.values}
    pairs = [
        (one.values[name], earlier[one.item], one.cluster)
        for one in after
        if name in one.values and one.item in earlier
    ]
    if len({cluster for *_, cluster in pairs}) < 2:
        return None
    new, old = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    make = share_difference if kind.range == (0.0, 1.0) else paired_difference
    moved = make(new, old, [pair[2] for pair in pairs], confidence=confidence)
    return moved.model_copy(update={"n": len(pairs)})


def _of_group(outcomes: Sequence[Outcome], group: str) -> list[Outcome]:
    return [one for one in outcomes if one.group == group]
