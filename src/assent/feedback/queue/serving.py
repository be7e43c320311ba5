"""Serving tasks to people: what they hold first, then new ones by the project's settings, gold and repeats between.

What a rater held until lately and nobody has taken since comes back first, as it was shown: going away for as long as a
lease draws no other task.

Every draw is of one kind. With probability `gold_share` it is a task with a known answer that the rater has not seen,
with `repeat_share` one they judged earlier; else an ordinary one: with probability `random_share` any free slot, else
one of the top candidates. These are the free slots of highest priority; for a newcomer, those of tasks that somebody
else has judged. What is logged with an ordinary task is the probability of its draw among ordinary ones, given what was
free to this rater then; gold, repeats, tasks made for a rater and tasks assigned by name have none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, exists, false, func, or_, select, update
from sqlalchemy.orm import aliased

from assent.core.errors import StoreError
from assent.core.types import Task
from assent.feedback.queue.adding import add_in
from assent.feedback.queue.assign import Pool, is_random
from assent.feedback.queue.assigned import is_for, slots_for
from assent.feedback.queue.candidates import Candidates, is_newcomer, raters_at_work
from assent.feedback.queue.claims import Term, lock_rater, lock_slot, take_slot
from assent.feedback.queue.gold import MADE, lend_reserved, task_to_repeat, twin, unseen_gold
from assent.feedback.queue.participation import decide, participation
from assent.feedback.queue.presentations import newest_guideline, read_presentations, show
from assent.feedback.queue.settings import is_archived, settings_of
from assent.feedback.queue.tasks import load_tasks, slot_row
from assent.feedback.queue.wanted import may_grow
from assent.feedback.records.asked import Asked
from assent.feedback.records.queue import Queue, Served
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.tables.connection import insert_missing
from assent.feedback.tables.queue import JudgmentRow, Lease, Slot, TaskRow

_HELD = (
    select(Lease.task_id, Lease.token, Lease.expires_at, Slot.service)
    .join(Slot, Slot.id == Lease.slot_id)
    .where(Lease.rater_id == bindparam("rater_id"), Lease.is_spent == false(), Lease.expires_at > bindparam("now"))
    .where(Slot.project == bindparam("project"), Slot.purpose == bindparam("purpose"), Slot.service != MADE)
    .order_by(Lease.slot_id)
)
_MINE_NOW = aliased(Lease)
_LAPSED = (
    select(Lease.task_id, Lease.slot_id, Slot.service)
    .join(Slot, Slot.id == Lease.slot_id)
    .where(Lease.rater_id == bindparam("rater_id"), Lease.is_spent == false(), Lease.expires_at <= bindparam("now"))
    .where(Lease.expires_at > bindparam("since"))
    .where(Slot.project == bindparam("project"), Slot.purpose == bindparam("purpose"), Slot.service != MADE)
    .where(~exists().where(JudgmentRow.task_id == Lease.task_id, JudgmentRow.rater_id == Lease.rater_id))
    .where(
        ~exists().where(
            _MINE_NOW.task_id == Lease.task_id,
            _MINE_NOW.rater_id == Lease.rater_id,
            _MINE_NOW.expires_at > bindparam("now"),
        )
    )
    .order_by(Lease.slot_id.desc())
)


@dataclass(frozen=True)
class _Lent:
    """A task on its way to a rater."""

    task_id: str
    token: str
    expires_at: float
    service: Any
    propensity: float | None = None
    is_new: bool = True


def serve(
    connection: Connection, rater_id: str, queue: Queue, *, limit: int, now: float, rng: np.random.Generator
) -> list[Served]:
    """Up to `limit` tasks for a rater: those they hold, then new ones; fewer where fewer are free."""
    lock_rater(connection, rater_id)
    settings = settings_of(connection, queue.project)
    if is_archived(connection, queue.project):
        return []
    part = participation(connection, rater_id, queue, settings, is_counted=False)
    if part.is_measured and part.to_qualify == 0:
        decide(connection, rater_id, queue, settings, now=now)
        part = participation(connection, rater_id, queue, settings, is_counted=False)
    if part.is_passed is False:
        return []
    most = limit if part.left is None or part.to_qualify else min(limit, part.left)
    lent = _held(connection, rater_id, queue, now=now)[:most]
    if settings.is_open and len(lent) < most:
        term = Term(rater_id, now=now, expires_at=now + settings.lease_seconds)
        server = _Server(connection, term, queue, settings, rng)
        lent += server.again(most - len(lent))
        if part.to_qualify:
            lent += server.qualify(min(most, part.to_qualify) - len(lent))
        else:
            lent += server.lend(most - len(lent))
    return _present(connection, rater_id, lent, now=now, rng=rng)


def renew(connection: Connection, rater_id: str, token: str, *, now: float) -> float | None:
    """Keep a task longer; when its lease ends now, None where the lease is another's or spent."""
    query = (
        select(TaskRow.project)
        .join(Lease, Lease.task_id == TaskRow.id)
        .where(Lease.token == token, Lease.rater_id == rater_id, Lease.is_spent == false())
    )
    project = connection.execute(query).scalar()
    if project is None:
        return None
    expires_at = now + settings_of(connection, project).lease_seconds
    mine = (Lease.token == token, Lease.rater_id == rater_id, Lease.is_spent == false())
    changed = connection.execute(update(Lease).where(*mine).values(expires_at=expires_at)).rowcount
    return expires_at if changed else None


