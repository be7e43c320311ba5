"""What whoever runs a project decides about it: what raters are asked, who judges what how often, and what it costs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from assent.core.types import Flag, Record

_LONGEST = 1e9  # seconds: for ever, and yet a number that every database keeps
Goal = Literal["random", "near_ties", "large_gaps"]
Texts = Literal["markdown", "plain"]
"""Whether texts are formatted for raters, or shown with every sign of them."""
"""What the priorities of a project's tasks stand for. random: none are set, every free task is as likely as another.
near_ties: the closer the predicted rewards of the answers the earlier, for reward models. large_gaps: the opposite, for
DPO. Evaluations are always drawn at random among the tasks of highest priority."""


class Criterion(Record):
    """Something to score each answer by, with a text for every step of the scale."""

    name: str = Field(min_length=1)
    question: str = ""
    anchors: tuple[str, ...] = Field(min_length=2, max_length=7)
    """Lowest first; scores run from 1 to the number of anchors."""


class AttributeQuestion(Record):
    """Something that raters may say about themselves, if they like."""

    name: str = Field(min_length=1)
    question: str
    choices: tuple[str, ...] = ()
    """Empty: free text."""
    purpose: str = ""
    """What it will be used for; consent is asked to this."""


class ProjectSettings(Record):
    """How a project is run. Shares are probabilities."""

    title: str = ""
    texts: Texts = "markdown"
    criteria: tuple[Criterion, ...] = ()
    flags: tuple[Flag, ...] = ("unsafe", "factually_wrong", "unusable")
    strengths: bool = True
    """Whether raters may say how much better."""
    critique: bool = True
    edits: bool = True
    overlap_share: float = Field(default=0.2, ge=0, le=1)
    """Share of the tasks that several raters judge."""
    overlap: int = Field(default=3, ge=1, le=50)
    """How many raters judge each of those."""
    newcomer_tasks: int = Field(default=30, ge=0, le=1_000_000)
    """For so many tasks a rater is new and shares tasks with others wherever possible."""
    newcomer_overlap: int = Field(default=3, ge=1, le=50)
    """How many raters judge a task that somebody new judges, where so many are at work."""
    gold_share: float = Field(default=0.05, ge=0, le=0.5)
    """How often a task with a known answer comes in between."""
    repeat_share: float = Field(default=0.03, ge=0, le=0.5)
    """How often a rater's own earlier task comes again."""
    repeat_after: int = Field(default=20, ge=1, le=1_000_000)
    """Tasks between the two, at least."""
    set_aside_after: int = Field(default=3, ge=0, le=1000)
    """So many raters who skip a task as shown wrongly set it aside; 0: never."""
    goal: Goal = "random"
    random_share: float = Field(default=0.2, ge=0, le=1)
    """How often the next task is any free one whatever its priority; without it propensities would be 0 or 1."""
    lease_seconds: float = Field(default=900.0, gt=0, le=_LONGEST)
    """How long a task is kept for the rater who has it open."""
    undo_seconds: float = Field(default=600.0, ge=0, le=_LONGEST)
    """How long the page offers to change what was submitted."""
    cost_per_hour: float | None = Field(default=None, ge=0, le=1e9)
    currency: str = "EUR"
    attributes: tuple[AttributeQuestion, ...] = ()
    consent_text: str = ""
    is_open: bool = True
    """Whether raters are given tasks."""

    @model_validator(mode="after")
    def _check(self) -> ProjectSettings:
        for what, names in (("criteria", self.criteria), ("attributes", self.attributes)):
            seen = [one.name for one in names]
            if len(set(seen)) != len(seen):
                raise ValueError(f"{what} names repeat: {seen}")
        if self.gold_share + self.repeat_share > 0.8:
            raise ValueError("gold_share and repeat_share leave less than a fifth for new tasks")
        return self
