"""Below a path: the service as it is when a proxy offers it at https://host/apps/rate and not at a host of its own.

The application itself knows nothing of the path. It comes off the address of a request where the proxy left it there,
and goes onto what leads the browser back: links and forms of a page, redirects, the path of cookies.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TAG = re.compile(r"<[a-zA-Z][^<>]*>")
_LEADS_BACK = re.compile(r'(\s(?:href|action|src|data-upload)=")(?=/(?!/))')


def path_of(base_url: str | None) -> str:
    """The path below which the service is reached, without a slash at its end; empty for a host of its own."""
    return urlsplit(base_url or "").path.rstrip("/")


def placed(page: str, path: str) -> str:
    """A page of ours with the path before every address that leads back here.

    What people and models wrote stands between tags or in attributes with its quotation marks escaped, so that none of
    it looks like an attribute of ours.
    """
    if not path:
        return page
    return _TAG.sub(lambda tag: _LEADS_BACK.sub(rf"\g<1>{path}", tag.group()), page)


class Below:
    """Wraps the whole app."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app, self._path = app, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_back(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [self._header(*header) for header in message["headers"]]}
            await send(message)

        await self._app(self._within(scope), receive, send_back)

    def _within(self, scope: Scope) -> Scope:
        """The request without the path, which some proxies take off and others leave on."""
        if scope["path"] != self._path and not scope["path"].startswith(self._path + "/"):
            return scope
        raw, begin = scope.get("raw_path") or b"", self._path.encode()
        return {
            **scope,
            "path": scope["path"][len(self._path) :] or "/",
            "raw_path": (raw[len(begin) :] or b"/") if raw.startswith(begin) else raw,
        }

    def _header(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        if name.lower() == b"location" and value.startswith(b"/") and not value.startswith(b"//"):
            return name, self._path.encode() + value
        return name, value