def add_task_for(connection: Connection, rater_id: str, task: Task, *, now: float, rng: np.random.Generator) -> Served:
    """Add a task that only this rater judges, and lend it to them; the same task again is lent again."""
    lock_rater(connection, rater_id)
    add_in(connection, [task], slots=0, now=now)
    expires_at = now + settings_of(connection, task.project).lease_seconds
    mine = select(Lease).where(Lease.task_id == task.id, Lease.rater_id == rater_id, Lease.expires_at > now)
    held = connection.execute(mine).first()
    if held is not None:
        token: str | None = held.token
        expires_at = held.expires_at
    else:
        token = lend_reserved(connection, Term(rater_id, now=now, expires_at=expires_at), task, MADE)
    if token is None:
        raise StoreError(f"task {task.id!r} cannot be lent to rater {rater_id!r}")
    lent = _Lent(task.id, token, expires_at, MADE)
    return _present(connection, rater_id, [lent], now=now, rng=rng)[0]


@dataclass
class _Server:
    """Lends new tasks to one rater."""

    connection: Connection
    term: Term
    queue: Queue
    settings: ProjectSettings
    rng: np.random.Generator

    def again(self, limit: int) -> list[_Lent]:
        """What the rater held until lately, in the order it was shown; none that somebody else has taken since."""
        since = self.term.now - self.settings.lease_seconds
        where = {**vars(self.queue), "rater_id": self.term.rater_id, "now": self.term.now, "since": since}
        mine = or_(Slot.reserved_for.is_(None), Slot.reserved_for == self.term.rater_id, is_for(self.term.rater_id))
        lapsed = {row.task_id: row for row in self.connection.execute(_LAPSED.where(mine), where)} if limit else {}
        shown = read_presentations(self.connection, self.term.rater_id, list(lapsed))
        lent: list[_Lent] = []
        for task_id in sorted(lapsed, key=lambda one: _when(shown.get(one)))[:limit]:
            slot_id = lapsed[task_id].slot_id
            if lock_slot(self.connection, slot_id):
                token = take_slot(self.connection, slot_id, task_id, self.term)
                service = lapsed[task_id].service
                lent += [] if token is None else [_Lent(task_id, token, self.term.expires_at, service, is_new=False)]
        return lent

    def lend(self, limit: int) -> list[_Lent]:
        """Draw up to `limit` tasks."""
        is_new = is_newcomer(self.connection, self.term.rater_id, self.queue, tasks=self.settings.newcomer_tasks)
        lent = self._assigned(limit)
        candidates = self._candidates(limit, is_new=is_new)
        for _ in range(2 * limit + 8):  # some draws may be lost to faster raters
            pool = candidates.pool()
            if len(lent) == limit or pool.free <= 0:
                break
            one = self._measure()
            if one is not None:
                candidates.leave_out(one.task_id, candidates.slots_of(one.task_id))
            elif pool.top > 0:
                one = self._draw(candidates, pool)
            if one is not None:
                lent.append(one)
            else:  # somebody was faster: look anew at what is left
                candidates = self._candidates(limit, is_new=is_new)
        if is_new:  # only now, so that the slots added are not among those drawn from
            self._deepen([one.task_id for one in lent if one.service == "normal"])
        return lent

    def qualify(self, limit: int) -> list[_Lent]:
        """Known answers only: the work comes after them."""
        lent: list[_Lent] = []
        while len(lent) < limit:
            task_id = unseen_gold(self.connection, self.term, self.queue, self.rng)
            if task_id is None:
                break
            one = self._reserve(load_tasks(self.connection, [task_id])[task_id], "gold")
            if one is None:
                break
            lent.append(one)
        return lent

    def _assigned(self, limit: int) -> list[_Lent]:
        """Tasks that only this rater and others named may judge come first."""
        lent = []
        for slot_id, task_id in slots_for(self.connection, self.term, self.queue, limit=limit):
            if lock_slot(self.connection, slot_id):
                token = take_slot(self.connection, slot_id, task_id, self.term)
                lent += [] if token is None else [_Lent(task_id, token, self.term.expires_at, "normal")]
        return lent

    def _candidates(self, limit: int, *, is_new: bool) -> Candidates:
        found = Candidates(self.connection, self.term, self.queue, limit=limit)
        if is_new:
            found.share(self.settings.newcomer_overlap)
        return found

    def _draw(self, candidates: Candidates, pool: Pool) -> _Lent | None:
        """An ordinary task; None where another rater was faster, or added a slot to a task that this one knows."""
        share = self.settings.random_share
        chosen = candidates.draw(pool, self.rng, among_all=is_random(self.rng, random_share=share))
        if chosen is None or candidates.knows(chosen.task_id):
            return None
        slots = candidates.slots_of(chosen.task_id)
        chance = candidates.propensity(pool, chosen.task_id, slots, random_share=share)
        candidates.leave_out(chosen.task_id, slots)
        token = None
        if chosen.slot_id is None:
            task = load_tasks(self.connection, [chosen.task_id])[chosen.task_id]
            token = lend_reserved(self.connection, self.term, task, "normal")
        elif lock_slot(self.connection, chosen.slot_id):
            token = take_slot(self.connection, chosen.slot_id, chosen.task_id, self.term)
        return None if token is None else _Lent(chosen.task_id, token, self.term.expires_at, "normal", chance)

    def _measure(self) -> _Lent | None:
        """Gold or a repeat, where it is time for one and there is one."""
        draw = self.rng.random()
        if draw < self.settings.gold_share:
            task_id = unseen_gold(self.connection, self.term, self.queue, self.rng)
            task = None if task_id is None else load_tasks(self.connection, [task_id])[task_id]
            return None if task is None else self._reserve(task, "gold")
        if draw < self.settings.gold_share + self.settings.repeat_share:
            after = self.settings.repeat_after
            task_id = task_to_repeat(self.connection, self.term, self.queue, self.rng, after=after)
            return (
                None if task_id is None else self._reserve(twin(self.connection, task_id, now=self.term.now), "repeat")
            )
        return None

    def _reserve(self, task: Task, service: str) -> _Lent | None:
        token = lend_reserved(self.connection, self.term, task, service)
        return None if token is None else _Lent(task.id, token, self.term.expires_at, service)

    def _deepen(self, task_ids: list[str]) -> None:
        """Have a newcomer's tasks judged by `newcomer_overlap` raters, or by as many as are at work."""
        at_work = raters_at_work(self.connection, self.term.rater_id, self.queue, now=self.term.now)
        wanted = min(self.settings.newcomer_overlap, at_work)
        count = select(Slot.task_id, func.count(), func.max(Slot.n), func.min(Slot.place))
        found = self.connection.execute(count.where(Slot.task_id.in_(task_ids)).group_by(Slot.task_id)).all()
        growing = may_grow(self.connection, task_ids)
        shallow = [row for row in found if row[1] < wanted and row.task_id in growing]
        tasks = load_tasks(self.connection, [row.task_id for row in shallow])
        rows = [
            slot_row(tasks[task_id], last + 1 + i, place=place)
            for task_id, slots, last, place in shallow
            for i in range(wanted - slots)
        ]
        insert_missing(self.connection, Slot, rows)


