"""Running a study: tasks set aside and back, how many judgments each wants, for whom it is, and how all stand.

store.studies.set_aside(["t-1"], now=now)             # kept, given to nobody, not waited for
store.studies.bring_back(["t-1"], now=now)
store.studies.want({"t-1": 5})                        # up or down; what was said stays
store.studies.replace(tasks, now=now)                 # new content for known ids
store.studies.assign(["t-1"], Assignment(groups=("nurses",)))
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, Engine, bindparam, func, select, update

from assent.core.errors import StoreError
from assent.core.types import Task
from assent.feedback.queue import assigned, replacing, set_aside, states
from assent.feedback.queue.settings import refuse_archived_tasks
from assent.feedback.queue.wanted import fit
from assent.feedback.records.queue import Assignment, Queue, Replaced, State, TaskState
from assent.feedback.tables.connection import read_transaction, write
from assent.feedback.tables.queue import TaskRow

MOST_WANTED = 1000


class Studies:
    """The tasks of a store as those see them who run projects; every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def set_aside(self, task_ids: Sequence[str], *, now: float) -> int:
        """Set tasks aside by hand; returns how many were not. Raises StoreError for an unknown one."""
        return write(self._engine, lambda c: set_aside.set_aside(c, task_ids, "hand", now=now))

    def bring_back(self, task_ids: Sequence[str], *, now: float) -> int:
        """Let tasks be judged again; returns how many were set aside. Raises StoreError for an unknown one."""
        return write(self._engine, lambda c: set_aside.bring_back(c, task_ids, now=now))

    def replace(
        self,
        sent: Sequence[Task],
        *,
        slots: int | Mapping[str, int] = 1,
        priority: float = 0.0,
        now: float,
        is_cap: bool = False,
    ) -> Replaced:
        """Add tasks of one project as `Store.add_tasks` does; known ones with other content are replaced.

        Raises StoreError, before anything is changed, where an id is known in another project or queue.
        """
        return replacing.replace_tasks(self._engine, sent, slots=slots, priority=priority, now=now, is_cap=is_cap)

    def want(self, judgments: Mapping[str, int]) -> int:
        """Say how many judgments each task wants, no more and no fewer; returns how many tasks are known.

        What was said stays, also where it is more. Whoever holds a task that no longer wants their judgment may still
        hand it in. Raises StoreError for a number that cannot be.
        """
        wrong = next((i for i, many in judgments.items() if not 0 <= many <= MOST_WANTED), None)
        if wrong is not None:
            raise StoreError(f"task {wrong!r} wants {judgments[wrong]} judgments; give 0 to {MOST_WANTED}")
        rows = [{"the_id": task_id, "many": many} for task_id, many in sorted(judgments.items())]
        if not rows:
            return 0

        def work(connection: Connection) -> int:
            refuse_archived_tasks(connection, judgments)
            known = states.states(connection, list(judgments))
            statement = update(TaskRow).where(TaskRow.id == bindparam("the_id")).values(wanted=bindparam("many"))
            connection.execute(statement, rows)
            fit(connection, known)
            return len(known)

        return write(self._engine, work)

    def assign(self, task_ids: Sequence[str], to: Assignment) -> None:
        """Give tasks to these people and groups only, to anybody where none is named. Raises StoreError."""
        write(self._engine, lambda c: assigned.assign(c, task_ids, to))

    def last_replaced(self) -> float:
        """When a task of the store got other content last; 0 if none ever did."""
        with read_transaction(self._engine) as connection:
            query = select(func.max(TaskRow.replaced_at)).where(TaskRow.replaced_at.is_not(None))
            return connection.execute(query).scalar() or 0.0

    def is_replaced(self, task_id: str) -> bool:
        """Whether a task ever got other content under its id."""
        with read_transaction(self._engine) as connection:
            query = select(TaskRow.replaced_at).where(TaskRow.id == task_id)
            return connection.execute(query).scalar() is not None

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The ids of the raters in each group, by its name."""
        with read_transaction(self._engine) as connection:
            return assigned.groups(connection)

    def set_group(self, name: str, members: Collection[str]) -> None:
        """Say who is in a group; nobody: there is no such group. Raises StoreError for an unknown rater."""
        write(self._engine, lambda c: assigned.set_group(c, name, members))

    def states(self, task_ids: Sequence[str]) -> dict[str, TaskState]:
        """How tasks stand, by id."""
        with read_transaction(self._engine) as connection:
            return states.states(connection, task_ids)

    def page(
        self,
        queue: Queue,
        *,
        state: State | None = None,
        find: str = "",
        disputed: Collection[str] = (),
        after: str = "",
        limit: int,
    ) -> list[tuple[Task, TaskState]]:
        """Tasks of a queue by id that stand in a state and hold a text, those after the id `after`."""
        with read_transaction(self._engine) as connection:
            return states.page(connection, queue, state=state, find=find, disputed=disputed, after=after, limit=limit)
