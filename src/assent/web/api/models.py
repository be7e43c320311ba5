"""What the JSON API takes and gives, as its OpenAPI description says it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assent.core.types import MAX_ANSWERS, Judgment, Message, Purpose, Ranking, Task, TaskKind
from assent.feedback.records.people import Role
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.records.webhooks import Event
from assent.web.bodies import Body
from assent.web.rating.submission import LONGEST, Id, Submission, Text

Name = Annotated[str, Field(min_length=1, max_length=80)]
LongText = Annotated[str, Field(max_length=LONGEST)]
NUMBERS: dict[TaskKind, tuple[int, int]] = {
    "rank": (2, MAX_ANSWERS),
    "pair": (2, 2),
    "rate": (1, 1),
    "chat": (2, MAX_ANSWERS),
    "battle": (2, 2),
}
"""Kind of task -> fewest and most answers."""


class Out(BaseModel):
    """An answer of the service."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Problem(Out):
    """What is wrong and what to do about it."""

    what: str
    do: str


class Error(Out):
    """The body of every answer that is an error."""

    model_config = ConfigDict(extra="allow")

    error: Problem


class Me(Out):
    """For whom the token acts."""

    rater_id: str
    login: str
    role: Role
    projects: tuple[str, ...] | None
    """null: all."""


class GuidelineOut(Out):
    """One version of what raters are told."""

    version: int
    text: str
    created_at: float


class ProjectOut(Out):
    """A project with its settings and its newest guideline."""

    name: str
    settings: ProjectSettings
    guideline: GuidelineOut | None
    created_at: float
    archived_at: float | None = None
    """Since when it is put away; null: it is not."""
    replaced_by: str | None = None
    """The project that its run asks instead, for which it was closed; null: none, or it was opened again."""


class ProjectSeen(Out):
    """A project as its raters see it: without the settings that would tell them which tasks measure them."""

    name: str
    settings: dict[str, Any]
    guideline: GuidelineOut | None
    created_at: float


class GuidelineIn(Body):
    """A new text for raters; the one that holds already is not published twice."""

    text: LongText


class AnswerIn(Body):
    """An answer to rank."""

    text: Text
    id: Id | None = None
    """A hash of prompt, text and source where it is left out."""
    source: Annotated[str, Field(max_length=500)] = ""
    finished: bool = True
    meta: dict[str, Any] = Field(default_factory=dict)


class TaskIn(Body):
    """A question to raters. Text alone stands for a prompt of one user turn, or an answer without source."""

    prompt: LongText | Annotated[tuple[Message, ...], Field(min_length=1, max_length=500)]
    answers: Annotated[tuple[LongText | AnswerIn, ...], Field(min_length=1, max_length=MAX_ANSWERS)]
    id: Id | None = None
    """A hash of the content where it is left out, so that adding the same again adds nothing."""
    kind: TaskKind = "rank"
    purpose: Purpose = "reward"
    tools: Annotated[tuple[dict[str, Any], ...], Field(max_length=500)] = ()
    """JSON schemas of tools that may be called in the prompt."""
    prompt_id: Id | None = None
    prompt_meta: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> TaskIn:
        fewest, most = NUMBERS[self.kind]
        if not fewest <= len(self.answers) <= most:
            wants = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise ValueError(f"a task of kind {self.kind} has {wants} answers, got {len(self.answers)}")
        return self


class TaskPage(Out):
    """Tasks, and where the next page begins."""

    items: tuple[Task, ...]
    next: str | None


class PrioritiesIn(Body):
    """task id -> priority, higher first."""

    priorities: Annotated[
        dict[Id, Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]], Field(max_length=10_000)
    ]


class Changed(Out):
    """How many of what was named were there and changed."""

    changed: int


class ClaimIn(Body):
    """How many tasks are wanted of which queue."""

    purpose: Purpose = "reward"
    limit: Annotated[int, Field(ge=1, le=12)] = 1
    rater_id: Id | None = None
    """For whom, where an admin's program acts for a registered rater; null: for the token's own."""


