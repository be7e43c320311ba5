"""What the store takes and gives besides the nouns of core: queues, claims, receipts, counts, snapshots."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never
from urllib.parse import quote

from assent.core.types import Judgment, Purpose, Ranking, Task, TaskKind
from assent.feedback.records.asked import Asked
from assent.feedback.records.settings import Goal, ProjectSettings


@dataclass(frozen=True)
class Queue:
    """The tasks of one project that serve one purpose: what raters are asked from and trainers read from."""

    project: str = "default"
    purpose: Purpose = "reward"

    @property
    def page(self) -> str:
        """Path of the page on which people judge its tasks."""
        return f"/rate/{quote(self.project)}" + ("?purpose=evaluation" if self.purpose == "evaluation" else "")


@dataclass(frozen=True)
class Claim:
    """A task lent to a rater. Hand `token` back with the judgment; after `expires_at` others may get the slot."""

    task: Task
    token: str
    expires_at: float


Service = Literal["normal", "gold", "repeat"]
"""Why a task was given: it waits for judgments, its answer is known, or the rater judged it before. Raters never learn
which."""


@dataclass(frozen=True)
class Served:
    """A task as one rater sees it, lent until `expires_at`. `order` was drawn when it was first shown and stays."""

    task: Task
    token: str
    expires_at: float
    order: tuple[str, ...]
    guideline_version: int | None
    service: Service = "normal"
    """Not for the rater's eyes."""
    propensity: float | None = None
    """Probability that this task was the next, see `assign.pick`; None for gold, repeats and tasks made for a rater."""
    judgment: Judgment | None = None
    """What the rater said, where it was submitted."""
    asked: tuple[Asked, ...] | None = None
    """What the rater was asked while the task lay before them; None: not known."""


@dataclass(frozen=True)
class Viewing:
    """How a rater saw a task: known when they submit."""

    locale: str | None = None
    client: str | None = None
    is_translated: bool | None = None
    """Whether the browser had translated the page."""
    activity: Mapping[str, Any] = field(default_factory=dict)
    """Where the time went, in seconds."""
    events: tuple[Mapping[str, Any], ...] = ()
    """What the rater did in turn, for the log of the judgment."""


AsideReason = Literal["hand", "skips", "decision", "replaced"]
"""Why a task is set aside: an admin did, so many raters skipped it as shown wrongly, it was found to have no answer, or
another one took its place."""
Status = Literal["stored", "known", "skipped", "surplus"]


@dataclass(frozen=True)
class Receipt:
    """What became of a submitted judgment.

    stored: it fills a slot. known: it was there already, nothing changed. skipped: kept, its slot is free for others.
    surplus: it came late and its slot was taken; kept, and read like any other judgment.
    """

    judgment_id: str
    status: Status


@dataclass(frozen=True)
class Counts:
    """How many slots of a queue are judged, and how many there are."""

    have: int
    need: int


@dataclass(frozen=True)
class Quorum:
    """Whom a run waits for before it goes on."""

    share: float = 1.0
    """Of the judgments that are in reach."""
    logins: tuple[str, ...] = ()
    """People who are waited for whether they have begun or not."""
    number: int = 1
    """Different people, whoever they are, who are waited for."""


@dataclass(frozen=True)
class Awaited:
    """Somebody who has not judged all that is left for them."""

    name: str
    """Their login, else their id; empty: whoever comes."""
    tasks: int
    """Tasks that they may still judge."""
    last: float | None = None
    """When they judged last; None: not yet."""
    until: float | None = None
    """Until when they are waited for unless they go on; None: without end."""
    has_account: bool = True
    people: int = 1
    """How many, where they have no name."""


@dataclass(frozen=True)
class RaterProgress:
    """How far one rater is in a queue."""

    done: int
    """Tasks judged, skips not counted."""
    today: int
    """Those of the current day, in the project's time zone."""
    waiting: int
    """Tasks that this rater could take; of a newcomer, those too that others have judged and they are asked."""
    counted_at: float
    """When those that wait were counted."""
    taken: int
    """Tasks that others may judge, too, which this rater holds, or of which they said something for the first time
    since then."""


@dataclass(frozen=True)
class Participation:
    """How far a person's part in a project reaches."""

    done: int
    """Judgments in the project, without those of the qualification."""
    left: int | None
    """Judgments until the person is done; None: no number is set."""
    is_passed: bool | None
    """Whether they passed the qualification; None: not decided, or there is none."""
    to_qualify: int
    """Known answers that still come before the work."""
    is_measured: bool
    """Whether a qualification is going on."""


@dataclass(frozen=True)
class Guideline:
    """What raters of a project are told; a new text is a new version."""

    version: int
    text: str
    created_at: float


@dataclass(frozen=True)
class Project:
    """A body of tasks with its settings and its newest guideline."""

    name: str
    settings: ProjectSettings
    guideline: Guideline | None
    created_at: float
    archived_at: float | None = None
    """Since when it is put away: hidden from raters, given to nobody, and changed by nobody until it is taken out."""
    replaced_by: str | None = None
    """The project that its run asks instead, for which it was closed; None once it is open again."""
    places: tuple[str, ...] = ()
    """Where in which runs its tasks are asked, the first first: runs may share samples, and with them this project."""


@dataclass(frozen=True)
class NewProject:
    """How the next project of a run is made."""

    title: str
    goal: Goal = "random"
    like: tuple[str, ...] = ()
    """Projects whose settings, guideline and raters it takes over: of the first that is there."""
    place: str = ""
    """Where in a run its tasks are asked, RUN/STEP; empty: nowhere."""


