"""The door of the endpoint: who may come in, and how large a body may be."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assent.service.endpoint.refused import Refused
from assent.service.serve import LOCAL

BODY_LIMIT = 4 << 20
"""Bytes of a request's body."""
BODY_SECONDS = 30.0
"""So long may a body take."""
OPEN = "/health"
"""What is answered without a token."""
_CLOSE = {"connection": "close"}


class Door:
    """Wraps the app. Without a token only this machine is let in, and only under its own names.

    A page of another site can make a browser ask an address of this machine; the name it asks for then is that site's.
    """

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app = app
        self._token = None if token is None else hashlib.sha256(token.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(Request(scope))
        except Refused as refused:
            await refused.response()(scope, receive, send)
        else:
            await self._app(scope, _Limited(receive), send)

    def _check(self, request: Request) -> None:
        if {"content-length", "transfer-encoding"} <= set(request.headers):
            raise Refused(400, "the request says its length in two ways; leave Content-Length out", headers=_CLOSE)
        announced = request.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > BODY_LIMIT:
            raise _too_large()
        if self._token is None:
            host = request.headers.get("host", "").rsplit("]", 1)[0].lstrip("[")
            name = host if ":" in host.partition(":")[2] else host.partition(":")[0]
            if name.lower() not in LOCAL:
                raise Refused(403, "this server answers to localhost only; start it with --token-env for other names")
        elif request.url.path != OPEN:
            kind, _, given = request.headers.get("authorization", "").partition(" ")
            is_known = hmac.compare_digest(hashlib.sha256(given.strip().encode()).digest(), self._token)
            if kind.lower() != "bearer" or not is_known:
                raise Refused(
                    401,
                    "the token is missing or wrong; send it as Authorization: Bearer …",
                    code="invalid_api_key",
                    headers={"www-authenticate": "Bearer"},
                )
        if request.method == "POST" and not request.headers.get("content-type", "").startswith("application/json"):
            raise Refused(415, "send JSON, with Content-Type: application/json")


class _Limited:
    """The body of a request, counted as it comes: chunked ones announce no length."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read, self._until, self._is_whole = 0, time.monotonic() + BODY_SECONDS, False

    async def __call__(self) -> Message:
        if self._is_whole:  # from here on the wait is for the client to leave
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(self._until - time.monotonic(), 0.0))
        except TimeoutError:
            raise Refused(408, "the request came too slowly; send it again", headers=_CLOSE) from None
        self._is_whole = not message.get("more_body", False)
        self._read += len(message.get("body", b""))
        if self._read > BODY_LIMIT:
            raise _too_large()
        return message


def _too_large() -> Refused:
    return Refused(413, f"the request is larger than {BODY_LIMIT >> 20} MB; send less at once", headers=_CLOSE)