class ShownAnswer(Out):
    """An answer in the order shown."""

    id: str
    text: str


class Claimed(Out):
    """A task lent to a rater until `expires_at`. Answers stand in the order to show, drawn once per rater and task."""

    task_id: str
    token: str
    expires_at: float
    kind: TaskKind
    prompt: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    answers: tuple[ShownAnswer, ...]
    guideline_version: int | None


class ClaimedTasks(Out):
    """Tasks lent, and how many wait."""

    items: tuple[Claimed, ...]
    done: int
    waiting: int


class LeaseIn(Body):
    """A lease by its token."""

    token: Annotated[str, Field(max_length=200)]
    rater_id: Id | None = None


class LeaseOut(Out):
    """A lease that goes on."""

    expires_at: float


class Released(Out):
    """How many tasks were given back."""

    released: int


class JudgmentIn(Submission):
    """A judgment. Whose it is the token says, unless an admin's program acts for a registered rater."""

    rater_id: Id | None = None


class ReceiptOut(Out):
    """What became of a judgment: stored, known (it was there already), skipped, or surplus (late, kept anyway)."""

    judgment_id: str
    status: Literal["stored", "known", "skipped", "surplus"]
    no_longer_asked: tuple[str, ...] = ()
    """What is kept though the project's settings do not ask for it any more: "criterion NAME", "flag NAME", edits,
    critique, strengths. It was asked when the task was given."""


class JudgmentOut(Judgment):
    """A judgment with what became of it."""

    outcome: str
    submitted_at: float
    superseded_by: str | None = None
    propensity: float | None = None
    """Probability with which the queue chose the task for the rater, to weight estimates by; null: not drawn."""
    guideline_version: int | None = None
    """What the rater had been told."""
    repeat_of: str | None = None
    """The rater's own earlier task that this one asked again."""


class JudgmentPage(Out):
    """Judgments in the order they came, and where the next page begins."""

    items: tuple[JudgmentOut, ...]
    next: str | None


class SnapshotName(Out):
    """A snapshot by name and hash."""

    name: str
    hash: str


class SnapshotIn(Body):
    """Fix the judgments of a queue under a name; a name that is taken gives the same snapshot back."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    purpose: Purpose = "reward"


class SnapshotOut(SnapshotName):
    """A fixed set of judgments. `touched_at`: a rater in it was erased then, and it cannot be read any more."""

    project: str
    purpose: Purpose
    judgments: int
    created_at: float
    touched_at: float | None


class GoldIn(Body):
    """The right answer of a task."""

    ranking: Ranking
    note: LongText = ""


class GoldOut(Out):
    """A task with a known answer."""

    task_id: str
    ranking: Ranking
    note: str


class AdjudicationIn(Body):
    """A decision where raters disagree; null: the task has no answer."""

    task_id: Id
    ranking: Ranking | None
    reason: LongText


class AdjudicationOut(Out):
    """A decision that was made."""

    task_id: str
    adjudicator_id: str
    ranking: Ranking | None
    reason: str
    decided_at: float


class ProgressOut(Out):
    """Judged slots of a queue and all its slots."""

    have: int
    need: int


class WebhookIn(Body):
    """Whom to tell what. All events but `erased` need a project; `judgments` and `agreement` a threshold."""

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    event: Event
    project: Name | None = None
    purpose: Purpose = "reward"
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None


class WebhookOut(Out):
    """A webhook, without its secret."""

    id: int
    url: str
    event: Event
    project: str | None
    purpose: Purpose
    threshold: float | None
    created_at: float


class WebhookMade(WebhookOut):
    """A new webhook. The secret of its signatures is told this once."""

    secret: str


class DeliveryOut(Out):
    """One message and what became of it."""

    id: int
    payload: dict[str, Any]
    created_at: float
    attempts: int
    next_at: float | None
    delivered_at: float | None
    gave_up_at: float | None
    status: int | None
    problem: str | None


class Removed(Out):
    """Whether there was something to remove."""

    removed: bool
