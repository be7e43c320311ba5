"""Whether a judge's verdicts may decide a release: it did not train the policy, and it was held against people."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError

from assent.core.errors import DataError
from assent.core.types import Record
from assent.evaluation.gate.config import JudgeBar
from assent.evaluation.report import Judge
from assent.stats.estimate import Estimate

RECORD = "judge.json"
PEOPLE = ("people", "simulated")
"""Kinds that need no record: people are what others are held against; simulated people stand for them in the lab."""


class Held(Record):
    """A judge beside people on the same pairs."""

    model_config = ConfigDict(extra="ignore")

    with_votes: Estimate | None = None
    """How often it agrees with people's votes."""
    ceiling: Estimate | None = None
    """How often anybody could."""
    pairs: int = 0


class JudgeRecord(Record):
    """What is known of a judge: as much of its judge.json as a gate reads."""

    model_config = ConfigDict(extra="ignore")

    judge: str
    """Its id as a rater."""
    agreement: Held
    drift: Estimate | None = None
    """Agreement with people on its anchors, now less then; None where they were not judged again."""
    failures: tuple[str, ...] = Field(default=())
    """Each way in which it stays below the bar it was validated against, with the number."""

    @classmethod
    def read(cls, path: Path) -> JudgeRecord:
        """The record in a file, or in a folder's judge.json. Raises DataError where there is none."""
        path = path / RECORD if path.is_dir() else path
        try:
            return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}; validate the judge first", path=path) from None
        except (ValidationError, ValueError):
            raise DataError("is no record of a judge; validate the judge again", path=path) from None


def refusal_of(judge: Judge | None, names: tuple[str, ...], bar: JudgeBar, record: JudgeRecord | None) -> str | None:
    """Why these verdicts do not count, with the number; None where they do."""
    if judge is None:
        return "nobody compared the answers"
    if not judge.is_independent:
        return f"the judge ({judge}) is what the policy was optimized for"
    if judge.kind not in bar.kinds:
        return f"verdicts of {judge.kind} do not count here; judge.kinds is {', '.join(bar.kinds)}"
    if judge.kind in PEOPLE:
        return None
    if record is None:
        return f"{judge.kind} was never held against people; validate it and give judge.record"
    if not names:
        return "the verdicts do not say which judge they are of; evaluate again"
    if others := [name for name in names if name != record.judge]:
        return f"the record is of {record.judge}, and {others[0]} judged"
    if record.failures:
        return f"{record.judge} stays below its bar: {record.failures[0]}"
    return _too_little(record, bar)


def _too_little(record: JudgeRecord, bar: JudgeBar) -> str | None:
    found, ceiling = record.agreement.with_votes, record.agreement.ceiling
    beside = "" if ceiling is None else f" (people reach {ceiling.estimate:.3f} at most)"
    if found is None or found.low <= bar.agreement:
        said = "unknown" if found is None else str(found)
        return f"{record.judge}'s agreement with people is {said}{beside}, not surely above {bar.agreement}"
    if record.drift is not None and record.drift.estimate < -bar.most_drift:
        return f"{record.judge} has drifted: agreement on its anchors {record.drift}, allowed -{bar.most_drift}"
    return None
