"""What webhooks are about, as plain records, and how their messages are signed; the client needs these and no store."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Literal

from assent.core.types import Purpose

Event = Literal["judgments", "finished", "agreement", "erased"]
"""judgments: at least `threshold` are in. finished: every slot is judged. agreement: Krippendorff's alpha is below
`threshold`. erased: a rater was forgotten."""


@dataclass(frozen=True)
class Hook:
    """What to tell whom. `project` is needed for all events but erasure, which is told for every rater."""

    url: str
    event: Event
    project: str | None = None
    purpose: Purpose = "reward"
    threshold: float | None = None


@dataclass(frozen=True)
class Webhook:
    """A webhook in the store, without its secret."""

    id: int
    hook: Hook
    created_at: float


@dataclass(frozen=True)
class Delivery:
    """One message and what became of it."""

    id: int
    webhook_id: int
    payload: dict[str, Any]
    created_at: float
    attempts: int
    next_at: float | None
    """When it is tried next; None where it is delivered or given up."""
    delivered_at: float | None
    gave_up_at: float | None
    status: int | None
    problem: str | None


@dataclass(frozen=True)
class WebhookMessage:
    """A delivery to send now."""

    delivery: Delivery
    url: str
    secret: str


def signature(secret: str, body: bytes, *, at: int) -> str:
    """Header value of a signed message: HMAC-SHA256 over the time and the body, so that neither can be replaced."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
