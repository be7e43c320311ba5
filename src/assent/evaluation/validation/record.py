"""JudgeRecord: what is known of a judge, whether that is enough to let it decide, and whether it is still the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from assent.artifacts.jsonl import read_records
from assent.core import files
from assent.core.config import Config
from assent.core.errors import DataError
from assent.core.hashing import hash_json
from assent.core.types import Comparison, Completion, Prompt, Record
from assent.evaluation.validation.agreement import FEWEST_ITEMS, Agreement, AltTest
from assent.evaluation.validation.fitting import Calibration
from assent.evaluation.validation.labels import LabelledPair, said_of, tasks_of
from assent.evaluation.validation.probes import Biases
from assent.raters.rater import SingleRater
from assent.stats.clustered import clustered_mean
from assent.stats.estimate import Estimate

RECORD = "judge.json"
ANCHORS = "anchors.jsonl"
FEWEST_ANCHORS = 200
"""With fewer anchors a judge that became worse by a few points goes unseen."""


class Bar(Config):
    """What a judge has to reach before a gate takes its word."""

    agreement: float = Field(default=0.55, gt=0.5, lt=1)
    """Its agreement with votes of people must surely lie above this: the lower end of its interval."""
    share_of_people: float = Field(default=0.9, gt=0, le=1)
    """It agrees with people at least so many times as often as people agree with each other, where that is known."""
    must_beat_longer: bool = True
    """It must agree with people oftener than "the longer answer is better" does."""
    excess: float = Field(default=0.05, ge=0)
    """An edit that makes an answer no better may win so much oftener than a placebo, unless that is chance."""
    nulls: float = Field(default=0.15, ge=0, le=1)
    """Answers without any thought may be preferred so often to what people prefer."""
    abstained: float = Field(default=0.02, ge=0, le=1)
    """It may abstain on so many of the pairs."""
    alternative_annotator: bool = True
    """It must pass the alternative-annotator test, where three people or more can be tested."""


class Anchor(Record):
    """A pair that is judged again on every run, with what people and the judge said when it was chosen."""

    prompt: Prompt
    first: Completion
    second: Completion
    share: float
    """Of people's votes for the first."""
    pick: float
    """The judge's: 1, 0 or 0.5."""

    @property
    def pair(self) -> LabelledPair:
        """As a pair to be judged."""
        return LabelledPair(self.prompt, self.first, self.second, {"people": self.share})


class Drift(Record):
    """A judge on its anchors, now and when it was validated."""

    unchanged: float
    """Share of anchors on which it says what it said."""
    moved: Estimate
    """Agreement with people now less then, paired by anchor."""
    n: int
    margin: float

    @property
    def is_worse(self) -> bool:
        """Whether agreement has surely fallen, or by more than the margin."""
        return self.moved.high < 0 or self.moved.estimate < -self.margin


class JudgeRecord(Record):
    """What is known of a judge."""

    judge: str
    """What it is called."""
    identity: str
    """Hash of its settings and of the content of all they name: another model, rubric or wording is another judge."""
    labels: str
    """Hash of the comparisons it was held against."""
    agreement: Agreement
    criteria: dict[str, Agreement] = Field(default_factory=dict)
    """The same by criterion, where people and the judge score by criteria."""
    slices: dict[str, Estimate] = Field(default_factory=dict)
    alt_test: AltTest
    biases: Biases
    calibration: Calibration | None = None
    bar: Bar = Bar()
    failures: tuple[str, ...] = ()
    """Each way in which it stays below the bar, with the number."""

    @property
    def passes(self) -> bool:
        """Whether a gate may take its word."""
        return not self.failures

    def write(self, folder: Path, anchors: Sequence[Anchor]) -> None:
        """Write judge.json and anchors.jsonl."""
        lines = "".join(one.model_dump_json() + "\n" for one in anchors)
        files.write_text(folder / ANCHORS, lines, is_private=True)
        files.write_json(folder / RECORD, self.model_dump(mode="json"))

    @classmethod
    def read(cls, folder: Path) -> JudgeRecord:
        """What `write` wrote. Raises DataError where there is none."""
        path = folder / RECORD if folder.is_dir() else folder
        try:
            return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}; make it with: assent judge", path=path) from None
        except (ValidationError, ValueError):
            raise DataError("is no record of a judge; make it with: assent judge", path=path) from None


def read_anchors(folder: Path) -> list[Anchor]:
    """The anchors beside a record. Raises DataError for a line that is none."""
    return read_records((folder if folder.is_dir() else folder.parent) / ANCHORS, Anchor)


def hash_of_labels(comparisons: Sequence[Comparison]) -> str:
    """Hash of what a judge is held against."""
    return hash_json([one.model_dump(mode="json") for one in comparisons])


def failures(bar: Bar, found: Agreement, alt: AltTest, biases: Biases, *, source: str = "agreement") -> tuple[str, ...]:
    """Every way in which a judge stays below the bar, in a sentence with the number."""
    return (*_agrees_too_little(bar, found, source), *_cannot_stand_in(bar, alt), *_is_moved(bar, biases))


