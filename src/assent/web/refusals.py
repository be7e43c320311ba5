"""Refusals: every error that a client sees says what is wrong and what to do, as JSON or as a page."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from assent.core.errors import AssentError, ConflictError, RunError, StoreError, UserError
from assent.core.problems import problem_of
from assent.feedback.people.sign_in import TooManyAttempts

LOG = logging.getLogger("assent.web")
BUSY = "the store is busy or cannot be reached"
_DO = {
    400: "check the request and send it again",
    401: "sign in, then try again",
    403: "ask an admin for access, or reload the page",
    404: "check the address, or go back to the start page",
    405: "use another method; see the description of the interface",
    409: "reload the page",
    413: "send less at once",
    422: "correct it and send it again",
    429: "wait and try again",
    500: "try again; if it happens again, tell an admin the time of this message",
    503: "try again in a few seconds",
}


class Refusal(HTTPException):
    """A request that is answered with an error: what is wrong, and what to do about it. `more` goes beside them."""

    def __init__(
        self, status: int, what: str, do: str = "", *, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        self.what, self.do, self.more = what, do or _DO.get(status, ""), more
        super().__init__(status, what, headers=headers)


def answer(request: Request, refusal: Refusal) -> Response:
    """The answer to a refused request; browsers that look for a page get a page."""
    headers = dict(refusal.headers or {})
    if not wants_page(request):
        content = {"error": {"what": refusal.what, "do": refusal.do}, **refusal.more}
        return JSONResponse(content, refusal.status_code, headers)
    if refusal.status_code == 401 and request.method == "GET":
        there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(there)}", HTTPStatus.SEE_OTHER)
    context = request.app.state.context
    response: Response = context.page(
        request, "error.html", status=refusal.status_code, what=refusal.what, do=refusal.do
    )
    response.headers.update(headers)
    return response


def refusal_of(error: Exception) -> Refusal:
    """What a client is told about an error. Details of unexpected ones stay in the log."""
    match error:
        case Refusal():
            return error
        case TooManyAttempts():
            what, _, do = str(error).partition("; ")
            return Refusal(429, what, do, headers={"Retry-After": str(error.retry_after)})
        case StarletteHTTPException():
            what = str(error.detail) if error.detail else HTTPStatus(error.status_code).phrase
            return Refusal(error.status_code, _plain(what), headers=dict(error.headers or {}))
        case RequestValidationError():
            return Refusal(422, _validation(error))
        case PoolTimeout():
            return Refusal(503, BUSY, headers={"Retry-After": "2"})
        case StoreError() if isinstance(error.__cause__, DatabaseError):
            LOG.error("%s", error)
            return Refusal(503, BUSY, headers={"Retry-After": "2"})
        case UserError():
            what, _, do = str(error).rpartition("; ")
            return Refusal(409 if isinstance(error, ConflictError) else 422, what or do, do if what else "")
        case RunError():
            LOG.error("%s", error)
            return Refusal(503, "the server cannot write at the moment", "tell an admin; nothing you sent is lost here")
        case AssentError():
            return Refusal(409, str(error))
    LOG.error("unexpected error", exc_info=error)
    return Refusal(500, "the server failed at this request")


def install(app: FastAPI, identify: Callable[[Request], object]) -> None:
    """Let refusals and errors of an app be answered by this module; pages say so to whom `identify` finds."""

    async def handle(request: Request, error: Exception) -> Response:
        if wants_page(request):
            with contextlib.suppress(Refusal, AssentError):
                await run_in_threadpool(identify, request)
        return answer(request, refusal_of(error))

    for kind in (StarletteHTTPException, RequestValidationError, AssentError, PoolTimeout):
        app.add_exception_handler(kind, handle)


def wants_page(request: Request) -> bool:
    """Does the client navigate, rather than fetch data?"""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def _validation(error: RequestValidationError) -> str:
    """The first few problems in one line, without repeating what was sent."""
    said = []
    for problem in error.errors()[:3]:
        where = ".".join(str(part) for part in problem["loc"][1:] if not isinstance(part, str) or len(part) < 60)
        said.append(f"{where or problem['loc'][0]}: {problem_of(problem).text[:300]}")
    return "; ".join(said) or "the request does not fit"


def _plain(what: str) -> str:
    return what[:1].lower() + what[1:] if what[:2].istitle() or what[1:2].islower() else what
