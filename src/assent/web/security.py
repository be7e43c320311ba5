"""The outermost layer: headers that keep pages to themselves, bodies of a bearable size, no error without an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assent.web.refusals import Refusal, answer, refusal_of

MEGABYTE = 1 << 20
BODY_LIMIT = MEGABYTE
"""Bytes of a request's body."""
LARGE: Sequence[tuple[re.Pattern[str], int]] = (
    (re.compile(r"/api/v1/.*import.*"), 256 * MEGABYTE),
    (re.compile(r"/api/v1/.*tasks.*"), 64 * MEGABYTE),
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
                _add_headers(MutableHeaders(scope=message), scope["path"])
            await send(message)

        request = Request(scope, receive)
        try:
            _refuse_tricks(scope)
            limited = _Limited(receive, limit_of(scope["path"]))
            limited.check_announced(request.headers.get("content-length", ""))
            await self._app(scope, limited, send_safely)
        except Exception as error:  # whatever it is, the client gets an answer and the log the rest
            refusal = refusal_of(error)
            if has_begun:
                raise
            if refusal.status_code == 413:
                refusal.headers = {**(refusal.headers or {}), "connection": "close"}
            await answer(request, refusal)(scope, receive, send_safely)


def limit_of(path: str) -> int:
    """How long a body may be that is sent to a path."""
    return next((limit for pattern, limit in LARGE if pattern.fullmatch(path)), BODY_LIMIT)


class _Limited:
    """The body of a request, counted as it comes: chunked ones announce no length."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit, self._read = receive, limit, 0

    def check_announced(self, length: str) -> None:
        if length.isascii() and length.isdigit() and int(length[:20]) > self._limit:
            self._refuse()

    async def __call__(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            self._refuse()
        return message

    def _refuse(self) -> None:
        size = self._limit / MEGABYTE
        raise Refusal(413, f"the request is larger than {size:g} MB", "send less at once")


def _refuse_tricks(scope: Scope) -> None:
    """No text of ours holds a NUL character, and no database takes one."""
    if "\x00" in scope["path"] or b"%00" in scope.get("query_string", b""):
        raise Refusal(400, "the address holds a NUL character", "remove it")


def _add_headers(headers: MutableHeaders, path: str) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if not path.startswith("/static/"):
        headers.setdefault("cache-control", "no-store")
