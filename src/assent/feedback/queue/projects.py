"""Projects: their settings, the guidelines raters are given, known answers, decisions where raters disagree."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select, update

from assent.core.errors import StoreError
from assent.core.hashing import hash_bytes
from assent.core.types import Judgment, Ranking
from assent.feedback.queue import deleting, places
from assent.feedback.queue.batches import is_hidden
from assent.feedback.queue.claims import lock_rater
from assent.feedback.queue.presentations import newest_guideline
from assent.feedback.queue.set_aside import after_decision
from assent.feedback.queue.settings import refuse_archived, refuse_archived_tasks, settings_from, settings_of
from assent.feedback.queue.submissions import check, task_answers
from assent.feedback.queue.tasks import refuse_nul
from assent.feedback.records.judges import PEOPLE
from assent.feedback.records.queue import Adjudicated, Contents, Guideline, NewProject, Project
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.tables.connection import insert_missing, read_transaction, upsert, write
from assent.feedback.tables.people import Membership
from assent.feedback.tables.queue import Adjudication, Gold, GuidelineVersion, JudgesRow, ProjectRow, TaskRow

_IS_THERE = select(ProjectRow.name).where(ProjectRow.name == bindparam("name"))


class Projects:
    """The projects of a store; every method is one transaction. `store.projects` is one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[Project]:
        """All projects, sorted by name."""
        with read_transaction(self._engine) as connection:
            names = connection.execute(select(ProjectRow.name)).scalars().all()
            return [read_project(connection, name) for name in sorted(names) if not is_hidden(name)]

    def of_machines(self) -> set[str]:
        """Names of those in which a run asked no people but judges of its own."""
        with read_transaction(self._engine) as connection:
            named = connection.execute(select(JudgesRow.project).where(JudgesRow.judges != PEOPLE.name))
            return set(named.scalars())

    def get(self, name: str) -> Project:
        """A project by name. Raises StoreError for an unknown one."""
        with read_transaction(self._engine) as connection:
            return read_project(connection, name)

    def save(self, name: str, settings: ProjectSettings, *, now: float) -> Project:
        """Make a project, or give it other settings."""
        if not name.strip():
            raise StoreError(f"project name {name!r} is empty; give it a name")
        refuse_nul(name + settings.model_dump_json(), where=f"project {name!r}")

        def work(connection: Connection) -> Project:
            _make(connection, name, now=now)
            refuse_archived(connection, name)
            _set(connection, name, settings)
            return read_project(connection, name)

        return write(self._engine, work)

    def carry_on(self, name: str, new: NewProject, *, now: float) -> ProjectSettings:
        """Make the next project of a run, with settings, guideline and raters of the first of `like` that is there.

        One that is there already stays as it is, whatever was changed in it. Where the run comes to it anew, projects
        of the same place and of later ones, which rest on what is asked here, are closed, see `places`.
        """

        def work(connection: Connection) -> ProjectSettings:
            names = [n for n in (name, *new.like) if connection.execute(_IS_THERE, {"name": n}).scalar()]
            if name in names:
                places.take(connection, name, new.place)
                return settings_of(connection, name)
            _make(connection, name, now=now)
            if names:
                told = newest_guideline(connection, names[0])
                if told is not None:
                    _publish(connection, name, told.text, now=now)
                _copy_raters(connection, names[0], name)
            settings = settings_of(connection, names[0] if names else name)
            settings = settings.model_copy(update={"title": new.title, "goal": new.goal, "is_open": True})
            _set(connection, name, settings)
            places.take(connection, name, new.place)
            return settings

        return write(self._engine, work)

    def archive(self, name: str, *, is_archived: bool, now: float) -> Project:
        """Put a project away, with all that is in it, or take it out again. Raises StoreError for an unknown one."""

        def work(connection: Connection) -> Project:
            read_project(connection, name)
            values = {"archived_at": now if is_archived else None}
            connection.execute(update(ProjectRow).where(ProjectRow.name == name).values(values))
            return read_project(connection, name)

        return write(self._engine, work)

    def contents(self, name: str) -> Contents:
        """What is in a project, and goes where it is deleted. Raises StoreError for an unknown one."""
        with read_transaction(self._engine) as connection:
            return deleting.contents(connection, name)

    def delete(self, name: str, *, now: float) -> Contents:
        """Delete an archived project with everything in it, for good; says what it was. Raises StoreError."""
        return deleting.delete_project(self._engine, name, now=now)

    def publish_guideline(self, name: str, text: str, *, now: float) -> Guideline:
        """Tell the raters of a project something new; the text that holds already is not published twice."""
        refuse_nul(text, where=f"guideline of project {name!r}")

        def work(connection: Connection) -> Guideline:
            _make(connection, name, now=now)
            refuse_archived(connection, name)
            connection.execute(select(ProjectRow.name).where(ProjectRow.name == name).with_for_update())
            return _publish(connection, name, text, now=now)

        return write(self._engine, work)

    def guidelines(self, name: str) -> list[Guideline]:
        """All versions, oldest first."""
        query = select(GuidelineVersion).where(GuidelineVersion.project == name).order_by(GuidelineVersion.version)
        with read_transaction(self._engine) as connection:
            return [_guideline(row) for row in connection.execute(query)]

    def set_gold(self, task_id: str, ranking: Ranking | None, *, note: str = "", now: float) -> None:
        """Say what the right answer to a task is, so that it measures raters; None: it is not gold any more."""
        where = f"gold of task {task_id!r}"
        refuse_nul(note, where=where)

        def work(connection: Connection) -> None:
            refuse_archived_tasks(connection, [task_id])
            if ranking is None:
                connection.execute(delete(Gold).where(Gold.task_id == task_id))
                return
            _check(connection, task_id, ranking, where=where)
            values = {"ranking": ranking.model_dump(mode="json"), "note": note, "set_at": now}
            statement = upsert(connection.dialect.name, Gold).values(task_id=task_id, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=[Gold.task_id], set_=values))

        write(self._engine, work)

    def gold(self, name: str) -> dict[str, tuple[Ranking, str]]:
        """Known answers and notes by task id."""
        query = select(Gold).join(TaskRow, TaskRow.id == Gold.task_id).where(TaskRow.project == name)
        with read_transaction(self._engine) as connection:
            rows = connection.execute(query.order_by(Gold.task_id)).all()
        return {row.task_id: (Ranking.model_validate(row.ranking), row.note) for row in rows}

    def adjudicate(
        self, task_id: str, adjudicator_id: str, ranking: Ranking | None, reason: str, *, now: float
    ) -> Adjudicated:
        """Decide a task; a later decision about it counts instead, the earlier one stays on record.

        A task without an answer is set aside: nobody is asked any more.
        """
        where = f"decision on task {task_id!r}"
        refuse_nul(reason, where=where)

        def work(connection: Connection) -> Adjudicated:
            lock_rater(connection, adjudicator_id)
            refuse_archived_tasks(connection, [task_id])
            _check(connection, task_id, ranking, where=where)
            decision = Adjudicated(task_id, adjudicator_id, ranking, reason, now)
            plain = None if ranking is None else ranking.model_dump(mode="json")
            connection.execute(insert(Adjudication).values(vars(decision) | {"ranking": plain}))
            after_decision(connection, task_id, has_answer=ranking is not None, now=now)
            return decision

        return write(self._engine, work)

    def adjudications(self, name: str) -> list[Adjudicated]:
        """All decisions, oldest first."""
        query = select(Adjudication).join(TaskRow, TaskRow.id == Adjudication.task_id).where(TaskRow.project == name)
        with read_transaction(self._engine) as connection:
            rows = connection.execute(query.order_by(Adjudication.id)).all()
        return [
            Adjudicated(
                row.task_id,
                row.adjudicator_id,
                None if row.ranking is None else Ranking.model_validate(row.ranking),
                row.reason,
                row.decided_at,
            )
            for row in rows
        ]


