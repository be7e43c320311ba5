"""A task with everything known about it: what was said, when, under which circumstances, and what was decided.

    TaskRecord(task=…, judgments=(…), times={"j-1": 1760000000.0}, about={"j-1": Circumstances(propensity=0.2)}, …)

It is what leaves a store and comes back into one. Where it can be learned from it is written as a comparison, with
the rest in the meta under `aside` (`data/aside.py`); else as a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from assent.core.hashing import hash_bytes, short
from assent.core.types import Completion, Judgment, Ranking, Record, Task

EDIT = "edit"
"""The source of an answer that a rater wrote."""

Moment = Annotated[float, Field(ge=-1e9, lt=253_370_764_800)]
"""Seconds since 1970, up to the year 9999; no infinity and no NaN, which a file may hold."""
_Count = Annotated[int, Field(ge=0, lt=2**31)]


class Guideline(Record):
    """What raters were told, word for word."""

    version: _Count
    text: str
    created_at: Moment

    @property
    def name(self) -> str:
        """By what judgments refer to it: its version and its words, so that two projects' first versions differ."""
        return f"{self.version}-{short(hash_bytes(self.text.encode()))}"


class Event(Record):
    """Something that happened to a judgment."""

    kind: str
    at: Moment
    payload: dict[str, Any] = Field(default_factory=dict)


class Circumstances(Record):
    """How a rater came to a judgment."""

    service: Literal["normal", "gold", "repeat", "made"] = "normal"
    """Why the task was given: it waited, its answer was known, it was asked again, it was made for this rater."""
    is_surplus: bool = False
    """Whether it came when its slot was taken already."""
    shown_at: Moment | None = None
    propensity: float | None = None
    """Probability that the queue chose the task for the rater."""
    guideline: str | None = None
    """Name of the guideline that was shown."""
    locale: str | None = None
    is_translated: bool | None = None
    activity: dict[str, Any] = Field(default_factory=dict)
    """Where the time went, in seconds."""
    asked: list[Any] | None = None
    """What the form asked."""
    events: tuple[Event, ...] = ()
    """What happened to the judgment, in turn."""

    @property
    def is_told(self) -> bool:
        """Does it say anything besides propensity and guideline?"""
        return self != Circumstances(propensity=self.propensity, guideline=self.guideline)


class Decision(Record):
    """What an adjudicator decided about a task; without a ranking: it has no answer."""

    adjudicator: str = Field(min_length=1)
    at: Moment
    ranking: Ranking | None = None
    reason: str = ""


class KnownAnswer(Record):
    """The right answer of a task that measures raters."""

    ranking: Ranking
    note: str = ""
    at: Moment | None = None


class TaskFacts(Record):
    """What is known of a task besides its texts."""

    created_at: Moment
    priority: float = 0.0
    propensity: float | None = None
    guideline: str | None = None
    wanted: _Count | None = None
    set_aside_at: Moment | None = None
    set_aside_why: Literal["hand", "skips", "decision"] | None = None
    brought_back_at: Moment | None = None
    repeat_of: str | None = None
    """The task that this one asked again without saying so: it measures the rater and is no second vote."""
    gold: KnownAnswer | None = None


class TaskRecord(Record):
    """A task with everything known about it."""

    task: Task
    """Its id is empty where a file does not give it: then it is named by its content."""
    judgments: tuple[Judgment, ...] = ()
    """Everything said, with what was corrected later."""
    facts: TaskFacts | None = None
    """None where a file does not say them."""
    times: dict[str, Moment] = Field(default_factory=dict)
    """Judgment id -> when it was given, in seconds since 1970."""
    about: dict[str, Circumstances] = Field(default_factory=dict)
    """Judgment id -> how it came about."""
    decisions: tuple[Decision, ...] = ()
    meta: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_repeat(self) -> bool:
        """Does it ask again what its rater had judged?"""
        return self.facts is not None and self.facts.repeat_of is not None

    @property
    def holding(self) -> list[Judgment]:
        """Judgments that were not corrected later, by rater."""
        corrected = {judgment.supersedes for judgment in self.judgments}
        return sorted(
            (j for j in self.judgments if not j.id or j.id not in corrected), key=lambda j: (j.rater_id, j.id)
        )

    @property
    def said(self) -> list[Judgment]:
        """Those of them that say something."""
        return [judgment for judgment in self.holding if not is_skip(judgment)]

    @property
    def is_comparison(self) -> bool:
        """Can a reward model learn from it? Not from one answer alone, from skips, or from what was asked again."""
        return len(self.task.completions) > 1 and not self.is_repeat and bool(self.said)


def is_skip(judgment: Judgment) -> bool:
    """Does a judgment say nothing?"""
    says = (judgment.flags, judgment.scores, judgment.critique, judgment.notes, judgment.edits)
    return judgment.ranking is None and not any(says)


def with_edits(task: Task, judgments: Iterable[Judgment]) -> tuple[Completion, ...]:
    """The answers of a task, and after them what raters put in their place."""
    texts = {text for judgment in judgments for text in judgment.edits.values() if text.strip()}
    new = sorted(texts - {completion.text for completion in task.completions})
    return (*task.completions, *(Completion(prompt_id=task.prompt.id, text=text, source=EDIT) for text in new))
