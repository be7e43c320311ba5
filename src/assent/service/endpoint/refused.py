"""Refusals of the endpoint, in the shape that clients of OpenAI's interface read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from assent.core.errors import AssentError, UserError


class Refused(Exception):
    """A request that is not answered: a status, what is wrong and what to do, and the field it is about."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """The error as JSON."""
        kind = {401: "authentication_error", 429: "rate_limit_error", 503: "server_error", 500: "server_error"}.get(
            self.status, "invalid_request_error"
        )
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """The error as an HTTP response."""
        return JSONResponse(self.body, status_code=self.status, headers=self.headers)


def refusal(error: BaseException) -> Refused:
    """What to answer where a model raised: whatever is the user's to mend is said, of anything else only its kind."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, UserError):
        return Refused(400, str(error))
    if isinstance(error, AssentError):
        return Refused(500, str(error))
    return Refused(500, f"the server failed with {type(error).__name__}; its log says where")
