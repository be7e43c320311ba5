"""What whoever runs a project decides about it: what raters are asked, who judges what how often, and what it costs."""

from __future__ import annotations

import functools
import re
import zoneinfo
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from assent.core.types import Flag, Record

_LONGEST = 1e9  # seconds: for ever, and yet a number that every database keeps
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
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
    participant_parameters: tuple[str, ...] = Field(default=(), max_length=8)
    """Query parameters of an invitation's link that say who comes from a crowd platform. The first is the person's id,
    by which they come back to the same account without a name; the others are kept beside it."""
    judgments_per_person: int | None = Field(default=None, ge=1, le=1_000_000)
    """After so many judgments a person is done; null: when nothing is left."""
    completion_code: str = Field(default="", max_length=200)
    """Shown to whoever is done."""
    completion_url: str = Field(default="", max_length=2000)
    """Where whoever is done goes on, https only."""
    qualification_tasks: int = Field(default=0, ge=0, le=100)
    """Known answers that come before the work; whoever orders too few pairs like them is given nothing else."""
    qualification_pass: float = Field(default=0.7, ge=0, le=1)
    """Share of pairs that must be ordered like the known answers."""
    timezone: str = "UTC"
    """Where days begin and end, such as Europe/Berlin."""
    is_open: bool = True
    """Whether raters are given tasks."""

    @model_validator(mode="after")
    def _check(self) -> ProjectSettings:
        for what, names in (("criteria", self.criteria), ("attributes", self.attributes)):
            seen = [one.name for one in names]
            if len(set(seen)) != len(seen):
                raise ValueError(f"{what} names repeat: {seen}")
        named = self.participant_parameters
        if len(set(named)) != len(named) or not all(_PARAMETER.fullmatch(name) for name in named):
            raise ValueError(f"participant_parameters {list(named)}: give each name once, such as PROLIFIC_PID")
        if self.completion_url and not is_https(self.completion_url):
            raise ValueError("completion_url is no address that begins https://")
        if self.timezone not in _zones():
            raise ValueError(f"there is no timezone {self.timezone[:60]!r}; write one such as Europe/Berlin")
        if self.gold_share + self.repeat_share > 0.8:
            raise ValueError("gold_share and repeat_share leave less than a fifth for new tasks")
        return self


def is_https(url: str) -> bool:
    """Whether a text is an https address that a browser can be sent to, without a name or password in it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}')
    return is_plain and parts.scheme == "https" and bool(host) and "@" not in parts.netloc


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) | {"UTC"}
