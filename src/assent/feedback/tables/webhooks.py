"""The tables of webhooks: whom to tell what, and every message with what became of it.

webhook ── webhook_delivery        one row per event, written in the transaction that notices it
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from assent.feedback.tables.queue import Table

_OPEN = text("delivered_at IS NULL AND gave_up_at IS NULL")


class WebhookRow(Table):
    """An address that wants to be told when something happens."""

    __tablename__ = "webhook"

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str]
    secret: Mapped[str]
    """Key of the signatures. It has to be kept as it is, to sign with; it is told once and never read out again."""
    event: Mapped[str]
    project: Mapped[str | None]
    purpose: Mapped[str]
    threshold: Mapped[float | None]
    is_armed: Mapped[bool]
    """Whether the next crossing is told. Set back by the process that notices one; set again below the threshold."""
    checked_at: Mapped[float]
    """When a process last looked; the one that moves it on does the looking."""
    created_at: Mapped[float]


class WebhookDelivery(Table):
    """One message: unique per webhook and event, tried until it is delivered or given up."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("webhook_id", "name"),
        Index("ix_webhook_delivery_open", "next_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    name: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[float]
    attempts: Mapped[int]
    next_at: Mapped[float]
    """Not before this; while a process is sending, when it counts as dead."""
    delivered_at: Mapped[float | None]
    gave_up_at: Mapped[float | None]
    status: Mapped[int | None]
    """HTTP status of the last answer."""
    problem: Mapped[str | None]
