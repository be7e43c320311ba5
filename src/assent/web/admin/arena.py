"""The page of the arena: models by every comparison in a project, and policies by every evaluation of the runs."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from assent.core.types import Comparison, Purpose
from assent.feedback.arena import Met, constant_models, met_in, met_in_runs, tables
from assent.feedback.records.queue import Queue
from assent.feedback.runs import folders_beside, made_in
from assent.web.admin import charts
from assent.web.admin.frame import Frame
from assent.web.auth import Adjudicator

DRAWS = 200
"""How often prompts are drawn again; the command draws oftener."""
MOST = 10_000
"""Of a queue with more judgments, only the tasks that were judged last are compared here, which hold so many."""
PURPOSES: tuple[Purpose, ...] = ("reward", "evaluation")


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes of this page."""

    @routes.get("/admin/projects/{name}/arena")
    def arena(request: Request, _person: Adjudicator, name: str, style: bool = False) -> Response:
        project = frame.project(name)
        store, given, is_part = frame.store, list[Comparison](), False
        for queue in (Queue(name, purpose) for purpose in PURPOSES):
            is_long = store.listing.has_judged_more(queue, than=MOST)
            given += store.listing.newest_comparisons(queue, limit=MOST) if is_long else store.comparisons(queue)
            is_part |= is_long
        kinds = {rater.id: rater.kind for rater in frame.store.raters()}
        met: list[Met] = met_in(given, kinds)
        runs = met_in_runs(made_in(folders_beside(frame.context.store_url)))
        return frame.page(
            request,
            "admin_arena.html",
            tab="arena",
            project=project,
            found=tables(met, controls_style=style, draws=DRAWS),
            runs=tables(runs, controls_style=style, draws=DRAWS),
            constant=constant_models(given),
            style=style,
            newest=MOST if is_part else None,
            track=charts.track,
        )
