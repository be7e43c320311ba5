"""The table of conversations with blind models: where each stands, so that any server process can go on with it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from assent.feedback.tables.queue import Table


class ConversationRow(Table):
    """A conversation; `state` is a `BlindTalk` without what has a column of its own."""

    __tablename__ = "conversation"
    __table_args__ = (Index(None, "rater_id", "project"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    """The client's UUID."""
    project: Mapped[str] = mapped_column(ForeignKey("project.name"))
    rater_id: Mapped[str] = mapped_column(ForeignKey("rater.id", onupdate="CASCADE"))
    purpose: Mapped[str]
    phase: Mapped[str]
    state: Mapped[dict[str, Any]]
    version: Mapped[int]
    """One more with every change; whoever changes a conversation names the version they read."""
    alive_at: Mapped[float | None]
    """When the server that waits for the models' answers last said so."""
    created_at: Mapped[float]
    changed_at: Mapped[float]