def read_project(connection: Connection, name: str) -> Project:
    """A project by name. Raises StoreError for an unknown one."""
    row = connection.execute(select(ProjectRow).where(ProjectRow.name == name)).first()
    if row is None:
        raise StoreError(f"project {name!r} is not in the store; save it or add tasks to it first")
    newest = newest_guideline(connection, name)
    told = None if newest is None else _guideline(newest)
    asked = places.places_of(row.place)
    return Project(name, settings_from(row.settings), told, row.created_at, row.archived_at, row.replaced_by, asked)


def _set(connection: Connection, name: str, settings: ProjectSettings) -> None:
    """Write settings; a project that is opened is not closed for another one any more."""
    values: dict[str, Any] = {"settings": settings.model_dump(mode="json")}
    values |= {"replaced_by": None} if settings.is_open else {}
    connection.execute(update(ProjectRow).where(ProjectRow.name == name).values(values))


def _make(connection: Connection, name: str, *, now: float) -> None:
    insert_missing(connection, ProjectRow, [{"name": name, "created_at": now}])


def _publish(connection: Connection, name: str, text: str, *, now: float) -> Guideline:
    newest = newest_guideline(connection, name)
    if newest is None or newest.text != text:
        version = 1 if newest is None else newest.version + 1
        digest = hash_bytes(text.encode())
        values = {"project": name, "version": version, "text": text, "text_hash": digest, "created_at": now}
        connection.execute(insert(GuidelineVersion).values(values))
    return _guideline(newest_guideline(connection, name))


def _copy_raters(connection: Connection, source: str, target: str) -> None:
    """Whoever may rate in one project may rate in the other."""
    raters = connection.execute(select(Membership.rater_id).where(Membership.project == source)).scalars().all()
    insert_missing(connection, Membership, [{"rater_id": rater, "project": target} for rater in raters])


def _guideline(row: Any) -> Guideline:
    return Guideline(row.version, row.text, row.created_at)


def _check(connection: Connection, task_id: str, ranking: Ranking | None, *, where: str) -> None:
    answers = task_answers(connection, task_id)
    check(Judgment(task_id=task_id, rater_id="-", ranking=ranking), answers, where=where)
