"""The settings of a project, read inside a transaction that another module opened."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, select

from assent.feedback.records.settings import ProjectSettings
from assent.feedback.tables.queue import ProjectRow

_SETTINGS = select(ProjectRow.settings).where(ProjectRow.name == bindparam("name"))


def settings_of(connection: Connection, name: str) -> ProjectSettings:
    """The settings of a project; those of one that is not there yet."""
    return settings_from(connection.execute(_SETTINGS, {"name": name}).scalar())


def settings_from(values: dict[str, Any] | None) -> ProjectSettings:
    """The settings that a row of `project` holds."""
    return ProjectSettings() if values is None else ProjectSettings.model_validate(values)
