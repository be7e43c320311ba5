"""Webhooks: telling other programs that judgments came in, a project is done, raters disagree, or someone was erased.

    made = store.webhooks.add(Hook("https://example.org/h", "judgments", project="support", threshold=500), now=now)
    made.token                                  # the secret of the signatures, told this once
    store.webhooks.notice(now=now)              # every few seconds: writes a delivery for what has happened since
    for message in store.webhooks.claim(now=now):
        store.webhooks.settle(message.delivery.id, status=200, problem=None, now=now)

Any number of server processes may do this side by side: who moves a row on by a conditional UPDATE does the work. A
threshold is told once when it is crossed, and again only after it was crossed back.
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, func, insert, select, true, update

from assent.core.errors import StoreError
from assent.feedback.quality.agreement import krippendorff_alpha, pair_votes
from assent.feedback.queue.judgments import counts, has_judged_more, read_comparisons
from assent.feedback.queue.newest import NEWEST, newest_comparisons
from assent.feedback.queue.tasks import refuse_nul
from assent.feedback.records.people import Secret
from assent.feedback.records.queue import Queue
from assent.feedback.records.webhooks import Delivery, Hook, Webhook, WebhookMessage
from assent.feedback.tables.connection import insert_missing, read_transaction, write_transaction
from assent.feedback.tables.queue import JudgmentEvent, JudgmentRow, ProjectRow, RaterRow, SnapshotRow, TaskRow
from assent.feedback.tables.webhooks import WebhookDelivery, WebhookRow

PREFIX = "whsec_"
CHECK_SECONDS = 10.0
"""How often a webhook's condition is looked at, by all processes together."""
AGREEMENT_SECONDS = 60.0
"""The same for agreement, which reads rankings one by one."""
SEND_SECONDS = 60.0
"""After this a process that took a delivery counts as dead, and another tries."""
PAUSES = (10.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)
"""Seconds before each further attempt; after the last one a delivery is given up."""