@dataclass(frozen=True)
class Contents:
    """What is in a project, which goes with it where it is deleted."""

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

    def said(self) -> str:
        """What there is, in words, without what there is not."""
        return ", ".join(f"{n} {name if n != 1 else name[:-1]}" for name, n in vars(self).items() if n) or "nothing"


@dataclass(frozen=True)
class Adjudicated:
    """A decision about a task; `ranking` is None where the adjudicator found that it has no answer."""

    task_id: str
    adjudicator_id: str
    ranking: Ranking | None
    reason: str
    decided_at: float


@dataclass(frozen=True)
class SaidRow:
    """The facts about one current judgment, for progress, pace and quality; what it says is in the judgment."""

    judgment_id: str
    task_id: str
    rater_id: str
    kind: TaskKind
    purpose: Purpose
    outcome: str
    """ranked, marked or skipped."""
    seconds: float | None
    submitted_at: float
    is_gold: bool
    repeat_of: str | None
    """The task that the rater had judged before, where this is the same again."""
    is_translated: bool | None
    is_surplus: bool
    propensity: float | None
    guideline_version: int | None = None
    """The guideline that the rater saw."""


@dataclass(frozen=True)
class OpenTask:
    """A task that still waits for judgments: slots in all, and those nobody has judged yet."""

    task_id: str
    slots: int
    unjudged: int


@dataclass(frozen=True)
class Assignment:
    """Who alone is given a task: raters by id, groups by name. Nobody named: anybody."""

    raters: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


State = Literal["open", "done", "skipped", "aside", "disputed"]
"""Where a task can stand; it may be skipped by some and open for others."""


@dataclass(frozen=True)
class TaskState:
    """How a task stands."""

    task_id: str
    wanted: int
    """Judgments wanted of it: those given and those waited for."""
    unjudged: int
    """Those waited for."""
    judgments: int
    """Judgments that hold and say something, with late ones."""
    skips: Mapping[str, int] = field(default_factory=dict)
    """Reason -> how many raters skipped it for it."""
    aside: AsideReason | None = None
    """Why it is set aside; None where it is not."""
    aside_at: float | None = None
    assigned: Assignment = field(default_factory=Assignment)

    def is_in(self, state: State, *, disputed: Collection[str] = ()) -> bool:
        """Does it stand there? `disputed`: the tasks on which raters disagree."""
        match state:
            case "open":
                return self.unjudged > 0
            case "done":
                return self.unjudged == 0 and self.aside is None
            case "skipped":
                return bool(self.skips)
            case "aside":
                return self.aside is not None
            case "disputed":
                return self.task_id in disputed
        assert_never(state)


@dataclass(frozen=True)
class Snapshot:
    """A fixed set of judgments. The hash covers what they say, sorted by id; the same set has the same hash."""

    name: str
    hash: str
    queue: Queue
    judgments: int


@dataclass(frozen=True)
class Replaced:
    """What became of tasks that were sent to be added, and to replace known ones with other content."""

    ids: Mapping[str, str]
    """The id that was sent -> the id under which its content is in the store."""
    added: int = 0
    """Tasks whose ids were new."""
    changed: int = 0
    """Known ones with other content that nobody had judged: they have the new content now."""
    set_aside: int = 0
    """Known ones that were judged: kept as they were and set aside, for the new content has a task of its own."""
    gold_dropped: int = 0
    """Known answers that did not fit the new content."""

    @property
    def known(self) -> int:
        """Tasks that were there with this content."""
        return len(self.ids) - self.added - self.changed - self.set_aside

    def said(self) -> list[str]:
        """What was replaced, in words; nothing where nothing was."""
        parts = [
            (self.changed, "got other content"),
            (self.set_aside, "had judgments, so they were set aside and their new content got an id of its own"),
            (self.gold_dropped, "known answers did not fit the new content and were dropped"),
        ]
        return [f"{n} {words}" for n, words in parts if n]


@dataclass(frozen=True)
class ImportCounts:
    """What an import did. Importing the same file again gives 0 `added` and everything `known`."""

    comparisons: int = 0
    added: int = 0
    known: int = 0
    """Judgments that were in the store, or twice in the file."""
    new_raters: int = 0
    tasks: int = 0
    """New tasks that nobody judged."""
    decisions: int = 0
    """New decisions of adjudicators."""
    known_answers: int = 0
    """New known answers of tasks."""
    guidelines: int = 0
    """New versions of the guideline."""
    renumbered: int = 0
    """Those of them whose number another text has here."""
    otherwise: int = 0
    """Raters who are known here as another kind (a person, a program), and stay it."""

    def lines(self) -> list[str]:
        """What came in besides judgments, in words; nothing where nothing did."""
        words = {
            "tasks that nobody judged": self.tasks,
            "decisions of adjudicators": self.decisions,
            "known answers": self.known_answers,
            "versions of the guideline": self.guidelines,
        }
        said = [f"{count} {what} added" for what, count in words.items() if count]
        if self.renumbered:
            said.append(f"{self.renumbered} versions of the guideline have another number here: theirs was taken")
        if self.otherwise:
            said.append(f"{self.otherwise} raters are known here as another kind, and stay it")
        return said

    def plus(self, other: ImportCounts) -> ImportCounts:
        """Both together."""
        return ImportCounts(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class Erasure:
    """What forgetting a rater touched. `snapshots` cannot be read any more; what was built on them needs rebuilding."""

    tombstone: str
    judgments: int
    snapshots: tuple[Snapshot, ...]
