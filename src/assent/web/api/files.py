"""Files over the API: judgments out in any format with a report of what it lost, and judgments in, all or nothing."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from assent.core.errors import DataError
from assent.core.types import Purpose
from assent.data.config import FormatName
from assent.data.exports import EXPORTS, ExportFormat, encode
from assent.data.losses import LossReport
from assent.feedback.exporting import gather, those_who_said
from assent.feedback.records.queue import Queue
from assent.web.api.file_models import FormatOut, ImportOut, LossOut
from assent.web.api.projects import ProjectName, known_project
from assent.web.auth import Admin
from assent.web.context import Context
from assent.web.refusals import Refusal
from assent.web.uploads import bring_rankings

MEDIA = {
    ".jsonl": "application/x-ndjson",
    ".jsonl.gz": "application/gzip",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
}
LOSS_HEADER = "Assent-Loss-Report"
"""Header of a download: the report as JSON in ASCII."""
Ending = Literal[".jsonl", ".jsonl.gz", ".json", ".parquet"]
FormatPath = Annotated[str, Path(min_length=1, max_length=40, description="One of /api/v1/formats.")]
Snapshot = Annotated[str | None, Query(max_length=100, description="Hash of a snapshot; null: as things are now.")]
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": dict.fromkeys(MEDIA.values(), _FILE),
        "headers": {LOSS_HEADER: {"schema": {"type": "string"}, "description": "What was lost, as JSON."}},
    }
}
_UPLOAD = {"requestBody": {"required": True, "content": {"application/octet-stream": _FILE}}}


async def body_of(request: Request) -> bytes:
    """The bytes that were sent."""
    return await request.body()


def add_routes(routes: APIRouter, context: Context) -> None:
    """Add the routes of files."""
    _out(routes, context)
    _in(routes, context)


def _out(routes: APIRouter, context: Context) -> None:
    @routes.get("/formats", tags=["files"], response_model=list[FormatOut])
    def list_formats(_person: Admin) -> Any:
        """Formats in which judgments can be downloaded."""
        return list(EXPORTS.values())

    @routes.get("/projects/{project}/exports/{format}", tags=["files"], responses=_DOWNLOAD, response_class=Response)
    def download(
        _person: Admin,
        project: ProjectName,
        format: FormatPath,
        purpose: Purpose = "reward",
        ending: Ending | None = None,
        snapshot: Snapshot = None,
        attributes: bool = Query(default=False, description="With what raters say of themselves, where five share it."),
    ) -> Response:
        """Everything said in a queue as one file; what the format cannot hold is in the header Assent-Loss-Report."""
        form = _form(format)
        content, report, name = _encoded(context, Queue(project, purpose), form, ending, snapshot, attributes)
        headers = {
            "content-disposition": f'attachment; filename="{name}"',
            LOSS_HEADER.lower(): json.dumps(report.as_dict(), ensure_ascii=True, separators=(",", ":")),
        }
        return Response(content, media_type=MEDIA[ending or form.ending], headers=headers)

    @routes.get("/projects/{project}/exports/{format}/losses", tags=["files"], response_model=LossOut)
    def foresee_losses(
        _person: Admin, project: ProjectName, format: FormatPath, purpose: Purpose = "reward", snapshot: Snapshot = None
    ) -> Any:
        """What a download in this format would lose."""
        report = _encoded(context, Queue(project, purpose), _form(format), None, snapshot, False)[1]
        return LossOut.model_validate(report.as_dict())


def _in(routes: APIRouter, context: Context) -> None:
    @routes.post("/projects/{project}/imports", tags=["files"], response_model=ImportOut, openapi_extra=_UPLOAD)
    def import_file(
        _person: Admin,
        project: ProjectName,
        content: Annotated[bytes, Depends(body_of)],
        purpose: Purpose = "reward",
        format: Annotated[FormatName, Query(description="auto looks at the columns.")] = "auto",
        ending: Annotated[Ending, Query(description="What kind of file the body is.")] = ".jsonl",
    ) -> Any:
        """Bring in rankings that exist already, all or nothing; the same ones again add nothing."""
        known_project(context, project)
        if not content:
            raise Refusal(422, "the request has no body", "send the file as the body")
        queue, name = Queue(project, purpose), f"body{ending}"
        counts = bring_rankings(context.store, queue, content, name=name, format=format, now=context.now())
        return ImportOut(**vars(counts))


def _form(name: str) -> ExportFormat:
    if name not in EXPORTS:
        raise Refusal(404, f"there is no format {name!r}", f"choose one of {', '.join(EXPORTS)}")
    return EXPORTS[name]


def _encoded(
    context: Context, queue: Queue, form: ExportFormat, ending: str | None, snapshot: str | None, attributes: bool
) -> tuple[bytes, LossReport, str]:
    """The file, what it lost, and a name in which nothing is left that could be a path."""
    known_project(context, queue.project)
    said = gather(context.store, queue, snapshot=snapshot)
    raters = those_who_said(context.store, attributes=attributes)
    plain = _UNSAFE.sub("-", queue.project).strip("-.") or "project"
    name = f"{plain}-{queue.purpose}.{form.name}{ending or form.ending}"
    try:
        content, report = encode(said, form.name, name, raters=raters)
    except DataError as error:
        raise Refusal(422, str(error).removeprefix(f"{name}: "), "choose another format or ending") from None
    return content, report, name