class Webhooks:
    """The webhooks of a store; every method is one transaction or a few short ones."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, hook: Hook, *, now: float) -> Secret[Webhook]:
        """Make a webhook. Raises StoreError where the event misses its project or threshold, or has one too many."""
        _check(hook)
        secret = PREFIX + secrets.token_urlsafe(32)
        state = {"secret": secret, "is_armed": True, "checked_at": 0.0, "created_at": now}
        with write_transaction(self._engine) as connection:
            if hook.project is not None and not _has_project(connection, hook.project):
                raise StoreError(f"project {hook.project!r} is not in the store; make it first")
            row = connection.execute(insert(WebhookRow).values(vars(hook) | state).returning(WebhookRow)).one()
            return Secret(_webhook(row), secret)

    def all(self) -> list[Webhook]:
        """All webhooks, oldest first."""
        with read_transaction(self._engine) as connection:
            return [_webhook(row) for row in connection.execute(select(WebhookRow).order_by(WebhookRow.id))]

    def remove(self, webhook_id: int) -> bool:
        """Delete a webhook with its messages; False where there is none."""
        with write_transaction(self._engine) as connection:
            connection.execute(delete(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id))
            return connection.execute(delete(WebhookRow).where(WebhookRow.id == webhook_id)).rowcount == 1

    def deliveries(self, webhook_id: int, *, limit: int = 100) -> list[Delivery]:
        """The messages of a webhook, newest first."""
        query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
        with read_transaction(self._engine) as connection:
            rows = connection.execute(query.order_by(WebhookDelivery.id.desc()).limit(limit))
            return [_delivery(row) for row in rows]

    def notice(self, *, now: float) -> int:
        """Look at the conditions that are due and write down what is to be told; returns how many messages are new."""
        return sum(self._notice(row, now=now) for row in self._due(now))

    def claim(self, *, limit: int = 10, now: float) -> list[WebhookMessage]:
        """Take messages that are due, one of each webhook; nobody else gets them for SEND_SECONDS."""
        is_due = and_(
            WebhookDelivery.delivered_at.is_(None),
            WebhookDelivery.gave_up_at.is_(None),
            WebhookDelivery.next_at <= now,
        )
        taken = []
        with read_transaction(self._engine) as connection:
            oldest = func.min(WebhookDelivery.id)
            query = select(oldest).where(is_due).group_by(WebhookDelivery.webhook_id)
            query = query.order_by(func.min(WebhookDelivery.next_at)).limit(limit)
            due = list(connection.execute(query).scalars())
        for delivery_id in due:
            statement = update(WebhookDelivery).where(WebhookDelivery.id == delivery_id, is_due)
            statement = statement.values(attempts=WebhookDelivery.attempts + 1, next_at=now + SEND_SECONDS)
            with write_transaction(self._engine) as connection:
                row = connection.execute(statement.returning(WebhookDelivery)).first()
                if row is not None:
                    hook = connection.execute(select(WebhookRow).where(WebhookRow.id == row.webhook_id)).one()
                    taken.append(WebhookMessage(_delivery(row), hook.url, hook.secret))
        return taken

    def settle(self, delivery_id: int, *, status: int | None, problem: str | None, now: float) -> None:
        """Note how sending went: delivered where there is no problem, else tried again later or given up."""
        with write_transaction(self._engine) as connection:
            query = select(WebhookDelivery.attempts).where(WebhookDelivery.id == delivery_id)
            attempts = connection.execute(query).scalar()
            if attempts is None:
                return  # the webhook was removed meanwhile
            values: dict[str, Any] = {"status": status, "problem": None if problem is None else problem[:500]}
            if problem is None:
                values |= {"delivered_at": now}
            elif attempts > len(PAUSES):
                values |= {"gave_up_at": now}
            else:
                values |= {"next_at": now + PAUSES[attempts - 1]}
            connection.execute(update(WebhookDelivery).where(WebhookDelivery.id == delivery_id).values(values))

    def _due(self, now: float) -> list[Any]:
        """The webhooks that this process is to look at now, all others' looks moved on."""
        taken = []
        with read_transaction(self._engine) as connection:
            rows = connection.execute(select(WebhookRow)).all()
        for row in rows:
            pause = AGREEMENT_SECONDS if row.event == "agreement" else CHECK_SECONDS
            if row.checked_at > now - pause:
                continue
            mine = (WebhookRow.id == row.id, WebhookRow.checked_at == row.checked_at)
            with write_transaction(self._engine) as connection:
                if connection.execute(update(WebhookRow).where(*mine).values(checked_at=now)).rowcount == 1:
                    taken.append(row)
        return taken

    def _notice(self, row: Any, *, now: float) -> int:
        with read_transaction(self._engine) as connection:
            if row.event == "erased":
                told = _erasures(connection, row)
            else:
                facts = _facts(connection, row)
                told = None
        with write_transaction(self._engine) as connection:
            if told is not None:
                before = _count(connection, row.id)
                insert_missing(connection, WebhookDelivery, [_message(row, name, said, now) for name, said in told])
                return _count(connection, row.id) - before
            # Several processes may be here at once; the one that changes `is_armed` is the one that tells.
            is_crossed = _is_crossed(row, facts)
            turned = (WebhookRow.id == row.id, WebhookRow.is_armed == is_crossed)
            if connection.execute(update(WebhookRow).where(*turned).values(is_armed=not is_crossed)).rowcount == 0:
                return 0
            if is_crossed:
                name = f"{row.event} {_count(connection, row.id) + 1}"
                connection.execute(insert(WebhookDelivery).values(_message(row, name, facts, now)))
            return int(is_crossed)


def _check(hook: Hook) -> None:
    refuse_nul(hook.url + (hook.project or ""), where="the webhook")
    wants_threshold = hook.event in ("judgments", "agreement")
    if wants_threshold != (hook.threshold is not None):
        says = "needs a threshold" if wants_threshold else "has no threshold"
        raise StoreError(f"the event {hook.event!r} {says}; {'give one' if wants_threshold else 'leave it out'}")
    if (hook.event == "erased") != (hook.project is None):
        says = "is told for all projects" if hook.event == "erased" else "needs a project"
        raise StoreError(f"the event {hook.event!r} {says}; {'leave it out' if hook.event == 'erased' else 'name one'}")
    if hook.event == "judgments" and hook.threshold is not None and not 1 <= hook.threshold <= 1e12:
        raise StoreError(f"a threshold of {hook.threshold:g} judgments is never crossed; give 1 or more")
    if hook.event == "agreement" and hook.threshold is not None and not -1 <= hook.threshold <= 1:
        raise StoreError(f"agreement (Krippendorff's alpha) runs from -1 to 1, got the threshold {hook.threshold:g}")


