"""Connections of clients that begin a request and never end its head are closed after a while."""

from __future__ import annotations

from asyncio import Transport

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""So long may a client take for the head of a request; bodies have their own limit in `assent.web.security`."""


class Impatient(H11Protocol):
    """uvicorn's protocol with an end to waiting for the head of a request, on new connections and on kept ones."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        """A request was answered; the next one may come."""
        super().on_response_complete()
        self._wait_for_head()

    def _wait_for_head(self) -> None:
        before = self.cycle

        def give_up() -> None:
            if self.cycle is before and not self.transport.is_closing():
                self.transport.close()

        self.loop.call_later(HEAD_SECONDS, give_up)
