"""The feedback store: the only door to the database of tasks, raters and judgments.

    with Store.open("sqlite:///feedback.db") as store:
        store.add_tasks(tasks, now=now)
        store.register_rater(Rater(id="anna", kind="person"), now=now)
        for claim in store.claim("anna", Queue(), limit=3, now=now):
            store.submit(judgment_of(claim.task), token=claim.token, now=now)

Every method is one transaction. Time is passed in, in seconds since 1970. A store may be used by many threads; every
process opens its own.
"""

from __future__ import annotations

import functools
import itertools
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from sqlalchemy import Connection, Engine, delete, select

from assent.core import seeds
from assent.core.errors import StoreError
from assent.core.types import Comparison, Judgment, Rater, RaterKind, Task
from assent.data.formats import Said
from assent.feedback import erasure
from assent.feedback.queue import (
    adding,
    batches,
    claims,
    history,
    imports,
    judgments,
    participation,
    reach,
    serving,
    snapshots,
    submissions,
    tasks,
)
from assent.feedback.queue import judges as seats
from assent.feedback.queue.order import number
from assent.feedback.queue.projects import Projects
from assent.feedback.queue.settings import settings_of
from assent.feedback.records.judges import Judges
from assent.feedback.records.queue import (
    Claim,
    Counts,
    Erasure,
    ImportCounts,
    OpenTask,
    Participation,
    Queue,
    Quorum,
    RaterProgress,
    Receipt,
    SaidRow,
    Served,
    Snapshot,
    Viewing,
)
from assent.feedback.tables.connection import (
    connect,
    empty_log,
    insert_missing,
    read_transaction,
    write,
    write_transaction,
)
from assent.feedback.tables.queue import RaterAttribute, RaterRow
from assent.feedback.tables.schema import bring_to_head

if TYPE_CHECKING:
    from assent.feedback.conversations import Conversations
    from assent.feedback.people.accounts import Accounts
    from assent.feedback.people.events import Events
    from assent.feedback.queue.listing import Listing
    from assent.feedback.queue.studies import Studies
    from assent.feedback.webhooks import Webhooks

LEASE_SECONDS = 900.0
"""How long a claimed task is kept for its rater unless said otherwise."""