def _held(connection: Connection, rater_id: str, queue: Queue, *, now: float) -> list[_Lent]:
    """What a rater has on loan from a queue, in the order it was first shown."""
    mine = {"rater_id": rater_id, "now": now, **vars(queue)}
    held = [_Lent(*row, is_new=False) for row in connection.execute(_HELD, mine)]
    shown = read_presentations(connection, rater_id, [one.task_id for one in held])
    return sorted(held, key=lambda one: _when(shown.get(one.task_id)))


def _when(shown: Any) -> tuple[float, float]:
    return (math.inf, math.inf) if shown is None else (shown.shown_at, shown.id)


def _present(
    connection: Connection, rater_id: str, lent: list[_Lent], *, now: float, rng: np.random.Generator
) -> list[Served]:
    """Loans as the rater sees them, noted down."""
    tasks = load_tasks(connection, [one.task_id for one in lent])
    guidelines: dict[str, Any] = {p: newest_guideline(connection, p) for p in {t.project for t in tasks.values()}}
    asked = {project: Asked.of(settings_of(connection, project)).plain() for project in guidelines}
    showings = []
    for one in lent:
        guideline = guidelines[tasks[one.task_id].project]
        fields: dict[str, Any] = {"guideline_id": None if guideline is None else guideline.id}
        fields["asked"] = [asked[tasks[one.task_id].project]]
        if one.is_new:
            fields |= {"propensity": one.propensity, "shown_at": now}
        showings.append((tasks[one.task_id], fields))
    shown = show(connection, rater_id, showings, rng, now=now)
    return [
        Served(
            task=tasks[one.task_id],
            token=one.token,
            expires_at=one.expires_at,
            order=tuple(shown[one.task_id]["order_shown"]),
            guideline_version=getattr(guidelines[tasks[one.task_id].project], "version", None),
            service="normal" if one.service == MADE else one.service,
            propensity=shown[one.task_id]["propensity"],
        )
        for one in lent
    ]
