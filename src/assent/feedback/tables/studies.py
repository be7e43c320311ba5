"""The tables of studies: for whom tasks are, groups of raters, and who passed the known answers before the work."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from assent.feedback.tables.queue import Table


class Assignee(Table):
    """A person, or a group of people, to whom alone a task is given."""

    __tablename__ = "assignee"
    __table_args__ = (Index(None, "name", "is_group"),)

    task_id: Mapped[str] = mapped_column(ForeignKey("task.id"), primary_key=True)
    is_group: Mapped[bool] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    """Id of a rater, or name of a group."""


class GroupMember(Table):
    """A rater in a named group; tasks are assigned to groups."""

    __tablename__ = "group_member"

    name: Mapped[str] = mapped_column(primary_key=True)
    rater_id: Mapped[str] = mapped_column(ForeignKey("rater.id", onupdate="CASCADE"), primary_key=True)


class QualificationRow(Table):
    """Whether a rater passed the known answers that come before a project's work; decided once."""

    __tablename__ = "qualification"

    project: Mapped[str] = mapped_column(ForeignKey("project.name"), primary_key=True)
    rater_id: Mapped[str] = mapped_column(ForeignKey("rater.id", onupdate="CASCADE"), primary_key=True)
    is_passed: Mapped[bool]
    tasks: Mapped[int]
    score: Mapped[float | None]
    """Share of pairs ordered like the known answers; null where an admin decided."""
    decided_at: Mapped[float]
