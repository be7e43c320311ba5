"""The live dashboard of a project: panels made here as HTML, anew every few seconds for a page that stays put."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import JSONResponse, Response

from assent.core.types import Purpose
from assent.feedback.dashboard import Overview
from assent.feedback.days import day_of, local
from assent.feedback.quality.forecast import HOUR, Pace
from assent.feedback.records.queue import Project, Queue
from assent.feedback.runs import CurvePoint
from assent.web.admin import charts, numbers
from assent.web.admin.frame import Frame, project_path
from assent.web.auth import Adjudicator, Person

PANELS = (
    "alarms",
    "progress",
    "pace",
    "battles",
    "curve",
    "criteria",
    "agreement",
    "raters",
    "groups",
    "disputes",
    "remarks",
)
"""In the order of the page; each is a macro of admin_board.html and says nothing where there is nothing to say."""
EVERY = 5
"""Seconds between two looks of an open page."""
SHOWN_DISPUTES = 5
SKIP = "rate.skip."
"""Keys of the reasons for skipping that the rating page offers; others are in the rater's words."""


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of the dashboard."""

    @routes.get("/admin/projects/{name}")
    def board(request: Request, person: Adjudicator, name: str, purpose: Purpose = "reward") -> Response:
        project = frame.project(name)
        overview = frame.watch.overview(name, purpose, now=frame.context.now())
        counts = {p: frame.store.counts(Queue(name, p)) for p in ("reward", "evaluation")}
        return frame.page(
            request,
            "admin_dashboard.html",
            tab="dashboard",
            project=project,
            purpose=purpose,
            counts=counts,
            panels=_panels(frame, request, person, project, overview),
            every=EVERY,
            source=f"{project_path(name, 'dashboard.json')}?purpose={purpose}",
        )

    @routes.get("/admin/projects/{name}/dashboard.json")
    def look(request: Request, person: Adjudicator, name: str, purpose: Purpose = "reward") -> Response:
        project = frame.project(name)
        overview = frame.watch.overview(name, purpose, now=frame.context.now())
        panels = _panels(frame, request, person, project, overview)
        return JSONResponse({"panels": panels, "counted_at": overview.at, "every": EVERY})


def _panels(frame: Frame, request: Request, person: Person, project: Project, overview: Overview) -> dict[str, Markup]:
    """Every panel as HTML; all of it is escaped by its template."""

    def t(key: str, **values: object) -> str:
        return frame.text(request, key, **values)

    known: dict[str, Any] = {
        "t": t,
        "n": numbers,
        "o": overview,
        "project": project,
        "person": person,
        "track": charts.track,
        "zone": project.settings.timezone,
        "bars": _bars(overview.pace, t, project.settings.timezone),
        "curve_svg": _curve(overview.points, t),
        "shown_disputes": overview.disputes[:SHOWN_DISPUTES],
        "path": project_path(project.name),
        "words_of": lambda given: given if t(SKIP + given) == SKIP + given else t(SKIP + given),
    }
    module: Any = frame.context.templates.get_template("admin_board.html").make_module(known)
    return {name: Markup(str(getattr(module, name)()).strip()) for name in PANELS}


def _bars(pace: Pace, t: Any, zone: str) -> Markup | None:
    """Judgments per hour, with the dates where days begin in a zone; None where there were none."""
    if not any(pace.hours):
        return None
    titles, ticks = [], []
    for i, value in enumerate(pace.hours):
        begin = pace.since + i * HOUR
        titles.append(t("admin.board.pace.bar", n=value, hour=f"{local(begin, zone):%Y-%m-%d %H:%M %Z}"))
        if day_of(begin + HOUR, zone) != day_of(begin, zone) and i + 1 < len(pace.hours):
            ticks.append((i + 1, f"{day_of(begin + HOUR, zone):%Y-%m-%d}"))
    label = t("admin.board.pace.label", n=sum(pace.hours), hours=len(pace.hours), most=max(pace.hours))
    return charts.bars(pace.hours, label, titles=titles, ticks=ticks)


def _curve(points: Any, t: Any) -> Markup | None:
    """Accuracy of reward models against judgments; None where there is no model yet."""
    found: list[CurvePoint] = list(points)
    if not found:
        return None
    last = found[-1]
    levels = []
    if last.ceiling is not None:
        levels.append(charts.Level(t("admin.board.curve.ceiling"), last.ceiling.estimate))
    if last.baseline is not None:
        levels.append(charts.Level(t("admin.board.curve.baseline"), last.baseline.estimate))
    label = t("admin.board.curve.label", n=len(found), last=numbers.share(last.accuracy), judgments=last.judgments)
    marks = [charts.Mark(point.judgments, point.accuracy) for point in found]
    return charts.curve(marks, label, x_label=t("admin.board.curve.x"), levels=levels)