def _facts(connection: Connection, row: Any) -> dict[str, Any]:
    """What a webhook's condition depends on."""
    queue = Queue(row.project, row.purpose)
    about = {"project": row.project, "purpose": row.purpose}
    match row.event:
        case "judgments":
            return {**about, "judgments": _judgments(connection, queue), "threshold": row.threshold}
        case "finished":
            have = counts(connection, queue)
            return {**about, "judged_slots": have.have, "slots": have.need, "set_aside": _set_aside(connection, queue)}
        case _:
            return {**about, **_agreement(connection, queue), "threshold": row.threshold}


def _agreement(connection: Connection, queue: Queue) -> dict[str, Any]:
    """Krippendorff's alpha of a queue; of more than NEWEST judgments, that of the tasks which were judged last."""
    is_long = has_judged_more(connection, queue, than=NEWEST)
    read = newest_comparisons(connection, queue, limit=NEWEST) if is_long else read_comparisons(connection, queue)
    comparisons = list(read)
    looked_at = sum(len(one.judgments) for one in comparisons)
    return {"agreement": krippendorff_alpha(pair_votes(comparisons)), "rankings": looked_at, "is_newest_only": is_long}


def _is_crossed(row: Any, facts: dict[str, Any]) -> bool:
    match row.event:
        case "judgments":
            return bool(facts["judgments"] >= row.threshold)
        case "finished":
            return bool(facts["slots"] <= facts["judged_slots"] and facts["slots"] + facts["set_aside"] > 0)
        case _:
            return facts["agreement"] is not None and bool(facts["agreement"] < row.threshold)


def _set_aside(connection: Connection, queue: Queue) -> int:
    """Tasks that nobody waits for."""
    query = select(func.count()).select_from(TaskRow).where(TaskRow.set_aside_at.is_not(None))
    query = query.where(TaskRow.project == queue.project, TaskRow.purpose == queue.purpose)
    return connection.execute(query).scalar_one()


def _judgments(connection: Connection, queue: Queue) -> int:
    """Current judgments that say something."""
    query = (
        select(func.count())
        .select_from(JudgmentRow)
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .where(TaskRow.project == queue.project, TaskRow.purpose == queue.purpose)
        .where(JudgmentRow.superseded_by.is_(None), JudgmentRow.outcome.in_(["ranked", "marked"]))
    )
    return connection.execute(query).scalar_one()


def _erasures(connection: Connection, row: Any) -> list[tuple[str, dict[str, Any]]]:
    """Everyone erased since the webhook was made, by the name of the tombstone: whoever it was is not told."""
    found = []
    erased = select(RaterRow.id, RaterRow.erased_at).where(RaterRow.erased_at >= row.created_at)
    for tombstone, at in connection.execute(erased.order_by(RaterRow.erased_at)).all():
        touched = connection.execute(select(SnapshotRow.name, SnapshotRow.hash).where(SnapshotRow.touched_at == at))
        snapshots = [{"name": name, "hash": digest} for name, digest in touched]
        said = select(func.count(func.distinct(JudgmentEvent.judgment_id))).join(
            JudgmentRow, JudgmentRow.id == JudgmentEvent.judgment_id
        )
        said = said.where(JudgmentEvent.kind == "erased", JudgmentRow.rater_id == tombstone)
        facts = {"rater": tombstone, "judgments": connection.execute(said).scalar_one(), "snapshots": snapshots}
        found.append((f"erased {tombstone}", facts))
    return found


def _message(row: Any, name: str, facts: dict[str, Any], now: float) -> dict[str, Any]:
    return {
        "webhook_id": row.id,
        "name": name,
        "payload": {"event": row.event, "webhook": row.id, "at": now, **facts},
        "created_at": now,
        "attempts": 0,
        "next_at": now,
    }


def _count(connection: Connection, webhook_id: int) -> int:
    query = select(func.count()).select_from(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    return connection.execute(query).scalar_one()


def _has_project(connection: Connection, name: str) -> bool:
    return connection.execute(select(true()).where(ProjectRow.name == name)).first() is not None


def _webhook(row: Any) -> Webhook:
    return Webhook(row.id, Hook(row.url, row.event, row.project, row.purpose, row.threshold), row.created_at)


def _delivery(row: Any) -> Delivery:
    is_open = row.delivered_at is None and row.gave_up_at is None
    return Delivery(
        id=row.id,
        webhook_id=row.webhook_id,
        payload=row.payload,
        created_at=row.created_at,
        attempts=row.attempts,
        next_at=row.next_at if is_open else None,
        delivered_at=row.delivered_at,
        gave_up_at=row.gave_up_at,
        status=row.status,
        problem=row.problem,
    )
