"""What the JSON API takes and gives about running a study: tasks brought in, how they stand, what is changed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from assent.feedback.records.queue import AsideReason, Assignment, TaskState
from assent.web.api.models import Name, Out, TaskIn
from assent.web.api.people_models import ParticipantOut
from assent.web.bodies import Body
from assent.web.rating.submission import Id


class AssignmentOut(Out):
    """Who alone is given a task: raters by id, groups by name; nobody named: anybody."""

    raters: tuple[str, ...]
    groups: tuple[str, ...]


class TaskStateOut(Out):
    """How a task stands."""

    task_id: str
    wanted: int
    """Judgments wanted: those given and those waited for."""
    unjudged: int
    """Those waited for."""
    judgments: int
    """Judgments that hold and say something, with late ones."""
    skips: dict[str, int]
    """Reason -> how many raters skipped it for it."""
    aside: AsideReason | None
    """Why it is set aside: by hand, skipped so often as shown wrongly, decided to have no answer; null: it is not."""
    aside_at: float | None
    assigned: AssignmentOut

    @classmethod
    def of(cls, state: TaskState) -> TaskStateOut:
        """The answer for a state."""
        assigned = AssignmentOut(raters=state.assigned.raters, groups=state.assigned.groups)
        return cls(**{**vars(state), "skips": dict(state.skips), "assigned": assigned})


class TaskStatePage(Out):
    """States of tasks, and where the next page begins."""

    items: tuple[TaskStateOut, ...]
    next: str | None


class TaskChange(Body):
    """What to change about a task; what is left out stays as it is."""

    aside: bool | None = None
    """true: kept, but given to nobody and not waited for. false: judged again."""
    wanted: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Judgments wanted, no more and no fewer; what was said stays."""
    raters: Annotated[tuple[Id, ...], Field(max_length=500)] | None = None
    """Given to these only; with `groups` replaces what held before, both empty: to anybody."""
    groups: Annotated[tuple[Name, ...], Field(max_length=100)] | None = None

    def assignment(self) -> Assignment | None:
        """To whom the tasks are assigned; None where nothing is said of it."""
        if self.raters is None and self.groups is None:
            return None
        return Assignment(self.raters or (), self.groups or ())


class TasksChange(TaskChange):
    """The same change of many tasks, of all or of none."""

    tasks: Annotated[tuple[Id, ...], Field(min_length=1, max_length=10_000)]


class WorkerOut(Out):
    """A crowd worker in a project."""

    rater_id: str
    participant: ParticipantOut
    judgments: int
    """Judgments that hold and say something, those of the qualification with them."""
    skips: int
    seconds: float
    first_at: float | None
    last_at: float | None
    is_passed: bool | None
    """Whether they passed the qualification; null: not decided, or there is none."""
    score: float | None
    """Share of pairs ordered like the known answers."""


class WorkOut(Out):
    """What one rater did in one project, in the period that was asked for."""

    project: str
    rater_id: str
    kind: str
    """person, simulated, …"""
    login: str | None
    source: str | None
    """The parameter by which a crowd platform named them."""
    participant: str | None
    """Their id there."""
    completion_code: str | None
    """The project's, for those whom a platform sent."""
    judgments: int
    """Judgments that hold and say something; one that was corrected counts once."""
    gold: int
    """Those of them whose answer is known."""
    repeats: int
    """Those of them that were asked again."""
    skips: int
    seconds: float
    """Active time of the judgments."""
    skip_seconds: float
    first: str
    """When the first of all came, in the project's time zone."""
    last: str
    passed: bool | None
    score: float | None


class QualificationIn(Body):
    """Whether somebody may do the work, whatever they said of the known answers."""

    is_passed: bool


class GroupIn(Body):
    """Who is in a group, by rater id; nobody: there is no such group."""

    members: Annotated[tuple[Id, ...], Field(max_length=10_000)]


class ContentsOut(Out):
    """What is in a project, and goes where it is deleted."""

    tasks: int
    judgments: int
    """All that were ever given, with corrected ones and skips."""
    decisions: int
    guidelines: int
    snapshots: int
    conversations: int
    webhooks: int
    invitations: int
    members: int
    """People who may rate in it by name; they lose this project, not their account."""
    accounts: int
    """Of those, crowd workers with no other project, whose accounts go too."""


class TasksIn(Body):
    """Tasks to queue, all or none."""

    tasks: Annotated[tuple[TaskIn, ...], Field(min_length=1, max_length=10_000)]
    slots: Annotated[int, Field(ge=1, le=50)] | None = None
    """Judgments wanted of each, and no more; null: as the project's overlap says, more where newcomers judge."""
    priority: Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)] = 0.0
    replace: bool = False
    """Known ids get the content that is sent: in place, or, where somebody has judged them, as a task of their own."""


class TasksAdded(Out):
    """What became of tasks that were sent."""

    added: int
    known: int
    """Tasks that were there already."""
    ids: tuple[str, ...]
    """Under which ids they are in the store, in the order they were sent."""
    changed: int = 0
    """Known tasks that nobody had judged and that have the new content now."""
    set_aside: int = 0
    """Known tasks that were judged and are set aside; the new content has an id of its own."""
    gold_dropped: int = 0
    """Known answers that did not fit the new content."""
