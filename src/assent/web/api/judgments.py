"""Judging over the API, for bots and admins' programs: taking tasks, handing judgments in, reading what was said."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query

from assent.core.errors import ConflictError
from assent.core.types import Judgment, Purpose
from assent.feedback.records.queue import Queue, Served
from assent.web.api.models import (
    Claimed,
    ClaimedTasks,
    ClaimIn,
    JudgmentIn,
    JudgmentOut,
    JudgmentPage,
    LeaseIn,
    LeaseOut,
    ReceiptOut,
    Released,
    ShownAnswer,
)
from assent.web.api.paging import Cursor, Limit, cursor_of, is_key, key_of
from assent.web.api.projects import ProjectName, known_project
from assent.web.auth import Adjudicator, Person, Rater
from assent.web.context import Context
from assent.web.rating.tasks import check_against, own_task, project_of, stale
from assent.web.refusals import Refusal


def add_routes(routes: APIRouter, context: Context) -> None:
    """Add the routes of judging."""
    _leases(routes, context)
    _judgments(routes, context)


def _leases(routes: APIRouter, context: Context) -> None:
    store = context.store

    @routes.post("/projects/{project}/claim", tags=["judgments"], response_model=ClaimedTasks)
    def claim_tasks(person: Rater, project: ProjectName, wanted: ClaimIn) -> Any:
        """Borrow tasks: first those held already, then new ones by the project's rules."""
        project_of(context, person, project)
        rater_id, now = _rater(context, person, wanted.rater_id), context.now()
        queue = Queue(project, wanted.purpose)
        served = store.serve(rater_id, queue, limit=wanted.limit, now=now)
        progress = store.rater_progress(rater_id, queue, now=now)
        items = tuple(_claimed(one) for one in served)
        return ClaimedTasks(items=items, done=progress.done, waiting=progress.waiting)

    @routes.post("/leases/renew", tags=["judgments"], response_model=LeaseOut)
    def renew_lease(person: Rater, lease: LeaseIn) -> Any:
        """Keep a task longer."""
        rater_id = _rater(context, person, lease.rater_id)
        expires_at = store.renew(rater_id, lease.token, now=context.now())
        if expires_at is None:
            raise Refusal(409, "this task is not lent to this rater any more", "claim again")
        return LeaseOut(expires_at=expires_at)

    @routes.post("/leases/release", tags=["judgments"], response_model=Released)
    def release_leases(person: Rater) -> Any:
        """Give back everything that the token's rater holds and has not judged."""
        return Released(released=store.release(person.rater_id))


def _judgments(routes: APIRouter, context: Context) -> None:
    store = context.store

    @routes.post("/judgments", tags=["judgments"], response_model=ReceiptOut)
    def submit_judgment(person: Rater, said: JudgmentIn) -> Any:
        """Hand a judgment in. Its id is a UUID of the client's: sending the same again changes nothing."""
        rater_id = _rater(context, person, said.rater_id)
        judgment, no_longer_asked = _judgment(context, person, said, rater_id)
        try:
            receipt = store.submit(judgment, token=said.token or None, now=context.now())
        except ConflictError as conflict:
            if rater_id != person.rater_id:
                raise
            raise stale(context, person, said, conflict) from conflict
        return ReceiptOut(**vars(receipt), no_longer_asked=tuple(no_longer_asked))

    @routes.get("/projects/{project}/judgments", tags=["judgments"], response_model=JudgmentPage)
    def list_judgments(
        _person: Adjudicator,
        project: ProjectName,
        purpose: Purpose = "reward",
        superseded: bool = Query(default=False, description="Also those that were corrected since."),
        erased: bool = Query(default=False, description="Also, emptied, those whose rater was erased, when they were."),
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Any:
        """What was said, in the order it was kept, a page at a time. Keep the last cursor to ask for what is new.

        Every judgment comes exactly once, whatever is submitted, imported or corrected meanwhile.
        """
        known_project(context, project)
        found = store.listing.judgments(
            Queue(project, purpose),
            after=_place_of(cursor),
            limit=limit,
            with_superseded=superseded,
            with_erased=erased,
        )
        items = tuple(
            JudgmentOut.model_construct(
                **dict(one.judgment),
                outcome=one.outcome,
                submitted_at=one.submitted_at,
                superseded_by=one.superseded_by,
                propensity=one.propensity,
                guideline_version=one.guideline_version,
                repeat_of=one.repeat_of,
            )
            for one in found
        )
        last = found[-1] if found else None
        following = cursor if last is None else cursor_of(last.number, last.judgment.id)
        return JudgmentPage.model_construct(items=items, next=following)


def _place_of(cursor: str | None) -> Any:
    """Number and id of the last judgment seen. Raises Refusal for a cursor by time, which could miss judgments."""
    if cursor is not None and is_key(cursor, float, str):
        what = "this cursor is of an older version of the service, which could pass judgments over"
        raise Refusal(422, what, "begin again without a cursor and take every id once")
    return key_of(cursor, int, str)


def _rater(context: Context, person: Person, named: str | None) -> str:
    """For whom a program acts. Raises Refusal where it may not act for another, or there is none of that id."""
    if named is None or named == person.rater_id:
        return person.rater_id
    if not person.may("admin"):
        raise Refusal(403, "only an admin's program may act for another rater", "leave rater_id out")
    if context.store.listing.rater(named) is None:
        raise Refusal(404, f"there is no rater {named!r}", "register the rater first")
    return named


def _judgment(context: Context, person: Person, said: JudgmentIn, rater_id: str) -> tuple[Judgment, list[str]]:
    """The judgment to keep, checked against what the rater was given and asked, and what is no longer asked."""
    own: Served | None
    if rater_id == person.rater_id:
        own = own_task(context, person, said.task_id)
        project = project_of(context, person, own.task.project)
    else:
        task = context.store.tasks([said.task_id]).get(said.task_id)
        if task is None:
            raise Refusal(404, f"there is no task {said.task_id!r}", "claim tasks to get their ids")
        project = known_project(context, task.project)
        own = context.store.own(rater_id, said.task_id)
    judgment = said.judgment(rater_id)
    return judgment, check_against(project, judgment, own)


def _claimed(served: Served) -> Claimed:
    texts = {completion.id: completion.text for completion in served.task.completions}
    return Claimed(
        task_id=served.task.id,
        token=served.token,
        expires_at=served.expires_at,
        kind=served.task.kind,
        prompt=served.task.prompt.messages,
        tools=served.task.prompt.tools,
        answers=tuple(ShownAnswer(id=i, text=texts[i]) for i in served.order),
        guideline_version=served.guideline_version,
    )
