"""Whether a webhook came from the service and is not an old one sent again."""

from __future__ import annotations

import hmac
import time

from assent.feedback.records.webhooks import signature


def verify(secret: str, header: str, body: bytes, *, now: float | None = None, tolerance: float = 300.0) -> bool:
    """Whether a webhook's `Assent-Signature` fits its body and is not older than `tolerance` seconds.

    Give the body as it came, before any parsing.
    """
    try:
        at = int(dict(part.partition("=")[::2] for part in header.split(","))["t"])
    except (KeyError, ValueError):
        return False
    is_recent = abs((time.time() if now is None else now) - at) <= tolerance
    return is_recent and hmac.compare_digest(signature(secret, body, at=at).encode(), header.encode("utf-8", "replace"))
