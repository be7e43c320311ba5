"""Pages that give judgments out: a choice of formats, what each would lose, and the file."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from assent.core.errors import UserError
from assent.core.types import Purpose
from assent.data.exports import EXPORTS, encode, export_format
from assent.data.losses import LossReport
from assent.feedback.exporting import gather, those_who_said
from assent.feedback.records.queue import Queue
from assent.web.admin.frame import Frame, project_path
from assent.web.auth import Admin

MEDIA = {
    ".csv": "text/csv; charset=utf-8",
    ".jsonl": "application/jsonl",
    ".json": "application/json",
    ".gz": "application/gzip",
}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of these pages."""

    @routes.get("/admin/projects/{name}/export")
    def export(
        request: Request,
        _person: Admin,
        name: str,
        format: Annotated[str, Query(max_length=40)] = "",
        ending: Annotated[str, Query(max_length=20)] = "",
        purpose: Purpose = "reward",
    ) -> Response:
        project = frame.project(name)
        report: LossReport | None = None
        problem: UserError | str = ""
        if format:
            try:
                report = _encoded(frame, Queue(name, purpose), format, ending)[1]
            except UserError as error:
                problem = error
        return frame.page(
            request,
            "admin_export.html",
            tab="export",
            project=project,
            problem=problem,
            formats=EXPORTS.values(),
            chosen=format,
            ending=ending,
            purpose=purpose,
            report=report,
            counts={p: frame.store.counts(Queue(name, p)) for p in ("reward", "evaluation")},
            back=project_path(name, "export"),
        )

    @routes.get("/admin/projects/{name}/export/file")
    def download(
        _person: Admin,
        name: str,
        format: Annotated[str, Query(max_length=40)],
        ending: Annotated[str, Query(max_length=20)] = "",
        purpose: Purpose = "reward",
    ) -> Response:
        frame.project(name)
        content, _, file = _encoded(frame, Queue(name, purpose), format, ending)
        media = next((kind for end, kind in MEDIA.items() if file.endswith(end)), "application/octet-stream")
        disposition = f"attachment; filename=\"{file}\"; filename*=UTF-8''{quote(file)}"
        return Response(content, media_type=media, headers={"content-disposition": disposition})


def _encoded(frame: Frame, queue: Queue, format: str, ending: str) -> tuple[bytes, LossReport, str]:
    """The file, what it lost, and its name, in which nothing is left that could be a path."""
    form = export_format(format)
    plain = _UNSAFE.sub("-", queue.project).strip("-.") or "project"
    name = f"{plain}-{queue.purpose}-{form.name}{ending if ending in form.endings else form.ending}"
    raters = those_who_said(frame.store, attributes=True)
    content, report = encode(gather(frame.store, queue), format, name, raters=raters)
    return content, report, name
