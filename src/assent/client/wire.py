"""The wire: requests that carry the token, are repeated where that can do no harm, and fail in words."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, TypeAdapter

from assent.core.errors import UserError

ATTEMPTS = 6
"""How often a request is tried."""
PAUSE = 0.25
"""Seconds before the second attempt; doubled before each further one."""
PAGE = 500
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)

Answer = TypeVar("Answer", bound=BaseModel)


class ApiError(UserError):
    """The service refused a request, or cannot be reached (`status` 0)."""

    def __init__(self, status: int, what: str, do: str, body: Mapping[str, Any] | None = None) -> None:
        self.status, self.what, self.do = status, what, do
        self.body = dict(body or {})
        super().__init__(f"{what}; {do}" if do else what)


class Wire:
    """Requests to the service at a URL with a token."""

    def __init__(self, url: str, token: str, *, timeout: float, transport: httpx2.BaseTransport | None) -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        base = url.rstrip("/") + "/api/v1"
        self._http = httpx2.Client(base_url=base, headers=headers, timeout=timeout, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def one(self, kind: type[Answer], method: str, path: str, **request: Any) -> Answer:
        """The answer to a request."""
        return kind.model_validate_json(self.ask(method, path, **request).content)

    def all(self, kind: type[Answer], path: str, **params: str) -> list[Answer]:
        """A list that comes whole."""
        found = self.ask("GET", path, params=params).content
        return TypeAdapter(list[kind]).validate_json(found)  # type: ignore[valid-type]

    def pages(self, kind: Any, path: str, **params: Any) -> Iterator[Any]:
        """The items of all pages of a list."""
        cursor = None
        while True:
            wanted = {**params, "limit": PAGE, **({} if cursor is None else {"cursor": cursor})}
            page = self.one(kind, "GET", path, params=wanted)
            yield from page.items
            cursor = page.next
            if cursor is None or len(page.items) < PAGE:
                return

    def rest(self, kind: Any, path: str, cursor: str | None, **params: Any) -> Any:
        """One page of everything after a cursor; its `next` is the cursor of the last page."""
        items: list[Any] = []
        while True:
            wanted = {**params, "limit": PAGE, **({} if cursor is None else {"cursor": cursor})}
            page = self.one(kind, "GET", path, params=wanted)
            items += page.items
            cursor = page.next
            if len(page.items) < PAGE:
                return page.model_copy(update={"items": tuple(items)})

    def remove(self, path: str) -> bool:
        """Remove something; whether it was there."""
        return bool(self.ask("DELETE", path).json()["removed"])

    def ask(self, method: str, path: str, *, repeat: bool | None = None, **request: Any) -> httpx2.Response:
        """One request, made again where that can do no harm (by default GET and PUT). Raises ApiError."""
        is_harmless = method in ("GET", "PUT") if repeat is None else repeat
        for attempt in range(ATTEMPTS):
            is_last = attempt == ATTEMPTS - 1
            try:
                response = self._http.request(method, path, **request)
            except httpx2.TransportError as error:
                if is_last or not (is_harmless or isinstance(error, _NOT_SENT)):
                    said = f"{self._http.base_url} does not answer ({type(error).__name__}: {error})"
                    raise ApiError(0, said, "check the address and whether the service runs") from None
            else:
                if response.status_code != 503 or is_last or not is_harmless:
                    return _checked(response)
            time.sleep(PAUSE * 2**attempt)
        raise AssertionError("unreachable")


def quoted(part: str) -> str:
    """One part of a path, whatever signs it holds."""
    return quote(part, safe="")


def _checked(response: httpx2.Response) -> httpx2.Response:
    if response.is_success:
        return response
    try:
        body = dict(response.json())
        what, do = str(body["error"]["what"]), str(body["error"]["do"])
    except (ValueError, KeyError, TypeError):
        body, what, do = {}, f"the service answered {response.status_code}", "check the address"
    raise ApiError(response.status_code, what, do, body)
