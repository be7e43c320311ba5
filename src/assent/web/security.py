"""The outermost layer: headers that keep pages to themselves, bodies of a bearable size, no error without an answer."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assent.web import trail
from assent.web.auth import identify
from assent.web.refusals import Refusal, answer, refusal_of

LOG = logging.getLogger("assent.web")
MEGABYTE = 1 << 20
BODY_LIMIT = MEGABYTE
"""Bytes of a request's body."""
BODY_SECONDS, SLOWEST = 30.0, 20_000
"""A body has so many seconds, and one more for so many bytes of it that came."""
LARGE: Sequence[tuple[re.Pattern[str], int]] = (
    (re.compile(r"/api/v1/.*import.*"), 256 * MEGABYTE),
    (re.compile(r"/api/v1/.*(tasks|priorities).*"), 64 * MEGABYTE),
    (re.compile(r"/admin/projects/[^/]+/(tasks|rankings)"), 256 * MEGABYTE),
)
"""Paths below which more may be sent: what programs bring in."""
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
STRICT_TRANSPORT = f"max-age={365 * 86_400}"
"""Where the service is reached by https: browsers come by https only, for a year. Other hosts are not spoken for."""
CLOSE = {"connection": "close"}
"""What is left of a body that was refused is not read."""
IMMUTABLE = "public, max-age=31536000, immutable"


class Security:
    """Wraps the whole app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_safely(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                event = trail.noted(request, message["status"])
                if event is not None:
                    await run_in_threadpool(trail.keep, request, event)
                _add_headers(MutableHeaders(scope=message), scope, message["status"])
            await send(message)

        request = Request(scope, receive)
        _notice_proxy(request)
        try:
            _refuse_tricks(scope)
            limited = _Limited(receive, request)
            await limited.check_announced(request.headers.get("content-length", ""))
            await self._app(scope, limited, send_safely)
        except ClientDisconnect:
            return  # nobody is left to answer, and nothing is wrong here
        except Exception as error:  # whatever it is, the client gets an answer and the log the rest
            refusal = refusal_of(error)
            if has_begun:
                raise
            await answer(request, refusal)(scope, receive, send_safely)


def limit_of(path: str) -> int:
    """How long a body may be that is sent to a path."""
    return next((limit for pattern, limit in LARGE if pattern.fullmatch(path)), BODY_LIMIT)


class _Limited:
    """The body of a request, counted as it comes: chunked ones announce no length.

    More than usual may only be sent by those who run projects. Who it is is looked up for such bodies alone, before any
    of it is read, and once: the routes find the person in the request.
    """

    def __init__(self, receive: Receive, request: Request) -> None:
        self._receive, self._request = receive, request
        self._limit, self._read = BODY_LIMIT, 0
        self._begun, self._is_whole = time.monotonic(), False

    async def check_announced(self, length: str) -> None:
        if length.isascii() and length.isdigit():
            await self._allow(int(length[:20]))

    async def __call__(self) -> Message:
        message = await self._in_time()
        self._is_whole = not message.get("more_body", False)
        self._read += len(message.get("body", b""))
        await self._allow(self._read)
        return message

    async def _in_time(self) -> Message:
        """The next piece. Raises Refusal where the body trickles: each kilobyte gives it a little more time."""
        if self._is_whole:  # from here on the wait is for the client to leave
            return await self._receive()
        left = self._begun + BODY_SECONDS + self._read / SLOWEST - time.monotonic()
        try:
            return await asyncio.wait_for(self._receive(), max(left, 0.0))
        except TimeoutError:
            raise Refusal(408, "the request came too slowly", "send it again", headers=CLOSE) from None

    async def _allow(self, size: int) -> None:
        if size <= self._limit:
            return
        most = limit_of(self._request.url.path)
        if self._limit < most:
            person = await run_in_threadpool(identify, self._request)
            if person is None:  # a session that ended while the form was filled in, say: nothing is wrong with the size
                raise Refusal(401, "you are not signed in", "sign in, then send it again", headers=CLOSE)
            if person.may("admin"):
                self._limit = most
        if size > self._limit:
            raise Refusal(
                413, f"the request is larger than {self._limit / MEGABYTE:g} MB", "send less at once", headers=CLOSE
            )


def _notice_proxy(request: Request) -> None:
    """Say once that a proxy speaks for others and is not trusted: all who come by it then count as one address."""
    said = request.headers.get("x-forwarded-for", "")
    peer = "" if request.client is None else request.client.host
    state = request.app.state
    if said and peer not in said and not getattr(state, "is_proxy_said", False):
        state.is_proxy_said = True
        LOG.warning("requests come by a proxy at %s that is not trusted; name it with --trusted-proxy %s", peer, peer)


def _refuse_tricks(scope: Scope) -> None:
    """No text of ours holds a NUL character, and no database takes one."""
    if "\x00" in scope["path"] or b"%00" in scope.get("query_string", b""):
        raise Refusal(400, "the address holds a NUL character", "remove it")
    named = {name for name, _ in scope["headers"]}
    if {b"content-length", b"transfer-encoding"} <= named:  # a proxy may read two requests where we read one
        raise Refusal(400, "the request says its length in two ways", "leave Content-Length out", headers=CLOSE)


def _add_headers(headers: MutableHeaders, scope: Scope, status: int) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if scope["app"].state.context.is_secure:
        headers.setdefault("strict-transport-security", STRICT_TRANSPORT)
    if not scope["path"].startswith("/static/") or status >= 400:
        headers["cache-control"] = "no-store"