class Store:
    """Tasks, raters and judgments in SQLite or PostgreSQL."""

    def __init__(self, engine: Engine, *, seed: int | None = None) -> None:
        self._engine = engine
        self._seed = secrets.randbits(62) if seed is None else seed
        self._draws = itertools.count()

    @classmethod
    def open(cls, url: str, *, seed: int | None = None) -> Store:
        """Open the store at `sqlite:///file` or `postgresql://…`; it is created or upgraded where needed.

        What people are served is drawn anew by every store that is opened, unless a seed is given.
        Raises StoreError where it cannot be reached, is something else, or was written by a newer Assent.
        """
        engine = connect(url)
        try:
            bring_to_head(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, seed=seed)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @functools.cached_property
    def projects(self) -> Projects:
        """Projects, their settings, guidelines and known answers."""
        return Projects(self._engine)

    @functools.cached_property
    def accounts(self) -> Accounts:
        """People who sign in: accounts, invitations, sessions, tokens."""
        from assent.feedback.people.accounts import Accounts

        return Accounts(self._engine)

    @functools.cached_property
    def events(self) -> Events:
        """The security log."""
        from assent.feedback.people.events import Events

        return Events(self._engine)

    @functools.cached_property
    def webhooks(self) -> Webhooks:
        """Whom to tell when a threshold is crossed."""
        from assent.feedback.webhooks import Webhooks

        return Webhooks(self._engine)

    @functools.cached_property
    def conversations(self) -> Conversations:
        """Where raters' conversations with blind models stand."""
        from assent.feedback.conversations import Conversations

        return Conversations(self._engine)

    @functools.cached_property
    def studies(self) -> Studies:
        """Tasks set aside, wanted so often, assigned; and how all stand."""
        from assent.feedback.queue.studies import Studies

        return Studies(self._engine)

    @functools.cached_property
    def listing(self) -> Listing:
        """Long lists in pages."""
        from assent.feedback.queue.listing import Listing

        return Listing(self._engine)

    # Asking

    def add_tasks(
        self,
        new: Sequence[Task],
        *,
        slots: int | Mapping[str, int] = 1,
        priority: float = 0.0,
        now: float,
        is_cap: bool = False,
    ) -> int:
        """Queue tasks, each to be judged by `slots` raters (a number, or one per task id); returns how many were new.

        Adding a task again changes nothing, except that a higher number of slots adds the missing ones. With `is_cap`
        no more are asked for than these, whoever is new. Raises StoreError where a known id comes with other content.
        """
        return adding.add_tasks(self._engine, new, slots=slots, priority=priority, now=now, is_cap=is_cap)

    def clashes(self, new: Sequence[Task], *, is_replacing: bool = False) -> dict[str, str]:
        """What is wrong with tasks whose ids are known elsewhere, or, unless `is_replacing`, with other content."""
        with read_transaction(self._engine) as connection:
            return tasks.clashes(connection, new, is_replacing=is_replacing)

    def register_rater(self, rater: Rater, *, consent: str | None = None, now: float) -> None:
        """Make a rater known, or replace their attributes.

        A person's attributes are kept only with `consent`, the version of the text they agreed to. Raises StoreError
        without it, or where the id belongs to a rater of another kind.
        """
        if rater.kind == "person" and rater.attributes and not consent:
            raise StoreError(
                f"rater {rater.id!r} is a person; attributes need consent, the version of the consent text"
            )
        tasks.refuse_nul(rater.model_dump_json(), where=f"rater {rater.id!r}")
        with write_transaction(self._engine) as connection:
            insert_missing(connection, RaterRow, [{"id": rater.id, "kind": rater.kind, "created_at": now}])
            claims.lock_rater(connection, rater.id)
            kind = connection.execute(select(RaterRow.kind).where(RaterRow.id == rater.id)).scalar_one()
            if kind != rater.kind:
                raise StoreError(f"rater {rater.id!r} is already known as {kind}, not {rater.kind}; choose another id")
            connection.execute(delete(RaterAttribute).where(RaterAttribute.rater_id == rater.id))
            rows = [
                {"rater_id": rater.id, "name": n, "value": v, "consent": consent} for n, v in rater.attributes.items()
            ]
            insert_missing(connection, RaterAttribute, rows)

    def claim(
        self,
        rater_id: str,
        queue: Queue,
        *,
        limit: int = 1,
        now: float,
        lease_seconds: float = LEASE_SECONDS,
        only: Collection[str] | None = None,
    ) -> list[Claim]:
        """Lend up to `limit` tasks to a rater, never one they hold or have judged; `only` names the tasks wanted.

        Raises StoreError for an unknown rater.
        """
        term = claims.Term(rater_id, now=now, expires_at=now + lease_seconds)
        return write(self._engine, lambda connection: claims.claim(connection, term, queue, limit=limit, tasks=only))

    def release(self, rater_id: str) -> int:
        """Give back what a rater holds and has not judged; returns how many tasks."""
        return write(self._engine, lambda connection: claims.release(connection, rater_id))

    def lapse(self, rater_id: str, tokens: Collection[str], *, now: float) -> int:
        """End these leases of a rater now; returns how many."""
        return write(self._engine, lambda connection: claims.lapse(connection, rater_id, tokens, now=now))

    def release_others(self, queue: Queue, *, keep: Collection[str]) -> int:
        """Give back what raters other than these hold in a queue and have not judged; returns how many tasks."""
        return write(self._engine, lambda connection: claims.release_others(connection, queue, keep=keep))

    def queue_of(self, asked: Queue, judges: Judges) -> Queue:
        """The queue in which these judges are asked the tasks of `asked`: another project where others have it."""
        with read_transaction(self._engine) as connection:
            return seats.queue_of(connection, asked, judges)

    def take_queue(self, asked: Queue, judges: Judges, *, now: float) -> Queue:
        """The same, noted as theirs."""
        return write(self._engine, lambda connection: seats.take_queue(connection, asked, judges, now=now))

    # Asking people

    def serve(self, rater_id: str, queue: Queue, *, limit: int = 1, now: float) -> list[Served]:
        """Lend up to `limit` tasks to a person by the project's settings: first those they hold, as they saw them."""
        rng = seeds.stream(self._seed, "serve", queue.project, queue.purpose, rater_id, next(self._draws))
        return write(self._engine, lambda c: serving.serve(c, rater_id, queue, limit=limit, now=now, rng=rng))

    def add_task_for(self, rater_id: str, task: Task, *, now: float) -> Served:
        """Add a task for one rater alone, a turn of a chat or a battle, and lend it to them."""
        rng = seeds.stream(self._seed, "serve", task.id, rater_id)
        return write(self._engine, lambda c: serving.add_task_for(c, rater_id, task, now=now, rng=rng))

    def renew(self, rater_id: str, token: str, *, now: float) -> float | None:
        """Keep a task longer; when its lease ends now, None where the lease is gone."""
        return write(self._engine, lambda connection: serving.renew(connection, rater_id, token, now=now))

    def recent(self, rater_id: str, queue: Queue, *, limit: int = 1, now: float) -> list[Served]:
        """What a person submitted last, newest first, as long as they may change it."""
        with read_transaction(self._engine) as connection:
            return history.recent(connection, rater_id, queue, limit=limit, now=now)

    def own(self, rater_id: str, task_id: str) -> Served | None:
        """A task as this person was shown it, with their lease and their judgment that holds; None if it never was."""
        with read_transaction(self._engine) as connection:
            return history.own(connection, rater_id, task_id)

    def rater_progress(
        self, rater_id: str, queue: Queue, *, now: float, then: RaterProgress | None = None
    ) -> RaterProgress:
        """How far a person is. What waits is moved on from what it was `then`, or counted, which takes longer."""
        with read_transaction(self._engine) as connection:
            return history.rater_progress(connection, rater_id, queue, now=now, then=then)

    def participation(self, rater_id: str, queue: Queue) -> Participation:
        """How far a person's part in a project reaches: what they did, and what is left of what is wanted of each."""
        with read_transaction(self._engine) as connection:
            return participation.participation(connection, rater_id, queue, settings_of(connection, queue.project))

    def set_priorities(self, priorities: Mapping[str, float], *, now: float) -> int:
        """Give tasks another priority, higher first; returns how many are known. See `priorities.priorities`."""
        return write(self._engine, lambda connection: tasks.set_priorities(connection, priorities))

    # Answering

    def submit(
        self, judgment: Judgment, *, token: str | None = None, now: float, viewing: Viewing | None = None
    ) -> Receipt:
        """Keep a judgment; its id is the client's UUID, and submitting it again changes nothing.

        `judgment.supersedes` corrects the rater's earlier one; a judgment that says nothing then takes it back. Where
        no order shown is given it is the one that was served. Raises StoreError where it does not fit its task.
        """

        def keep(connection: Connection) -> Receipt:
            receipt = submissions.submit(connection, judgment, token=token, now=now, viewing=viewing)
            number(connection, [receipt.judgment_id] if receipt.status != "known" else [])
            return receipt

        return write(self._engine, keep)

    def submit_all(self, judgments: Sequence[tuple[Judgment, str | None]], *, now: float) -> list[Receipt]:
        """Keep several judgments with their lease tokens, all or none."""

        def keep(connection: Connection) -> list[Receipt]:
            receipts = [submissions.submit(connection, j, token=token, now=now) for j, token in judgments]
            number(connection, [one.judgment_id for one in receipts if one.status != "known"])
            return receipts

        return write(self._engine, keep)

    def import_comparisons(
        self, comparisons: Iterable[Said], queue: Queue, *, rater_kind: RaterKind = "person", now: float
    ) -> ImportCounts:
        """Add judgments a team already has, or what another store gave out, all or nothing; again adds nothing.

        An error while `comparisons` is read leaves the store as it was; a sequence is not held. Raises StoreError.
        """
        given = comparisons if isinstance(comparisons, Sequence) else list(comparisons)
        return imports.import_said(self._engine, given, queue=queue, rater_kind=rater_kind, now=now)

    def observer(self) -> batches.Observer:
        """Whoever looks now and then whether an import that is on its way is dead, and takes out what it left."""
        return batches.Observer(self._engine)

    # Reading

    def counts(self, queue: Queue) -> Counts:
        """How many judgments are in, of how many."""
        with read_transaction(self._engine) as connection:
            return judgments.counts(connection, queue)

    def within_reach(self, queue: Queue, *, now: float, quorum: Quorum = Quorum()) -> Counts:
        """How many judgments are in, and how many there will be unless further raters come."""
        with read_transaction(self._engine) as connection:
            return reach.within_reach(connection, queue, now=now, quorum=quorum)

    def open_tasks(self, queue: Queue) -> list[OpenTask]:
        """Tasks that still wait for judgments, sorted by id."""
        with read_transaction(self._engine) as connection:
            return claims.open_tasks(connection, queue)

    def judgments(self, queue: Queue, *, with_superseded: bool = False) -> list[Judgment]:
        """Judgments of a queue as they were submitted, sorted by id, skips and surplus included."""
        with read_transaction(self._engine) as connection:
            return judgments.read_judgments(connection, queue, with_superseded=with_superseded)

    def comparisons(self, queue: Queue, *, snapshot: str | None = None) -> list[Comparison]:
        """Tasks with their rankings, sorted by task; of a snapshot's hash, or as things are now.

        The order depends only on what was said, not on when. Raises StoreError for an unknown or erased snapshot.
        """
        return self.listing.with_comparisons(queue, list, snapshot=snapshot)

    def said(self, project: str) -> list[SaidRow]:
        """The facts about every current judgment of a project, skips included, in the order they came."""
        with read_transaction(self._engine) as connection:
            return history.said(connection, project)

    def tasks(self, task_ids: Iterable[str]) -> dict[str, Task]:
        """Tasks by id, without those that are unknown."""
        with read_transaction(self._engine) as connection:
            found = tasks.load_tasks(connection, task_ids)
        return {task_id: task for task_id, task in found.items() if not batches.is_hidden(task.project)}

    def task_ids(self, queue: Queue) -> list[str]:
        """Ids of all tasks of a queue, sorted."""
        with read_transaction(self._engine) as connection:
            return tasks.task_ids(connection, queue.project, queue.purpose)

    def raters(self) -> list[Rater]:
        """All raters, sorted by id, without the erased."""
        with read_transaction(self._engine) as connection:
            return judgments.read_raters(connection)

    def trainers(self, rater_ids: Collection[str]) -> set[str]:
        """Those of the raters who have given judgments to learn from, in any project of the store."""
        with read_transaction(self._engine) as connection:
            return judgments.trainers(connection, rater_ids)

    def snapshot(self, name: str, queue: Queue, *, now: float) -> Snapshot:
        """Fix the judgments of a queue under a name; a name taken before gives the same snapshot back."""
        with write_transaction(self._engine) as connection:
            return snapshots.take_snapshot(connection, name, queue, now=now)

    def erase_rater(self, rater_id: str, *, now: float) -> Erasure:
        """Forget a person: id, attributes, judgments; says which snapshots held them."""
        with write_transaction(self._engine) as connection:
            erased = erasure.erase_rater(connection, rater_id, now=now)
        empty_log(self._engine)
        return erased
