"""The tables of the feedback store: who was asked what, saw which order, and said which weak order over answer ids.

    project ── guideline_version
       └─ task ── task_response ── response ── prompt
            ├─ slot (task, n) ── lease            overlap is rows: a task wanted three times has three slots
            ├─ judgment ── presentation           append-only; current while superseded_by is null; last_number
            ├─ gold, adjudication                 known or decided answers
    rater ── rater_attribute                      snapshot ── snapshot_judgment

Times are seconds since 1970 (UTC). Prompts and responses are named by the hash of their content, so the same text
under the same id is stored once. Ids of people may change once, on erasure; the keys that point to them follow.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Index, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_CURRENT = text("superseded_by IS NULL")
_VALID = text("touched_at IS NULL")
_REPLACED = text("replaced_at IS NOT NULL")
_FAMILY = text("replaces IS NOT NULL")
_SUPERSEDED = text("superseded_by IS NOT NULL")
_WAITING: dict[str, Any] = {
    "sqlite_where": text("is_filled = 0 AND reserved_for IS NULL"),
    "postgresql_where": text("is_filled = false AND reserved_for IS NULL"),
}
_UNFILLED: dict[str, Any] = {"sqlite_where": text("is_filled = 0"), "postgresql_where": text("is_filled = false")}
_HELD: dict[str, Any] = {"sqlite_where": text("is_spent = 0"), "postgresql_where": text("is_spent = false")}


class Table(DeclarativeBase):
    """Parent of all tables; fixes how Python types and constraint names appear in the database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read once by SQLAlchemy
        str: Text,
        float: Double,
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
    }


def _rater() -> ForeignKey:
    return ForeignKey("rater.id", onupdate="CASCADE")


class ProjectRow(Table):
    """A body of tasks that share guidelines and raters."""

    __tablename__ = "project"

    name: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[float]
    settings: Mapped[dict[str, Any] | None]
    """ProjectSettings; null where nobody has set any."""
    archived_at: Mapped[float | None]
    """When it was put away: nobody rates in it and nothing in it is changed until it is taken out again."""
    place: Mapped[str | None]
    """Runs and steps that ask it, one a line, see records/places.py; null: none does."""
    replaced_by: Mapped[str | None]
    """The project that was made later for the same place, for which this one was closed; null once it is reopened."""


class JudgesRow(Table):
    """Which project holds the tasks of `asked` for some judges, see queue/judges.py."""

    __tablename__ = "judges"
    __table_args__ = (UniqueConstraint("project", "purpose"),)

    asked: Mapped[str] = mapped_column(primary_key=True)
    """Project that the tasks were made for, which may not be there."""
    purpose: Mapped[str] = mapped_column(primary_key=True)
    judges: Mapped[str] = mapped_column(primary_key=True)
    """Hash of all that decides who they are and what they say."""
    project: Mapped[str]
    created_at: Mapped[float]


