"""Sending webhooks: a thread of each server process that looks what is due and sends it, signed.

    POST https://example.org/hook
    Assent-Event: judgments
    Assent-Delivery: 12                          the same in every attempt: keep it to recognize a message sent twice
    Assent-Signature: t=1767225600,v1=5f2c…      HMAC-SHA256 of "<t>.<body>" with the webhook's secret

    {"event": "judgments", "webhook": 3, "project": "support", "judgments": 500, "threshold": 500, …}

Any answer below 300 counts as delivered. `assent.client.verify` checks the signature on the other side.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx2

from assent.core.errors import AssentError
from assent.feedback.records.webhooks import WebhookMessage, signature
from assent.feedback.store import Store
from assent.web import outbound

LOG = logging.getLogger("assent.web")
PRIVATE = "ASSENT_PRIVATE_WEBHOOKS"
"""Environment variable: with 1 webhooks may lead to loopback and private addresses."""
PAUSE = 5.0
"""Seconds between two looks."""
AT_ONCE = 8
"""Messages under way at once, each of another webhook."""
TIDY_SECONDS = 600.0
"""How often attempts to sign in, ended sessions and old events are dropped."""


def allows_private() -> bool:
    """Has whoever runs the server allowed webhooks into its own network?"""
    return os.environ.get(PRIVATE) == "1"


@dataclass
class Deliveries:
    """The sender of one server process."""

    store: Store
    clock: Callable[[], float]
    pause: float = PAUSE
    allow_private: bool = field(default_factory=allows_private)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _tidied: float = -math.inf

    def start(self) -> None:
        """Begin to look and send in the background."""
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the message that is being sent."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=outbound.DEADLINE + 5)

    def work(self) -> int:
        """Look once and send everything that is due; returns how many messages were delivered.

        Each webhook has one message under way, and all at once: a slow receiver delays its own messages only.
        """
        self.store.webhooks.notice(now=self.clock())
        delivered = 0
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as threads:
            while messages := self.store.webhooks.claim(limit=AT_ONCE, now=self.clock()):
                delivered += sum(threads.map(self._send, messages))
                if self._stopping.is_set():
                    break
        return delivered

    def _tidy(self) -> None:
        """Drop what counts no more, once in a while; also where nobody signs in."""
        now = self.clock()
        if now - self._tidied >= TIDY_SECONDS:
            self._tidied = now
            self.store.accounts.tidy(now=now)
            self.store.events.prune(now=now)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._tidy()
                self.work()
            except (AssentError, OSError) as error:
                LOG.error("webhooks: %s", error)
            except Exception as error:  # one odd message must not end all that come after it
                LOG.error("webhooks", exc_info=error)
            self._stopping.wait(self.pause)

    def _send(self, message: WebhookMessage) -> bool:
        status, problem = None, None
        body = json.dumps(message.delivery.payload, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "User-Agent": "Assent",
            "Assent-Event": str(message.delivery.payload.get("event")),
            "Assent-Delivery": str(message.delivery.id),
            "Assent-Signature": signature(message.secret, body, at=int(self.clock())),
        }
        try:
            to = outbound.address_of(message.url, allow_private=self.allow_private)
            status = outbound.post(to, body, headers)
            problem = None if 200 <= status < 300 else f"answered {status}"
        except outbound.Forbidden as error:
            problem = str(error)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            problem = f"no answer: {type(error).__name__}"
        self.store.webhooks.settle(message.delivery.id, status=status, problem=problem, now=self.clock())
        return problem is None