def drift(anchors: Sequence[Anchor], judge: SingleRater, *, margin: float = 0.05) -> Drift | None:
    """Judge the anchors again. None with anchors of fewer than two prompts. An abstention counts as half a hit."""
    pairs = [one.pair for one in anchors]
    tasks = tasks_of(pairs, name="anchor")
    said = said_of(tasks, judge.judge(tasks))
    picks = [0.5 if one.pick is None else one.pick for one in said]
    if len({pair.prompt.id for pair in pairs}) < 2:
        return None
    gaps = [abs(one.pick - one.share) - abs(pick - one.share) for one, pick in zip(anchors, picks, strict=True)]
    unchanged = sum(pick == one.pick for one, pick in zip(anchors, picks, strict=True)) / len(anchors)
    moved = clustered_mean(gaps, [pair.prompt.id for pair in pairs])
    return Drift(unchanged=unchanged, moved=moved, n=len(anchors), margin=margin)


def in_words(record: JudgeRecord) -> Iterator[str]:
    """The record as lines, for people."""
    yield f"{record.judge}, held against {record.agreement.pairs} pairs"
    yield from _agreement_lines(record.agreement, "")
    for name, one in record.criteria.items():
        yield from _agreement_lines(one, f"{name}: ")
    yield from (f"  {name}: {one}" for name, one in record.slices.items())
    alt = record.alt_test
    if alt.winning_rate is None:
        yield f"  alternative-annotator test: nobody judged {FEWEST_ITEMS} pairs that others judged too"
    else:
        said = "passes" if alt.passes else "too few people to say" if alt.passes is None else "fails"
        yield f"  alternative-annotator test: stands in for {alt.winning_rate:.0%} of {alt.tested} people ({said})"
    yield from _bias_lines(record.biases)
    if (fitted := record.calibration) is not None:
        yield (
            f"  calibration error {fitted.ece_before:.3f}; {fitted.ece:.3f} at temperature {fitted.temperature:.2f}"
            f" fitted on other prompts; ties up to a margin of {fitted.tie_threshold:.2f}"
        )
    yield from (f"  below the bar: {one}" for one in record.failures)
    yield "  above the bar: gates may use it" if record.passes else "  refused for gates"


def _agreement_lines(found: Agreement, name: str) -> Iterator[str]:
    if found.with_votes is None:
        yield f"  {name}no two prompts with votes"
        return
    beside = {
        "two people": found.people,
        "at most": found.ceiling,
        "longer wins": found.longer_wins,
    }
    said = ", ".join(f"{label} {one.estimate:.3f}" for label, one in beside.items() if one is not None)
    yield f"  {name}agrees with votes {found.with_votes} ({said})"
    if found.abstained:
        yield f"  {name}abstained on {found.abstained} of {found.pairs} pairs"


def _bias_lines(found: Biases) -> Iterator[str]:
    if not found.probes:
        yield "  edits and null answers were not tried: they want pairs of two prompts or more with a majority"
    for label, one in (
        ("first shown preferred", found.first_shown),
        ("both orders agree", found.swap_consistency),
        ("longer preferred beyond people", found.longer),
        ("own answers preferred beyond people", found.own),
    ):
        if one is not None:
            yield f"  {label}: {one}"
    yield from (f"  {name}: {one.excess} beyond its placebo" for name, one in found.probes.items())
    yield from (f"  {name} answer preferred: {one}" for name, one in found.nulls.items())


def _agrees_too_little(bar: Bar, found: Agreement, source: str) -> Iterator[str]:
    if found.with_votes is None:
        yield f"{source}: there are not two prompts with votes of people"
        return
    if found.with_votes.low <= bar.agreement:
        yield f"{source} {found.with_votes}, not surely above {bar.agreement}"
    if found.people is not None and found.with_votes.estimate < bar.share_of_people * found.people.estimate:
        yield (
            f"{source} {found.with_votes.estimate:.3f} is less than {bar.share_of_people:.0%} of the"
            f" {found.people.estimate:.3f} that two people reach"
        )
    longer = found.longer_wins
    if bar.must_beat_longer and longer is not None and found.with_votes.estimate <= longer.estimate:
        yield f'{source} {found.with_votes.estimate:.3f}; "the longer answer is better" reaches {longer.estimate:.3f}'
    if found.pairs and found.abstained / found.pairs > bar.abstained:
        yield f"abstained on {found.abstained / found.pairs:.1%} of pairs, more than {bar.abstained:.1%}"


def _cannot_stand_in(bar: Bar, alt: AltTest) -> Iterator[str]:
    if bar.alternative_annotator and alt.passes is False:
        yield f"alternative-annotator test: stands in for {alt.winning_rate:.0%} of {alt.tested} people, not for half"


def _is_moved(bar: Bar, biases: Biases) -> Iterator[str]:
    moved: Mapping[str, Any] = biases.probes
    for name, one in moved.items():
        if one.excess.low > 0 and one.excess.estimate > bar.excess:
            yield f"{name}: edited answers win {one.excess.estimate:+.3f} oftener than with a placebo"
    for name, share in biases.nulls.items():
        if share.estimate > bar.nulls:
            yield f"the {name} answer is preferred in {share.estimate:.0%} of pairs, more than {bar.nulls:.0%}"
