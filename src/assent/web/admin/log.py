"""The page of the security log: who signed in, what was refused, what admins did; filter and download."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from assent.core.errors import UserError
from assent.feedback.days import local
from assent.feedback.people.events import LONGEST_DAYS, KeptEvent
from assent.web.admin.frame import Frame, done
from assent.web.admin.people import whole
from assent.web.auth import Admin
from assent.web.forms import Form

SHOWN = 100
GROUPS = (
    "sign_in",
    "sign_out",
    "refused",
    "account",
    "link",
    "mail",
    "invitation",
    "token",
    "webhook",
    "project",
    "task",
    "judgment",
    "rater",
    "command",
    "log",
)
"""What can be chosen: the first parts of the names of events."""
What = Annotated[str, Query(max_length=100)]
Account = Annotated[str, Query(max_length=200)]


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of this page."""
    events = frame.store.events

    @routes.get("/admin/log")
    def log(
        request: Request,
        _person: Admin,
        what: What = "",
        account: Account = "",
        before: Annotated[int | None, Query(ge=1)] = None,
    ) -> Response:
        return _log_page(frame, request, what=what, account=account, before=before)

    @routes.post("/admin/log")
    def keep_for(request: Request, _person: Admin, form: Form) -> Response:
        try:
            events.keep_for(whole(form, "days", most=LONGEST_DAYS), now=frame.context.now())
        except UserError as problem:
            return _log_page(frame, request, problem=problem)
        return done("/admin/log", "saved")

    @routes.get("/admin/log/file")
    def download(_person: Admin, what: What = "", account: Account = "") -> Response:
        lines = _lines(events.all(what=what, account=account))
        headers = {"content-disposition": 'attachment; filename="security-log.jsonl"'}
        return StreamingResponse(lines, media_type="application/jsonl", headers=headers)


def _log_page(
    frame: Frame,
    request: Request,
    *,
    what: str = "",
    account: str = "",
    before: int | None = None,
    problem: UserError | str = "",
) -> Response:
    events = frame.store.events
    rows = events.find(what=what, account=account, before=before, limit=SHOWN + 1)
    return frame.page(
        request,
        "admin_log.html",
        tab="log",
        problem=problem,
        rows=[(one, _moment(one.at)) for one in rows[:SHOWN]],
        older=rows[SHOWN - 1].id if len(rows) > SHOWN else None,
        logins={one.rater_id: one.login for one in frame.store.accounts.all()},
        groups=GROUPS,
        what=what,
        account=account,
        days=events.days,
    )


def _moment(at: float) -> str:
    return f"{local(at, 'UTC'):%Y-%m-%d %H:%M:%S}"


def _lines(found: Iterator[KeptEvent]) -> Iterator[str]:
    for event in found:
        yield json.dumps({"at_utc": _moment(event.at), **asdict(event)}, ensure_ascii=False) + "\n"