class GuidelineVersion(Table):
    """What raters were told, word for word."""

    __tablename__ = "guideline_version"
    __table_args__ = (UniqueConstraint("project", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("project.name"))
    version: Mapped[int]
    text: Mapped[str]
    text_hash: Mapped[str]
    created_at: Mapped[float]


class PromptRow(Table):
    """A conversation that waits for an answer, after an entry with its tools; `hash` covers id, messages and meta."""

    __tablename__ = "prompt"

    hash: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(index=True)
    messages: Mapped[list[Any]]
    meta: Mapped[dict[str, Any]]


class ResponseRow(Table):
    """An answer and where it came from; `hash` covers all of it and its prompt."""

    __tablename__ = "response"

    hash: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(index=True)
    prompt_hash: Mapped[str] = mapped_column(ForeignKey("prompt.hash"), index=True)
    text: Mapped[str]
    text_hash: Mapped[str]
    source: Mapped[str]
    sampler: Mapped[dict[str, Any] | None]
    seed: Mapped[int | None] = mapped_column(BigInteger)
    is_finished: Mapped[bool]
    meta: Mapped[dict[str, Any]]


class TaskRow(Table):
    """A question to raters."""

    __tablename__ = "task"
    __table_args__ = (
        Index(None, "project", "purpose"),
        Index("ix_task_replaced_at", "replaced_at", sqlite_where=_REPLACED, postgresql_where=_REPLACED),
        Index("ix_task_replaces", "replaces", sqlite_where=_FAMILY, postgresql_where=_FAMILY),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("project.name"))
    prompt_hash: Mapped[str] = mapped_column(ForeignKey("prompt.hash"), index=True)
    kind: Mapped[str]
    purpose: Mapped[str]
    priority: Mapped[float]
    propensity: Mapped[float | None]
    """Probability with which the queue chose this task; null where it was not drawn."""
    guideline_id: Mapped[int | None] = mapped_column(ForeignKey("guideline_version.id"))
    content_hash: Mapped[str]
    meta: Mapped[dict[str, Any]]
    created_at: Mapped[float]
    wanted: Mapped[int | None]
    """Judgments wanted, at most; null: as many as there are slots, which newcomers may add to."""
    set_aside_at: Mapped[float | None]
    """Since when the task is given to nobody and not waited for."""
    set_aside_why: Mapped[str | None]
    """hand, skips, decision or replaced."""
    brought_back_at: Mapped[float | None]
    """Skips before this do not set it aside again."""
    replaced_at: Mapped[float | None]
    """When its content was replaced before anybody had judged it: who was lent it before speaks of other content."""
    replaces: Mapped[str | None]
    """The task that it was added in the place of, since that one was judged already, see queue/replacing.py."""


class TaskResponse(Table):
    """Which answers a task compares; `n` is the order the task names them in, what a rater saw is in `presentation`."""

    __tablename__ = "task_response"

    task_id: Mapped[str] = mapped_column(ForeignKey("task.id"), primary_key=True)
    response_hash: Mapped[str] = mapped_column(ForeignKey("response.hash"), primary_key=True, index=True)
    n: Mapped[int]


class Slot(Table):
    """One wanted judgment of one task. Project, purpose and place repeat the task's, so that one index is the queue."""

    __tablename__ = "slot"
    __table_args__ = (
        UniqueConstraint("task_id", "n"),
        # The last three are not for order: with them in it, counting what waits reads the index alone (SQLite).
        Index(
            "ix_slot_waiting",
            *("project", "purpose", "place", "n", "id", "task_id", "is_filled", "reserved_for"),
            **_WAITING,
        ),
        # Which of the tasks that a rater has judged still wait: few of what they judged are in it.
        Index("ix_slot_unfilled", "task_id", "project", "purpose", "reserved_for", "place", "id", **_UNFILLED),
        # What is counted of a whole queue is in it, so that a count reads the index alone.
        Index("ix_slot_counted", "project", "purpose", "service", "is_filled", "reserved_for"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id"))
    n: Mapped[int]
    project: Mapped[str]
    purpose: Mapped[str]
    place: Mapped[float]
    """Minus the task's priority: what is lowest comes first."""
    is_filled: Mapped[bool]
    """Whether a judgment stands in it, which is when its lease is spent."""
    reserved_for: Mapped[str | None]
    """Id of the only rater who may take it; such slots are extra, nobody waits for them. "@": wanted of those in
    `assignee`. Empty: given to nobody, for the task is set aside or wants fewer judgments than it has slots."""
    service: Mapped[str]
    """normal, gold or repeat."""


class Lease(Table):
    """Who holds a slot, until when. A spent lease belongs to a judged slot and is never given out again."""

    __tablename__ = "lease"
    __table_args__ = (
        Index(None, "task_id", "rater_id"),
        Index("ix_lease_held", "expires_at", **_HELD),
    )

    slot_id: Mapped[int] = mapped_column(ForeignKey("slot.id"), primary_key=True, autoincrement=False)
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id"))
    rater_id: Mapped[str] = mapped_column(_rater(), index=True)
    token: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[float]
    is_spent: Mapped[bool]


class RaterRow(Table):
    """Someone who judges. `erased_at` marks the tombstone of a person who asked to be forgotten."""

    __tablename__ = "rater"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    created_at: Mapped[float]
    erased_at: Mapped[float | None]


class RaterAttribute(Table):
    """What a rater said about themselves, and under which consent text."""

    __tablename__ = "rater_attribute"

    rater_id: Mapped[str] = mapped_column(_rater(), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    consent: Mapped[str | None]
    """Version of the consent text the person agreed to; null for simulated people and machines."""


class Presentation(Table):
    """The order in which a rater saw the answers of a task, and how: written when shown, completed when submitted."""

    __tablename__ = "presentation"
    __table_args__ = (Index(None, "task_id", "rater_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id"))
    rater_id: Mapped[str] = mapped_column(_rater())
    order_shown: Mapped[list[Any]]
    locale: Mapped[str | None]
    client: Mapped[str | None]
    shown_at: Mapped[float]
    propensity: Mapped[float | None]
    """Probability that the queue chose this task for this rater; null where it was not drawn."""
    guideline_id: Mapped[int | None] = mapped_column(ForeignKey("guideline_version.id"))
    """What the rater was told."""
    is_translated: Mapped[bool | None]
    activity: Mapped[dict[str, Any]]
    asked: Mapped[list[Any] | None]
    """What the rater was asked while the task lay before them, see queue/asked.py; null: not known."""


class JudgmentRow(Table):
    """What a rater said. Never changed, except that `superseded_by` is set once and erasure empties it.

    Project and purpose repeat the task's, so that what was said in a queue is told without looking at each task.
    `slot_id` is null for skips, for surplus (the slot was taken when a late answer came) and after erasure.
    """

    __tablename__ = "judgment"
    __table_args__ = (
        Index("uq_judgment_current_slot", "slot_id", unique=True, sqlite_where=_CURRENT, postgresql_where=_CURRENT),
        Index(
            "uq_judgment_current_task_rater",
            "task_id",
            "rater_id",
            unique=True,
            sqlite_where=_CURRENT,
            postgresql_where=_CURRENT,
        ),
        Index(None, "task_id", "rater_id"),
        # What a rater has done in each project, and which tasks they have judged, from the index alone.
        Index("ix_judgment_done", "rater_id", "submitted_at", "project", "purpose", "outcome", "superseded_by"),
        Index(None, "rater_id", "task_id"),
        Index(None, "submitted_at"),
        Index("uq_judgment_number", "number", unique=True),
        Index("ix_judgment_superseded_by", "superseded_by", sqlite_where=_SUPERSEDED, postgresql_where=_SUPERSEDED),
        Index(None, "slot_id"),
        Index(None, "presentation_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    """The client's UUID."""
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id"))
    rater_id: Mapped[str] = mapped_column(_rater())
    project: Mapped[str]
    purpose: Mapped[str]
    slot_id: Mapped[int | None] = mapped_column(ForeignKey("slot.id"))
    outcome: Mapped[str]
    """ranked, marked (flags, scores, critique, notes or edits without a ranking), skipped or erased."""
    ranking: Mapped[dict[str, Any] | None]
    flags: Mapped[dict[str, Any]]
    scores: Mapped[dict[str, Any]]
    critique: Mapped[str | None]
    notes: Mapped[list[Any]]
    edits: Mapped[dict[str, Any]]
    skip_reason: Mapped[str | None]
    details: Mapped[dict[str, Any] | None]
    seconds: Mapped[float | None]
    presentation_id: Mapped[int | None] = mapped_column(ForeignKey("presentation.id"))
    supersedes: Mapped[str | None]
    superseded_by: Mapped[str | None] = mapped_column(ForeignKey("judgment.id", deferrable=True, initially="DEFERRED"))
    content_hash: Mapped[str]
    submitted_at: Mapped[float]
    number: Mapped[int | None] = mapped_column(BigInteger)
    """Its place in the order in which judgments were committed, see queue/order.py; null until its transaction ends."""


class JudgmentEvent(Table):
    """Append-only log of what happened to a judgment: page (what its rater did), surplus, superseded, erased."""

    __tablename__ = "judgment_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    judgment_id: Mapped[str] = mapped_column(ForeignKey("judgment.id"), index=True)
    kind: Mapped[str]
    at: Mapped[float]
    payload: Mapped[dict[str, Any]]


class Gold(Table):
    """The known answer of a task that measures raters."""

    __tablename__ = "gold"

    task_id: Mapped[str] = mapped_column(ForeignKey("task.id"), primary_key=True)
    ranking: Mapped[dict[str, Any]]
    note: Mapped[str]
    set_at: Mapped[float | None]


class Adjudication(Table):
    """A decision about a task on which raters disagreed."""

    __tablename__ = "adjudication"

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id"), index=True)
    adjudicator_id: Mapped[str] = mapped_column(_rater())
    ranking: Mapped[dict[str, Any] | None]
    reason: Mapped[str]
    decided_at: Mapped[float]


class SnapshotRow(Table):
    """A named, fixed set of judgments. `touched_at` is set when a rater in it was erased: it cannot be read again."""

    __tablename__ = "snapshot"
    __table_args__ = (
        Index("uq_snapshot_valid_name", "name", unique=True, sqlite_where=_VALID, postgresql_where=_VALID),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    project: Mapped[str] = mapped_column(ForeignKey("project.name"))
    purpose: Mapped[str]
    hash: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[float]
    touched_at: Mapped[float | None]


class SnapshotJudgment(Table):
    """Contents of a snapshot."""

    __tablename__ = "snapshot_judgment"

    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshot.id"), primary_key=True)
    judgment_id: Mapped[str] = mapped_column(ForeignKey("judgment.id"), primary_key=True, index=True)
