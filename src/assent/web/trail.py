"""What a request leaves in the security log: noted while it is answered, kept when the answer begins."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace

from fastapi import Request

from assent.core.errors import AssentError
from assent.feedback.people.events import Event

LOG = logging.getLogger("assent.web")
MOST_REFUSALS = 20
"""So many refusals of one account or address are kept a minute, by each server process: a flood is not worth a disk."""
REFUSED, BAD_TOKEN, BAD_SIGN_ON = "refused.route", "sign_in.token_wrong", "sign_in.provider_failed"


def begin(request: Request, event: Event) -> None:
    """Note a deed that is kept if it succeeds."""
    request.state.deed = event


def say(request: Request, event: Event) -> None:
    """Note something that is kept however the request is answered, in the place of a deed."""
    request.state.deed, request.state.is_said = event, True


def about(request: Request, what: str) -> None:
    """Name what a deed was done to, where only its handler knows."""
    deed: Event | None = getattr(request.state, "deed", None)
    if deed is not None:
        request.state.deed = replace(deed, about=what)


def noted(request: Request, status: int) -> Event | None:
    """What there is to keep of a request that is answered with a status."""
    event: Event | None = getattr(request.state, "deed", None)
    request.state.deed = None
    if status >= 400 and not getattr(request.state, "is_said", False):
        event = _refusal(request) if status == 403 else None
    is_cheap = event is not None and event.what in (REFUSED, BAD_TOKEN, BAD_SIGN_ON)
    if event is None or (
        is_cheap and not _FLOOD.admits(event.account or event.address, request.app.state.context.now())
    ):
        return None
    return event


def keep(request: Request, event: Event) -> None:
    """Write an event into the log. A log that cannot be written is said, and the answer goes out all the same."""
    context = request.app.state.context
    now = context.now()
    try:
        context.store.events.record(replace(event, address=address_of(request)), now=now)
    except AssentError as problem:
        LOG.error("the security log could not be written (%s): %s", event.what, problem)


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return "unknown" if request.client is None else request.client.host


def _refusal(request: Request) -> Event | None:
    """The event of a request of somebody known that was refused; strangers are refused at every door."""
    person = getattr(request.state, "person", None)
    route = getattr(request.scope.get("route"), "path", request.url.path)
    if person is None:
        return None
    return Event(REFUSED, account=person.rater_id, program=person.program, about=f"{request.method} {route}")


@dataclass
class _Flood:
    """How many events of each sender were kept in the minute that is on."""

    _minute: int = 0
    _counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self, sender: str, now: float) -> bool:
        """May another one be kept?"""
        with self._lock:
            if int(now // 60) != self._minute:
                self._minute, self._counts = int(now // 60), {}
            self._counts[sender] = self._counts.get(sender, 0) + 1
            return self._counts[sender] <= MOST_REFUSALS


_FLOOD = _Flood()
