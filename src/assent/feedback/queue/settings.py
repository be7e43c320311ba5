"""The settings of a project, read inside a transaction that another module opened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, select

from assent.core.errors import ConflictError
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.tables.queue import ProjectRow, TaskRow

_ARCHIVED = select(ProjectRow.archived_at).where(ProjectRow.name == bindparam("name"))
_SETTINGS = select(ProjectRow.settings).where(ProjectRow.name == bindparam("name"))


def settings_of(connection: Connection, name: str) -> ProjectSettings:
    """The settings of a project; those of one that is not there yet."""
    return settings_from(connection.execute(_SETTINGS, {"name": name}).scalar())


def is_archived(connection: Connection, name: str) -> bool:
    """Whether a project is put away."""
    return connection.execute(_ARCHIVED, {"name": name}).scalar() is not None


def refuse_archived(connection: Connection, name: str) -> None:
    """Raise ConflictError for a project that is put away: nothing in it is changed."""
    if is_archived(connection, name):
        raise ConflictError(f"project {name!r} is archived; take it out of the archive first")


def refuse_archived_tasks(connection: Connection, task_ids: Iterable[str]) -> None:
    """The same for the projects of tasks."""
    ids = sorted(set(task_ids))
    for start in range(0, len(ids), 500):
        query = select(TaskRow.project).where(TaskRow.id.in_(ids[start : start + 500])).distinct()
        for name in connection.execute(query).scalars().all():
            refuse_archived(connection, name)


def settings_from(values: dict[str, Any] | None) -> ProjectSettings:
    """The settings that a row of `project` holds."""
    return ProjectSettings() if values is None else ProjectSettings.model_validate(values)
